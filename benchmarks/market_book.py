"""The order book that `market.py` measures: 100,000 open orders, and what people would ask of them."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from pyiexec.foundation.database import Database
from pyiexec.market.listing import Listing, Status
from pyiexec.market.rows import row_of
from pyiexec.market.service import MIGRATIONS
from pyiexec.market.tables import ORDERS, OWNERS, STAKES
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import ORDER_KINDS, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32, checksum

OPEN_ORDERS = 100_000
#: Orders that one resource, or one requester, has in the book.
ORDERS_EACH = 50
#: Of orders that are restricted to one party.
RESTRICTED = 0.2
TAGS = ("0x0", "0x1", "0x3", "0x9")
PARAMS = '{"iexec_args":"--frames 240 --seed 7","iexec_result_storage_provider":"ipfs"}'
_PER_KIND = OPEN_ORDERS // len(ORDER_KINDS)
_CHUNK = 5_000


def address(*seed: object) -> Address:
    """An address that stands for somebody."""
    return checksum(f"0x{random.Random(repr(seed)).getrandbits(160):040x}")


@functools.cache
def resources(kind: str) -> list[Address]:
    """What orders of a kind are about: apps, datasets, workerpools, or requesters."""
    return [address(kind, number) for number in range(_PER_KIND // ORDERS_EACH)]


def owner(kind: str, number: int) -> Address:
    """Who signed an order: the owner of what it sells, or the requester."""
    subjects = resources(kind) if kind == "requestorder" else _owners(kind)
    return subjects[number % len(subjects)]


@functools.cache
def _owners(kind: str) -> list[Address]:
    return [address("owner", resource) for resource in resources(kind)]


def orders(kind: str, rng: random.Random) -> Iterator[Order]:
    """All orders of a kind."""
    apps, datasets, subjects = resources("apporder"), resources("datasetorder"), resources(kind)
    for number in range(_PER_KIND):
        subject = subjects[number % len(subjects)]
        friend = address("friend", rng.randrange(200)) if rng.random() < RESTRICTED else NULL_ADDRESS
        tag = bytes32(int(rng.choice(TAGS), 16))
        terms: dict[str, Any] = {
            "volume": rng.choice((1, 10, 100, 1000)),
            "tag": tag,
            "salt": bytes32(rng.getrandbits(256)),
        }
        terms["sign"] = f"0x{rng.getrandbits(520):0130x}"
        price = rng.randrange(10**9)
        if kind == "apporder":
            yield AppOrder(app=subject, appprice=price, requesterrestrict=friend, **terms)
        elif kind == "datasetorder":
            yield DatasetOrder(dataset=subject, datasetprice=price, apprestrict=friend, **terms)
        elif kind == "workerpoolorder":
            yield WorkerpoolOrder(
                workerpool=subject,
                workerpoolprice=price,
                category=rng.randrange(5),
                trust=rng.choice((0, 1, 3, 10)),
                requesterrestrict=friend,
                **terms,
            )
        else:
            yield RequestOrder(
                app=rng.choice(apps),
                appmaxprice=rng.randrange(10**9),
                dataset=rng.choice((NULL_ADDRESS, rng.choice(datasets))),
                datasetmaxprice=rng.randrange(10**9),
                workerpoolmaxprice=price,
                workerpool=friend,
                requester=subject,
                category=rng.randrange(5),
                trust=rng.choice((0, 1, 3, 10)),
                params=PARAMS,
                **terms,
            )


async def fill(url: str, domain: Domain, rng: random.Random) -> None:
    """Put the orders into a new book, past the checks that publication makes: they have no chain behind them."""
    database = await Database.open(url, [MIGRATIONS])
    rows: list[dict[str, Any]] = []

    async def store() -> None:
        await database.write(lambda connection, rows=list(rows): connection.execute(sa.insert(ORDERS), rows))
        rows.clear()

    for kind in ORDER_KINDS:
        for number, order in enumerate(orders(kind, rng)):
            rows.append(
                row_of(
                    Listing(
                        order_hash=order_hash(order, domain),
                        chain_id=domain.chain_id,
                        order=order,
                        signer=owner(kind, number),
                        remaining=order.volume,
                        fillable=order.volume,
                        status=Status.OPEN,
                        published_at=1_700_000_000_000 + rng.randrange(10**10),
                    )
                )
            )
            if len(rows) == _CHUNK:
                await store()
    if rows:
        await store()
    # What the chain says of them, had it been asked: every owner is one, and has all the stake there can be.
    await database.write(_copies)
    await database.write(lambda connection: connection.exec_driver_sql("ANALYZE"))
    await database.close()


def _copies(connection: sa.Connection) -> None:
    owners = [
        {"asset": asset, "owner": signer, "as_of": 0}
        for kind in ("apporder", "datasetorder", "workerpoolorder")
        for asset, signer in zip(resources(kind), _owners(kind), strict=True)
    ]
    stakes = [
        {"account": account, "amount": 1 << 62, "as_of": 0}
        for account in [*_owners("workerpoolorder"), *resources("requestorder")]
    ]
    connection.execute(sa.insert(OWNERS), owners)
    connection.execute(sa.insert(STAKES), stakes)


def paths(chain_id: int, count: int, rng: random.Random) -> list[str]:
    """Questions that clients ask: a page of 20 of what somebody looks for, mostly the first."""
    known: dict[str, Sequence[Address]] = {kind: resources(kind) for kind in ORDER_KINDS}

    def one() -> str:
        kind = rng.choice(list(ORDER_KINDS))
        query: dict[str, Any] = {"chainId": chain_id, "pageSize": 20, "pageIndex": rng.choice((0, 0, 0, 1, 2, 5))}
        resource = kind.removesuffix("order")
        if kind in ("apporder", "datasetorder"):
            query[resource] = rng.choice(known[kind])
            # Of one resource there are two full pages.
            query["pageIndex"] = rng.choice((0, 0, 1))
            query["requester"] = "any"
            if kind == "datasetorder":
                query["app"] = "any"
        elif kind == "workerpoolorder":
            query |= {"category": rng.randrange(5), "minVolume": rng.choice((1, 5, 10))}
            query |= rng.choice(({}, {"minTrust": 3}, {"requester": address("friend", rng.randrange(200))}))
            query |= rng.choice(({}, {"minTag": bytes32(1)}, {"maxTag": bytes32(0)}))
        else:
            query |= {"category": rng.randrange(5), "workerpool": "any"}
            query |= rng.choice(({}, {"maxTrust": 1}, {"maxTag": bytes32(3)}))
        return f"/{kind}s?{urlencode(sorted(query.items()))}"

    return [one() for _ in range(count)]
