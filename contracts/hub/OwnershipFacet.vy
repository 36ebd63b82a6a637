# pragma version 0.4.3
"""
@title OwnershipFacet
@license Apache-2.0
"""
from hub.modules import ownership
from hub.modules import store

initializes: store
initializes: ownership[store := store]

exports: (ownership.owner, ownership.transferOwnership)
