"""What an older scheduler kept is there after the tables have changed."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa
from tests.unit.scheduler.model import DEAL_ID, TASK_ID, address, fresh

from pyiexec.foundation.database import Database
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.printed import Excerpt, Printed
from pyiexec.scheduler.store import MIGRATIONS, find_printouts, find_tasks, load, purge_printouts

pytestmark = pytest.mark.anyio

#: As the first version made them, as far as they are needed here.
FORMER = (
    "CREATE TABLE deals (deal_id VARCHAR(66) PRIMARY KEY, gone BOOLEAN NOT NULL, facts {blob})",
    "CREATE TABLE tasks (task_id VARCHAR(66) PRIMARY KEY, deal_id VARCHAR(66) NOT NULL, phase VARCHAR(32) NOT NULL, "
    "settled BOOLEAN NOT NULL, state {blob} NOT NULL)",
    "CREATE TABLE replicates (task_id VARCHAR(66), worker VARCHAR(42), logs TEXT NOT NULL, "
    "PRIMARY KEY (task_id, worker))",
    "CREATE TABLE workers (worker VARCHAR(42) PRIMARY KEY, sent BIGINT NOT NULL, acknowledged BIGINT NOT NULL, "
    "received BIGINT NOT NULL)",
    "CREATE TABLE outbox (worker VARCHAR(42), seq BIGINT, body {blob} NOT NULL, PRIMARY KEY (worker, seq))",
    "CREATE TABLE alembic_version_scheduler (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
)
WORKER = address(3)
PRINTED = "an emoji 😀 and a quote ' of the former kind"


def write(connection: sa.Connection) -> None:
    blob = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    for statement in FORMER:
        connection.execute(sa.text(statement.format(blob=blob)))
    connection.execute(sa.text("INSERT INTO alembic_version_scheduler VALUES ('first_tables')"))
    connection.execute(sa.text("INSERT INTO deals VALUES (:deal, false, NULL)"), {"deal": DEAL_ID})
    state = msgspec.json.encode(fresh(2))
    task = sa.text("INSERT INTO tasks VALUES (:task, :deal, 'RUNNING', false, :state)")
    connection.execute(task, {"task": TASK_ID, "deal": DEAL_ID, "state": state})
    log = sa.text("INSERT INTO replicates VALUES (:task, :worker, :logs)")
    connection.execute(log, {"task": TASK_ID, "worker": WORKER, "logs": PRINTED})
    # Of a task that is not there any more.
    connection.execute(log, {"task": "0x0", "worker": WORKER, "logs": "lost"})


async def test_logs_of_the_former_kind_are_kept_for_as_long_as_new_ones(database_url: str) -> None:
    before = await Database.open(database_url, [])
    await before.write(write)
    await before.close()
    database = await Database.open(database_url, [MIGRATIONS])
    try:
        task_id = TaskId(TASK_ID)
        kept = {WORKER: Printed(Excerpt(PRINTED))}
        assert await database.read(lambda connection: find_printouts(connection, task_id)) == kept
        (state,) = await database.read(lambda connection: find_tasks(connection, [task_id]))
        assert state == fresh(2)
        stored = await database.read(load)
        assert (stored.phases, stored.newest_deal_block) == ({"RUNNING": 1}, 0)
        end = state.chain.final_deadline + 3 * 24 * 3600
        assert await database.write(lambda connection: purge_printouts(connection, end - 1)) == 0
        assert await database.write(lambda connection: purge_printouts(connection, end)) == 1
        assert await database.read(lambda connection: find_printouts(connection, task_id)) == {}
    finally:
        await database.close()
