# pragma version 0.4.3
"""
@title Accounts, the token and order marks as clients see them
@license Apache-2.0
"""
from hub.modules import accounts
from hub.modules import bounds
from hub.modules import labels
from hub.modules import order_marks
from hub.modules import store

uses: store
uses: accounts

struct Account:
    stake: uint256
    locked: uint256


@external
@view
def viewAccount(account: address) -> Account:
    """@return nRLC free and frozen."""
    return Account(stake=accounts._free(account), locked=accounts._frozen(account))


@external
@view
def viewAccountABILegacy(account: address) -> (uint256, uint256):
    """@return nRLC free and frozen."""
    return accounts._free(account), accounts._frozen(account)


@external
@view
def balanceOf(account: address) -> uint256:
    """@return nRLC free; for the hub, what stands for everything frozen."""
    return accounts._free(account)


@external
@view
def frozenOf(account: address) -> uint256:
    return accounts._frozen(account)


@external
@view
def totalSupply() -> uint256:
    return accounts._supply()


@external
@view
def allowance(account: address, spender: address) -> uint256:
    return store.allowances[account][spender]


@external
@view
def name() -> String[bounds.TOKEN_NAME]:
    return convert(labels._of(labels.TOKEN)[0], String[bounds.TOKEN_NAME])


@external
@view
def symbol() -> String[bounds.TOKEN_SYMBOL]:
    return convert(labels._of(labels.TOKEN)[1], String[bounds.TOKEN_SYMBOL])


@external
@view
def decimals() -> uint8:
    return store.token_decimals


@external
@view
def token() -> address:
    return store.token


@external
@view
def viewScore(_worker: address) -> uint256:
    return store.scores[_worker]


@external
@view
def viewConsumed(_id: bytes32) -> uint256:
    """@return Volume of the order matched or closed, at most 2**95 - 1."""
    return order_marks._consumed(store.order_marks[_id])


@external
@view
def viewPresigned(_id: bytes32) -> address:
    """@return Who signed the order on chain, or zero."""
    return order_marks._presigner(store.order_marks[_id])
