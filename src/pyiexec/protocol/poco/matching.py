"""Four orders become a deal.

Source: PoCo 6.2, `matchOrders`, `sponsorMatchOrders`, `computeDealVolume`, `assertDatasetDealCompatibility`.
"""

from __future__ import annotations

from typing import NamedTuple

from pyiexec.protocol import ids, money
from pyiexec.protocol.deals import Deal, Resource
from pyiexec.protocol.matching import explain_mismatch
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.poco.accounts import Accounts
from pyiexec.protocol.poco.configuration import Configuration
from pyiexec.protocol.poco.refusals import error, incompatible_dataset_order, nothing, require
from pyiexec.protocol.poco.registries import Entry
from pyiexec.protocol.poco.signatures import Signatures
from pyiexec.protocol.poco.store import AMOUNT_MAX, INDEX_MAX, TRUST_MAX, VOLUME_MAX, is_readable, signature_of
from pyiexec.protocol.poco.world import transaction
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, Address, DealId, OrderHash
from pyiexec.protocol.tags import TEE_FRAMEWORK_MASK, combine_tags

_PREFIX = "iExecV5-matchOrders-0x"
_UNKNOWN_CATEGORY = "01"
_FIRST_OF_REGISTRATION = "20"
_NO_VOLUME = f"{_PREFIX}60"


class FourOrders(NamedTuple):
    """What is matched."""

    app: AppOrder
    dataset: DatasetOrder
    workerpool: WorkerpoolOrder
    request: RequestOrder

    @property
    def has_dataset(self) -> bool:
        """Whether the deal will have a dataset; the dataset order's conditions count in any case."""
        return self.dataset.dataset != NULL_ADDRESS

    @property
    def each(self) -> tuple[Order, ...]:
        """The orders as such."""
        return self.app, self.dataset, self.workerpool, self.request


class Match(NamedTuple):
    """Four orders found to be signed by those who own what they offer.

    Attributes:
        hashes: of the orders, in their order; that of a dataset order for no dataset is null.
        volume: tasks that the orders can still make, as far as the orders go.
    """

    hashes: tuple[OrderHash, OrderHash, OrderHash, OrderHash]
    app: Entry
    dataset: Entry
    workerpool: Entry
    volume: int


class Matching(Accounts, Configuration, Signatures):
    """Deals of the classic workflow, and what both workflows check of orders."""

    # --- what an order has left ---------------------------------------------------------------------------------------

    def _left(self, order: Order, order_hash: OrderHash) -> int:
        return min(order.volume, VOLUME_MAX) - self.consumed.get(order_hash, 0)

    def _hashes(self, orders: FourOrders) -> tuple[OrderHash, OrderHash, OrderHash, OrderHash]:
        dataset = self.hash(orders.dataset) if orders.has_dataset else OrderHash(NULL_BYTES32)
        return self.hash(orders.app), dataset, self.hash(orders.workerpool), self.hash(orders.request)

    def _volume(self, orders: FourOrders, hashes: tuple[OrderHash, ...]) -> int:
        """The least that is left of the orders; that of no dataset does not count."""
        pairs = zip(orders.each, hashes, strict=True)
        return min(self._left(order, name) for order, name in pairs if name != NULL_BYTES32)

    def _consume(self, hashes: tuple[OrderHash, ...], volume: int) -> None:
        for name in hashes:
            if name != NULL_BYTES32:
                self.consumed[name] = self.consumed.get(name, 0) + volume

    # --- checks -------------------------------------------------------------------------------------------------------

    def _mismatches(self, orders: FourOrders) -> list[str]:
        """Why the orders do not fit together: PoCo's numbers, in the order of the checks.

        Registration, signatures and volume are not looked at.
        """
        found = [each.code.removeprefix(_PREFIX) for each in explain_mismatch(*orders, group_has=self.is_member)]
        if orders.request.category not in self.categories:
            found = sorted([*found, _UNKNOWN_CATEGORY])
        return [number for number in found if number < _FIRST_OF_REGISTRATION]

    def _entry(self, kind: str, asset: Address) -> Entry:
        registry = self.registry(kind)
        if registry is None:
            raise nothing()
        return registry.entry(asset)

    def _authentic(self, orders: FourOrders, refusals: dict[str, str]) -> Match:
        """The orders, if their assets are registered and their owners signed them.

        Raises:
            Refusal: with the text that `refusals` has for what is wrong, by PoCo's number of it.
        """
        hashes = self._hashes(orders)

        def offered(kind: str, order: Order, asset: Address, name: OrderHash, number: int) -> Entry:
            entry = self._entry(kind, asset)
            require(entry.owner != NULL_ADDRESS, refusals[f"{number}0"])
            require(self._authorized(entry.owner, name, signature_of(order)), refusals[f"{number}1"])
            return entry

        app = offered("apps", orders.app, orders.app.app, hashes[0], 2)
        dataset = Entry()
        if orders.has_dataset:
            dataset = offered("datasets", orders.dataset, orders.dataset.dataset, hashes[1], 3)
        workerpool = offered("workerpools", orders.workerpool, orders.workerpool.workerpool, hashes[2], 4)
        request = orders.request
        require(self._authorized(request.requester, hashes[3], signature_of(request)), refusals["50"])
        return Match(hashes, app, dataset, workerpool, self._volume(orders, hashes))

    # --- the match ----------------------------------------------------------------------------------------------------

    def _match(self, orders: FourOrders, sponsor: Address, now: int) -> DealId:
        require(all(map(is_readable, orders.each)))
        mismatches = self._mismatches(orders)
        if mismatches:
            raise error(f"{_PREFIX}{mismatches[0]}")
        app, dataset, workerpool, request = orders
        match = self._authentic(orders, _REFUSALS)
        request_hash = match.hashes[3]
        first = self.consumed.get(request_hash, 0)
        volume = min(match.volume, INDEX_MAX - min(first, INDEX_MAX))
        require(volume > 0, _NO_VOLUME)

        dataset_price = dataset.datasetprice if orders.has_dataset else 0
        worker_stake = money.worker_stake(workerpool.workerpoolprice, match.workerpool.stake_ratio)
        require(request.trust <= TRUST_MAX, "trust too high")
        require(app.appprice <= AMOUNT_MAX, "app price too high")
        require(dataset_price <= AMOUNT_MAX, "dataset price too high")
        require(workerpool.workerpoolprice <= AMOUNT_MAX, "workerpool price too high")
        require(worker_stake <= AMOUNT_MAX, "worker stake too high")

        deal_id = ids.deal_id(request_hash, first)
        deal = Deal(
            app=Resource(app.app, match.app.owner, app.appprice),
            dataset=Resource(dataset.dataset, match.dataset.owner, dataset_price),
            workerpool=Resource(workerpool.workerpool, match.workerpool.owner, workerpool.workerpoolprice),
            trust=max(request.trust, 1),
            category=request.category,
            tag=combine_tags(app.tag, dataset.tag, request.tag),
            requester=request.requester,
            beneficiary=request.beneficiary,
            callback=request.callback,
            params=request.params,
            start_time=now,
            bot_first=first,
            bot_size=volume,
            worker_stake=worker_stake,
            scheduler_reward_ratio=match.workerpool.reward_ratio,
            sponsor=sponsor,
        )
        self.deals[deal_id] = deal
        self._consume(match.hashes, volume)
        self._lock(sponsor, deal.task_cost * volume)
        self._lock(match.workerpool.owner, deal.scheduler_stake * volume)
        self.world.emit(self.address, "SchedulerNotice", workerpool=workerpool.workerpool, dealid=deal_id)
        self._tell_match(deal_id, match.hashes, volume)
        return deal_id

    def _tell_match(self, deal_id: DealId, hashes: tuple[OrderHash, ...], volume: int) -> None:
        app, dataset, workerpool, request = hashes
        self.world.emit(
            self.address,
            "OrdersMatched",
            dealid=deal_id,
            appHash=app,
            datasetHash=dataset,
            workerpoolHash=workerpool,
            requestHash=request,
            volume=volume,
        )

    @transaction
    def match_orders(
        self,
        app: AppOrder,
        dataset: DatasetOrder,
        workerpool: WorkerpoolOrder,
        request: RequestOrder,
        *,
        sender: Address,
        now: int,
    ) -> DealId:
        """Make a deal, paid by the requester."""
        return self._match(FourOrders(app, dataset, workerpool, request), request.requester, now)

    @transaction
    def sponsor_match_orders(
        self,
        app: AppOrder,
        dataset: DatasetOrder,
        workerpool: WorkerpoolOrder,
        request: RequestOrder,
        *,
        sender: Address,
        now: int,
    ) -> DealId:
        """Make a deal, paid by the sender, which is refunded for tasks that fail."""
        deal_id = self._match(FourOrders(app, dataset, workerpool, request), sender, now)
        self.world.emit(self.address, "DealSponsored", dealId=deal_id, sponsor=sender)
        return deal_id

    # --- views --------------------------------------------------------------------------------------------------------

    def compute_deal_volume(
        self, app: AppOrder, dataset: DatasetOrder, workerpool: WorkerpoolOrder, request: RequestOrder
    ) -> int:
        """Tasks that a match would make; nothing else about the orders is looked at."""
        orders = FourOrders(app, dataset, workerpool, request)
        require(all(map(is_readable, orders.each)))
        hashes = self._hashes(orders)
        return min(self._volume(orders, hashes), INDEX_MAX - min(self.consumed.get(hashes[3], 0), INDEX_MAX))

    def assert_dataset_deal_compatibility(self, order: DatasetOrder, deal_id: DealId) -> None:
        """Whether tasks of a deal made without a dataset may use this one.

        Raises:
            Refusal: ``IncompatibleDatasetOrder(reason)``.
        """
        require(is_readable(order))
        order_hash, deal = self.hash(order), self.deal(deal_id)
        _require_compatible(self._left(order, order_hash) > 0, "Dataset order is revoked or fully consumed")
        owner = self._entry("datasets", order.dataset).owner
        _require_compatible(owner != NULL_ADDRESS, "Dataset not registered")
        well_signed = self.world.agrees(lambda: self._authorized(owner, order_hash, signature_of(order)))
        _require_compatible(well_signed, "Invalid dataset order signature")
        _require_compatible(deal.exists, "Deal not found")
        _require_compatible(not deal.has_dataset, "Deal already has a dataset")
        for restriction, account, role in (
            (order.apprestrict, deal.app.pointer, "App"),
            (order.workerpoolrestrict, deal.workerpool.pointer, "Workerpool"),
            (order.requesterrestrict, deal.requester, "Requester"),
        ):
            _require_compatible(self._allows(restriction, account), f"{role} restriction not satisfied")
        wanted = int(order.tag, 16) & ~TEE_FRAMEWORK_MASK
        _require_compatible(int(deal.tag, 16) & wanted == wanted, "Tag compatibility not satisfied")


_REFUSALS = {number: f"{_PREFIX}{number}" for number in ("20", "21", "30", "31", "40", "41", "50")}


def _require_compatible(condition: bool, reason: str) -> None:
    if not condition:
        raise incompatible_dataset_order(reason)
