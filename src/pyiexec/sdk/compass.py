"""The compass from a client's side: where the scheduler of a workerpool is reached."""

from __future__ import annotations

import aiohttp
import msgspec

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clients import JsonClient
from pyiexec.foundation.clock import Clock
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.pool_urls import PoolUrl, check_origin
from pyiexec.protocol.primitives import Address, to_hex

#: For how long a registration that was just signed is good.
LIFE_SECONDS = 120


class Compass(JsonClient):
    """The compass at a URL; make it inside the event loop.

    Args:
        url: its origin.
        domain: chain and hub whose pools are asked for.
        clock: for deadlines.
        session: shared with other clients; one is opened, and closed with this object, when None.
    """

    def __init__(self, url: str, domain: Domain, clock: Clock, session: aiohttp.ClientSession | None = None) -> None:
        super().__init__(url, session, kind="a compass", silent="COMPASS_UNREACHABLE")
        self._domain = domain
        self._clock = clock

    async def url_of(self, workerpool: Address) -> str:
        """Origin of a pool's scheduler.

        Raises:
            IexecError: ``WORKERPOOL_URL_UNKNOWN``, ``BAD_URL`` when the answer is none, ``COMPASS_UNREACHABLE``.
        """
        return check_origin(await self._request("GET", workerpool))

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
        body = {"apiUrl": api_url, "deadline": claim.deadline, "signature": signature}
        await self._request("PUT", workerpool, msgspec.json.encode(body))

    async def _request(self, method: str, workerpool: Address, body: bytes = b"") -> str:
        answer = await self._ask(method, f"/{self._domain.chain_id}/workerpools/{workerpool}", body=body)
        status, content = answer
        if status == 200 and isinstance(content, dict) and isinstance(content.get("apiUrl"), str):
            return str(content["apiUrl"])
        if answer.code is not None:
            raise self._refusal(answer, answer.code)
        if status == 404 and content is not None:
            raise IexecError("WORKERPOOL_URL_UNKNOWN", f"{self.url} knows no URL of workerpool {workerpool}")
        raise self._nonsense()
