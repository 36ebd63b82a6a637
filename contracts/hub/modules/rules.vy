# pragma version 0.4.3
"""
@title Constants of Proof-of-Contribution
@license Apache-2.0
"""

# Deadlines, in multiples of the category's reference time.
CONTRIBUTION_DEADLINE_RATIO: constant(uint256) = 7
REVEAL_DEADLINE_RATIO: constant(uint256) = 2
FINAL_DEADLINE_RATIO: constant(uint256) = 10

# Percentages.
WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
KITTY_RATIO: constant(uint256) = 10
PERCENT: constant(uint256) = 100

KITTY_MIN: constant(uint256) = 10**9
KITTY_ADDRESS: constant(address) = 0x99c2268479b93fDe36232351229815DF80837e23

# ERC-734 purpose that means "member of the group".
GROUP_MEMBER_PURPOSE: constant(uint256) = 4

DEFAULT_CALLBACK_GAS: constant(uint256) = 200_000

# A vote weighs max(score / SCORE_PER_WEIGHT, MIN_SCORE_QUOTIENT) - 1.
SCORE_PER_WEIGHT: constant(uint256) = 3
MIN_SCORE_QUOTIENT: constant(uint256) = 3

TASK_UNSET: constant(uint256) = 0
TASK_ACTIVE: constant(uint256) = 1
TASK_REVEALING: constant(uint256) = 2
TASK_COMPLETED: constant(uint256) = 3
TASK_FAILED: constant(uint256) = 4

CONTRIBUTION_UNSET: constant(uint256) = 0
CONTRIBUTION_CONTRIBUTED: constant(uint256) = 1
CONTRIBUTION_PROVED: constant(uint256) = 2
CONTRIBUTION_REJECTED: constant(uint256) = 3

# Tag: bit 0 asks for a trusted execution environment, bits 1 to 3 name its framework.
TAG_TEE: constant(uint256) = 1
# A dataset's framework bits do not bind: one sealed for SGX may be used on TDX.
TAG_DATASET_MASK: constant(uint256) = max_value(uint256) - 14

# Limits of the packed words; each is refused with a reason where it would be passed.
ADDRESS_MASK: constant(uint256) = 2**160 - 1
AMOUNT_MAX: constant(uint256) = 2**96 - 1
INDEX_MAX: constant(uint256) = 2**32 - 1
TRUST_MAX: constant(uint256) = 2**24 - 1
CATEGORY_MAX: constant(uint256) = 2**16 - 1
TIMEREF_MAX: constant(uint256) = 2**32 - 1
