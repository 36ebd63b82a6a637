# pragma version 0.4.3
"""
@title IexecEscrowTokenFacet
@license Apache-2.0
@notice RLC in and out, and the ERC-20 face of what is inside.
@dev    Its default function is `depositForArray` too. Linked under the pseudo-selectors 0x00000000 (receive) and 0xffffffff
        (fallback) as well, which it refuses.
"""
from hub.modules import accounts
from hub.modules import ownership
from hub.modules import staked_token
from hub.modules import store
from hub.modules import token_escrow

initializes: store
initializes: accounts[store := store]
initializes: ownership[store := store]
initializes: staked_token[store := store, accounts := accounts]
initializes: token_escrow[store := store, accounts := accounts, ownership := ownership]

exports: (
    token_escrow.deposit,
    token_escrow.depositFor,
    token_escrow.withdraw,
    token_escrow.withdrawTo,
    token_escrow.recover,
    token_escrow.receiveApproval,
    token_escrow.__default__,
    staked_token.transfer,
    staked_token.approve,
    staked_token.approveAndCall,
    staked_token.transferFrom,
    staked_token.increaseAllowance,
    staked_token.decreaseAllowance,
)
