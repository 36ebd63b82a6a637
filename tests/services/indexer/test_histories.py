"""Whatever happens to the marketplace, and whatever the chain takes back of it, the index says what the hub says.

The histories are those by which contracts and model are compared. One index follows all of them: where one history ends
the chain goes back to the stage it began on, which is a reorganisation as deep as the history was long. Within a
history some blocks are made, read, and taken back as well. Now and then the index stops and starts again.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test
from tests.contracts.model.conftest import stage
from tests.contracts.model.dice import Dice
from tests.contracts.model.machine import Histories
from tests.contracts.model.stage import Stage
from tests.contracts.model.steps import step, steps_of

from pyiexec.chain import calls
from pyiexec.protocol.tasks import TaskStatus

from .indexing import Dump, Index

__all__ = ["stage"]

STATUS = {
    TaskStatus.UNSET: "UNSET",
    TaskStatus.ACTIVE: "ACTIVE",
    TaskStatus.REVEALING: "REVEALING",
    TaskStatus.COMPLETED: "COMPLETED",
    TaskStatus.FAILED: "FAILLED",
}
SETTINGS = hypothesis.settings(
    max_examples=5,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    # Shrinking plays a history hundreds of times, each on the chain.
    phases=[Phase.generate],
)


class Following:
    """What an index does while a history goes on."""

    index: ClassVar[Index]
    folder: ClassVar[Path]
    numbers: ClassVar[Iterator[int]]
    happened: ClassVar[Counter[str]]
    stage: ClassVar[Stage]

    @step(3)
    def read_the_chain(self, _dice: Dice) -> None:
        self.stage.runner.run(self.index.catch_up())

    @step(2)
    def take_blocks_back(self, dice: Dice) -> None:
        """Blocks of another course of things, read or not, and gone again."""
        snapshot = self.stage.ask("evm_snapshot")
        clock = self.clock
        for _ in range(dice.choose([1, 2, 5, 11])):
            clock += 1
            self.stage.ask("evm_setNextBlockTimestamp", clock)
            self.stage.ask("eth_sendTransactionSync", self._something(dice))
        if dice.chance(70):
            self.stage.runner.run(self.index.catch_up())
        self.stage.ask("evm_revert", snapshot)
        self.happened["reorganisation"] += 1

    def _something(self, dice: Dice) -> dict[str, Any]:
        pick = dice.pick("transfer", "initialize", "claim", "category", "sell", "reopen")
        sender, to = "requester", self.hub_address
        tasks = [*self.hub.tasks] or [b"\0" * 32]
        data = calls.transfer(self.at("sponsor"), 1)
        unstarted = self.unstarted()
        if pick == "initialize" and unstarted:
            data = calls.initialize(*dice.choose(unstarted))
        elif pick == "claim":
            data = calls.claim(dice.choose(tasks))
        elif pick == "reopen":
            sender, data = "scheduler", calls.reopen(dice.choose(tasks))
        elif pick == "category":
            sender, data = "admin", calls.create_category("soon gone", "", 60)
        elif pick == "sell":
            from pyiexec.chain import registries

            sender, to = "app owner", self.at("apps")
            data = registries.transfer_asset(self.at("app owner"), self.at("stranger"), self.at("app 0"))
        return {"from": self.at(sender), "to": to, "data": "0x" + data.hex(), "gas": hex(8_000_000)}


class IndexedHistories(Histories, Following):
    """Histories of the marketplace that an index follows."""

    STEPS: ClassVar = [*Histories.STEPS, *steps_of(Following)]

    def teardown(self) -> None:
        try:
            if not self.differed:
                self.stage.runner.run(self._compare_index())
        finally:
            super().teardown()

    async def _compare_index(self) -> None:
        await self.index.catch_up()
        followed = await self.index.dump()
        fresh_url = f"sqlite:///{self.folder / f'fresh {next(self.numbers)}.db'}"
        settings = self.index.settings
        options = {"registries": settings.registries}
        async with Index.open(fresh_url, settings.rpc_url, settings.hub, **options) as fresh:
            await fresh.catch_up()
            rebuilt = await fresh.dump()
        for table, rows in rebuilt.items():
            assert followed[table] == rows, f"{table} is not what a new index makes of it"
            self.happened[table] += len(rows)
        self._agree_with_model(followed)

    def _agree_with_model(self, dump: Dump) -> None:
        accounts = {row["id"]: row for row in dump["accounts"]}
        for address in self.everybody:
            row = accounts.get(address.lower(), {"balance": 0, "frozen": 0})
            assert (row["balance"], row["frozen"]) == (self.hub.balance_of(address), self.hub.frozen_of(address)), (
                self.name(address)
            )
        [totals] = dump["protocols"]
        assert totals["tvl"] == self.hub.total_supply
        deals = {row["id"]: row for row in dump["deals"]}
        assert deals.keys() == self.hub.deals.keys() | self.hub.boost_deals.keys()
        for deal_id, deal in self.hub.deals.items():
            assert deals[deal_id]["requester"] == deal.requester.lower()
            assert deals[deal_id]["bot_size"] == deal.bot_size
        tasks = {row["id"]: row for row in dump["tasks"]}
        assert {task_id: row["status"] for task_id, row in tasks.items()} == {
            task_id: STATUS[task.status] for task_id, task in self.hub.tasks.items()
        }
        for task_id, task in self.hub.tasks.items():
            if task_id in tasks and task.deal_id in self.hub.deals:
                row = tasks[task_id]
                assert row["contribution_deadline"] == task.contribution_deadline
                assert row["final_deadline"] == task.final_deadline
                assert (row["reveal_deadline"] or 0) == task.reveal_deadline
                assert row["results_callback"] in (None, "0x" + task.results_callback.hex())
        assert {(row["task"], row["worker"]): row["status"] for row in dump["contributions"]} == {
            (task_id, worker.lower()): contribution.status.name
            for (task_id, worker), contribution in self.hub.contributions.items()
        }
        assert [row["work_clock_time_ref"] for row in sorted(dump["categories"], key=lambda row: int(row["id"]))] == [
            category.work_clock_time_ref for category in self.hub.categories.values()
        ]


@pytest.mark.timeout(300)
def test_the_index_is_what_the_hub_says(stage: Stage, database_url: str, tmp_path: Path) -> None:
    histories = IndexedHistories
    histories.stage, histories.folder = stage, tmp_path
    histories.numbers, histories.happened = itertools.count(), Counter()
    # Histories have the hub change its registries.
    registries = (stage["apps"], stage["datasets"], stage["workerpools"])
    opening = Index.open(database_url, stage.rpc.url, stage["hub"], registries=registries)
    histories.index = stage.runner.run(opening.__aenter__())
    try:
        run_state_machine_as_test(hypothesis.seed(4)(histories), settings=SETTINGS)
    finally:
        stage.runner.run(opening.__aexit__(None, None, None))
    print(histories.happened)
    for name in ("reorganisation", "deals", "contributions", "task_events", "ressource_transfer_events"):
        assert histories.happened[name], name
