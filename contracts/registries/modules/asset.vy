# pragma version 0.4.3
"""
@title What apps, datasets and workerpools have in common
@license Apache-2.0
@notice Runs as the master of clones: `self` is the clone, whose code carries the registry and then the asset's fields
        (see `clones.vy`). Nothing of it can change. The owner is whoever owns the asset's token in the registry.
@dev The master holds no data; asked directly it has no registry and no owner.
"""

from . import clones
from . import ens


interface Registry:
    def ownerOf(tokenId: uint256) -> address: view


REGISTRY_SIZE: constant(uint256) = 20


@internal
@view
def _registry() -> address:
    """@dev The registry follows the stub. A master's code does not begin with the stub."""
    # `self.code` would be the code that runs, the master's; that of the address is meant.
    clone: address = self
    code: Bytes[clones.STUB_SIZE + REGISTRY_SIZE] = slice(clone.code, 0, clones.STUB_SIZE + REGISTRY_SIZE)
    if slice(code, 0, 28) != clones.STUB_HEAD:
        return empty(address)
    return convert(convert(slice(code, clones.STUB_SIZE, REGISTRY_SIZE), bytes20), address)


@internal
@view
def _owner() -> address:
    return staticcall Registry(self._registry()).ownerOf(convert(self, uint256))


@internal
@view
def _only_owner():
    assert msg.sender == self._owner(), "caller is not the owner"


@internal
@view
def _data() -> Bytes[clones.MAX_DATA]:
    """@return registry and fields, as the registry packed them."""
    return raw_call(self, b"", max_outsize=clones.MAX_DATA, is_static_call=True)


@internal
@pure
def _size(data: Bytes[clones.MAX_DATA], at: uint256) -> uint256:
    """@return the 16-bit size that stands at `at`."""
    return convert(slice(data, at, 2), uint256)


@external
@view
def registry() -> address:
    """@notice The registry that created the asset."""
    return self._registry()


@external
@view
def owner() -> address:
    return self._owner()


@external
def setName(_ens: address, _name: String[ens.NAME]):
    """
    @notice Give the asset a reverse name in the name service at `_ens`.
    @custom:reverts `Operation not supported on this chain` where there are no reverse names.
    """
    self._only_owner()
    ens._set_name(_ens, _name)
