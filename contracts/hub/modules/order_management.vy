# pragma version 0.4.3
"""
@title Signing and closing orders on chain
@license Apache-2.0
@notice An order may be signed by a transaction instead of a signature, and is withdrawn by closing it. Its owner does
        so, or anyone who has the owner's signature over the operation.
@dev    Closing is for ever. An order signed on chain stays so until its resource changes hands.
"""
from hub.modules import bounds
from hub.modules import order_marks
from hub.modules import orders
from hub.modules import registrations
from hub.modules import signatures
from hub.modules import store

uses: store

event SignedAppOrder:
    appHash: bytes32

event SignedDatasetOrder:
    datasetHash: bytes32

event SignedWorkerpoolOrder:
    workerpoolHash: bytes32

event SignedRequestOrder:
    requestHash: bytes32

event ClosedAppOrder:
    appHash: bytes32

event ClosedDatasetOrder:
    datasetHash: bytes32

event ClosedWorkerpoolOrder:
    workerpoolHash: bytes32

event ClosedRequestOrder:
    requestHash: bytes32

SIGN: constant(uint8) = 0
CLOSE: constant(uint8) = 1


@internal
@pure
def _require_operation(operation: uint8):
    """@notice What no client means is refused before anything else is looked at, as if it could not be read."""
    assert operation <= CLOSE


@internal
@view
def _resource_owner(registry: address, resource: address) -> address:
    """
    @return Who may manage the orders of `resource`.
    @custom:reverts `resource not registered`.
    """
    resource_owner: address = registrations._owner(registrations._entry(registry, resource))
    assert resource_owner != empty(address), "resource not registered"
    return resource_owner


@internal
def _manage(
    manager: address,
    volume: uint256,
    operation_typehash: bytes32,
    order_struct: bytes32,
    operation: uint8,
    signature: Bytes[bounds.SIGNATURE],
) -> bytes32:
    """
    @notice Sign or close the order on behalf of `manager`.
    @return The order's hash.
    @custom:reverts `invalid-sender-or-signature`, `invalid-signature-format`.
    """
    separator: bytes32 = orders._domain_separator()
    if msg.sender != manager:
        digest: bytes32 = orders._typed(
            separator, orders._operation_struct(operation_typehash, order_struct, operation)
        )
        assert signatures._signed(manager, digest, signature), "invalid-sender-or-signature"
    order_hash: bytes32 = orders._typed(separator, order_struct)
    mark: uint256 = store.order_marks[order_hash]
    if operation == SIGN:
        store.order_marks[order_hash] = order_marks._presigned(mark, manager)
    else:
        store.order_marks[order_hash] = order_marks._closed(mark, volume)
    return order_hash


@external
def manageAppOrder(_apporderoperation: orders.AppOrderOperation):
    """@notice Sign (0) or close (1) an app order."""
    self._require_operation(_apporderoperation.operation)
    order_hash: bytes32 = self._manage(
        self._resource_owner(store.app_registry, _apporderoperation.order.app),
        _apporderoperation.order.volume,
        orders.APP_OPERATION_TYPEHASH,
        orders._app_struct(_apporderoperation.order),
        _apporderoperation.operation,
        _apporderoperation.sign,
    )
    if _apporderoperation.operation == SIGN:
        log SignedAppOrder(appHash=order_hash)
    else:
        log ClosedAppOrder(appHash=order_hash)


@external
def manageDatasetOrder(_datasetorderoperation: orders.DatasetOrderOperation):
    """@notice Sign (0) or close (1) a dataset order."""
    self._require_operation(_datasetorderoperation.operation)
    order_hash: bytes32 = self._manage(
        self._resource_owner(store.dataset_registry, _datasetorderoperation.order.dataset),
        _datasetorderoperation.order.volume,
        orders.DATASET_OPERATION_TYPEHASH,
        orders._dataset_struct(_datasetorderoperation.order),
        _datasetorderoperation.operation,
        _datasetorderoperation.sign,
    )
    if _datasetorderoperation.operation == SIGN:
        log SignedDatasetOrder(datasetHash=order_hash)
    else:
        log ClosedDatasetOrder(datasetHash=order_hash)


@external
def manageWorkerpoolOrder(_workerpoolorderoperation: orders.WorkerpoolOrderOperation):
    """@notice Sign (0) or close (1) a workerpool order."""
    self._require_operation(_workerpoolorderoperation.operation)
    order_hash: bytes32 = self._manage(
        self._resource_owner(store.workerpool_registry, _workerpoolorderoperation.order.workerpool),
        _workerpoolorderoperation.order.volume,
        orders.WORKERPOOL_OPERATION_TYPEHASH,
        orders._workerpool_struct(_workerpoolorderoperation.order),
        _workerpoolorderoperation.operation,
        _workerpoolorderoperation.sign,
    )
    if _workerpoolorderoperation.operation == SIGN:
        log SignedWorkerpoolOrder(workerpoolHash=order_hash)
    else:
        log ClosedWorkerpoolOrder(workerpoolHash=order_hash)


@external
def manageRequestOrder(_requestorderoperation: orders.RequestOrderOperation):
    """@notice Sign (0) or close (1) a request order."""
    self._require_operation(_requestorderoperation.operation)
    order_hash: bytes32 = self._manage(
        _requestorderoperation.order.requester,
        _requestorderoperation.order.volume,
        orders.REQUEST_OPERATION_TYPEHASH,
        orders._request_struct(_requestorderoperation.order),
        _requestorderoperation.operation,
        _requestorderoperation.sign,
    )
    if _requestorderoperation.operation == SIGN:
        log SignedRequestOrder(requestHash=order_hash)
    else:
        log ClosedRequestOrder(requestHash=order_hash)
