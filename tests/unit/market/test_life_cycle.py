"""Whatever the chain and the people do, in whatever order the book hears of it, it ends in the same state.

A small chain is played on that mints, matches, closes, sells assets and goes back; people publish and withdraw, with
facts as old as they happen to be. What the book makes of it is compared with a plain account of how things should be,
and with what a book makes of it that is rebuilt from nothing.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyiexec.chain.follower import Batch, Cursor
from pyiexec.chain.follower.cursor import metadata as FOLLOWER  # noqa: N812 - tables are written so here
from pyiexec.market import publishing, queries
from pyiexec.market.chain_reader import Needs, Readings
from pyiexec.market.chain_state import OWNER, PRESIGNER, STAKE, Closed, Matched, NewCategory
from pyiexec.market.changes import Cause
from pyiexec.market.events import EVENTS
from pyiexec.market.listing import Listing, Status, parties, resource_name, task_stake
from pyiexec.market.rules import Facts, check_publication
from pyiexec.market.tables import (
    CATEGORIES,
    CLOSURES,
    CONSUMED,
    DEALS,
    METADATA,
    ORDERS,
    OWNERS,
    PRESIGNERS,
    STAKES,
)
from pyiexec.market.watcher import Fact, News, Touched, apply_news, forget
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder, kind_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, OrderHash, bytes32, checksum
from pyiexec.protocol.tags import TEE

CHAIN = 65535
ANN, BOB = (checksum(f"0x{number:040x}") for number in (1, 2))
APP, DATASET, POOL = (checksum(f"0x{number:040x}") for number in (10, 11, 12))
people = st.sampled_from([ANN, BOB])
restrictions = st.sampled_from([NULL_ADDRESS, NULL_ADDRESS, ANN])
amounts = st.sampled_from([0, 1, 2, 5])
volumes = st.integers(1, 4)
tags = st.sampled_from([0, 0, TEE]).map(bytes32)

offers = st.one_of(
    st.builds(AppOrder, app=st.just(APP), appprice=amounts, volume=volumes, tag=tags, requesterrestrict=restrictions),
    st.builds(DatasetOrder, dataset=st.just(DATASET), datasetprice=amounts, volume=volumes),
    st.builds(WorkerpoolOrder, workerpool=st.just(POOL), workerpoolprice=st.integers(0, 40), volume=volumes),
)
requests = st.builds(
    RequestOrder,
    app=st.just(APP),
    appmaxprice=amounts,
    dataset=st.sampled_from([NULL_ADDRESS, DATASET]),
    datasetmaxprice=amounts,
    workerpoolmaxprice=amounts,
    requester=people,
    volume=volumes,
    tag=tags,
)


class State(msgspec.Struct):
    """The chain as of a block."""

    stakes: dict[Address, int]
    owners: dict[Address, Address]
    presigners: dict[str, Address] = {}
    consumed: dict[str, int] = {}
    closed: set[str] = set()


class Block(msgspec.Struct):
    hash: str
    facts: list[Fact]
    after: State


class Published(msgspec.Struct):
    order: Order
    signer: Address
    place: int
    presigned: bool


class Book(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.connection = self.engine.connect()
        for metadata in (METADATA, FOLLOWER):
            metadata.create_all(self.connection)
        self.blocks: list[Block] = []
        self.forks = 0
        self.seen = -1
        self.seen_hashes: list[str] = []
        self.orders: dict[str, Published] = {}
        self.drafts: list[tuple[str, Order]] = []
        self.now = 1_000

    def teardown(self) -> None:
        self.connection.close()
        self.engine.dispose()

    @initialize(stakes=st.tuples(st.integers(0, 60), st.integers(0, 60)), owner=people)
    def begin(self, stakes: tuple[int, int], owner: Address) -> None:
        state = State(dict(zip((ANN, BOB), stakes, strict=True)), dict.fromkeys((APP, DATASET, POOL), owner))
        self.blocks.append(Block("0xgenesis", [NewCategory(0, "XS", "", 300, 0, "0x0")], state))

    # --- the chain ------------------------------------------------------------------------------------------------

    @property
    def head(self) -> State:
        return self.blocks[-1].after

    def mine(self, after: State, *facts: Any) -> None:
        """A block; facts are given as functions of the transaction that causes them."""
        number = len(self.blocks)
        cause = Cause(number, f"0xtx{number}-{self.forks}")
        self.blocks.append(Block(f"0x{number}-{self.forks}", [make(cause) for make in facts], after))

    @rule(who=people, amount=st.integers(-30, 30))
    def money_moves(self, who: Address, amount: int) -> None:
        after = copy.deepcopy(self.head)
        after.stakes[who] = max(0, after.stakes[who] + amount)
        self.mine(after, lambda cause: Touched(STAKE, who, cause))

    @rule(asset=st.sampled_from([APP, DATASET, POOL]), to=people)
    def an_asset_is_sold(self, asset: Address, to: Address) -> None:
        after = copy.deepcopy(self.head)
        after.owners[asset] = to
        self.mine(after, lambda cause: Touched(OWNER, asset, cause, to))

    @precondition(lambda self: self.drafts)
    @rule(data=st.data())
    def orders_are_matched(self, data: st.DataObject) -> None:
        """A deal of one task or more; which orders fit together is not what is tried here."""
        chosen: dict[str, tuple[str, Order]] = {}
        for name, order in data.draw(st.lists(st.sampled_from(self.drafts), min_size=1, max_size=4)):
            chosen[kind_of(order)] = (name, order)
        left = min(order.volume - self.head.consumed.get(name, 0) for name, order in chosen.values())
        if left < 1:
            return
        volume = data.draw(st.integers(1, left))
        after = copy.deepcopy(self.head)
        for name, _ in chosen.values():
            after.consumed[name] = after.consumed.get(name, 0) + volume
        sides = {f"{kind}_hash": bytes32(0) for kind in ("apporder", "datasetorder", "workerpoolorder", "requestorder")}
        sides |= {f"{kind}_hash": name for kind, (name, _) in chosen.items()}
        number = len(self.blocks)
        deal_id = bytes32(number * 1000 + self.forks)
        self.mine(
            after,
            lambda cause: Matched(deal_id, **sides, volume=volume, block_number=number, transaction_hash=cause[1]),
        )

    @precondition(lambda self: self.drafts)
    @rule(data=st.data(), closing=st.booleans())
    def an_order_is_managed(self, data: st.DataObject, closing: bool) -> None:
        name, order = data.draw(st.sampled_from(self.drafts))
        after = copy.deepcopy(self.head)
        if closing:
            after.closed.add(name)
            after.consumed[name] = order.volume
            number = len(self.blocks)
            self.mine(after, lambda cause: Closed(name, number, cause[1]))
        else:
            owner = self.owner_of(order, after)
            after.presigners[name] = owner
            self.mine(after, lambda cause: Touched(PRESIGNER, name, cause))

    @precondition(lambda self: len(self.blocks) > 1)
    @rule(depth=st.integers(1, 5))
    def the_chain_goes_back(self, depth: int) -> None:
        self.forks += 1
        del self.blocks[max(1, len(self.blocks) - depth) :]
        self.mine(copy.deepcopy(self.head))

    @staticmethod
    def owner_of(order: Order, state: State) -> Address:
        if isinstance(order, RequestOrder):
            return order.requester
        return state.owners[parties(order)[resource_name(kind_of(order))]]

    # --- the book hears of it -------------------------------------------------------------------------------------

    @rule(blocks=st.integers(1, 4))
    def the_book_reads_on(self, blocks: int) -> None:
        """One batch: what a reorganisation took, and then so many blocks."""
        common = 0
        while (
            common <= self.seen and common < len(self.blocks) and self.blocks[common].hash == self.seen_hashes[common]
        ):
            common += 1
        if self.seen >= common:
            self.seen, self.seen_hashes = common - 1, self.seen_hashes[:common]
            self.apply([], rewound_to=common - 1)
        first, last = self.seen + 1, min(self.seen + blocks, len(self.blocks) - 1)
        if first <= last:
            part = self.blocks[first : last + 1]
            self.seen, self.seen_hashes = last, [*self.seen_hashes, *(block.hash for block in part)]
            self.apply([fact for block in part for fact in block.facts])

    def apply(self, facts: list[Fact], rewound_to: int | None = None) -> None:
        self.now += 1
        cursor = Cursor(self.seen, self.seen_hashes[-1] if self.seen_hashes else "")
        news = News(Batch(rewound_to=rewound_to, cursor=cursor, timestamp=0), facts)
        readings = Readings()
        while needs := apply_news(self.connection, news, readings, chain_id=CHAIN, now=self.now):
            readings = readings.plus(self.read(needs))

    def read(self, needs: Needs) -> Readings:
        state = self.blocks[self.seen].after if self.seen >= 0 else self.blocks[0].after
        return Readings(
            stakes={who: state.stakes[who] for who in needs.stakes},  # type: ignore[index]
            owners={asset: state.owners[asset] for asset in needs.owners},  # type: ignore[index]
            presigners={name: state.presigners.get(name, NULL_ADDRESS) for name in needs.presigners},
            deals={deal_id: Deal(bot_size=1, start_time=1) for deal_id in needs.deals},
            times=dict.fromkeys(needs.times, 1),
        )

    # --- people ---------------------------------------------------------------------------------------------------

    @rule(order=st.one_of(offers, requests))
    def somebody_signs(self, order: Order) -> None:
        name = bytes32(10_000 + len(self.drafts))
        self.drafts.append((name, order))

    @precondition(lambda self: self.drafts and self.seen >= 0)
    @rule(data=st.data(), age=st.sampled_from([0, 0, 0, 1, 2]), by_transaction=st.booleans())
    def somebody_publishes(self, data: st.DataObject, age: int, by_transaction: bool) -> None:
        name, order = data.draw(st.sampled_from(self.drafts))
        for seen in (max(0, len(self.blocks) - 1 - age), len(self.blocks) - 1):
            state = self.blocks[seen].after
            caller = self.owner_of(order, state)
            facts = Facts(
                caller=caller,
                registered=True,
                owner=caller,
                signed=not by_transaction or state.presigners.get(name) == caller,
                by_transaction=by_transaction and state.presigners.get(name) == caller,
                consumed=state.consumed.get(name, 0),
                stake=state.stakes[caller] if kind_of(order) in ("workerpoolorder", "requestorder") else None,
                block=seen,
            )
            around = publishing.look_around(self.connection, order, OrderHash(name), caller)
            if not around.is_outdated(facts):
                break
        self.now += 1
        facts = around.update(facts)
        try:
            check_publication(order, facts, publishing.book_around(self.connection, around), 50)
        except IexecError:
            return
        remaining = order.volume - facts.consumed
        listing = Listing(
            order_hash=OrderHash(name),
            chain_id=CHAIN,
            order=order,
            signer=caller,
            remaining=remaining,
            fillable=remaining,
            status=Status.OPEN,
            published_at=self.now,
        )
        listed = publishing.publish(self.connection, listing, facts, around)
        self.orders[name] = Published(order, caller, listed.published_at, facts.by_transaction)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def somebody_withdraws(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.orders)))
        found = queries.STATUS_OF.run(self.connection, order_hash=name)
        if found and found[0][0] in (Status.OPEN, Status.SUSPENDED):
            self.now += 1
            queries.unpublish(self.connection, kind_of(self.orders.pop(name).order), [OrderHash(name)], self.now)

    # --- how things should be -------------------------------------------------------------------------------------

    @invariant()
    def a_book_that_is_up_to_date_is_right(self) -> None:
        if self.blocks and self.is_up_to_date():
            assert self.stands() == self.should_stand(self.head)

    @precondition(lambda self: self.seen >= 0)
    @rule()
    def a_book_that_is_rebuilt_ends_in_the_same_state(self) -> None:
        while not self.is_up_to_date():
            self.the_book_reads_on(10)
        before, copies = self.tables(), self.copies()
        forget(self.connection, self.now)
        self.seen, self.seen_hashes = -1, []
        while not self.is_up_to_date():
            self.the_book_reads_on(3)
        assert self.tables() == before
        # Of those whose orders are gone by now nobody asks any more.
        assert self.copies().items() <= copies.items()

    @invariant()
    def the_journal_tells_what_is_open(self) -> None:
        """Whoever only reads the events knows which orders are open, and how much of each is left."""
        told: dict[str, dict[str, int]] = {}
        for row in self.connection.execute(sa.select(EVENTS).where(EVENTS.c.room == "orders").order_by(EVENTS.c.seq)):
            payload, (kind, what) = msgspec.json.decode(row.payload), row.event.split("_")
            if what == "unpublished":
                del told[payload]
            else:
                assert (payload["orderHash"] in told) == (what == "updated"), (kind, what)
                told[payload["orderHash"]] = {name: payload[name] for name in ("remaining", "fillable")}
        rows = self.connection.execute(sa.select(ORDERS).where(ORDERS.c.status == "open"))
        assert told == {row.order_hash: {"remaining": row.remaining, "fillable": row.fillable} for row in rows}

    def is_up_to_date(self) -> bool:
        return self.seen_hashes == [block.hash for block in self.blocks]

    def stands(self) -> dict[str, tuple[Any, ...]]:
        rows = self.connection.execute(sa.select(ORDERS).where(ORDERS.c.status != "unpublished"))
        return {row.order_hash: (row.status, row.reason, row.remaining, row.fillable) for row in rows}

    def tables(self) -> dict[str, list[Any]]:
        """Everything the book knows, save when it learned it: what is read again is read at another time."""
        late = {"since", "ahead_block", "ahead_consumed"}
        known = (ORDERS, DEALS, CLOSURES, CATEGORIES, CONSUMED)
        return {
            table.name: sorted(
                repr(row) for row in self.connection.execute(sa.select(*(c for c in table.c if c.name not in late)))
            )
            for table in known
        }

    def copies(self) -> dict[str, Any]:
        """What it holds of the chain, which was read and not told."""
        found = {}
        for table in (STAKES, OWNERS, PRESIGNERS):
            found |= {row[0]: row[1] for row in self.connection.execute(sa.select(*table.c))}
        return found

    def should_stand(self, state: State) -> dict[str, tuple[Any, ...]]:
        stands: dict[str, tuple[Any, ...]] = {}
        for name, it in self.orders.items():
            left = it.order.volume - state.consumed.get(name, 0)
            if name in state.closed:
                stands[name] = ("canceled", None, 0, 0)
            elif left <= 0:
                stands[name] = ("filled", None, 0, 0)
            elif self.owner_of(it.order, state) != it.signer:
                stands[name] = ("suspended", "owner_changed", left, 0)
            elif it.presigned and state.presigners.get(name) != it.signer:
                stands[name] = ("suspended", "signature_missing", left, 0)
            else:
                stands[name] = ("open", None, left, left)
        served = {
            name: self.unserved(it.order, stands) for name, it in self.orders.items() if stands[name][0] == "open"
        }
        for name, reason in served.items():
            if reason:
                stands[name] = ("suspended", reason, stands[name][2], 0)
        for who in (ANN, BOB):
            stake = state.stakes[who]
            for name, it in sorted(self.orders.items(), key=lambda item: self.turn(item[0], item[1])):
                each = task_stake(it.order)
                if (
                    it.signer == who
                    and stands[name][0] == "open"
                    and not isinstance(it.order, (AppOrder, DatasetOrder))
                ):
                    left = stands[name][2]
                    while left and stake >= each:
                        stake, left = stake - each, left - 1
                    bought = stands[name][2] - left
                    stands[name] = (*stands[name][:3], bought)
                    if bought == 0:
                        stands[name] = ("suspended", "insufficient_stake", left, 0)
        return stands

    @staticmethod
    def turn(name: str, it: Published) -> tuple[Any, ...]:
        if isinstance(it.order, RequestOrder):
            return 1, -it.order.workerpoolmaxprice, it.place, name
        return 0, getattr(it.order, "workerpoolprice", 0), it.place, name

    def unserved(self, order: Order, stands: dict[str, tuple[Any, ...]]) -> str | None:
        if not isinstance(order, RequestOrder):
            return None
        sellers = [it.order for name, it in self.orders.items() if stands[name][0] == "open"]
        tee = int(order.tag, 16) & TEE
        apps = (it for it in sellers if isinstance(it, AppOrder))
        if not any(
            it.appprice <= order.appmaxprice
            and it.requesterrestrict in (NULL_ADDRESS, order.requester)
            and (not tee or int(it.tag, 16) & TEE)
            for it in apps
        ):
            return "no_matching_apporder"
        prices = [it.datasetprice for it in sellers if isinstance(it, DatasetOrder)]
        if order.dataset != NULL_ADDRESS and not any(price <= order.datasetmaxprice for price in prices):
            return "no_matching_datasetorder"
        return None


TestBook = Book.TestCase
TestBook.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
