"""Why the state of a task, or of a worker's part in it, changed: a code for each change that no failure explains.

A change that is a failure has the failure's code instead, see `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Reason(StrEnum):
    """Why a state changed."""

    ASSIGNED = "ASSIGNED"
    CHAIN_REORGANISED = "CHAIN_REORGANISED"
    DEAL_MADE = "DEAL_MADE"
    ENOUGH_REVEALED = "ENOUGH_REVEALED"
    FINALIZED = "FINALIZED"
    HEARTBEATS_MISSED = "HEARTBEATS_MISSED"
    HEDGED = "HEDGED"
    INITIALIZED = "INITIALIZED"
    INITIALIZE_SENT = "INITIALIZE_SENT"
    REOPENED = "REOPENED"
    REPORTED = "REPORTED"
    RESULT_VERIFIED = "RESULT_VERIFIED"
    SEEN_ON_CHAIN = "SEEN_ON_CHAIN"
    UPLOAD_FAILED = "UPLOAD_FAILED"
    UPLOAD_OFFERED = "UPLOAD_OFFERED"
    UPLOAD_REQUESTED = "UPLOAD_REQUESTED"
    VOTES_SUFFICED = "VOTES_SUFFICED"
    WORKER_RETURNED = "WORKER_RETURNED"


#: What each says.
MEANINGS: Mapping[str, str] = {
    Reason.ASSIGNED: "the worker was given the task",
    Reason.CHAIN_REORGANISED: "the chain took back what had brought the task further",
    Reason.DEAL_MADE: "orders were matched, and the task is part of what was bought",
    Reason.ENOUGH_REVEALED: "every worker that agreed has proved its vote, or one has and the others are too late",
    Reason.FINALIZED: "the chain settled the task and paid for it",
    Reason.HEARTBEATS_MISSED: "nothing was heard of the worker for two heartbeats",
    Reason.HEDGED: "the worker was given the task too, because another takes much longer than its fellows did",
    Reason.INITIALIZED: "the chain opened the task for votes",
    Reason.INITIALIZE_SENT: "the transaction that opens the task was sent",
    Reason.REOPENED: "nobody proved the votes that agreed, so the chain threw them away",
    Reason.REPORTED: "the worker said so",
    Reason.RESULT_VERIFIED: "what lies in the store is the result that the chain agreed on",
    Reason.SEEN_ON_CHAIN: "the chain says so",
    Reason.UPLOAD_FAILED: "what was uploaded was not the result, or nothing was",
    Reason.UPLOAD_OFFERED: "a worker named where the result lies, which is being verified",
    Reason.UPLOAD_REQUESTED: "a worker was told to upload the result",
    Reason.VOTES_SUFFICED: "the votes for one result reached the trust asked for",
    Reason.WORKER_RETURNED: "the worker is in reach again",
}
