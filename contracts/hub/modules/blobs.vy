# pragma version 0.4.3
"""
@title Bytes kept as contract code
@license Apache-2.0
@notice What never changes once written (a deal, a result) is the code of a contract of its own: a quarter of the price
        of storage, and no pointer to keep, since the address follows from the id.
@dev    CREATE2 with `salt = id` and one constant init code, which asks its creator for `blob()` and deploys the answer.
        The deployed code starts with a preamble that returns the rest of itself when called.

        `INIT_CODE` is part of the hub's storage layout: one changed byte orphans every deal and every result.
        `blob()` lives in the diamond itself, where no cut can reach it.

        An address is 160 bits and therefore no proof of origin: that code is there never says that the hub put it
        there. Existence must be read from storage (see deals, tasks).
"""
from hub.modules import bounds
from hub.modules import store

uses: store

# PUSH1 11, DUP1, CODESIZE, SUB, DUP1, SWAP2, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN
PREAMBLE: constant(Bytes[11]) = x"600b80380380913d393df3"
PREAMBLE_SIZE: constant(uint256) = 11

# staticcall(caller, "blob()"); on failure revert; return what it said
INIT_CODE: constant(Bytes[30]) = x"63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3"
INIT_CODE_HASH: constant(bytes32) = 0xfa475e69e7adbf764b64ed1700869b6b476eb8d0f59dd740f4725936a7b8758e


@internal
@view
def _location(id: bytes32) -> address:
    """@return Where the bytes of `id` are, or would be."""
    digest: bytes32 = keccak256(concat(x"ff", convert(self, bytes20), id, INIT_CODE_HASH))
    return convert(convert(digest, uint256) & convert(max_value(uint160), uint256), address)


@internal
def _create(id: bytes32):
    """
    @notice Deploy the bytes that the caller has just put into `store.blob`, preamble first.
    @dev Call it in the statement after the assignment: nothing may run in between.
    @custom:reverts `blob exists` when the address is taken: CREATE2 would burn nearly all gas to say the same.
    """
    assert len(store.blob) > PREAMBLE_SIZE, "blob empty"
    assert self._location(id).codesize == 0, "blob exists"
    created: address = raw_create(INIT_CODE, salt=id)


@internal
@view
def _word(location: address, offset: uint256) -> uint256:
    """@return The 32 bytes at `offset` after the preamble; reverts when the code is shorter."""
    return convert(convert(slice(location.code, PREAMBLE_SIZE + offset, 32), bytes32), uint256)


@internal
@view
def _read(location: address) -> Bytes[bounds.BLOB]:
    """@return Everything after the preamble."""
    return raw_call(location, b"", max_outsize=bounds.BLOB, is_static_call=True)
