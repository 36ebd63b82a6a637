# pragma version 0.4.3
"""
@title Application
@license Apache-2.0
@notice What is run: where it is found, its checksum, and the measurement of its enclave if it has one.
@dev Data: registry (20) | sizes of name, type and multiaddr (2 each) | checksum (32) | name | type | multiaddr |
     MREnclave, the rest.
"""

from modules import asset
from modules import clones

exports: (asset.registry, asset.owner, asset.setName)

NAME_SIZE: constant(uint256) = 20
TYPE_SIZE: constant(uint256) = 22
MULTIADDR_SIZE: constant(uint256) = 24
CHECKSUM: constant(uint256) = 26
NAME: constant(uint256) = 58


@external
def initialize(
    _appName: String[clones.MAX_DATA],
    _appType: String[clones.MAX_DATA],
    _appMultiaddr: Bytes[clones.MAX_DATA],
    _appChecksum: bytes32,
    _appMREnclave: Bytes[clones.MAX_DATA],
):
    """@dev An app is born initialised; clients encode its fields as a call of this function."""
    raise "already initialized"


@external
@view
def m_appName() -> String[clones.MAX_DATA]:
    data: Bytes[clones.MAX_DATA] = asset._data()
    return convert(slice(data, NAME, asset._size(data, NAME_SIZE)), String[clones.MAX_DATA])


@external
@view
def m_appType() -> String[clones.MAX_DATA]:
    """@notice The runtime it is written for, such as WASM or DOCKER."""
    data: Bytes[clones.MAX_DATA] = asset._data()
    start: uint256 = NAME + asset._size(data, NAME_SIZE)
    return convert(slice(data, start, asset._size(data, TYPE_SIZE)), String[clones.MAX_DATA])


@external
@view
def m_appMultiaddr() -> Bytes[clones.MAX_DATA]:
    """@notice Where it is found: text, or a binary multiaddr."""
    data: Bytes[clones.MAX_DATA] = asset._data()
    start: uint256 = NAME + asset._size(data, NAME_SIZE) + asset._size(data, TYPE_SIZE)
    return slice(data, start, asset._size(data, MULTIADDR_SIZE))


@external
@view
def m_appChecksum() -> bytes32:
    return extract32(asset._data(), CHECKSUM)


@external
@view
def m_appMREnclave() -> Bytes[clones.MAX_DATA]:
    data: Bytes[clones.MAX_DATA] = asset._data()
    start: uint256 = (
        NAME + asset._size(data, NAME_SIZE) + asset._size(data, TYPE_SIZE) + asset._size(data, MULTIADDR_SIZE)
    )
    return slice(data, start, len(data) - start)
