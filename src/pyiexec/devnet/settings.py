"""Settings of each part of a local network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.devnet.parts import Kind, Part, settings_type
from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.protocol.primitives import Address, to_hex

#: That one account may have in the book: a test plays many people with few accounts.
OPEN_ORDERS = 1_000
#: Seconds between two signs of life of a worker.
HEARTBEAT_SECONDS = 2.5


def _part(part_name: str, kind: Kind, **settings: Any) -> Part:
    return Part(part_name, kind, settings_type(kind)(**settings))


def _key_file(folder: Path, name: str, signer: Signer) -> Path:
    """The key of a test account in a file of its owner alone, as real keys are kept."""
    path = folder / "keys" / f"{name}.key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(to_hex(signer.secret) + "\n")
    return path


def market_part(folder: Path, profile: NetworkProfile, port: int) -> Part:
    """The order book."""
    return _part(
        "market",
        Kind.MARKET,
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        chain_id=profile.chain_id,
        start_block=profile.start_block,
        database_url=f"sqlite:///{folder / 'market.db'}",
        open_orders_per_wallet=OPEN_ORDERS,
        port=port,
        # All of a local network calls from one address, and one of them may be a benchmark.
        rate_limit=0,
    )


def sms_part(folder: Path, profile: NetworkProfile, port: int) -> Part:
    """The secret management service."""
    return _part(
        "sms",
        Kind.SMS,
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        chain_id=profile.chain_id,
        database_url=f"sqlite:///{folder / 'sms.db'}",
        key_file=str(folder / "keys" / "sms.ring"),
        origins=(profile.sms_url,),
        rate_limit=0,
        port=port,
    )


def compass_part(folder: Path, profile: NetworkProfile, workerpool: Address, port: int) -> Part:
    """Where clients look up the pool's scheduler."""
    from pyiexec.compass.settings import CompassChain

    assert profile.scheduler_url, "a local network has a scheduler"
    chain = CompassChain(
        chain_id=profile.chain_id,
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        workerpools={workerpool: profile.scheduler_url},
    )
    return _part("compass", Kind.COMPASS, chains=(chain,), database_url=f"sqlite:///{folder / 'compass.db'}", port=port)


def indexer_part(folder: Path, profile: NetworkProfile, port: int) -> Part:
    """The history of the chain."""
    return _part(
        "indexer",
        Kind.INDEXER,
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        chain_id=profile.chain_id,
        start_block=profile.start_block,
        gateway_url=profile.gateway_url,
        database_url=f"sqlite:///{folder / 'indexer.db'}",
        every_block=False,
        port=port,
    )


def faucet_part(folder: Path, profile: NetworkProfile, port: int) -> Part:
    """What newcomers get their first coin and RLC from, as often as they ask."""
    return _part(
        "faucet",
        Kind.FAUCET,
        network=profile.kind,
        key_file=_key_file(folder, "faucet", roles.account(roles.FAUCET)),
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        database_url=f"sqlite:///{folder / 'faucet.db'}",
        cooldown_seconds=0,
        rate_limit=1_000_000,
        port=port,
    )


def results_part(folder: Path, profile: NetworkProfile, port: int) -> Part:
    """The content store, and the proxy that takes results of the chain's tasks."""
    return _part(
        "results",
        Kind.RESULTS,
        directory=str(folder / "content"),
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        chain_id=profile.chain_id,
        port=port,
    )


def scheduler_part(
    folder: Path, profile: NetworkProfile, workerpool: Address, port: int, *, sell_at: int | None = None
) -> Part:
    """The pool's scheduler, which sells tasks of the short category by itself at a price in nRLC if there is one."""
    sales = None
    if sell_at is not None:
        from pyiexec.scheduler.pool_policy import Offer, Sales

        assert profile.market_url, "a local network has an order book"
        sales = Sales(market_url=profile.market_url, offers=(Offer(category=SHORT_CATEGORY, price=sell_at),))
    return _part(
        "scheduler",
        Kind.SCHEDULER,
        key_file=_key_file(folder, "scheduler", roles.account(roles.POOL_MANAGER)),
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        workerpool=workerpool,
        gateway_url=profile.gateway_url,
        sms_url=profile.sms_url,
        data_dir=folder / "scheduler",
        port=port,
        heartbeat_seconds=HEARTBEAT_SECONDS,
        start_block=profile.start_block,
        sales=sales,
    )


def worker_part(
    folder: Path,
    profile: NetworkProfile,
    workerpool: Address,
    number: int,
    behaviour: str,
    metrics_port: int | None = None,
) -> Part:
    """Worker `number`, counted from 1."""
    assert profile.scheduler_url, "a local network has a scheduler"
    name = f"worker-{number}"
    return _part(
        name,
        Kind.WORKER,
        name=name,
        key_file=_key_file(folder, name, roles.worker_account(number)),
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        workerpool=workerpool,
        scheduler_url=profile.scheduler_url,
        gateway_url=profile.gateway_url,
        data_dir=folder / name,
        behaviour=behaviour,
        metrics_port=metrics_port,
    )
