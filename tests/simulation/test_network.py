"""Short runs of the whole network, in worse weather than the long one of `make sim`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyiexec.protocol import money, trust
from pyiexec.protocol.money import Distribution, Share
from pyiexec.protocol.poco import settlement
from pyiexec.protocol.primitives import ResultHash
from pyiexec.scheduler.rules import Policy
from pyiexec.worker import rules
from pyiexec.worker.record import TaskRecord
from tests.simulation import network as networks
from tests.simulation.agenda import SimulationFailed
from tests.simulation.characters import SILENT
from tests.simulation.faults import STORM
from tests.simulation.network import Network, Plan, simulate

REPOSITORY = Path(__file__).parents[2]
SMALL = Plan(tasks=60, workers=40, bag=5, open=40, weather=STORM)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_network_outlives_a_storm(seed: int) -> None:
    outcome = simulate(seed, SMALL)
    assert outcome.unended == 0
    assert sum(level.tasks for level in outcome.levels.values()) >= SMALL.tasks
    assert sum(level.failed for level in outcome.levels.values()) <= 2


def test_a_seed_replays_to_the_last_event_in_another_process() -> None:
    plan = Plan(tasks=10, workers=20, bag=5, weather=STORM)
    command = [sys.executable, *plan.command(4).split()[1:]]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(REPOSITORY / "src")}
    there = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    assert there.stdout.split()[-1] == simulate(4, plan).digest


def test_another_seed_is_another_history() -> None:
    plan = Plan(tasks=5, workers=20, bag=5)
    assert simulate(5, plan).digest != simulate(6, plan).digest


def broken(seed: int) -> tuple[str, str]:
    """The message of a run that must fail, and its digest."""
    network = Network(seed, SMALL)
    with pytest.raises(SimulationFailed) as failure:
        network.run()
    return str(failure.value), network.agenda.digest


def test_a_payout_of_one_nrlc_too_much_is_noticed_and_seen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(price: int, stake: int, ratio: int, contributors: Sequence[Share]) -> Distribution:
        shared = honest(price, stake, ratio, contributors)
        return Distribution(shared.workers, shared.scheduler + 1)

    honest = money.distribute
    monkeypatch.setattr(settlement.money, "distribute", generous)
    message, digest = broken(7)
    assert "seed 7, step " in message
    assert "nRLC" in message
    assert "python -m tests.simulation --seed 7" in message
    assert broken(7) == (message, digest)


def test_the_command_of_a_failure_runs_the_plan_that_failed() -> None:
    words = SMALL.command(7).split()
    assert {"--seed", "7", "--tasks", "60", "--storm"} <= set(words)
    assert "--storm" not in Plan().command(7)


def test_a_consensus_that_stands_too_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = trust.stands
    monkeypatch.setattr(trust, "stands", lambda groups, result, level: real(groups, result, max(level // 4, 1)))
    message, _ = broken(8)
    assert "with a credibility of" in message


def test_a_worker_that_keeps_its_winning_vote_to_itself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def shy(record: TaskRecord, consensus: ResultHash) -> rules.Decision:
        return rules.Decision(record) if int(record.authorization.worker, 16) % 8 == 0 else honest(record, consensus)

    honest = rules._agreed
    monkeypatch.setattr(rules, "_agreed", shy)
    message, _ = broken(9)
    assert "is honest, was right, and lost its stake" in message


def test_a_task_that_nobody_claims_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "Policy", lambda: Policy(auto_claim=False))
    monkeypatch.setattr(networks, "population", lambda workers: [SILENT] * workers)
    message, _ = broken(10)
    assert "is stuck" in message
