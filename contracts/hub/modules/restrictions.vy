# pragma version 0.4.3
"""
@title Restrictions of orders
@license Apache-2.0
@notice An order may name the one account it will deal with, or a group (ERC-734) that keeps a list of members.
"""
from hub.modules import rules


@internal
@view
def _is_member(group: address, account: address) -> bool:
    """@return Whether the contract `group` says yes; a call that fails or answers nonsense is a no."""
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        group,
        abi_encode(account, rules.GROUP_MEMBER_PURPOSE, method_id=method_id("keyHasPurpose(bytes32,uint256)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, uint256) == 1


@internal
@view
def _allows(restriction: address, account: address) -> bool:
    """@return Whether `restriction` is empty, is `account`, or is a group it belongs to."""
    if restriction == empty(address) or restriction == account:
        return True
    return restriction.codesize != 0 and self._is_member(restriction, account)
