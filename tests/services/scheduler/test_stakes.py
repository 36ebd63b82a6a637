"""A pool whose owner has too little free stake to go on selling says so, and says when that is over."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.services.scheduler.conftest import Net, until_shown

from pyiexec.chain import calls, token
from pyiexec.chain.sending import Call, send_all
from pyiexec.devnet import roles
from pyiexec.scheduler.stakes import Stake, stake_needed

pytestmark = pytest.mark.anyio

PYIEXEC = Path(sys.executable).with_name("pyiexec")
#: What a task of `Net.buy` locks.
PER_TASK = 1_000_000 * 30 // 100


@pytest.mark.parametrize(("slots", "needed"), [(0, PER_TASK), (1, PER_TASK), (7, 7 * PER_TASK)])
def test_a_task_for_every_slot_is_to_be_covered_and_one_at_least(slots: int, needed: int) -> None:
    assert stake_needed(slots, PER_TASK) == needed


@pytest.mark.parametrize(("free", "short"), [(0, 100), (99, 1), (100, 0), (101, 0)])
def test_what_is_missing_is_what_is_needed_and_not_free(free: int, short: int) -> None:
    assert Stake(free=free, locked=5, needed=100).short == short


async def test_too_little_free_stake_shows_in_figures_and_status_until_more_is_deposited(net: Net) -> None:
    manager = roles.account(roles.POOL_MANAGER)
    has = (await net.hub.account(manager.address)).stake
    await send_all(net.rpc, manager, [Call(net.hub.address, calls.withdraw(has - 2 * PER_TASK))])
    worker = net.workers[0]
    worker.slots = 3

    def short(figures: dict[str, Any]) -> int:
        return int((figures["stake"] or {"short": -1})["short"])

    async def status(url: str) -> tuple[int, dict[str, Any]]:
        done = await anyio.run_process([PYIEXEC, "scheduler", "status", url, "--json"], check=False)
        return done.returncode, json.loads(done.stdout)

    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await net.buy()
        figures = await until_shown(url, "/metrics", lambda figures: short(figures) > 0)
        assert figures["stake"]["needed"] == 3 * PER_TASK
        assert figures["stake"]["short"] == 3 * PER_TASK - figures["stake"]["free"]
        code, shown = await status(url)
        assert (code, shown["stakeShort"] > 0, shown["health"]["workerpool"]) == (1, True, net.workerpool)

        deposit = token.approve_and_call(net.hub.address, 10 * PER_TASK)
        await send_all(net.rpc, manager, [Call(net.manifest.token, deposit)])
        await until_shown(url, "/metrics", lambda figures: short(figures) == 0)
        assert (await status(url))[0] == 0
        group.cancel_scope.cancel()
