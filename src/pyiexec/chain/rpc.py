"""JSON-RPC to an EVM node over HTTP.

Source: Ethereum JSON-RPC specification, JSON-RPC 2.0 batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from pyiexec.chain.abi import decode_revert
from pyiexec.foundation.clock import SystemClock
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_bytes, to_hex

#: The node's code for an execution that reverted, and Geth's generic server error that may carry one.
_REVERT_CODES = {3, -32000, -32015}


class RpcError(IexecError):
    """An error object answered by the node."""

    def __init__(self, method: str, error: Mapping[str, Any] | str) -> None:
        fields: Mapping[str, Any] = error if isinstance(error, Mapping) else {"message": error}
        self.rpc_code: int = fields.get("code", 0)
        self.data: Any = fields.get("data")
        self.message: str = str(fields.get("message", ""))
        super().__init__("CHAIN_REFUSED", f"{method}: {self.message}")


class JsonRpc:
    """A node behind a URL; safe to share between tasks of one event loop.

    Attributes:
        count: requests sent so far, counting each call of a batch.
        failures: times so far that the node did not answer.
        on_answer: told how many seconds each answer took.
    """

    def __init__(self, url: str, *, timeout: float = 30.0, connections: int = 16) -> None:
        self.url = url
        self.count = self.failures = 0
        self.on_answer: Callable[[float], None] = lambda _seconds: None
        self._ids = itertools.count(1)
        self._clock = SystemClock()
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> JsonRpc:
        return self

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the object may be used again afterwards."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def host(self) -> str:
        """The node's host and port, for messages: the rest of a URL often holds an access key."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2] or self.url.partition(":")[0]

    def _is_unfit(self, text: str) -> bool:
        """Whether the text would show more of the URL than its host, or says nothing at all."""
        parts = urlsplit(self.url)
        return not text or any(part and part in text for part in (parts.path.strip("/"), parts.query, parts.password))

    async def _post(self, payload: Any) -> Any:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        body = msgspec.json.encode(payload)
        began = self._clock.monotonic()
        try:
            async with self._session.post(
                self.url, data=body, headers={"content-type": "application/json"}
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failures += 1
            reason = type(error).__name__ if self._is_unfit(str(error)) else str(error)
            raise IexecError("CHAIN_UNREACHABLE", f"no answer from {self.host}: {reason}") from None
        self.on_answer(self._clock.monotonic() - began)
        try:
            return msgspec.json.decode(answer)
        except msgspec.DecodeError:
            raise IexecError("CHAIN_UNREACHABLE", f"{self.host} does not speak JSON-RPC") from None

    async def call(self, method: str, *params: Any) -> Any:
        """One request.

        Raises:
            RpcError: the node answered with an error.
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        self.count += 1
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        return self._outcome(method, await self._post(request))

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Several requests in one round trip; answers in the order of the requests.

        Dependent transactions must not share a batch: nodes execute its members in any order.

        Raises:
            RpcError: the first error among the answers.
        """
        outcomes = await self.batch_outcomes(requests)
        for outcome in outcomes:
            if isinstance(outcome, RpcError):
                raise outcome
        return outcomes

    async def batch_outcomes(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """As `batch`, but a refused request yields its `RpcError` in place, and the others their results.

        Raises:
            RpcError: the node refused the batch as a whole.
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        if not requests:
            return []
        self.count += len(requests)
        ids = [next(self._ids) for _ in requests]
        payload = [
            {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
            for identifier, (method, params) in zip(ids, requests, strict=True)
        ]
        answers = await self._post(payload)
        if not isinstance(answers, list):
            raise RpcError("batch", answers.get("error", {}) if isinstance(answers, dict) else {})
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        outcomes: list[Any] = []
        for identifier, (method, _) in zip(ids, requests, strict=True):
            if identifier not in by_id:
                raise RpcError("batch", {"message": f"no answer to {method}"})
            try:
                outcomes.append(self._outcome(method, by_id[identifier]))
            except RpcError as error:
                outcomes.append(error)
        return outcomes

    def _outcome(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or ("result" not in answer and not answer.get("error")):
            raise IexecError("CHAIN_UNREACHABLE", f"{self.host} does not speak JSON-RPC")
        # Some nodes send a null beside the result.
        if answer.get("error"):
            raise RpcError(method, answer["error"])
        return answer["result"]

    async def eth_call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        value: int = 0,
        block: str = "latest",
        gas: int | None = None,
    ) -> bytes:
        """What a call would return.

        Raises:
            IexecError: ``CONTRACT_REVERTED`` with the reason, the raw revert data in ``details["data"]``.
        """
        transaction: dict[str, Any] = {"to": to, "data": to_hex(data)}
        if sender:
            transaction["from"] = sender
        if value:
            transaction["value"] = hex(value)
        if gas:
            transaction["gas"] = hex(gas)
        try:
            return to_bytes(await self.call("eth_call", transaction, block))
        except RpcError as error:
            raise reverted(error) or error from None

    async def estimate_gas(self, sender: Address, to: Address | None, data: bytes, value: int = 0) -> int:
        """Gas units the call would need.

        Raises:
            IexecError: ``CONTRACT_REVERTED`` when it would revert.
        """
        transaction: dict[str, Any] = {"from": sender, "data": to_hex(data), "value": hex(value)}
        if to:
            transaction["to"] = to
        try:
            return int(await self.call("eth_estimateGas", transaction), 16)
        except RpcError as error:
            raise reverted(error) or error from None

    async def chain_id(self) -> int:
        """EIP-155 chain id."""
        return int(await self.call("eth_chainId"), 16)

    async def block_number(self) -> int:
        """Number of the newest block."""
        return int(await self.call("eth_blockNumber"), 16)


def reverted(error: RpcError) -> IexecError | None:
    """The node's error as ``CONTRACT_REVERTED``, or None when it is something else."""
    data = error.data.get("data") if isinstance(error.data, dict) else error.data
    is_revert = "revert" in error.message.lower() or error.rpc_code == 3
    if error.rpc_code not in _REVERT_CODES or not is_revert:
        return None
    raw = to_bytes(data) if isinstance(data, str) and data.startswith("0x") else b""
    return IexecError("CONTRACT_REVERTED", f"the contract reverted: {decode_revert(raw)}", data=to_hex(raw))
