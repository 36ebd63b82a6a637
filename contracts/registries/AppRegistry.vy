# pragma version 0.4.3
"""
@title Registry of applications
@license Apache-2.0
@notice Anyone creates an app for anyone; the app's token says who owns it. See README.md.
"""

from modules import clones
from modules import collection
from modules import ownership
from modules import registry

initializes: clones
initializes: collection
initializes: ownership
initializes: registry[collection := collection, ownership := ownership]

exports: clones.__interface__
exports: collection.__interface__
exports: ownership.__interface__
exports: registry.__interface__

MAX_NAME: constant(uint256) = 2048
MAX_TYPE: constant(uint256) = 256
MAX_MULTIADDR: constant(uint256) = 2048
MAX_MRENCLAVE: constant(uint256) = 2048
# Fields as call data: five words of head, four sizes, contents padded to words, selector.
MAX_ARGUMENTS: constant(uint256) = 4 + 9 * 32 + MAX_NAME + MAX_TYPE + MAX_MULTIADDR + MAX_MRENCLAVE

name: public(constant(String[32])) = "iExec Application Registry (V5)"
symbol: public(constant(String[32])) = "iExecAppsV5"


@deploy
def __init__(app_code: Bytes[12_288]):
    clones.__init__(app_code)
    ownership.__init__()


@internal
@pure
def _salt(
    app_owner: address,
    app_name: String[MAX_NAME],
    app_type: String[MAX_TYPE],
    multiaddr: Bytes[MAX_MULTIADDR],
    checksum: bytes32,
    mrenclave: Bytes[MAX_MRENCLAVE],
) -> bytes32:
    """@dev keccak256(call data of the app's `initialize` ‖ owner), as the registries in service have it."""
    arguments: Bytes[MAX_ARGUMENTS] = abi_encode(
        app_name,
        app_type,
        multiaddr,
        checksum,
        mrenclave,
        method_id=method_id("initialize(string,string,bytes,bytes32,bytes)"),
    )
    return keccak256(concat(arguments, convert(app_owner, bytes20)))


@external
def createApp(
    _appOwner: address,
    _appName: String[MAX_NAME],
    _appType: String[MAX_TYPE],
    _appMultiaddr: Bytes[MAX_MULTIADDR],
    _appChecksum: bytes32,
    _appMREnclave: Bytes[MAX_MRENCLAVE],
) -> address:
    """
    @notice Create an app.
    @return its address, which depends on owner and fields alone.
    @custom:reverts `Create2: Failed on deploy` when the owner has this very app.
    """
    app: address = clones._create(
        self._salt(_appOwner, _appName, _appType, _appMultiaddr, _appChecksum, _appMREnclave),
        concat(
            convert(self, bytes20),
            convert(convert(len(_appName), uint16), bytes2),
            convert(convert(len(_appType), uint16), bytes2),
            convert(convert(len(_appMultiaddr), uint16), bytes2),
            _appChecksum,
            convert(_appName, Bytes[MAX_NAME]),
            convert(_appType, Bytes[MAX_TYPE]),
            _appMultiaddr,
            _appMREnclave,
        ),
    )
    collection._mint(_appOwner, convert(app, uint256), 0)
    return app


@external
@view
def predictApp(
    _appOwner: address,
    _appName: String[MAX_NAME],
    _appType: String[MAX_TYPE],
    _appMultiaddr: Bytes[MAX_MULTIADDR],
    _appChecksum: bytes32,
    _appMREnclave: Bytes[MAX_MRENCLAVE],
) -> address:
    """@return the address `createApp` would give, or gave."""
    return clones._predict(self._salt(_appOwner, _appName, _appType, _appMultiaddr, _appChecksum, _appMREnclave))
