# pragma version 0.4.3
"""
@title Capacities
@license Apache-2.0
@notice The largest byte string or list each call takes. A longer one is refused by the decoder, before any effect.
@dev    A capacity is paid in memory even when unused, hence the modest sizes on the hot paths. The sums matter too:
        a deal and a result each have to fit one contract's code (24,576 bytes, EIP-170), and the longest answer has
        to fit the wide window of the diamond.
"""

SIGNATURE: constant(uint256) = 1024
PARAMS: constant(uint256) = 4096

# What a task may leave on chain, each; together with the other they always fit one contract's code.
RESULTS: constant(uint256) = 4096
CALLBACK: constant(uint256) = 4096
# What finalize decodes, so that a result somewhat too long is refused with a reason.
RESULTS_DECODED: constant(uint256) = 6144

# preamble, twelve words at most, params | preamble, two lengths, results, callback
DEAL_BLOB: constant(uint256) = 11 + 12 * 32 + PARAMS
RESULT_BLOB: constant(uint256) = 11 + 2 + RESULTS + CALLBACK
# the larger of the two
BLOB: constant(uint256) = RESULT_BLOB

# Everyone who may contribute to one task: what finalize and claim can settle in one block of 30 M gas.
CONTRIBUTORS: constant(uint256) = 256
# Different answers to one task besides the contributor's own.
OTHER_RESULTS: constant(uint256) = 64

# Items of the array functions; gas is the limit before this is.
ITEMS: constant(uint256) = 1024
# What a spender is told by approveAndCall.
SPENDER_DATA: constant(uint256) = 4096
# matchOrders with the longest params and four of the longest signatures takes 9,924 bytes.
APPROVAL_DATA: constant(uint256) = 10240

TOKEN_NAME: constant(uint256) = 128
TOKEN_SYMBOL: constant(uint256) = 32
CATEGORY_NAME: constant(uint256) = 256
CATEGORY_DESCRIPTION: constant(uint256) = 2048
# name and symbol, name and description
LABEL_NAME: constant(uint256) = CATEGORY_NAME
LABEL_REST: constant(uint256) = CATEGORY_DESCRIPTION
LABEL_BLOB: constant(uint256) = 2 + LABEL_NAME + LABEL_REST

# Getters of the assets, as read by viewApp and its siblings.
ASSET_NAME: constant(uint256) = 4096
ASSET_BYTES: constant(uint256) = 6144

# Diamond: cuts in one call, selectors in one cut, facets and selectors in all.
CUTS: constant(uint256) = 32
CUT_SELECTORS: constant(uint256) = 128
FACETS: constant(uint256) = 32
SELECTORS: constant(uint256) = 512
INIT_DATA: constant(uint256) = 4096
# The three sizes of answer the diamond passes on; the second is that of resultFor with the longest payload.
ANSWER_NARROW: constant(uint256) = 32
ANSWER_MEDIUM: constant(uint256) = 64 + CALLBACK
ANSWER_WIDE: constant(uint256) = 32768
