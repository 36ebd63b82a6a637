# pragma version 0.4.3
"""
@title What the registries of apps, datasets and workerpools have in common
@license Apache-2.0
@notice A registry may name an older one, whose assets stay registered.
"""

from . import collection
from . import ens
from . import ownership

uses: collection
uses: ownership


interface Registry:
    def isRegistered(entry: address) -> bool: view


interface Asset:
    def owner() -> address: view


MAX_URI: constant(uint256) = 512

initialized: public(bool)
previous: public(address)
baseURI: public(String[MAX_URI])


@internal
@view
def _word_of(target: address, question: Bytes[36]) -> (bool, uint256):
    """@return whether `target` answers, and the word it answers with, 0 when it does not."""
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(target, question, max_outsize=32, is_static_call=True, revert_on_failure=False)
    if not success or len(answer) < 32:
        return False, 0
    return True, convert(answer, uint256)


@internal
@view
def _policy(asset: address) -> uint256:
    """
    @return the ratios of an asset that is older than entries, in their place in an entry; 0 but for workerpools.
    @dev Too little gas for an answer is too little gas for the rest of any call, so that it cannot pass for no policy.
    """
    has_policy: bool = False
    stake_ratio: uint256 = 0
    has_policy, stake_ratio = self._word_of(asset, method_id("m_workerStakeRatioPolicy()"))
    if not has_policy:
        return 0
    reward_ratio: uint256 = 0
    has_policy, reward_ratio = self._word_of(asset, method_id("m_schedulerRewardRatioPolicy()"))
    assert has_policy
    assert stake_ratio <= collection.STAKE_RATIO_MASK, "worker stake ratio is too large"
    assert reward_ratio <= collection.REWARD_RATIO_MASK
    return stake_ratio << collection.STAKE_RATIO_SHIFT | reward_ratio << collection.REWARD_RATIO_SHIFT


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
def setName(_ens: address, _name: String[ens.NAME]):
    """
    @notice Give the registry a reverse name in the name service at `_ens`.
    @custom:reverts `Operation not supported on this chain` where there are no reverse names.
    """
    ownership._only_owner()
    ens._set_name(_ens, _name)


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
    @dev An older registry is asked the same, and if it does not know this function, which is ours, the asset itself.
    """
    found: uint256 = collection.entries[id] & collection.TERMS_MASK
    if found != 0:
        return found
    older: address = self.previous
    if older == empty(address):
        return 0
    known: bool = False
    known, found = self._word_of(older, abi_encode(id, method_id=method_id("entry(uint256)")))
    if known or id > collection.OWNER_MASK:
        return found
    asset: address = convert(id, address)
    if not staticcall Registry(older).isRegistered(asset):
        return 0
    return convert(staticcall Asset(asset).owner(), uint256) | self._policy(asset)
