# pragma version 0.4.3
"""
@title The hub's storage
@license Apache-2.0
@notice Every word the hub keeps. No other module declares state, so the diamond and all its facets agree on the layout
        by construction.
@dev    Append only: a variable moved or removed here corrupts every hub in use. Words are packed by hand; the module
        named beside each variable is the only one that packs and unpacks it.
"""
from hub.modules import bounds

# cut: selector -> facet, position in the list, window
routes: HashMap[bytes4, uint256]
# cut: eight selectors per word, in order of arrival
selector_words: HashMap[uint256, uint256]
selector_count: uint256
interfaces: HashMap[bytes4, bool]
owner: address

# accounts: free and frozen nRLC
accounts: HashMap[address, uint256]
# accounts: total supply and what the hub holds for all frozen amounts
pot: uint256
allowances: HashMap[address, HashMap[address, uint256]]

# order_marks: order hash -> consumed volume, whether a classic deal began a request order, presigner
order_marks: HashMap[bytes32, uint256]
# deals: marks of the deals that continue a request order (botFirst > 0)
continuations: HashMap[bytes32, bool]

# tasks: deal id, state
tasks: HashMap[bytes32, uint256[2]]
# contributions: task -> position -> contributor; task -> worker -> result hash, seal or digest, enclave challenge
contributors: HashMap[bytes32, HashMap[uint256, uint256]]
contributions: HashMap[bytes32, HashMap[address, uint256[3]]]
scores: HashMap[address, uint256]

# categories: reference time, existence
categories: HashMap[uint256, uint256]
category_count: uint256

# configuration
configured: bool
token: address
token_decimals: uint8
app_registry: address
dataset_registry: address
workerpool_registry: address
tee_broker: address
callback_gas: uint256
legacy_hub: address
score_imported: HashMap[address, bool]

# boost_deals: callback, deadline, tasks, first task, tag
boost_deals: HashMap[bytes32, uint256]

# blobs: the bytes of the contract being created, for the length of one transaction
blob: transient(Bytes[bounds.BLOB])
