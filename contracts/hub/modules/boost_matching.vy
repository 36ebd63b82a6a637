# pragma version 0.4.3
"""
@title Matching of orders for Boost
@license Apache-2.0
@notice Four orders become a deal whose tasks each take a single transaction: one worker, no stake, no vote.
@dev    The checks run in the order in which PoCo's clients expect their reasons. All calls to other contracts are
        static and come before the first write.
"""
from hub.modules import accounts
from hub.modules import authenticity
from hub.modules import boost_deals
from hub.modules import bounds
from hub.modules import categories
from hub.modules import deals
from hub.modules import matching
from hub.modules import order_marks
from hub.modules import orders
from hub.modules import registrations
from hub.modules import restrictions
from hub.modules import rules
from hub.modules import settlement
from hub.modules import store

uses: store
uses: accounts
uses: boost_deals

event SchedulerNoticeBoost:
    workerpool: indexed(address)
    dealId: bytes32
    app: address
    dataset: address
    category: uint256
    tag: bytes32
    params: String[bounds.PARAMS]
    beneficiary: address

event DealSponsoredBoost:
    dealId: bytes32
    sponsor: address

# Widths of a Boost deal, in bits.
AMOUNT_WIDTH: constant(uint256) = 96
TIME_WIDTH: constant(uint256) = 40
COUNT_WIDTH: constant(uint256) = 16
TASKS_MAX: constant(uint256) = 2**COUNT_WIDTH - 1


@internal
@pure
def _require_width(number: uint256, bits: uint256):
    """@custom:reverts SafeCastOverflowedUintDowncast(uint8,uint256) when `number` is wider than `bits`."""
    if number >> bits != 0:
        raw_revert(abi_encode(bits, number, method_id=method_id("SafeCastOverflowedUintDowncast(uint8,uint256)")))


@internal
def _match(
    app_order: orders.AppOrder,
    dataset_order: orders.DatasetOrder,
    workerpool_order: orders.WorkerpoolOrder,
    request_order: orders.RequestOrder,
    sponsor: address,
) -> bytes32:
    """
    @notice The whole of a match; `sponsor` pays.
    @return The deal's id.
    """
    # trust, category, prices, tag
    assert request_order.trust <= 1, "PocoBoost: Bad trust level"
    assert request_order.category == workerpool_order.category, "PocoBoost: Category mismatch"
    category: uint256 = store.categories[request_order.category]
    assert categories._exists(category), "PocoBoost: Unknown category"
    assert request_order.appmaxprice >= app_order.appprice, "PocoBoost: Overpriced app"
    assert request_order.datasetmaxprice >= dataset_order.datasetprice, "PocoBoost: Overpriced dataset"
    assert request_order.workerpoolmaxprice >= workerpool_order.workerpoolprice, "PocoBoost: Overpriced workerpool"
    app_tag: uint256 = convert(app_order.tag, uint256)
    dataset_tag: uint256 = convert(dataset_order.tag, uint256) & rules.TAG_DATASET_MASK
    tag: uint256 = app_tag | dataset_tag | convert(request_order.tag, uint256)
    assert tag & ~convert(workerpool_order.tag, uint256) == 0, "PocoBoost: Workerpool tag does not match demand"
    assert (tag ^ app_tag) & rules.TAG_TEE == 0, "PocoBoost: App tag does not match demand"

    # who will deal with whom
    app: address = app_order.app
    dataset: address = dataset_order.dataset
    workerpool: address = workerpool_order.workerpool
    requester: address = request_order.requester
    assert request_order.app == app, "PocoBoost: App mismatch"
    assert request_order.dataset == dataset, "PocoBoost: Dataset mismatch"
    assert restrictions._allows(
        request_order.workerpool, workerpool
    ), "PocoBoost: Workerpool restricted by request order"
    assert restrictions._allows(app_order.datasetrestrict, dataset), "PocoBoost: Dataset restricted by app order"
    assert restrictions._allows(
        app_order.workerpoolrestrict, workerpool
    ), "PocoBoost: Workerpool restricted by app order"
    assert restrictions._allows(
        app_order.requesterrestrict, requester
    ), "PocoBoost: Requester restricted by app order"
    assert restrictions._allows(dataset_order.apprestrict, app), "PocoBoost: App restricted by dataset order"
    assert restrictions._allows(
        dataset_order.workerpoolrestrict, workerpool
    ), "PocoBoost: Workerpool restricted by dataset order"
    assert restrictions._allows(
        dataset_order.requesterrestrict, requester
    ), "PocoBoost: Requester restricted by dataset order"
    assert restrictions._allows(workerpool_order.apprestrict, app), "PocoBoost: App restricted by workerpool order"
    assert restrictions._allows(
        workerpool_order.datasetrestrict, dataset
    ), "PocoBoost: Dataset restricted by workerpool order"
    assert restrictions._allows(
        workerpool_order.requesterrestrict, requester
    ), "PocoBoost: Requester restricted by workerpool order"

    # who signed what, and how much of it is left
    separator: bytes32 = orders._domain_separator()
    app_hash: bytes32 = orders._typed(separator, orders._app_struct(app_order))
    app_mark: uint256 = store.order_marks[app_hash]
    app_owner: address = registrations._owner(registrations._entry(store.app_registry, app))
    assert app_owner != empty(address), "PocoBoost: App not registered"
    assert authenticity._authorized(
        app_owner, app_hash, app_order.sign, app_mark
    ), "PocoBoost: Invalid app order signature"
    volume: uint256 = order_marks._remaining(app_order.volume, app_mark)

    dataset_hash: bytes32 = empty(bytes32)
    dataset_mark: uint256 = 0
    dataset_owner: address = empty(address)
    dataset_price: uint256 = 0
    if dataset != empty(address):
        dataset_hash = orders._typed(separator, orders._dataset_struct(dataset_order))
        dataset_mark = store.order_marks[dataset_hash]
        dataset_owner = registrations._owner(registrations._entry(store.dataset_registry, dataset))
        assert dataset_owner != empty(address), "PocoBoost: Dataset not registered"
        assert authenticity._authorized(
            dataset_owner, dataset_hash, dataset_order.sign, dataset_mark
        ), "PocoBoost: Invalid dataset order signature"
        volume = min(volume, order_marks._remaining(dataset_order.volume, dataset_mark))
        dataset_price = dataset_order.datasetprice

    workerpool_hash: bytes32 = orders._typed(separator, orders._workerpool_struct(workerpool_order))
    workerpool_mark: uint256 = store.order_marks[workerpool_hash]
    workerpool_entry: uint256 = registrations._entry(store.workerpool_registry, workerpool)
    scheduler: address = registrations._owner(workerpool_entry)
    assert scheduler != empty(address), "PocoBoost: Workerpool not registered"
    assert authenticity._authorized(
        scheduler, workerpool_hash, workerpool_order.sign, workerpool_mark
    ), "PocoBoost: Invalid workerpool order signature"
    volume = min(volume, order_marks._remaining(workerpool_order.volume, workerpool_mark))

    request_hash: bytes32 = orders._typed(separator, orders._request_struct(request_order))
    request_mark: uint256 = store.order_marks[request_hash]
    assert authenticity._authorized(
        requester, request_hash, request_order.sign, request_mark
    ), "PocoBoost: Invalid request order signature"
    volume = min(volume, order_marks._remaining(request_order.volume, request_mark))
    assert volume != 0, "PocoBoost: One or more orders consumed"
    volume = min(volume, TASKS_MAX)

    # what the packed deal cannot hold
    first: uint256 = order_marks._consumed(request_mark)
    deadline: uint256 = block.timestamp + rules.CONTRIBUTION_DEADLINE_RATIO * categories._timeref(category)
    app_price: uint256 = app_order.appprice
    workerpool_price: uint256 = workerpool_order.workerpoolprice
    self._require_width(app_price, AMOUNT_WIDTH)
    self._require_width(workerpool_price, AMOUNT_WIDTH)
    self._require_width(first, COUNT_WIDTH)
    self._require_width(deadline, TIME_WIDTH)
    self._require_width(dataset_price, AMOUNT_WIDTH)

    # the deal
    deal_id: bytes32 = deals._id(request_hash, first)
    boost_deals._record(
        deal_id,
        boost_deals.Scope(callback=request_order.callback, deadline=deadline, tasks=volume, first=first, tag=tag),
        boost_deals.Parties(
            app_owner=app_owner,
            app_price=app_price,
            scheduler=scheduler,
            workerpool_price=workerpool_price,
            requester=requester,
            worker_reward=settlement._workers_part(
                workerpool_price, registrations._scheduler_reward_ratio(workerpool_entry)
            ),
            dataset_owner=dataset_owner,
            dataset_price=dataset_price,
            sponsor=sponsor,
        ),
    )

    # the orders' share in it; no volume overflows, each being at most what was left
    store.order_marks[app_hash] = unsafe_add(app_mark, volume)
    if dataset != empty(address):
        store.order_marks[dataset_hash] = unsafe_add(dataset_mark, volume)
    store.order_marks[workerpool_hash] = unsafe_add(workerpool_mark, volume)
    store.order_marks[request_hash] = unsafe_add(request_mark, volume)

    # the money: stakes are rounded down per task
    accounts._lock(sponsor, (app_price + dataset_price + workerpool_price) * volume)
    accounts._lock(scheduler, settlement._scheduler_stake(workerpool_price) * volume)

    log SchedulerNoticeBoost(
        workerpool=workerpool,
        dealId=deal_id,
        app=app,
        dataset=dataset,
        category=request_order.category,
        tag=convert(tag, bytes32),
        params=request_order.params,
        beneficiary=request_order.beneficiary,
    )
    log matching.OrdersMatched(
        dealid=deal_id,
        appHash=app_hash,
        datasetHash=dataset_hash,
        workerpoolHash=workerpool_hash,
        requestHash=request_hash,
        volume=volume,
    )
    return deal_id


@external
def matchOrdersBoost(
    appOrder: orders.AppOrder,
    datasetOrder: orders.DatasetOrder,
    workerpoolOrder: orders.WorkerpoolOrder,
    requestOrder: orders.RequestOrder,
) -> bytes32:
    """
    @notice Make a Boost deal of four orders, whoever calls; the requester pays.
    @dev Trust is at most 1. Of an order without dataset the price, tag and restrictions still count as conditions.
    @return The deal's id.
    """
    return self._match(appOrder, datasetOrder, workerpoolOrder, requestOrder, requestOrder.requester)


@external
def sponsorMatchOrdersBoost(
    appOrder: orders.AppOrder,
    datasetOrder: orders.DatasetOrder,
    workerpoolOrder: orders.WorkerpoolOrder,
    requestOrder: orders.RequestOrder,
) -> bytes32:
    """
    @notice Make a Boost deal of four orders; the caller pays, and is refunded should a task fail.
    @dev Whoever sees the transaction first may match the same orders at the requester's expense.
    @return The deal's id.
    """
    deal_id: bytes32 = self._match(appOrder, datasetOrder, workerpoolOrder, requestOrder, msg.sender)
    log DealSponsoredBoost(dealId=deal_id, sponsor=msg.sender)
    return deal_id
