"""The compass from a client's side: where the scheduler of a workerpool is reached."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import Clock
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.pool_urls import PoolUrl, check_origin
from pyiexec.protocol.primitives import Address, to_hex

#: For how long a registration that was just signed is good.
LIFE_SECONDS = 120
_TIMEOUT_SECONDS = 30.0


class Compass:
    """The compass at a URL; make it inside the event loop.

    Args:
        url: its origin.
        domain: chain and hub whose pools are asked for.
        clock: for deadlines.
        session: shared with other clients; one is opened, and closed with this object, when None.
    """

    def __init__(self, url: str, domain: Domain, clock: Clock, session: aiohttp.ClientSession | None = None) -> None:
        self.url = url.rstrip("/")
        self._domain = domain
        self._clock = clock
        self._session = session
        self._owned = session is None

    async def __aenter__(self) -> Compass:
        return self

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session if it is this object's own."""
        if self._owned and self._session is not None:
            await self._session.close()
            self._session = None

    async def url_of(self, workerpool: Address) -> str:
        """Origin of a pool's scheduler.

        Raises:
            IexecError: ``WORKERPOOL_URL_UNKNOWN``, ``BAD_URL`` when the answer is none, ``COMPASS_UNREACHABLE``.
        """
        return check_origin(await self._request("GET", workerpool, None))

    async def register(self, workerpool: Address, api_url: str, signer: Signer) -> None:
        """Tell the origin of one's own pool's scheduler; an empty one takes it back.

        Raises:
            IexecError: ``BAD_URL``, ``NOT_OWNER``, ``WORKERPOOL_UNKNOWN``, ``REGISTRATION_OUTDATED``,
                ``COMPASS_UNREACHABLE``.
        """
        if api_url:
            check_origin(api_url)
        claim = PoolUrl(workerpool=workerpool, api_url=api_url, deadline=int(self._clock.now()) + LIFE_SECONDS)
        signature = to_hex(signer.sign_digest(claim.digest(self._domain)))
        await self._request("PUT", workerpool, {"apiUrl": api_url, "deadline": claim.deadline, "signature": signature})

    async def _request(self, method: str, workerpool: Address, body: Any) -> str:
        url = f"{self.url}/{self._domain.chain_id}/workerpools/{workerpool}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS))
        try:
            async with self._session.request(
                method, url, json=body, headers={"Accept": "application/json"}
            ) as response:
                answer: Any = msgspec.json.decode(await response.read())
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            reason = error or type(error).__name__
            raise IexecError("COMPASS_UNREACHABLE", f"no answer from {self.url}: {reason}") from None
        except msgspec.DecodeError:
            answer, status = None, 502
        if status == 200 and isinstance(answer, dict) and isinstance(answer.get("apiUrl"), str):
            return str(answer["apiUrl"])
        if isinstance(answer, dict) and answer.get("code") in CATALOGUE:
            raise IexecError(str(answer["code"]), str(answer.get("error")))
        if status == 404:
            raise IexecError("WORKERPOOL_URL_UNKNOWN", f"{self.url} knows no URL of workerpool {workerpool}")
        raise IexecError("COMPASS_UNREACHABLE", f"{self.url} does not answer as a compass")
