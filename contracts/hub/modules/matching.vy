# pragma version 0.4.3
"""
@title Matching of orders
@license Apache-2.0
@notice Four orders that fit together become a deal: their volume is consumed and its price locked.
@dev    The checks run in the order in which PoCo's clients expect their reasons. All calls to other contracts are
        static and come before the first write.
"""
from hub.modules import accounts
from hub.modules import authenticity
from hub.modules import categories
from hub.modules import deals
from hub.modules import order_marks
from hub.modules import orders
from hub.modules import registrations
from hub.modules import restrictions
from hub.modules import rules
from hub.modules import store
from hub.modules import volumes

uses: store
uses: accounts
uses: deals

event SchedulerNotice:
    workerpool: indexed(address)
    dealid: bytes32

event OrdersMatched:
    dealid: bytes32
    appHash: bytes32
    datasetHash: bytes32
    workerpoolHash: bytes32
    requestHash: bytes32
    volume: uint256

event DealSponsored:
    dealId: bytes32
    sponsor: address


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
    # category, trust, prices, tag
    assert request_order.category == workerpool_order.category, "iExecV5-matchOrders-0x00"
    category: uint256 = store.categories[request_order.category]
    assert categories._exists(category), "iExecV5-matchOrders-0x01"
    assert request_order.trust <= workerpool_order.trust, "iExecV5-matchOrders-0x02"
    assert request_order.appmaxprice >= app_order.appprice, "iExecV5-matchOrders-0x03"
    assert request_order.datasetmaxprice >= dataset_order.datasetprice, "iExecV5-matchOrders-0x04"
    assert request_order.workerpoolmaxprice >= workerpool_order.workerpoolprice, "iExecV5-matchOrders-0x05"
    app_tag: uint256 = convert(app_order.tag, uint256)
    dataset_tag: uint256 = convert(dataset_order.tag, uint256) & rules.TAG_DATASET_MASK
    tag: uint256 = app_tag | dataset_tag | convert(request_order.tag, uint256)
    assert tag & ~convert(workerpool_order.tag, uint256) == 0, "iExecV5-matchOrders-0x06"
    assert (tag ^ app_tag) & rules.TAG_TEE == 0, "iExecV5-matchOrders-0x07"

    # who will deal with whom
    app: address = app_order.app
    dataset: address = dataset_order.dataset
    workerpool: address = workerpool_order.workerpool
    requester: address = request_order.requester
    assert request_order.app == app, "iExecV5-matchOrders-0x10"
    assert request_order.dataset == dataset, "iExecV5-matchOrders-0x11"
    assert restrictions._allows(request_order.workerpool, workerpool), "iExecV5-matchOrders-0x12"
    assert restrictions._allows(app_order.datasetrestrict, dataset), "iExecV5-matchOrders-0x13"
    assert restrictions._allows(app_order.workerpoolrestrict, workerpool), "iExecV5-matchOrders-0x14"
    assert restrictions._allows(app_order.requesterrestrict, requester), "iExecV5-matchOrders-0x15"
    assert restrictions._allows(dataset_order.apprestrict, app), "iExecV5-matchOrders-0x16"
    assert restrictions._allows(dataset_order.workerpoolrestrict, workerpool), "iExecV5-matchOrders-0x17"
    assert restrictions._allows(dataset_order.requesterrestrict, requester), "iExecV5-matchOrders-0x18"
    assert restrictions._allows(workerpool_order.apprestrict, app), "iExecV5-matchOrders-0x19"
    assert restrictions._allows(workerpool_order.datasetrestrict, dataset), "iExecV5-matchOrders-0x1a"
    assert restrictions._allows(workerpool_order.requesterrestrict, requester), "iExecV5-matchOrders-0x1b"

    # who signed what, and how much of it is left
    separator: bytes32 = orders._domain_separator()
    app_hash: bytes32 = orders._typed(separator, orders._app_struct(app_order))
    app_mark: uint256 = store.order_marks[app_hash]
    app_entry: uint256 = registrations._entry(store.app_registry, app)
    app_owner: address = registrations._owner(app_entry)
    assert app_owner != empty(address), "iExecV5-matchOrders-0x20"
    assert authenticity._authorized(app_owner, app_hash, app_order.sign, app_mark), "iExecV5-matchOrders-0x21"
    volume: uint256 = order_marks._remaining(app_order.volume, app_mark)

    dataset_hash: bytes32 = empty(bytes32)
    dataset_mark: uint256 = 0
    dataset_owner: address = empty(address)
    dataset_price: uint256 = 0
    if dataset != empty(address):
        dataset_hash = orders._typed(separator, orders._dataset_struct(dataset_order))
        dataset_mark = store.order_marks[dataset_hash]
        dataset_owner = registrations._owner(registrations._entry(store.dataset_registry, dataset))
        assert dataset_owner != empty(address), "iExecV5-matchOrders-0x30"
        assert authenticity._authorized(
            dataset_owner, dataset_hash, dataset_order.sign, dataset_mark
        ), "iExecV5-matchOrders-0x31"
        volume = min(volume, order_marks._remaining(dataset_order.volume, dataset_mark))
        dataset_price = dataset_order.datasetprice

    workerpool_hash: bytes32 = orders._typed(separator, orders._workerpool_struct(workerpool_order))
    workerpool_mark: uint256 = store.order_marks[workerpool_hash]
    workerpool_entry: uint256 = registrations._entry(store.workerpool_registry, workerpool)
    scheduler: address = registrations._owner(workerpool_entry)
    assert scheduler != empty(address), "iExecV5-matchOrders-0x40"
    assert authenticity._authorized(
        scheduler, workerpool_hash, workerpool_order.sign, workerpool_mark
    ), "iExecV5-matchOrders-0x41"
    volume = min(volume, order_marks._remaining(workerpool_order.volume, workerpool_mark))

    request_hash: bytes32 = orders._typed(separator, orders._request_struct(request_order))
    request_mark: uint256 = store.order_marks[request_hash]
    assert authenticity._authorized(
        requester, request_hash, request_order.sign, request_mark
    ), "iExecV5-matchOrders-0x50"
    volume = min(volume, order_marks._remaining(request_order.volume, request_mark))
    first: uint256 = order_marks._consumed(request_mark)
    volume = volumes._serviceable(volume, first)
    assert volume != 0, "iExecV5-matchOrders-0x60"

    # what the packed deal cannot hold
    app_price: uint256 = app_order.appprice
    workerpool_price: uint256 = workerpool_order.workerpoolprice
    scheduler_ratio: uint256 = registrations._scheduler_reward_ratio(workerpool_entry)
    assert request_order.trust <= rules.TRUST_MAX, "trust too high"
    assert app_price <= rules.AMOUNT_MAX, "app price too high"
    assert dataset_price <= rules.AMOUNT_MAX, "dataset price too high"
    assert workerpool_price <= rules.AMOUNT_MAX, "workerpool price too high"
    worker_stake: uint256 = workerpool_price * registrations._worker_stake_ratio(workerpool_entry) // rules.PERCENT
    assert worker_stake <= rules.AMOUNT_MAX, "worker stake too high"
    assert scheduler_ratio <= rules.PERCENT, "scheduler ratio too high"

    # the deal
    deal_id: bytes32 = deals._id(request_hash, first)
    deals._record(
        deal_id,
        deals.Terms(
            app=app,
            app_price=app_price,
            app_owner=app_owner,
            start=block.timestamp,
            category=request_order.category,
            scheduler_ratio=scheduler_ratio,
            flags=0,
            trust=max(request_order.trust, 1),
            workerpool=workerpool,
            workerpool_price=workerpool_price,
            scheduler=scheduler,
            first=first,
            tasks=volume,
            timeref=categories._timeref(category),
            requester=requester,
            worker_stake=worker_stake,
            request_hash=request_hash,
        ),
        deals.Extras(
            dataset=dataset,
            dataset_price=dataset_price,
            dataset_owner=dataset_owner,
            beneficiary=request_order.beneficiary,
            callback=request_order.callback,
            sponsor=sponsor,
            tag=tag,
        ),
        request_order.params,
    )

    # the orders' share in it; no volume overflows, each being at most what was left
    store.order_marks[app_hash] = unsafe_add(app_mark, volume)
    if dataset != empty(address):
        store.order_marks[dataset_hash] = unsafe_add(dataset_mark, volume)
    store.order_marks[workerpool_hash] = unsafe_add(workerpool_mark, volume)
    store.order_marks[request_hash] = order_marks._matched(request_mark, volume)

    # the money: stakes are rounded down per task
    accounts._lock(sponsor, (app_price + dataset_price + workerpool_price) * volume)
    accounts._lock(scheduler, workerpool_price * rules.WORKERPOOL_STAKE_RATIO // rules.PERCENT * volume)

    log SchedulerNotice(workerpool=workerpool, dealid=deal_id)
    log OrdersMatched(
        dealid=deal_id,
        appHash=app_hash,
        datasetHash=dataset_hash,
        workerpoolHash=workerpool_hash,
        requestHash=request_hash,
        volume=volume,
    )
    return deal_id


@external
def matchOrders(
    _apporder: orders.AppOrder,
    _datasetorder: orders.DatasetOrder,
    _workerpoolorder: orders.WorkerpoolOrder,
    _requestorder: orders.RequestOrder,
) -> bytes32:
    """
    @notice Make a deal of four orders, whoever calls; the requester pays.
    @dev A dataset order for the zero address means that there is no dataset; its price, tag and restrictions still
         count as conditions.
    @return The deal's id.
    """
    return self._match(_apporder, _datasetorder, _workerpoolorder, _requestorder, _requestorder.requester)


@external
def sponsorMatchOrders(
    _apporder: orders.AppOrder,
    _datasetorder: orders.DatasetOrder,
    _workerpoolorder: orders.WorkerpoolOrder,
    _requestorder: orders.RequestOrder,
) -> bytes32:
    """
    @notice Make a deal of four orders; the caller pays, and is refunded should a task fail.
    @dev Whoever sees the transaction first may match the same orders at the requester's expense.
    @return The deal's id.
    """
    deal_id: bytes32 = self._match(_apporder, _datasetorder, _workerpoolorder, _requestorder, msg.sender)
    log DealSponsored(dealId=deal_id, sponsor=msg.sender)
    return deal_id
