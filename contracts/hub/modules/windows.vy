# pragma version 0.4.3
"""
@title How much of an answer the diamond passes on
@license Apache-2.0
@notice The diamond reserves memory for an answer before it knows its size, and cuts off what does not fit. Every
        function is given one of three windows when it is linked: 32 bytes, 4 kB or 32 kB.
@dev    A standard cut says nothing of answers, so functions known to be narrow or medium are listed here, and whatever
        is not listed gets the wide window: always right, only dearer by some 5,000 gas. Refusals are passed on whole
        whatever the window.
"""

WIDE: constant(uint256) = 0
MEDIUM: constant(uint256) = 1
NARROW: constant(uint256) = 2

# At most one word, or nothing.
NARROW_FUNCTIONS: constant(bytes4[82]) = [
    # orders and deals; the four orders are written out in orders.vy
    0x156194d4,  # matchOrders
    0x2f391533,  # sponsorMatchOrders
    0x8a8b3607,  # matchOrdersBoost
    0xc1f9a20e,  # sponsorMatchOrdersBoost
    0x66517ca6,  # computeDealVolume
    0x80f03425,  # assertDatasetDealCompatibility
    0xb2b07e66,  # manageAppOrder
    0x4b747106,  # manageDatasetOrder
    0x7e34a077,  # manageWorkerpoolOrder
    0x8dd971d5,  # manageRequestOrder
    method_id("verifySignature(address,bytes32,bytes)", output_type=bytes4),
    method_id("verifyPresignature(address,bytes32)", output_type=bytes4),
    method_id("verifyPresignatureOrSignature(address,bytes32,bytes)", output_type=bytes4),
    0xc52e9de1,  # broadcastAppOrder
    0x4c4692de,  # broadcastDatasetOrder
    0x947f5178,  # broadcastWorkerpoolOrder
    0x4693d172,  # broadcastRequestOrder
    # tasks
    method_id("initialize(bytes32,uint256)", output_type=bytes4),
    method_id("initializeArray(bytes32[],uint256[])", output_type=bytes4),
    method_id("contribute(bytes32,bytes32,bytes32,address,bytes,bytes)", output_type=bytes4),
    method_id("contributeAndFinalize(bytes32,bytes32,bytes,bytes,address,bytes,bytes)", output_type=bytes4),
    method_id("reveal(bytes32,bytes32)", output_type=bytes4),
    method_id("reopen(bytes32)", output_type=bytes4),
    method_id("finalize(bytes32,bytes,bytes)", output_type=bytes4),
    method_id("claim(bytes32)", output_type=bytes4),
    method_id("claimArray(bytes32[])", output_type=bytes4),
    method_id("initializeAndClaimArray(bytes32[],uint256[])", output_type=bytes4),
    method_id("pushResultBoost(bytes32,uint256,bytes,bytes,bytes,address,bytes)", output_type=bytes4),
    method_id("claimBoost(bytes32,uint256)", output_type=bytes4),
    # the token and its escrow
    0x00000000,  # receive
    0xffffffff,  # fallback
    method_id("deposit(uint256)", output_type=bytes4),
    method_id("depositFor(uint256,address)", output_type=bytes4),
    method_id("depositForArray(uint256[],address[])", output_type=bytes4),
    method_id("deposit()", output_type=bytes4),
    method_id("depositFor(address)", output_type=bytes4),
    method_id("withdraw(uint256)", output_type=bytes4),
    method_id("withdrawTo(uint256,address)", output_type=bytes4),
    method_id("recover()", output_type=bytes4),
    method_id("receiveApproval(address,uint256,address,bytes)", output_type=bytes4),
    method_id("transfer(address,uint256)", output_type=bytes4),
    method_id("transferFrom(address,address,uint256)", output_type=bytes4),
    method_id("approve(address,uint256)", output_type=bytes4),
    method_id("approveAndCall(address,uint256,bytes)", output_type=bytes4),
    method_id("increaseAllowance(address,uint256)", output_type=bytes4),
    method_id("decreaseAllowance(address,uint256)", output_type=bytes4),
    method_id("decimals()", output_type=bytes4),
    method_id("totalSupply()", output_type=bytes4),
    method_id("balanceOf(address)", output_type=bytes4),
    method_id("frozenOf(address)", output_type=bytes4),
    method_id("allowance(address,address)", output_type=bytes4),
    method_id("token()", output_type=bytes4),
    # one word of state
    method_id("viewScore(address)", output_type=bytes4),
    method_id("viewConsumed(bytes32)", output_type=bytes4),
    method_id("viewPresigned(bytes32)", output_type=bytes4),
    method_id("countCategory()", output_type=bytes4),
    method_id("appregistry()", output_type=bytes4),
    method_id("datasetregistry()", output_type=bytes4),
    method_id("workerpoolregistry()", output_type=bytes4),
    method_id("teebroker()", output_type=bytes4),
    method_id("callbackgas()", output_type=bytes4),
    method_id("eip712domain_separator()", output_type=bytes4),
    # constants
    method_id("contribution_deadline_ratio()", output_type=bytes4),
    method_id("reveal_deadline_ratio()", output_type=bytes4),
    method_id("final_deadline_ratio()", output_type=bytes4),
    method_id("workerpool_stake_ratio()", output_type=bytes4),
    method_id("kitty_ratio()", output_type=bytes4),
    method_id("kitty_min()", output_type=bytes4),
    method_id("kitty_address()", output_type=bytes4),
    method_id("groupmember_purpose()", output_type=bytes4),
    # configuration
    method_id("configure(address,string,string,uint8,address,address,address,address)", output_type=bytes4),
    method_id("updateDomainSeparator()", output_type=bytes4),
    method_id("importScore(address)", output_type=bytes4),
    method_id("setTeeBroker(address)", output_type=bytes4),
    method_id("setCallbackGas(uint256)", output_type=bytes4),
    method_id("changeRegistries(address,address,address)", output_type=bytes4),
    method_id("createCategory(string,string,uint256)", output_type=bytes4),
    # the diamond
    method_id("owner()", output_type=bytes4),
    method_id("transferOwnership(address)", output_type=bytes4),
    method_id("diamondCut((address,uint8,bytes4[])[],address,bytes)", output_type=bytes4),
    method_id("facetAddress(bytes4)", output_type=bytes4),
    method_id("supportsInterface(bytes4)", output_type=bytes4),
]

# At most 4 kB.
MEDIUM_FUNCTIONS: constant(bytes4[13]) = [
    method_id("name()", output_type=bytes4),
    method_id("symbol()", output_type=bytes4),
    method_id("domain()", output_type=bytes4),
    method_id("resultFor(bytes32)", output_type=bytes4),
    method_id("viewAccount(address)", output_type=bytes4),
    method_id("viewAccountABILegacy(address)", output_type=bytes4),
    method_id("viewCategory(uint256)", output_type=bytes4),
    method_id("viewCategoryABILegacy(uint256)", output_type=bytes4),
    method_id("viewContribution(bytes32,address)", output_type=bytes4),
    method_id("viewContributionABILegacy(bytes32,address)", output_type=bytes4),
    method_id("viewDealABILegacy_pt1(bytes32)", output_type=bytes4),
    method_id("viewConfigABILegacy(bytes32)", output_type=bytes4),
    method_id("viewDealBoost(bytes32)", output_type=bytes4),
]


@internal
@pure
def _of(selector: bytes4) -> uint256:
    if selector in NARROW_FUNCTIONS:
        return NARROW
    if selector in MEDIUM_FUNCTIONS:
        return MEDIUM
    return WIDE
