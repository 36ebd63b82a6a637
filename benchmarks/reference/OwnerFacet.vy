# pragma version 0.4.3
"""
@title Who owns the reference hub
@license Apache-2.0
@notice The published package lacks the facet with `owner()`, which its other facets call on the hub. This one knows a
        single answer, kept in its code, so it does not touch the hub's storage. No measured call uses it.
"""

OWNER: immutable(address)


@deploy
def __init__(owner_: address):
    OWNER = owner_


@external
@view
def owner() -> address:
    return OWNER
