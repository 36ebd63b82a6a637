"""A service knows when its node falls silent, when it is far behind, and when all is well again."""

from __future__ import annotations

import os
import signal

import anyio
import pytest

from pyiexec.chain import observed as module
from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.observed import observe_chain, observe_follower, observe_transactions
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import MIGRATIONS, Totals, TransactionManager
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.database import Database
from pyiexec.foundation.health import Readiness
from pyiexec.foundation.observation import Observation
from pyiexec.protocol.primitives import NULL_ADDRESS

from .conftest import CHAIN_ID

pytestmark = pytest.mark.anyio


@pytest.fixture
def options() -> AnvilOptions:
    return AnvilOptions(block_time=1.0)


async def until(observation: Observation, ok: bool) -> Readiness:
    """The first finding of this kind."""
    with anyio.fail_after(30):
        while True:
            found = await observation.health.readiness()
            if found.ok is ok:
                return found
            # Readiness is asked for, and keeps what it found for a while.
            await anyio.sleep(0.1)


async def test_a_node_that_is_stopped_makes_its_service_unready_until_it_goes_on(
    anvil: Anvil, rpc: JsonRpc, feed: HeadFeed
) -> None:
    observation = Observation("test", SystemClock())
    observe_chain(observation, rpc, feed, SystemClock())
    await until(observation, True)
    os.kill(anvil.pid, signal.SIGSTOP)
    try:
        found = await until(observation, False)
    finally:
        os.kill(anvil.pid, signal.SIGCONT)
    (chain,) = found.dependencies
    assert (chain.name, chain.ok) == ("chain", False)
    assert chain.why
    await until(observation, True)


async def test_while_blocks_come_the_node_is_not_asked(rpc: JsonRpc, feed: HeadFeed) -> None:
    observation = Observation("test", SystemClock())
    observe_chain(observation, rpc, feed, SystemClock())
    await until(observation, True)
    before = rpc.count
    async with feed.subscribe() as heads:
        for _ in range(4):
            await heads.newest()
            assert (await observation.health.readiness()).ok
    assert rpc.count == before


async def test_a_chain_that_stands_still_is_told(rpc: JsonRpc, feed: HeadFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALE_SECONDS", -60.0)
    observation = Observation("test", SystemClock())
    observe_chain(observation, rpc, feed, SystemClock())
    (chain,) = (await until(observation, False)).dependencies
    assert "s old" in chain.why


async def test_a_follower_that_is_far_behind_is_told_and_shown(rpc: JsonRpc, feed: HeadFeed) -> None:
    await rpc.call("anvil_mine", hex(module.LAG_BLOCKS + 1))
    reached: int | None = 0
    observation = Observation("test", SystemClock())
    observe_follower(observation, feed, lambda: reached)
    async with feed.subscribe() as heads:
        while (await heads.newest()).number <= module.LAG_BLOCKS:
            pass
    (follower,) = (await until(observation, False)).dependencies
    assert "blocks behind" in follower.why
    page = (await observation.metrics.page(""))[0].decode()
    assert "\npyiexec_chain_followed_block 0.0" in page
    reached = None
    assert (await until(observation, True)).dependencies[0].ok, "another process follows"


async def test_transactions_are_counted_with_what_they_cost(
    rpc: JsonRpc, feed: HeadFeed, signer: Signer, database_url: str
) -> None:
    totals = Totals()
    database = await Database.open(database_url, [MIGRATIONS])
    try:
        async with TransactionManager(rpc, signer, database, feed, chain_id=CHAIN_ID, totals=totals) as manager:
            observation = Observation("test", SystemClock())
            observe_transactions(observation, totals, lambda: manager)
            receipts = [await manager.execute("it", f"pay {n}", NULL_ADDRESS, b"", value=1) for n in range(3)]
            page = (await observation.metrics.page(""))[0].decode().splitlines()
    finally:
        await database.close()
    assert 'pyiexec_transactions_total{outcome="included"} 3.0' in page
    assert f"pyiexec_gas_used_total {float(sum(receipt.gas_used for receipt in receipts))}" in page
    assert "pyiexec_transactions_in_flight 0.0" in page
    assert "pyiexec_transaction_inclusion_seconds_count 3.0" in page
    assert totals.fees == sum(receipt.fee for receipt in receipts)
