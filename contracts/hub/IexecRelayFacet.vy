# pragma version 0.4.3
"""
@title IexecRelayFacet
@license Apache-2.0
@notice Orders published as events.
"""
from hub.modules import relay
from hub.modules import store

initializes: store

exports: (
    relay.broadcastAppOrder,
    relay.broadcastDatasetOrder,
    relay.broadcastWorkerpoolOrder,
    relay.broadcastRequestOrder,
)
