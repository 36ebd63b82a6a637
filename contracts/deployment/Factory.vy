# pragma version 0.4.3
"""
@title Factory of contracts at addresses known beforehand
@license Apache-2.0
@notice Creates contracts for its caller. An address depends on the caller, a salt and the creation code alone (EIP-1014),
        so one account gets the same contracts at the same addresses on every chain on which this factory has the same
        address, and nobody else can take them.
@dev    The constructor of a contract sees this factory as its creator. What it gives to its creator - an ownership, a
        supply - is passed on by calls in the same transaction, so that nothing is ever left here for others to take.
"""

# EIP-3860
MAX_CODE: constant(uint256) = 49_152
MAX_CALLS: constant(uint256) = 4
MAX_CALL: constant(uint256) = 256

event Created:
    created: indexed(address)
    creator: indexed(address)
    salt: bytes32


@internal
@view
def _predict(creator: address, salt: bytes32, code_hash: bytes32) -> address:
    own_salt: bytes32 = keccak256(abi_encode(creator, salt))
    digest: bytes32 = keccak256(concat(0xff, convert(self, bytes20), own_salt, code_hash))
    return convert(convert(digest, uint256) & (2**160 - 1), address)


@external
@view
def predict(creator: address, salt: bytes32, code_hash: bytes32) -> address:
    """@return where `create` puts the code with this keccak256 for `creator`, whether it stands there or not."""
    return self._predict(creator, salt, code_hash)


@external
def create(calls: DynArray[Bytes[MAX_CALL], MAX_CALLS], salt: bytes32, code: Bytes[MAX_CODE]) -> address:
    """
    @notice Create a contract for the caller and make `calls` on it.
    @dev Does nothing when the contract stands already: the same transaction sent twice is no failure.
    @return its address.
    @custom:reverts whatever the constructor or a call reverts with.
    """
    created: address = self._predict(msg.sender, salt, keccak256(code))
    if created.codesize != 0:
        return created
    assert created == raw_create(code, salt=keccak256(abi_encode(msg.sender, salt)))
    log Created(created=created, creator=msg.sender, salt=salt)
    for data: Bytes[MAX_CALL] in calls:
        raw_call(created, data)
    return created
