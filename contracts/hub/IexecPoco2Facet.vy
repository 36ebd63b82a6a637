# pragma version 0.4.3
"""
@title IexecPoco2Facet
@license Apache-2.0
@notice The life of a task: initialize, contribute, reveal, finalize, reopen, claim.
"""
from hub.modules import accounts
from hub.modules import authorizations
from hub.modules import blobs
from hub.modules import callbacks
from hub.modules import contributions
from hub.modules import deals
from hub.modules import results
from hub.modules import settlement
from hub.modules import store
from hub.modules import tasks
from hub.modules import workflow

initializes: store
initializes: accounts[store := store]
initializes: authorizations[store := store]
initializes: blobs[store := store]
initializes: callbacks[store := store]
initializes: contributions[store := store]
initializes: deals[store := store, blobs := blobs]
initializes: results[store := store, blobs := blobs]
initializes: settlement[store := store, accounts := accounts, contributions := contributions]
initializes: tasks[store := store, contributions := contributions, deals := deals]
initializes: workflow[
    store := store,
    accounts := accounts,
    authorizations := authorizations,
    callbacks := callbacks,
    contributions := contributions,
    _results := results,
    settlement := settlement,
    tasks := tasks,
]

exports: (
    workflow.initialize,
    workflow.initializeArray,
    workflow.contribute,
    workflow.contributeAndFinalize,
    workflow.reveal,
    workflow.reopen,
    workflow.finalize,
    workflow.claim,
    workflow.claimArray,
    workflow.initializeAndClaimArray,
)
