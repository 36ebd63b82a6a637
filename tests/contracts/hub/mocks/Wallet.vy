# pragma version 0.4.3
# A contract wallet (ERC-1271) and a group (ERC-734) that answer as they are told to.

ACCEPT: constant(uint256) = 0
DECLINE: constant(uint256) = 1
REVERT: constant(uint256) = 2
SHORT: constant(uint256) = 3
DIRTY: constant(uint256) = 4
EMPTY: constant(uint256) = 5
LONG: constant(uint256) = 6

mode: uint256


@deploy
def __init__(mode: uint256):
    self.mode = mode


@internal
@view
def _answer(yes: bytes32, no: bytes32) -> Bytes[64]:
    if self.mode == ACCEPT:
        return concat(yes, b"")
    if self.mode == DECLINE:
        return concat(no, b"")
    if self.mode == SHORT:
        return slice(concat(yes, b""), 0, 16)
    if self.mode == DIRTY:
        return concat(convert(convert(yes, uint256) | 2, bytes32), b"")
    if self.mode == LONG:
        return concat(yes, yes)
    assert self.mode == EMPTY
    return b""


@external
@view
@raw_return
def isValidSignature(hash: bytes32, signature: Bytes[1024]) -> Bytes[64]:
    return self._answer(0x1626ba7e00000000000000000000000000000000000000000000000000000000, empty(bytes32))


@external
@view
@raw_return
def keyHasPurpose(key: bytes32, purpose: uint256) -> Bytes[64]:
    assert purpose == 4
    return self._answer(convert(1, bytes32), empty(bytes32))


@external
@view
def owner() -> address:
    return self
