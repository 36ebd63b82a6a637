# pragma version 0.4.3
"""
@title Clones that keep their data behind their code
@license Apache-2.0
@notice Creates contracts that hold immutable bytes and otherwise run the code of a master.
@dev A clone is `STUB_HEAD ‖ master ‖ STUB_TAIL ‖ data`. A call without calldata and without value is answered with the
     data; everything else is delegated to the master, which refuses value and unknown functions (so ether cannot be
     stranded). 200 gas per byte, against 690 for a storage slot's, and nothing to initialise later.

     The creation code is constant: it asks its creator `blob()` what to become. The address depends therefore on
     creator and salt alone, and `keccak256(CREATION_CODE)` serves every clone of every registry.
     DANGER: that constant and the stub are part of every address ever predicted. Never change them.

     CREATION_CODE            6 3fde0e7a8 3d52        memory[28:32] = selector of blob()
                              3d3d6004601c335afa      staticcall(caller, that selector)
                              601657 5f5ffd           revert() when it fails
                              5b 3d5f5f3e 3d5ff3      return what it answered
     STUB_HEAD, STUB_TAIL     343617601157            calldata or value? continue at 0x11
                              603f80380380913d393df3  return code[0x3f:]
                              5b 363d3d37             copy calldata
                              3d3d3d363d 73 <master> 5af4
                              3d82803e903d91603d57fd5bf3
"""

STUB_HEAD: constant(Bytes[28]) = x"343617601157603f80380380913d393df35b363d3d373d3d3d363d73"
STUB_TAIL: constant(Bytes[15]) = x"5af43d82803e903d91603d57fd5bf3"
STUB_SIZE: constant(uint256) = 63
CREATION_CODE: constant(Bytes[30]) = x"63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3"
MAX_DATA: constant(uint256) = 8_192

master: public(immutable(address))
pending: transient(Bytes[STUB_SIZE + MAX_DATA])


@deploy
def __init__(master_code: Bytes[12_288]):
    """@param master_code creation code of the master, which takes no argument."""
    master = raw_create(master_code)


@internal
@view
def _predict(salt: bytes32) -> address:
    """@return the address of the clone with this salt, whether it exists or not (EIP-1014)."""
    digest: bytes32 = keccak256(concat(0xff, convert(self, bytes20), salt, keccak256(CREATION_CODE)))
    return convert(convert(digest, uint256) & (2**160 - 1), address)


@internal
def _create(salt: bytes32, data: Bytes[MAX_DATA]) -> address:
    """
    @notice Create the clone that holds `data`.
    @dev Nothing may be called between the line that sets `pending` and the creation.
    @custom:reverts `Create2: Failed on deploy` when there is one with this salt.
    """
    assert self._predict(salt).codesize == 0, "Create2: Failed on deploy"
    self.pending = concat(STUB_HEAD, convert(master, bytes20), STUB_TAIL, data)
    return raw_create(CREATION_CODE, salt=salt)


@external
@view
@raw_return
def blob() -> Bytes[STUB_SIZE + MAX_DATA]:
    """@notice The code of the clone being created; nothing outside of a creation."""
    return self.pending


@external
@view
def proxyCode() -> Bytes[30]:
    """@notice The creation code of every clone."""
    return CREATION_CODE


@external
@view
def proxyCodeHash() -> bytes32:
    """@notice keccak256 of `proxyCode()`, for whoever predicts addresses."""
    return keccak256(CREATION_CODE)
