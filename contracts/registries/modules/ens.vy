# pragma version 0.4.3
"""
@title Reverse names of the Ethereum Name Service
@license Apache-2.0
@notice A contract names itself at the chain's reverse registrar (EIP-181), found through the name service (EIP-137) as the
        owner of `addr.reverse`.
"""

interface ReverseRegistrar:
    # it returns the node, which nobody needs
    def setName(name: String[NAME]): nonpayable


NAME: constant(uint256) = 256
# namehash of `addr.reverse`
REVERSE_NODE: constant(bytes32) = 0x91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2


@internal
@view
def _reverse_registrar(ens: address) -> address:
    """@return zero when `ens` is no name service, or one without reverse names."""
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        ens,
        abi_encode(REVERSE_NODE, method_id=method_id("owner(bytes32)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) < 32:
        return empty(address)
    word: uint256 = convert(answer, uint256)
    if word >= 2**160:
        return empty(address)
    registrar: address = convert(word, address)
    return registrar if registrar.is_contract else empty(address)


@internal
def _set_name(ens: address, name: String[NAME]):
    """
    @notice Let `self` be known as `name`. Whether the name points back is for its owner to see to.
    @custom:reverts `Operation not supported on this chain` without a reverse registrar; otherwise the registrar's reason.
    """
    registrar: address = self._reverse_registrar(ens)
    assert registrar != empty(address), "Operation not supported on this chain"
    extcall ReverseRegistrar(registrar).setName(name)
