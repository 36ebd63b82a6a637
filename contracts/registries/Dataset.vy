# pragma version 0.4.3
"""
@title Dataset
@license Apache-2.0
@notice Data for sale, usually encrypted: where it is found, and its checksum.
@dev Data: registry (20) | size of name (2) | checksum (32) | name | multiaddr, the rest.
"""

from modules import asset
from modules import clones

exports: (asset.registry, asset.owner, asset.setName)

NAME_SIZE: constant(uint256) = 20
CHECKSUM: constant(uint256) = 22
NAME: constant(uint256) = 54


@external
def initialize(
    _datasetName: String[clones.MAX_DATA], _datasetMultiaddr: Bytes[clones.MAX_DATA], _datasetChecksum: bytes32
):
    """@dev A dataset is born initialised; clients encode its fields as a call of this function."""
    raise "already initialized"


@external
@view
def m_datasetName() -> String[clones.MAX_DATA]:
    data: Bytes[clones.MAX_DATA] = asset._data()
    return convert(slice(data, NAME, asset._size(data, NAME_SIZE)), String[clones.MAX_DATA])


@external
@view
def m_datasetMultiaddr() -> Bytes[clones.MAX_DATA]:
    """@notice Where it is found: text, or a binary multiaddr."""
    data: Bytes[clones.MAX_DATA] = asset._data()
    start: uint256 = NAME + asset._size(data, NAME_SIZE)
    return slice(data, start, len(data) - start)


@external
@view
def m_datasetChecksum() -> bytes32:
    """@notice SHA-256 of the data as published, that is, encrypted."""
    return extract32(asset._data(), CHECKSUM)
