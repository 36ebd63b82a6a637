"""Where owners of pools tell their URLs, and everybody looks them up."""

from __future__ import annotations

from collections.abc import Mapping

from pyiexec.chain.authentication import signed_by
from pyiexec.chain.hub import Hub
from pyiexec.chain.registries import Registry, asset_owner
from pyiexec.compass import queries
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.pool_urls import PoolUrl, check_moment, check_origin
from pyiexec.protocol.primitives import Address


class Register:
    """URLs of the pools of some chains.

    Args:
        database: of the lineage ``compass``.
        hubs: the hub of each chain, by chain id.
        known: URLs of pools that did not register one, by chain id and address.
        clock: for deadlines.
    """

    def __init__(
        self,
        database: Database,
        hubs: Mapping[int, Hub],
        known: Mapping[tuple[int, Address], str],
        clock: Clock,
    ) -> None:
        self._database = database
        self._hubs = hubs
        self._known = known
        self._clock = clock

    async def url_of(self, chain_id: int, workerpool: Address) -> str:
        """Where the scheduler of a pool is reached.

        Raises:
            IexecError: ``WORKERPOOL_URL_UNKNOWN``.
        """
        self._hub(chain_id)
        registered = await self._database.read(lambda db: queries.url_of(db, chain_id, workerpool))
        url = self._known.get((chain_id, workerpool), "") if registered is None else registered
        if not url:
            raise IexecError("WORKERPOOL_URL_UNKNOWN", f"no URL is known of workerpool {workerpool}")
        return url

    async def register(self, chain_id: int, registration: PoolUrl, signature: bytes) -> None:
        """Take what the owner of a pool says.

        Raises:
            IexecError: ``BAD_URL``, ``BAD_REQUEST``, ``REGISTRATION_OUTDATED``, ``WORKERPOOL_UNKNOWN``, ``NOT_OWNER``;
                ``CHAIN_UNREACHABLE``.
        """
        hub = self._hub(chain_id)
        if registration.api_url:
            check_origin(registration.api_url)
        check_moment(registration.deadline, self._clock.now(), None)
        pool = registration.workerpool
        registry = Registry(hub.rpc, await hub.workerpool_registry())
        if not await registry.is_registered(pool):
            raise IexecError("WORKERPOOL_UNKNOWN", f"no workerpool is registered at {pool}")
        owner = await asset_owner(hub.rpc, pool)
        if not await signed_by(hub, owner, registration.digest(Domain(chain_id, hub.address)), signature):
            raise IexecError("NOT_OWNER", f"the registration is not signed by {owner}, who owns workerpool {pool}")
        now = self._clock.now()
        await self._database.write(lambda db: queries.register(db, chain_id, owner, registration, now))

    def _hub(self, chain_id: int) -> Hub:
        if chain_id not in self._hubs:
            served = ", ".join(map(str, sorted(self._hubs)))
            raise IexecError(
                "WORKERPOOL_URL_UNKNOWN",
                f"chain {chain_id} is not served here",
                remedy=f"Ask for a pool of one of these chains: {served}.",
            )
        return self._hubs[chain_id]
