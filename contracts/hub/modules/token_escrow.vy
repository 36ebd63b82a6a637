# pragma version 0.4.3
"""
@title Deposits and withdrawals of RLC
@license Apache-2.0
@notice One nRLC in the hub stands for one nRLC the hub holds at the token.
@dev    The token is trusted: it is asked to move money before a deposit is credited and after a withdrawal is debited.
"""
from hub.modules import accounts
from hub.modules import bounds
from hub.modules import call_data
from hub.modules import orders
from hub.modules import ownership
from hub.modules import store

uses: store
uses: accounts
uses: ownership

interface Token:
    def transfer(recipient: address, amount: uint256) -> bool: nonpayable
    def transferFrom(sender: address, recipient: address, amount: uint256) -> bool: nonpayable
    def balanceOf(account: address) -> uint256: view

SELECTOR_SIZE: constant(uint256) = 4
# What a refused match may say when it is passed on.
REASON_MAX: constant(uint256) = 4096
MATCH_ORDERS: constant(bytes4) = 0x156194d4
DEPOSIT_FOR_ARRAY: constant(bytes4) = method_id("depositForArray(uint256[],address[])", output_type=bytes4)


@internal
def _pull(token: address, sender: address, amount: uint256):
    assert extcall Token(token).transferFrom(sender, self, amount), "failed-transferFrom"


@internal
def _push(recipient: address, amount: uint256):
    # the answer is not judged: a token that cannot pay reverts
    paid: bool = extcall Token(store.token).transfer(recipient, amount)


@external
def deposit(amount: uint256) -> bool:
    """@notice Deposit `amount` nRLC that the caller has approved."""
    self._pull(store.token, msg.sender, amount)
    accounts._mint(msg.sender, amount)
    return True


@external
def depositFor(amount: uint256, target: address) -> bool:
    """@notice Deposit for another account."""
    self._pull(store.token, msg.sender, amount)
    accounts._mint(target, amount)
    return True


@internal
def _deposit_for_array():
    """
    @notice `depositForArray(uint256[] amounts, address[] targets)`: deposit for several accounts, all or none.
    @custom:reverts `invalid-array-length`.
    """
    amount_at: uint256 = 0
    target_at: uint256 = 0
    count: uint256 = 0
    amount_at, target_at, count = call_data._two_arrays()
    token: address = store.token
    for i: uint256 in range(count, bound=bounds.ITEMS):
        amount: uint256 = convert(slice(msg.data, amount_at, call_data.WORD), uint256)
        # refuses more than 160 bits
        target: address = convert(convert(slice(msg.data, target_at, call_data.WORD), uint256), address)
        # both are inside of the call data
        amount_at = unsafe_add(amount_at, call_data.WORD)
        target_at = unsafe_add(target_at, call_data.WORD)
        self._pull(token, msg.sender, amount)
        accounts._mint(target, amount)


@external
def withdraw(amount: uint256) -> bool:
    """@notice Take free nRLC out."""
    accounts._burn(msg.sender, amount)
    self._push(msg.sender, amount)
    return True


@external
def withdrawTo(amount: uint256, target: address) -> bool:
    """@notice Take free nRLC out to another account."""
    accounts._burn(msg.sender, amount)
    self._push(target, amount)
    return True


@external
def recover() -> uint256:
    """
    @notice Credit the owner with RLC that was sent to the hub without a deposit.
    @return nRLC recovered.
    """
    ownership._check_owner()
    surplus: uint256 = staticcall Token(store.token).balanceOf(self) - accounts._supply()
    accounts._mint(msg.sender, surplus)
    return surplus


@external
def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[bounds.APPROVAL_DATA]) -> bool:
    """
    @notice Deposit, and with `data` match orders too: what the token calls on `approveAndCall`. All or nothing.
    @param data Empty, or the call data of `matchOrders` with `sender` as the requester.
    @dev Only the token is believed about who sends what. The match goes through the diamond, wherever its facet is.
    @custom:reverts `wrong-token`, UnsupportedOperation(bytes4), CallerIsNotTheRequester(), the reason of the match,
                    OperationFailed() when it gave none.
    """
    assert token == store.token and msg.sender == token, "wrong-token"
    self._pull(token, sender, amount)
    accounts._mint(sender, amount)
    if len(data) == 0:
        return True
    selector: bytes4 = convert(slice(data, 0, SELECTOR_SIZE), bytes4)
    if selector != MATCH_ORDERS:
        raw_revert(abi_encode(selector, method_id=method_id("UnsupportedOperation(bytes4)")))
    app_order: orders.AppOrder = empty(orders.AppOrder)
    dataset_order: orders.DatasetOrder = empty(orders.DatasetOrder)
    workerpool_order: orders.WorkerpoolOrder = empty(orders.WorkerpoolOrder)
    request_order: orders.RequestOrder = empty(orders.RequestOrder)
    app_order, dataset_order, workerpool_order, request_order = abi_decode(
        slice(data, SELECTOR_SIZE, len(data) - SELECTOR_SIZE),
        (orders.AppOrder, orders.DatasetOrder, orders.WorkerpoolOrder, orders.RequestOrder),
    )
    if request_order.requester != sender:
        raw_revert(method_id("CallerIsNotTheRequester()"))
    success: bool = False
    answer: Bytes[REASON_MAX] = b""
    success, answer = raw_call(
        self, data, max_outsize=REASON_MAX, is_delegate_call=True, revert_on_failure=False
    )
    if not success:
        if len(answer) == 0:
            raw_revert(method_id("OperationFailed()"))
        raw_revert(answer)
    return True


@external
@payable
@raw_return
def __default__() -> Bytes[call_data.WORD]:
    """
    @notice `depositForArray`, whose arrays are read in call data. Anything else is refused: plain transfers and unknown
            functions reach this through the diamond.
    """
    assert call_data._selector() == DEPOSIT_FOR_ARRAY, "fallback-disabled"
    assert msg.value == 0
    self._deposit_for_array()
    return abi_encode(True)
