# pragma version 0.4.3
"""
@title Enumerable ERC-721 whose tokens are contracts
@license Apache-2.0
@notice The id of a token is the address of the asset it stands for; who owns the token owns the asset.
@dev Entry of a token, one word, 0 when there is none:

         owner (160) | worker stake ratio (32) | scheduler reward ratio (8) | 0 (8) | serial (24) | place (24)

     `serial` is the position in the list of all tokens, `place` that in the owner's list. An owner's list holds serials
     in lanes of 24 bits, ten to a word; lane 0 of the first word is the length. Thus a token costs its entry, its line
     in the list of all and, most of the time, one word more of its owner that is already in use.
     Failures are the custom errors of ERC-6093, in the order of checks of OpenZeppelin 5. The first field of `Transfer`
     is `from` in the standard's ABI, a word Vyper keeps for itself.
"""

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    tokenId: indexed(uint256)


event Approval:
    owner: indexed(address)
    approved: indexed(address)
    tokenId: indexed(uint256)


event ApprovalForAll:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool


OWNER_MASK: constant(uint256) = 2**160 - 1
# What the market asks of an asset: owner and ratios.
TERMS_MASK: constant(uint256) = 2**200 - 1
STAKE_RATIO_SHIFT: constant(uint256) = 160
STAKE_RATIO_MASK: constant(uint256) = 2**32 - 1
REWARD_RATIO_SHIFT: constant(uint256) = 192
REWARD_RATIO_MASK: constant(uint256) = 2**8 - 1
SERIAL_SHIFT: constant(uint256) = 208
PLACE_SHIFT: constant(uint256) = 232
PLACE_CLEAR: constant(uint256) = 2**232 - 1
OWNER_CLEAR: constant(uint256) = max_value(uint256) - OWNER_MASK

LANE_BITS: constant(uint256) = 24
LANE_MASK: constant(uint256) = 2**24 - 1
LANES: constant(uint256) = 10

MAX_DATA: constant(uint256) = 1024
RECEIVED: constant(bytes4) = 0x150b7a02

entries: HashMap[uint256, uint256]
totalSupply: public(uint256)
by_serial: HashMap[uint256, uint256]
lists: HashMap[address, HashMap[uint256, uint256]]
approvals: HashMap[uint256, address]
isApprovedForAll: public(HashMap[address, HashMap[address, bool]])


@internal
@view
def _owner_of(token_id: uint256) -> address:
    """@custom:reverts `ERC721NonexistentToken(uint256)`."""
    entry: uint256 = self.entries[token_id]
    if entry == 0:
        raw_revert(abi_encode(token_id, method_id=method_id("ERC721NonexistentToken(uint256)")))
    return convert(entry & OWNER_MASK, address)


@internal
@view
def _length(account: address) -> uint256:
    return self.lists[account][0] & LANE_MASK


@internal
@view
def _listed(account: address, place: uint256) -> uint256:
    """@return the serial at `place` of the account's list."""
    return self.lists[account][(place + 1) // LANES] >> ((place + 1) % LANES * LANE_BITS) & LANE_MASK


@internal
def _resize(account: address, length: uint256):
    self.lists[account][0] = self.lists[account][0] & ~LANE_MASK | length


@internal
def _list(account: address, place: uint256, serial: uint256):
    """@dev Overwrites what was at `place`."""
    lane: uint256 = (place + 1) % LANES * LANE_BITS
    word: uint256 = self.lists[account][(place + 1) // LANES]
    self.lists[account][(place + 1) // LANES] = word & ~(LANE_MASK << lane) | serial << lane


@internal
def _mint(receiver: address, token_id: uint256, ratios: uint256):
    """
    @notice Create the token; `ratios` are the two ratios of the entry, unshifted.
    @dev The caller has just created the contract at `token_id`, so the token cannot exist yet.
    """
    if receiver == empty(address):
        raw_revert(abi_encode(receiver, method_id=method_id("ERC721InvalidReceiver(address)")))
    serial: uint256 = self.totalSupply
    assert serial < LANE_MASK, "registry is full"
    place: uint256 = self._length(receiver)
    self.totalSupply = serial + 1
    self.by_serial[serial] = token_id
    self._resize(receiver, place + 1)
    self._list(receiver, place, serial)
    self.entries[token_id] = (
        convert(receiver, uint256) | ratios << STAKE_RATIO_SHIFT | serial << SERIAL_SHIFT | place << PLACE_SHIFT
    )
    log Transfer(sender=empty(address), receiver=receiver, tokenId=token_id)


@internal
def _relist(sender: address, receiver: address, token_id: uint256):
    """@dev The last token of the sender's list takes the place that becomes free."""
    entry: uint256 = self.entries[token_id]
    serial: uint256 = entry >> SERIAL_SHIFT & LANE_MASK
    place: uint256 = entry >> PLACE_SHIFT
    last: uint256 = self._length(sender) - 1
    if place != last:
        moved_serial: uint256 = self._listed(sender, last)
        moved: uint256 = self.by_serial[moved_serial]
        self._list(sender, place, moved_serial)
        self.entries[moved] = self.entries[moved] & PLACE_CLEAR | place << PLACE_SHIFT
    self._list(sender, last, 0)
    self._resize(sender, last)
    end: uint256 = self._length(receiver)
    self._resize(receiver, end + 1)
    self._list(receiver, end, serial)
    self.entries[token_id] = entry & OWNER_CLEAR & PLACE_CLEAR | convert(receiver, uint256) | end << PLACE_SHIFT


@internal
def _transfer(sender: address, receiver: address, token_id: uint256):
    if receiver == empty(address):
        raw_revert(abi_encode(receiver, method_id=method_id("ERC721InvalidReceiver(address)")))
    owner: address = self._owner_of(token_id)
    if msg.sender != owner and not self.isApprovedForAll[owner][msg.sender] and msg.sender != self.approvals[token_id]:
        raw_revert(
            abi_encode(msg.sender, token_id, method_id=method_id("ERC721InsufficientApproval(address,uint256)"))
        )
    if owner != sender:
        raw_revert(
            abi_encode(
                sender, token_id, owner, method_id=method_id("ERC721IncorrectOwner(address,uint256,address)")
            )
        )
    self.approvals[token_id] = empty(address)
    if sender != receiver:
        self._relist(sender, receiver, token_id)
    log Transfer(sender=sender, receiver=receiver, tokenId=token_id)


@external
@view
def balanceOf(owner: address) -> uint256:
    """@custom:reverts `ERC721InvalidOwner(address)` for the zero address."""
    if owner == empty(address):
        raw_revert(abi_encode(owner, method_id=method_id("ERC721InvalidOwner(address)")))
    return self._length(owner)


@external
@view
def ownerOf(tokenId: uint256) -> address:
    return self._owner_of(tokenId)


@external
@view
def tokenOfOwnerByIndex(owner: address, index: uint256) -> uint256:
    """@custom:reverts `ERC721OutOfBoundsIndex(address,uint256)`."""
    if owner == empty(address):
        raw_revert(abi_encode(owner, method_id=method_id("ERC721InvalidOwner(address)")))
    if index >= self._length(owner):
        raw_revert(abi_encode(owner, index, method_id=method_id("ERC721OutOfBoundsIndex(address,uint256)")))
    return self.by_serial[self._listed(owner, index)]


@external
@view
def tokenByIndex(index: uint256) -> uint256:
    """@custom:reverts `ERC721OutOfBoundsIndex(address,uint256)` with the zero address."""
    if index >= self.totalSupply:
        raw_revert(
            abi_encode(empty(address), index, method_id=method_id("ERC721OutOfBoundsIndex(address,uint256)"))
        )
    return self.by_serial[index]


@external
@view
def getApproved(tokenId: uint256) -> address:
    self._owner_of(tokenId)
    return self.approvals[tokenId]


@external
def approve(to: address, tokenId: uint256):
    """@notice Let `to` transfer the token once; a transfer ends the approval without a log."""
    owner: address = self._owner_of(tokenId)
    if msg.sender != owner and not self.isApprovedForAll[owner][msg.sender]:
        raw_revert(abi_encode(msg.sender, method_id=method_id("ERC721InvalidApprover(address)")))
    self.approvals[tokenId] = to
    log Approval(owner=owner, approved=to, tokenId=tokenId)


@external
def setApprovalForAll(operator: address, approved: bool):
    """@notice Let `operator` act for the caller on all tokens, present and future."""
    if operator == empty(address):
        raw_revert(abi_encode(operator, method_id=method_id("ERC721InvalidOperator(address)")))
    self.isApprovedForAll[msg.sender][operator] = approved
    log ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)


@external
def transferFrom(_from: address, to: address, tokenId: uint256):
    """@dev A contract that cannot handle tokens loses the asset; `safeTransferFrom` asks it first."""
    self._transfer(_from, to, tokenId)


@external
def safeTransferFrom(_from: address, to: address, tokenId: uint256, data: Bytes[MAX_DATA] = b""):
    """
    @notice Transfer, and undo it unless a receiving contract says that it accepts.
    @custom:reverts `ERC721InvalidReceiver(address)`, or what the receiver reverts with.
    """
    self._transfer(_from, to, tokenId)
    if to.codesize == 0:
        return
    # The token is where it belongs before the receiver runs: what it calls back sees the finished transfer.
    success: bool = False
    answer: Bytes[MAX_DATA] = b""
    success, answer = raw_call(
        to,
        abi_encode(
            msg.sender, _from, tokenId, data, method_id=method_id("onERC721Received(address,address,uint256,bytes)")
        ),
        max_outsize=MAX_DATA,
        revert_on_failure=False,
    )
    if not success and len(answer) > 0:
        raw_revert(answer)
    if not success or len(answer) < 32 or convert(slice(answer, 0, 4), bytes4) != RECEIVED:
        raw_revert(abi_encode(to, method_id=method_id("ERC721InvalidReceiver(address)")))


@external
@view
def supportsInterface(interfaceId: bytes4) -> bool:
    """@notice ERC-165, ERC-721, its metadata and its enumeration."""
    return interfaceId in [0x01ffc9a7, 0x80ac58cd, 0x5b5e139f, 0x780e9d63]
