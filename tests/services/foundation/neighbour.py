"""Another process on a database; the tests start it, talk to it through its standard streams, and kill it.

Arguments: `count`, `lead` or `listen`. The database's URL comes in the environment, where passwords belong.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import sqlalchemy as sa

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTIONS
from pyiexec.foundation.database import Database, Leadership

COUNT = 60


def tell(text: str) -> None:
    print(text, flush=True)


def increase(connection: sa.Connection) -> None:
    """What loses a count as soon as another write comes between reading and writing."""
    number = connection.execute(sa.text("SELECT number FROM counter")).scalar_one()
    time.sleep(0.001)
    connection.execute(sa.text("UPDATE counter SET number = :number"), {"number": number + 1})


async def count(database: Database) -> None:
    for _ in range(COUNT // 3):
        await asyncio.gather(*(database.write(increase) for _ in range(3)))


async def lead(database: Database) -> None:
    async def job(_leadership: Leadership) -> None:
        tell("leading")
        await asyncio.Event().wait()

    await database.keep_leading("work", job)


async def listen(database: Database) -> None:
    async with database.listen("news") as payloads:
        tell("listening")
        async for payload in payloads:
            tell(str(payload))
            if payload == "end":
                return


async def main(mode: str) -> None:
    database = await Database.open(os.environ["DATABASE_URL"], [FOLLOWER, TRANSACTIONS])
    try:
        await {"count": count, "lead": lead, "listen": listen}[mode](database)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
