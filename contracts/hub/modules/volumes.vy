# pragma version 0.4.3
"""
@title How many tasks four orders can make
@license Apache-2.0
"""
from hub.modules import order_marks
from hub.modules import orders
from hub.modules import rules
from hub.modules import store

uses: store


@internal
@pure
def _serviceable(volume: uint256, first: uint256) -> uint256:
    """@return `volume`, clamped to the task indexes that are left from `first` on: a deal counts them in 32 bits."""
    return min(volume, rules.INDEX_MAX - min(first, rules.INDEX_MAX))


@external
@view
def computeDealVolume(
    _apporder: orders.AppOrder,
    _datasetorder: orders.DatasetOrder,
    _workerpoolorder: orders.WorkerpoolOrder,
    _requestorder: orders.RequestOrder,
) -> uint256:
    """@return The volume a match would have; nothing else about the orders is checked."""
    separator: bytes32 = orders._domain_separator()
    app_mark: uint256 = store.order_marks[orders._typed(separator, orders._app_struct(_apporder))]
    workerpool_mark: uint256 = store.order_marks[
        orders._typed(separator, orders._workerpool_struct(_workerpoolorder))
    ]
    request_mark: uint256 = store.order_marks[orders._typed(separator, orders._request_struct(_requestorder))]
    volume: uint256 = min(
        order_marks._remaining(_apporder.volume, app_mark),
        min(
            order_marks._remaining(_workerpoolorder.volume, workerpool_mark),
            order_marks._remaining(_requestorder.volume, request_mark),
        ),
    )
    if _datasetorder.dataset != empty(address):
        dataset_mark: uint256 = store.order_marks[orders._typed(separator, orders._dataset_struct(_datasetorder))]
        volume = min(volume, order_marks._remaining(_datasetorder.volume, dataset_mark))
    return self._serviceable(volume, order_marks._consumed(request_mark))
