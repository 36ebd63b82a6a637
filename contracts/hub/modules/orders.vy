# pragma version 0.4.3
"""
@title Orders and their hashes
@license Apache-2.0
@notice The four orders of the market as they travel in calls, and the EIP-712 hash each is signed and remembered by.
@dev    `sign` is not part of any hash. `operation` is a uint8 in calls and a uint256 in hashes.
"""
from hub.modules import bounds

struct AppOrder:
    app: address
    appprice: uint256
    volume: uint256
    tag: bytes32
    datasetrestrict: address
    workerpoolrestrict: address
    requesterrestrict: address
    salt: bytes32
    sign: Bytes[bounds.SIGNATURE]

struct DatasetOrder:
    dataset: address
    datasetprice: uint256
    volume: uint256
    tag: bytes32
    apprestrict: address
    workerpoolrestrict: address
    requesterrestrict: address
    salt: bytes32
    sign: Bytes[bounds.SIGNATURE]

struct WorkerpoolOrder:
    workerpool: address
    workerpoolprice: uint256
    volume: uint256
    tag: bytes32
    category: uint256
    trust: uint256
    apprestrict: address
    datasetrestrict: address
    requesterrestrict: address
    salt: bytes32
    sign: Bytes[bounds.SIGNATURE]

struct RequestOrder:
    app: address
    appmaxprice: uint256
    dataset: address
    datasetmaxprice: uint256
    workerpool: address
    workerpoolmaxprice: uint256
    requester: address
    volume: uint256
    tag: bytes32
    category: uint256
    trust: uint256
    beneficiary: address
    callback: address
    params: String[bounds.PARAMS]
    salt: bytes32
    sign: Bytes[bounds.SIGNATURE]

struct AppOrderOperation:
    order: AppOrder
    operation: uint8
    sign: Bytes[bounds.SIGNATURE]

struct DatasetOrderOperation:
    order: DatasetOrder
    operation: uint8
    sign: Bytes[bounds.SIGNATURE]

struct WorkerpoolOrderOperation:
    order: WorkerpoolOrder
    operation: uint8
    sign: Bytes[bounds.SIGNATURE]

struct RequestOrderOperation:
    order: RequestOrder
    operation: uint8
    sign: Bytes[bounds.SIGNATURE]

DOMAIN_NAME: constant(String[8]) = "iExecODB"
DOMAIN_VERSION: constant(String[5]) = "5.0.0"
DOMAIN_NAME_HASH: constant(bytes32) = keccak256("iExecODB")
DOMAIN_VERSION_HASH: constant(bytes32) = keccak256("5.0.0")

# Each is the keccak256 of the EIP-712 type string; the tests recompute them.
DOMAIN_TYPEHASH: constant(bytes32) = 0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f
APP_ORDER_TYPEHASH: constant(bytes32) = 0x60815a0eeec47dddf1615fe53b31d016c31444e01b9d796db365443a6445d008
DATASET_ORDER_TYPEHASH: constant(bytes32) = 0x6cfc932a5a3d22c4359295b9f433edff52b60703fa47690a04a83e40933dd47c
WORKERPOOL_ORDER_TYPEHASH: constant(bytes32) = 0xaa3429fb281b34691803133d3d978a75bb77c617ed6bc9aa162b9b30920022bb
REQUEST_ORDER_TYPEHASH: constant(bytes32) = 0xf24e853034a3a450aba845a82914fbb564ad85accca6cf62be112a154520fae0
APP_OPERATION_TYPEHASH: constant(bytes32) = 0x0638bb0702457e2b4b01be8a202579b8bf97e587fb4f2cc4d4aad01f21a06ee0
DATASET_OPERATION_TYPEHASH: constant(bytes32) = 0x075eb6f7578ff4292c241bd2484cd5c1d5e6ecc2ddd3317e1d8176b5a45865ec
WORKERPOOL_OPERATION_TYPEHASH: constant(bytes32) = 0x322d980b7d7a6a1f7c39ff0c5445da6ae1d8e0393ff0dd468c8be3e2c8644388
REQUEST_OPERATION_TYPEHASH: constant(bytes32) = 0x0ded7b52c2d77595a40d242eca751df172b18e686326dbbed3f4748828af77c7


@internal
@view
def _domain_separator() -> bytes32:
    """
    @return The EIP-712 domain of this hub on this chain.
    @dev Computed, not stored: cheaper than reading it, and right again by itself after a chain split.
    """
    return keccak256(abi_encode(DOMAIN_TYPEHASH, DOMAIN_NAME_HASH, DOMAIN_VERSION_HASH, chain.id, self))


@internal
@pure
def _typed(separator: bytes32, struct_hash: bytes32) -> bytes32:
    """@return The digest that is signed."""
    return keccak256(concat(x"1901", separator, struct_hash))


@internal
@pure
def _app_struct(order: AppOrder) -> bytes32:
    return keccak256(
        abi_encode(
            APP_ORDER_TYPEHASH,
            order.app,
            order.appprice,
            order.volume,
            order.tag,
            order.datasetrestrict,
            order.workerpoolrestrict,
            order.requesterrestrict,
            order.salt,
        )
    )


@internal
@pure
def _dataset_struct(order: DatasetOrder) -> bytes32:
    return keccak256(
        abi_encode(
            DATASET_ORDER_TYPEHASH,
            order.dataset,
            order.datasetprice,
            order.volume,
            order.tag,
            order.apprestrict,
            order.workerpoolrestrict,
            order.requesterrestrict,
            order.salt,
        )
    )


@internal
@pure
def _workerpool_struct(order: WorkerpoolOrder) -> bytes32:
    return keccak256(
        abi_encode(
            WORKERPOOL_ORDER_TYPEHASH,
            order.workerpool,
            order.workerpoolprice,
            order.volume,
            order.tag,
            order.category,
            order.trust,
            order.apprestrict,
            order.datasetrestrict,
            order.requesterrestrict,
            order.salt,
        )
    )


@internal
@pure
def _request_struct(order: RequestOrder) -> bytes32:
    return keccak256(
        abi_encode(
            REQUEST_ORDER_TYPEHASH,
            order.app,
            order.appmaxprice,
            order.dataset,
            order.datasetmaxprice,
            order.workerpool,
            order.workerpoolmaxprice,
            order.requester,
            order.volume,
            order.tag,
            order.category,
            order.trust,
            order.beneficiary,
            order.callback,
            keccak256(order.params),
            order.salt,
        )
    )


@internal
@pure
def _operation_struct(typehash: bytes32, order_struct: bytes32, operation: uint8) -> bytes32:
    return keccak256(abi_encode(typehash, order_struct, convert(operation, uint256)))
