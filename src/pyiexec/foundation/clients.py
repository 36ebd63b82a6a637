"""Clients of services that answer in JSON: one request, one answer, and every failure an error of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec

from pyiexec.foundation.logs import current_trace
from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.strangers_json import decode_json
from pyiexec.protocol.traces import traceparent


class Answer(NamedTuple):
    """What a service answered.

    Attributes:
        status: of HTTP.
        content: what its JSON decodes to; None where it holds none.
    """

    status: int
    content: Any

    @property
    def code(self) -> str | None:
        """The error that the answer names, where it is one of ours."""
        code = self.content.get("code") if isinstance(self.content, dict) else None
        return code if isinstance(code, str) and code in CATALOGUE else None

    @property
    def reason(self) -> str:
        """Why the request is refused, in the service's words; empty where it says nothing."""
        told = self.content.get("error") if isinstance(self.content, dict) else None
        return "; ".join(map(str, told)) if isinstance(told, list) else str(told or "")


async def pass_trace_on(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """For ``aiohttp.ClientSession(middlewares=...)``: requests to services tell which trace they belong to."""
    trace = current_trace()
    if trace is not None:
        request.headers["traceparent"] = traceparent(trace)
    return await handler(request)


def read_json(body: bytes) -> Any:
    """What a body decodes to; None when it holds no JSON."""
    try:
        return decode_json(body)
    except (msgspec.DecodeError, UnicodeError):
        return None


async def unreachable(session: aiohttp.ClientSession, url: str) -> str:
    """Why nobody serves at a URL; empty when somebody does, whatever is answered to a question without a path."""
    try:
        async with session.head(url, allow_redirects=False) as response:
            return f"it answered {response.status}" if response.status >= 500 else ""
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        return f"no answer: {type(error).__name__}"


class HttpClient:
    """A client with a session, its own or one that it shares; make it inside the event loop.

    Args:
        session: shared with other clients; one is opened, and closed with this object, when None.
    """

    def __init__(self, session: aiohttp.ClientSession | None) -> None:
        self._session = session
        self._owned = session is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session if it is this object's own; the object may be used again afterwards."""
        if self._owned and self._session is not None:
            await self._session.close()
            self._session = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> aiohttp.ClientSession:
        """A session of this object's own."""
        return aiohttp.ClientSession(middlewares=(pass_trace_on,))


class JsonClient(HttpClient):
    """A service at a URL.

    Args:
        url: its origin.
        session: as for `HttpClient`.
        kind: what the service is, for messages: "a compass".
        silent: code of the error when it does not answer, or not as a service of this kind would.
        timeout: seconds that an answer may take; counts where the session is this object's own.
    """

    def __init__(
        self, url: str, session: aiohttp.ClientSession | None, *, kind: str, silent: str, timeout: float = 30.0
    ) -> None:
        super().__init__(session)
        self.url = url.rstrip("/")
        self._kind = kind
        self._silent = silent
        self._timeout = timeout

    def _open(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        return aiohttp.ClientSession(timeout=timeout, middlewares=(pass_trace_on,))

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        media_type: str = "application/json",
        authorization: str | None = None,
        redirects: bool = True,
    ) -> Answer:
        """Send a request; what is answered, whatever its status.

        Args:
            redirects: whether it may be answered from elsewhere.

        Raises:
            IexecError: the client's code of a silent service.
        """
        headers = {"Accept": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        if body:
            headers["Content-Type"] = media_type
        try:
            async with self._http().request(
                method, self.url + path, params=query, data=body or None, headers=headers, allow_redirects=redirects
            ) as response:
                return Answer(response.status, read_json(await response.read()))
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
            raise IexecError(self._silent, f"no answer from {self.url}: {reason}") from None

    def _refusal(self, answer: Answer, otherwise: str) -> IexecError:
        """What a service says against a request, as the error it names, or else as the one given."""
        return IexecError(answer.code or otherwise, answer.reason or f"{self.url} answered {answer.status}")

    def _nonsense(self) -> IexecError:
        """The error for an answer that a service of this kind does not give."""
        return IexecError(self._silent, f"{self.url} does not answer as {self._kind}")
