# pragma version 0.4.3
"""
@title What the registries of apps, datasets and workerpools have in common
@license Apache-2.0
@notice A registry may name an older one, whose assets stay registered.
"""

from . import collection
from . import ownership

uses: collection
uses: ownership


interface Registry:
    def isRegistered(entry: address) -> bool: view
    def entry(id: uint256) -> uint256: view


MAX_URI: constant(uint256) = 512

initialized: public(bool)
previous: public(address)
baseURI: public(String[MAX_URI])


@external
def initialize(_previous: address):
    """@notice Name the older registry, or none; can be done once."""
    ownership._only_owner()
    assert not self.initialized
    self.initialized = True
    self.previous = _previous


@external
def setBaseURI(_baseURI: String[MAX_URI]):
    """@notice Where the metadata of the tokens is published."""
    ownership._only_owner()
    self.baseURI = _baseURI


@external
def setName(_ens: address, _name: String[256]):
    """@dev Reverse ENS records existed on the former sidechain only; kept because clients know the function."""
    ownership._only_owner()
    raise "Operation not supported on this chain"


@external
@view
def tokenURI(tokenId: uint256) -> String[MAX_URI + 78]:
    """@return base URI and decimal id, or nothing while there is no base URI."""
    collection._owner_of(tokenId)
    base: String[MAX_URI] = self.baseURI
    if base == "":
        return ""
    return concat(base, uint2str(tokenId))


@external
@view
def isRegistered(_entry: address) -> bool:
    """@return whether this registry or one of the older ones created the asset."""
    if collection.entries[convert(_entry, uint256)] != 0:
        return True
    older: address = self.previous
    return older != empty(address) and staticcall Registry(older).isRegistered(_entry)


@external
@view
def entry(id: uint256) -> uint256:
    """
    @notice All that matching needs of an asset, in one read.
    @return owner (160 bits) | worker stake ratio in percent (32 bits) | scheduler reward ratio in percent (8 bits);
            0 when the asset is not registered. The ratios are 0 but for workerpools.
    @dev An older registry is asked the same; one that does not know this function reverts.
    """
    found: uint256 = collection.entries[id] & collection.TERMS_MASK
    if found != 0:
        return found
    older: address = self.previous
    if older == empty(address):
        return 0
    return staticcall Registry(older).entry(id)
