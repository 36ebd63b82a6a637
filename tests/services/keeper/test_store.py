"""What the keeper remembers, and what it forgets again when the chain takes blocks back."""

from __future__ import annotations

import asyncio

from pyiexec.foundation.database import Database
from pyiexec.keeper import store
from pyiexec.keeper.rules import Bag
from pyiexec.keeper.store import MIGRATIONS, Facts, Notice, Patronage
from pyiexec.protocol.primitives import DealId, bytes32, checksum

OLD, YOUNG = DealId(bytes32(1)), DealId(bytes32(2))
POOL, OTHER_POOL = (checksum(bytes(19) + bytes([number])) for number in (1, 2))
BUYER, OTHER_BUYER = (checksum(bytes(19) + bytes([number])) for number in (3, 4))
EVERYBODY = Patronage()


def facts(requester: str, final_deadline: int) -> Facts:
    return Facts(requester=checksum(requester.lower()), first_index=4, tasks=2, final_deadline=final_deadline)


async def filled(database: Database) -> None:
    notices = [Notice(OLD, False, POOL, 10), Notice(YOUNG, True, OTHER_POOL, 20)]
    await database.write(lambda connection: store.note(connection, notices))
    read = {OLD: facts(BUYER, 1_000), YOUNG: facts(OTHER_BUYER, 2_000)}
    await database.write(lambda connection: store.learn(connection, read, patience=60))


async def due(database: Database, now: int, patronage: Patronage = EVERYBODY) -> list[DealId]:
    found: list[Bag] = await database.read(lambda connection: store.due(connection, now, patronage, 10))
    return [bag.deal_id for bag in found]


def test_a_deal_is_due_when_its_deadline_and_the_patience_of_all_others_are_over(database_url: str) -> None:
    async def story() -> None:
        database = await Database.open(database_url, [MIGRATIONS])
        await filled(database)
        assert await due(database, 1_059) == []
        assert await due(database, 1_060) == [OLD]
        assert await due(database, 9_999) == [OLD, YOUNG]
        assert await database.read(lambda connection: store.next_look(connection, EVERYBODY)) == 1_060
        (bag,) = await database.read(lambda connection: store.due(connection, 1_060, EVERYBODY, 10))
        assert bag == Bag(deal_id=OLD, boost=False, first_index=4, tasks=2)
        await database.write(lambda connection: store.postpone(connection, [OLD], 5_000))
        assert await due(database, 4_999) == [YOUNG]
        await database.close()

    asyncio.run(story())


def test_only_the_deals_of_those_named_are_looked_after(database_url: str) -> None:
    async def story() -> None:
        database = await Database.open(database_url, [MIGRATIONS])
        await filled(database)
        assert await due(database, 9_999, Patronage(workerpools=[POOL])) == [OLD]
        assert await due(database, 9_999, Patronage(requesters=[OTHER_BUYER])) == [YOUNG]
        assert await due(database, 9_999, Patronage([POOL], [OTHER_BUYER])) == []
        count = await database.read(lambda connection: store.count_open(connection, Patronage(workerpools=[POOL])))
        assert count == 1
        await database.close()

    asyncio.run(story())


def test_a_reorganisation_takes_back_deals_and_settlements_and_nothing_else(database_url: str) -> None:
    async def story() -> None:
        database = await Database.open(database_url, [MIGRATIONS])
        await filled(database)
        await database.write(lambda connection: store.settle(connection, [OLD, YOUNG], 30))
        assert await due(database, 9_999) == []
        await database.write(lambda connection: store.go_back(connection, 30))
        assert await due(database, 9_999) == []
        await database.write(lambda connection: store.go_back(connection, 20))
        assert await due(database, 9_999) == [OLD, YOUNG]
        await database.write(lambda connection: store.go_back(connection, 15))
        assert await due(database, 9_999) == [OLD]
        # The deal is made again, in another block.
        again = [Notice(YOUNG, True, OTHER_POOL, 16), Notice(OLD, False, POOL, 10)]
        await database.write(lambda connection: store.note(connection, again))
        unread = await database.read(lambda connection: store.unread(connection, 10))
        assert unread == again[:1]
        await database.close()

    asyncio.run(story())
