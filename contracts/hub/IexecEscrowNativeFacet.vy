# pragma version 0.4.3
"""
@title IexecEscrowNativeFacet
@license Apache-2.0
@notice The chain's own coin in and out, and the ERC-20 face of what is inside: what a hub without a token has instead
        of IexecEscrowTokenFacet.
@dev    Its default function is `depositForArray` too. Linked under the pseudo-selectors 0x00000000 (receive) and 0xffffffff
        (fallback) as well, which deposit.
"""
from hub.modules import accounts
from hub.modules import native_escrow
from hub.modules import ownership
from hub.modules import staked_token
from hub.modules import store

initializes: store
initializes: accounts[store := store]
initializes: ownership[store := store]
initializes: staked_token[store := store, accounts := accounts]
initializes: native_escrow[accounts := accounts, ownership := ownership]

exports: (
    native_escrow.deposit,
    native_escrow.depositFor,
    native_escrow.withdraw,
    native_escrow.withdrawTo,
    native_escrow.recover,
    native_escrow.__default__,
    staked_token.transfer,
    staked_token.approve,
    staked_token.approveAndCall,
    staked_token.transferFrom,
    staked_token.increaseAllowance,
    staked_token.decreaseAllowance,
)
