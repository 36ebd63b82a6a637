# pragma version 0.4.3
"""
@title The relay
@license Apache-2.0
@notice Publishes orders as events, for a market without a market server.
@dev    Nothing is checked: neither signatures nor who broadcasts. A reader believes an order for its signature alone.
"""
from hub.modules import orders

event BroadcastAppOrder:
    apporder: orders.AppOrder

event BroadcastDatasetOrder:
    datasetorder: orders.DatasetOrder

event BroadcastWorkerpoolOrder:
    workerpoolorder: orders.WorkerpoolOrder

event BroadcastRequestOrder:
    requestorder: orders.RequestOrder


@external
def broadcastAppOrder(_apporder: orders.AppOrder):
    log BroadcastAppOrder(apporder=_apporder)


@external
def broadcastDatasetOrder(_datasetorder: orders.DatasetOrder):
    log BroadcastDatasetOrder(datasetorder=_datasetorder)


@external
def broadcastWorkerpoolOrder(_workerpoolorder: orders.WorkerpoolOrder):
    log BroadcastWorkerpoolOrder(workerpoolorder=_workerpoolorder)


@external
def broadcastRequestOrder(_requestorder: orders.RequestOrder):
    log BroadcastRequestOrder(requestorder=_requestorder)
