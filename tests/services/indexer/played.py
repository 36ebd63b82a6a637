"""An index of a chain on which a market lived for a while, on either database, and a bulk deal in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import pytest
import sqlalchemy as sa
from benchmarks.indexer_history import OPTIONS, History, play
from tests.databases import PostgresqlServer

from pyiexec.chain.anvil import Anvil
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.clock import SystemClock
from pyiexec.indexer import queries
from pyiexec.indexer.graphql.answering import Answer, Answerer, Question
from pyiexec.indexer.tables import LIST_TABLES, TABLES

from .indexing import Index

SEED, EVENTS, LIVES = 7, 1_000, 60
DEPLOYMENT = "poco-31337-0xhub"
#: Datasets of the slice of the bulk deal, by their place in the index; one is there twice.
BULK_DATASETS = (1, 0, 1)


class Played:
    """A chain with a market on it."""

    def __init__(self, runner: asyncio.Runner, anvil: Anvil, history: History) -> None:
        self.runner = runner
        self.anvil = anvil
        self.history = history


class Indexed:
    """An index of it that can be asked."""

    def __init__(self, runner: asyncio.Runner, index: Index) -> None:
        self._runner = runner
        self.index = index
        self.answerer = Answerer(index.database, DEPLOYMENT, SystemClock())

    def answer(self, query: str, variables: Mapping[str, Any] | None = None) -> Answer:
        """The whole answer."""
        return self._runner.run(self.answerer.answer(Question(query, variables or {})))

    def data(self, query: str, **variables: Any) -> Any:
        """The data of an answer that has no errors."""
        answer = self.answer(query, variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def refusal(self, query: str, **variables: Any) -> str:
        """The text of the only error of an answer without data."""
        answer = self.answer(query, variables)
        assert answer.get("data") is None
        (error,) = answer["errors"]
        return str(error["message"])

    def run(self, coroutine: Any) -> Any:
        """The outcome of work on its event loop."""
        return self._runner.run(coroutine)

    @cached_property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows by table, as the database has them."""
        return self._runner.run(self.index.dump())


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(OPTIONS).start())
        try:
            yield Played(runner, anvil, runner.run(_play(anvil)))
        finally:
            runner.run(anvil.stop())


async def _play(anvil: Anvil) -> History:
    async with JsonRpc(anvil.url) as rpc:
        history, _ = await play(rpc, EVENTS, SEED, LIVES)
        return history


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def indexed(
    request: pytest.FixtureRequest, played: Played, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Indexed]:
    url = f"sqlite:///{tmp_path_factory.mktemp('index') / 'index.db'}"
    server: PostgresqlServer | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        url = server.create_database()
    opened = Index.open(url, played.anvil.url, played.history.manifest.hub)
    index = played.runner.run(opened.__aenter__())
    try:
        played.runner.run(index.catch_up())
        played.runner.run(index.database.write(add_bulk))
        yield Indexed(played.runner, index)
    finally:
        played.runner.run(opened.__aexit__(None, None, None))
        if server is not None:
            server.drop_database(url)


def add_bulk(connection: sa.Connection) -> None:
    """Make the first task of a deal without dataset one of a bulk, as if its files had come."""
    deals, tasks = TABLES["deals"], TABLES["tasks"]
    deal, task = connection.execute(
        sa.select(deals.c.id, tasks.c.id.label("task"))
        .join(tasks, tasks.c.deal == deals.c.id)
        .where(deals.c.dataset.is_(None))
        .order_by(deals.c.id, tasks.c.id)
    ).first() or ("", "")
    datasets = list(connection.execute(sa.select(TABLES["datasets"].c.id).order_by("id")).scalars())
    connection.execute(sa.update(deals).where(deals.c.id == deal).values(bulk=deal))
    queries.insert_rows(
        connection,
        {
            "bulks": {deal: {"id": deal, "hash": "QmBulk"}},
            "bulk_slices": {
                f"{deal}-0": {"id": f"{deal}-0", "bulk": deal, "hash": "QmSlice", "task": task, "index": 0}
            },
            "dataset_orders": {
                f"{task}-{place}": {
                    "id": f"{task}-{place}",
                    "dataset": datasets[number] if place else "0x" + "00" * 19 + "01",
                    "datasetprice": 0,
                    "volume": 2**53 - 1,
                    "tag": "0x" + "00" * 32,
                }
                for place, number in enumerate(BULK_DATASETS)
            },
        },
    )
    for place, number in enumerate(BULK_DATASETS):
        for table, child in (
            ("bulk_slices_datasets", datasets[number]),
            ("bulk_slices_dataset_orders", f"{task}-{place}"),
        ):
            connection.execute(sa.insert(LIST_TABLES[table]).values(parent=f"{deal}-0", position=place, child=child))
