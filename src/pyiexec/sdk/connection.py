"""What all parts of a client share: the node, the services, the wallet, and one way to send transactions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

import anyio
import anyio.abc

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.orderbook import OrderBook
from pyiexec.chain.public_keys import refuse_public_key
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import MIGRATIONS, Receipt, TransactionManager
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32, bytes32
from pyiexec.sdk.compass import Compass
from pyiexec.sdk.secret_service import SecretService
from pyiexec.storage.client import ContentClient


class Connection:
    """An open connection to a network; use as an async context manager.

    Args:
        profile: the network.
        signer: the user's account; None to read only.
        state: folder for the queue of transactions under way, so that an interrupted one is taken up again; a
            temporary one when None.
        clock: where the time comes from.
        entropy: source of random bytes, for salts.

    Raises:
        IexecError: ``TEST_KEY`` when the account's key is public and the network's money is not play money.
    """

    def __init__(
        self,
        profile: NetworkProfile,
        signer: Signer | None = None,
        *,
        state: Path | None = None,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if signer is not None:
            refuse_public_key(profile, signer.address)
        self.profile = profile
        self.clock: Clock = clock or SystemClock()
        self.rpc = JsonRpc(profile.rpc_url)
        self.hub = Hub(self.rpc, profile.hub)
        self.content = ContentClient(profile.gateway_url)
        self.orderbook = OrderBook(profile.market_url, profile.chain_id)
        self.heads = HeadFeed(profile.rpc_url)
        self.domain = Domain(profile.chain_id, profile.hub)
        self._signer = signer
        self._state = state
        self._entropy = entropy
        self._stack = AsyncExitStack()
        self._group: anyio.abc.TaskGroup | None = None
        self._manager: TransactionManager | None = None
        self._secrets: SecretService | None = None
        self._compass: Compass | None = None
        self._opening = anyio.Lock()

    async def __aenter__(self) -> Connection:
        self._stack.push_async_callback(self.rpc.close)
        self._stack.push_async_callback(self.content.close)
        self._stack.push_async_callback(self.orderbook.close)
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._group is not None, "open the connection first"
        self._group.cancel_scope.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                # Perhaps because something in the background failed, which is then the error to tell.
                return await self._group.__aexit__(kind, error, trace)
            # The user's own error leaves as it came, not inside an exception group.
            await self._group.__aexit__(None, None, None)
            return None
        finally:
            # What the background works with is closed after it has ended.
            with anyio.CancelScope(shield=True):
                await self._stack.aclose()

    @property
    def secrets(self) -> SecretService:
        """The network's secret management service.

        Raises:
            IexecError: ``SMS_UNREACHABLE`` when the network's profile names none.
        """
        if self._secrets is None:
            url = self.profile.sms_url
            if url is None:
                raise IexecError("SMS_UNREACHABLE", f"the network {self.profile.name} has no secret management service")
            self._secrets = SecretService(url, self.domain, self.clock, self._entropy)
            self._stack.push_async_callback(self._secrets.close)
        return self._secrets

    @property
    def compass(self) -> Compass:
        """Where the network's pools are looked up.

        Raises:
            IexecError: ``COMPASS_UNREACHABLE`` when the network's profile names none.
        """
        if self._compass is None:
            url = self.profile.compass_url
            if url is None:
                raise IexecError("COMPASS_UNREACHABLE", f"the network {self.profile.name} has no compass")
            self._compass = Compass(url, self.domain, self.clock)
            self._stack.push_async_callback(self._compass.close)
        return self._compass

    @property
    def signer(self) -> Signer:
        """The user's account.

        Raises:
            IexecError: ``WALLET_MISSING`` when the client was opened to read only.
        """
        if self._signer is None:
            raise IexecError("WALLET_MISSING", "this needs a wallet, and none was given")
        return self._signer

    @property
    def address(self) -> Address:
        """The user's address."""
        return self.signer.address

    def salt(self) -> Bytes32:
        """A fresh order salt."""
        return bytes32(self._entropy(32))

    def unique(self) -> str:
        """A name nobody used before, for actions that may be repeated."""
        return self._entropy(16).hex()

    async def follow_heads(self) -> HeadFeed:
        """The feed of new blocks, started on first use."""
        async with self._opening:
            await self._start_feed()
        return self.heads

    async def _start_feed(self) -> None:
        assert self._group is not None, "open the connection first"
        if not self.heads.running:
            await self._group.start(self.heads.run)

    async def transactions(self) -> TransactionManager:
        """The transaction manager, started on first use."""
        async with self._opening:
            if self._manager is None:
                assert self._group is not None, "open the connection first"
                await self._start_feed()
                folder = self._state
                if folder is None:
                    folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pyiexec-")))
                name = f"{self.profile.chain_id}-{self.profile.hub[2:10]}-{self.address[2:10]}.db"
                database = await Database.open(f"sqlite:///{folder / name}", [MIGRATIONS])
                self._stack.push_async_callback(database.close)
                self._manager = TransactionManager(
                    self.rpc, self.signer, database, self.heads, clock=self.clock, chain_id=self.profile.chain_id
                )
                await self._group.start(self._manager.run)
            return self._manager

    async def send(self, object_id: str, action: str, to: Address, data: bytes, *, value: int = 0) -> Receipt:
        """Have the user's account call a contract, once per (object, action), and wait until it is mined.

        What reverted before is sent anew: its moment may have come since. `value` is in wei.

        Raises:
            IexecError: ``CONTRACT_REVERTED`` before anything is sent when the call cannot succeed;
                ``TRANSACTION_REVERTED``; ``CHAIN_UNREACHABLE``.
        """
        manager = await self.transactions()
        return await manager.execute(object_id, action, to, data, value=value, retry=True)
