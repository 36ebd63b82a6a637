# pragma version 0.4.3
"""
@title IexecLibOrders_v5
@license Apache-2.0
@notice The EIP-712 type hashes of the orders, under the name of the library that PoCo's own deployment begins with.
@dev    The facets compute hashes themselves and do not call this; it is there for those who deploy or read it by name.
        The library's overloads of `hash` are of use to linked Solidity alone and are left out.
"""
from hub.modules import orders


@external
@view
def EIP712DOMAIN_TYPEHASH() -> bytes32:
    return orders.DOMAIN_TYPEHASH


@external
@view
def APPORDER_TYPEHASH() -> bytes32:
    return orders.APP_ORDER_TYPEHASH


@external
@view
def DATASETORDER_TYPEHASH() -> bytes32:
    return orders.DATASET_ORDER_TYPEHASH


@external
@view
def WORKERPOOLORDER_TYPEHASH() -> bytes32:
    return orders.WORKERPOOL_ORDER_TYPEHASH


@external
@view
def REQUESTORDER_TYPEHASH() -> bytes32:
    return orders.REQUEST_ORDER_TYPEHASH


@external
@view
def APPORDEROPERATION_TYPEHASH() -> bytes32:
    return orders.APP_OPERATION_TYPEHASH


@external
@view
def DATASETORDEROPERATION_TYPEHASH() -> bytes32:
    return orders.DATASET_OPERATION_TYPEHASH


@external
@view
def WORKERPOOLORDEROPERATION_TYPEHASH() -> bytes32:
    return orders.WORKERPOOL_OPERATION_TYPEHASH


@external
@view
def REQUESTORDEROPERATION_TYPEHASH() -> bytes32:
    return orders.REQUEST_OPERATION_TYPEHASH
