"""A network for synchronous programs and tests, run in a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.devnet.demo import publish_pool
from pyiexec.devnet.network import Network, NetworkOptions
from pyiexec.protocol.primitives import Address
from pyiexec.sdk.blocking import Client
from pyiexec.sdk.client import AsyncClient


class LocalNetwork:
    """A running local network.

    Attributes:
        profile: what any client needs to use it.
        workerpool: the pool's address.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.profile: NetworkProfile = network.profile
        self.workerpool: Address = network.provision.workerpool

    def account(self, role: str) -> Signer:
        """A funded account: requester, app-provider, dataset-provider, pool-manager or administrator."""
        return roles.account(roles.NAMED[role])

    def client(self, role: str = "requester") -> Client:
        """A client acting for a role; use it as a context manager."""
        return Client(self.profile, self.account(role))


@asynccontextmanager
async def _running(options: NetworkOptions) -> AsyncIterator[Network]:
    async with Network(options) as network:
        if options.sell_at is None:
            async with AsyncClient(network.profile, roles.account(roles.POOL_MANAGER)) as manager:
                await publish_pool(manager, network.provision.workerpool)
        yield network


@contextmanager
def start_network(directory: Path, **options: Any) -> Iterator[LocalNetwork]:
    """Start a network whose services share one thread; it ends with the context.

    Args:
        directory: for its files.
        options: fields of `NetworkOptions`.
    """
    settings = NetworkOptions(directory=directory, embedded=True, **options)
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(_running(settings)) as network:
        yield LocalNetwork(network)
