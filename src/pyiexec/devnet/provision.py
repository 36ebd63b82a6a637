"""Everything a fresh chain needs before a market can open on it: contracts, a workerpool, RLC and stakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pyiexec.chain import escrow, registries
from pyiexec.chain.deployment import STANDARD_CATEGORIES, Manifest, deploy
from pyiexec.chain.hub import Category
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.units import NRLC_PER_RLC

#: What each named account starts with in its wallet, and what scheduler and workers stake, nRLC.
WALLET = 10_000 * NRLC_PER_RLC
FAUCET_WALLET = 1_000_000 * NRLC_PER_RLC
POOL_STAKE = 5_000 * NRLC_PER_RLC
WORKER_STAKE = 100 * NRLC_PER_RLC

POOL_DESCRIPTION = "local workerpool"


class Provision(msgspec.Struct, frozen=True):
    """What was set up: the contracts, and the pool's address."""

    manifest: Manifest
    workerpool: Address


def categories(short: int) -> Sequence[Category]:
    """The public networks' categories, and one of `short` seconds: deadlines to live through, not to travel to."""
    return (*STANDARD_CATEGORIES, Category("XXS", '""', short))


#: Index of the category of a few seconds.
SHORT_CATEGORY = len(STANDARD_CATEGORIES)


async def provision(
    rpc: JsonRpc,
    workers: Sequence[Signer],
    *,
    category_seconds: int,
    native: bool = False,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Provision:
    """Deploy the contracts, register the pool, hand out RLC, and stake what scheduler and workers need."""
    administrator = roles.account(roles.ADMINISTRATOR)
    manager = roles.account(roles.POOL_MANAGER)
    manifest = await deploy(
        rpc,
        administrator,
        variant="native" if native else "token",
        categories=categories(category_seconds),
        progress=progress,
    )
    named = [roles.account(index).address for name, index in roles.NAMED.items() if index != roles.ADMINISTRATOR]
    if not native:
        # The chain's own coin every test account has already.
        await send_all(
            rpc,
            administrator,
            [escrow.payment(manifest.token, address, WALLET) for address in named]
            + [escrow.payment(manifest.token, roles.account(roles.FAUCET).address, FAUCET_WALLET)]
            + [escrow.payment(manifest.token, worker.address, WORKER_STAKE) for worker in workers],
        )
    pool, *_ = await send_all(
        rpc,
        manager,
        [
            Call(manifest.registries.workerpool, registries.create_workerpool(manager.address, POOL_DESCRIPTION)),
            escrow.deposit(manifest.hub, manifest.token, POOL_STAKE),
        ],
    )
    for worker in workers:
        await send_all(rpc, worker, [escrow.deposit(manifest.hub, manifest.token, WORKER_STAKE)], wait=False)
    return Provision(manifest, registries.created_asset(pool, manifest.registries.workerpool))
