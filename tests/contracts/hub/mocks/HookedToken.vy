# pragma version 0.4.3
# A token that calls both parties back at every transfer, before it moves anything and after.

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
hooked: HashMap[address, bool]


@external
def give(account: address, amount: uint256):
    self.balanceOf[account] += amount


@external
def hook(account: address):
    """Call this account back from now on."""
    self.hooked[account] = True


@internal
def _tell(account: address):
    if self.hooked[account]:
        raw_call(account, method_id("hooked()"))


@internal
def _move(sender: address, receiver: address, amount: uint256):
    self._tell(sender)
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    self._tell(receiver)
    self._tell(sender)


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, receiver, amount)
    return True


interface Spender:
    def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[6144]) -> bool: nonpayable


@external
def approveAndCall(spender: address, amount: uint256, data: Bytes[6144]) -> bool:
    self.allowance[msg.sender][spender] = amount
    extcall Spender(spender).receiveApproval(msg.sender, amount, self, data)
    return True
