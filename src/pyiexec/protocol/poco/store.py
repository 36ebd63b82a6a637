"""What the hub keeps, and its limits.

Source: PoCo 6.2; the limits are those of this project's hub, which packs what it keeps.
"""

from __future__ import annotations

from typing import NamedTuple

from pyiexec.protocol.deals import BoostDeal, Deal
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import Order, RequestOrder
from pyiexec.protocol.poco.registries import Registry
from pyiexec.protocol.poco.token import Token
from pyiexec.protocol.poco.world import Contract, Table, World
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    Address,
    DealId,
    OrderHash,
    ResultHash,
    TaskId,
    to_bytes,
)
from pyiexec.protocol.tasks import Contribution, Task

#: Bytes of a signature, of a request's params, and of each of the two results.
SIGNATURE_MAX = 1024
PARAMS_MAX = 4096
RESULTS_MAX = 4096
#: Bytes of results beyond which a call is not even read.
RESULTS_READ_MAX = 6144
#: Prices and worker stakes, nRLC.
AMOUNT_MAX = 2**96 - 1
TRUST_MAX = 2**24 - 1
#: Indexes of the tasks of a request order.
INDEX_MAX = 2**32 - 1
#: Volume that is counted of an order; more counts as that much.
VOLUME_MAX = 2**95 - 1
CONTRIBUTORS_MAX = 256
#: Different results of one task, the last contributor's included.
RESULTS_OF_TASK_MAX = 65
#: Where the weight of a group and of one vote stop to grow.
GROUP_WEIGHT_MAX = 2**128
VOTE_WEIGHT_MAX = 2**80 - 1
CATEGORIES_MAX = 2**16
TIMEREF_MAX = 2**32 - 1
#: Items of an array function.
ITEMS_MAX = 1024

DEFAULT_CALLBACK_GAS = 200_000


class Category(NamedTuple):
    """A class of tasks; all their deadlines are multiples of `work_clock_time_ref` seconds."""

    name: str
    description: str
    work_clock_time_ref: int


NO_TASK = Task()
NO_DEAL = Deal()
NO_BOOST_DEAL = BoostDeal()
NO_CONTRIBUTION = Contribution()


class Store(Contract):
    """The hub's memory.

    Attributes:
        settings: owner, registries, broker and callback gas by name; see `Configuration`, which changes them.
        free, frozen: nRLC by account; the hub's own entry is without the pot.
        sums: `supply`, all nRLC deposited, and `pot`, the part of it that is frozen.
        consumed: tasks made of an order, or its volume once it is closed.
        groups: weight of the votes for each result of a task.
    """

    def __init__(
        self,
        world: World,
        address: Address,
        *,
        chain_id: int,
        token: Token,
        apps: Registry,
        datasets: Registry,
        workerpools: Registry,
        owner: Address,
        legacy_hub: Address = NULL_ADDRESS,
    ) -> None:
        self.world = world
        self.address = address
        self.domain = Domain(chain_id, address)
        self.token = token
        self.settings: Table[str, Address | int] = world.table()
        dict.update(
            self.settings,
            owner=owner,
            apps=apps.address,
            datasets=datasets.address,
            workerpools=workerpools.address,
            legacy_hub=legacy_hub,
            tee_broker=NULL_ADDRESS,
            callback_gas=DEFAULT_CALLBACK_GAS,
        )
        self.categories: Table[int, Category] = world.table()
        self.free: Table[Address, int] = world.table()
        self.frozen: Table[Address, int] = world.table()
        self.sums: Table[str, int] = world.table()
        dict.update(self.sums, supply=0, pot=0)
        self.allowances: Table[tuple[Address, Address], int] = world.table()
        self.consumed: Table[OrderHash, int] = world.table()
        self.presigned: Table[OrderHash, Address] = world.table()
        self.deals: Table[DealId, Deal] = world.table()
        self.boost_deals: Table[DealId, BoostDeal] = world.table()
        self.tasks: Table[TaskId, Task] = world.table()
        self.contributions: Table[tuple[TaskId, Address], Contribution] = world.table()
        self.groups: Table[TaskId, dict[ResultHash, int]] = world.table()
        self.scores: Table[Address, int] = world.table()
        self.scores_imported: Table[Address, bool] = world.table()
        world.contracts[address] = self

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def owner(self) -> Address:
        """Who may change the hub."""
        return Address(str(self.settings["owner"]))

    @property
    def tee_broker(self) -> Address:
        """Who authorises contributions from enclaves; the null address leaves it to the schedulers."""
        return Address(str(self.settings["tee_broker"]))

    @property
    def callback_gas(self) -> int:
        """Gas that every callback is given."""
        return int(self.settings["callback_gas"])

    def registry(self, kind: str) -> Registry | None:
        """The registry of ``apps``, ``datasets`` or ``workerpools``; None when what stands there is none."""
        found = self.world.contracts.get(Address(str(self.settings[kind])))
        return found if isinstance(found, Registry) else None

    def balance_of(self, account: Address) -> int:
        """Free nRLC of `account`; the hub itself shows what backs all that is frozen."""
        free = self.free.get(account, 0)
        return free + self.sums["pot"] if account == self.address else free

    def frozen_of(self, account: Address) -> int:
        """NRLC of `account` locked in deals and contributions."""
        return self.frozen.get(account, 0)

    @property
    def total_supply(self) -> int:
        """NRLC deposited and not withdrawn."""
        return self.sums["supply"]

    def allowance(self, owner: Address, spender: Address) -> int:
        """Free nRLC of `owner` that `spender` may still move."""
        return self.allowances.get((owner, spender), 0)

    def deal(self, deal_id: DealId) -> Deal:
        """The deal, all zero when there is none."""
        return self.deals.get(deal_id, NO_DEAL)

    def boost_deal(self, deal_id: DealId) -> BoostDeal:
        """The deal of the Boost workflow, all zero when there is none."""
        return self.boost_deals.get(deal_id, NO_BOOST_DEAL)

    def task(self, task_id: TaskId) -> Task:
        """The task, all zero when it was not started; of a task of the Boost workflow the status alone."""
        return self.tasks.get(task_id, NO_TASK)

    def contribution(self, task_id: TaskId, worker: Address) -> Contribution:
        """What `worker` contributed to the task, all zero when nothing."""
        return self.contributions.get((task_id, worker), NO_CONTRIBUTION)

    def score(self, worker: Address) -> int:
        """The worker's reputation."""
        return self.scores.get(worker, 0)

    def hash(self, order: Order) -> OrderHash:
        """The name under which the hub knows the order."""
        return order_hash(order, self.domain)


def is_readable(order: Order) -> bool:
    """Whether the hub can read the order at all: its signature and params are not too long."""
    fits = len(order.sign) <= 2 + 2 * SIGNATURE_MAX
    return fits and (not isinstance(order, RequestOrder) or len(order.params.encode()) <= PARAMS_MAX)


def signature_of(order: Order) -> bytes:
    """The order's signature as bytes."""
    return to_bytes(order.sign)
