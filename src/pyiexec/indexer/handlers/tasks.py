"""Events of tasks and of those who work on them."""

from __future__ import annotations

from typing import Any

from pyiexec.indexer.events import Event
from pyiexec.indexer.handlers.context import Context, there
from pyiexec.indexer.rules import claimed_boost_task
from pyiexec.indexer.working_set import Row
from pyiexec.protocol.deadlines import deadlines, reveal_deadline
from pyiexec.protocol.ids import task_id
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, Bytes32, DealId


def task_initialize(context: Context, event: Event) -> None:
    """A task is open for contributions."""
    fact = context.facts.tasks.get(event.fields["taskid"])
    deal = context.rows.find("deals", fact.deal) if fact else None
    if fact is None or deal is None:
        return
    _make_task(context, event.fields["taskid"], deal, fact.number, fact.contribution_deadline, fact.final_deadline)
    _record_task(context, event, workerpool=event.fields["workerpool"])


def task_contribute(context: Context, event: Event) -> None:
    """A worker committed to a result."""
    task, worker = event.fields["taskid"], context.id_of(event.fields["worker"])
    fact = context.facts.contributions.get((task, worker))
    if _task(context, event) is None:
        return
    context.rows.make(
        "contributions",
        {
            "id": f"{task}-{worker}",
            "status": "CONTRIBUTED",
            "timestamp": context.now,
            "task": task,
            "worker": worker,
            "hash": event.fields["hash"],
            "seal": fact.seal if fact else NULL_BYTES32,
            "challenge": fact.challenge if fact else NULL_ADDRESS,
        },
    )
    _record_task(context, event, worker=worker, hash=event.fields["hash"])


def task_consensus(context: Context, event: Event) -> None:
    """A result stands; its workers are to reveal it."""
    task = _task(context, event)
    if task is None:
        return
    deal = there(context.rows.find("deals", task["deal"]))
    category = there(context.rows.find("categories", deal["category"]))
    task["status"] = "REVEALING"
    task["consensus"] = event.fields["consensus"]
    task["reveal_deadline"] = reveal_deadline(context.now, category["work_clock_time_ref"])
    _record_task(context, event, consensus=event.fields["consensus"])


def task_reveal(context: Context, event: Event) -> None:
    """A worker opened its commitment."""
    task, worker = _task(context, event), context.id_of(event.fields["worker"])
    if task is None:
        return
    task["status"] = "REVEALING"
    task["result_digest"] = event.fields["digest"]
    contribution = context.rows.change("contributions", f"{task['id']}-{worker}")
    if contribution is not None:
        contribution["status"] = "PROVED"
    _record_task(context, event, worker=worker, digest=event.fields["digest"])


def task_reopen(context: Context, event: Event) -> None:
    """Nobody revealed: those who were agreed are rejected, and the task is open again."""
    task = _task(context, event)
    if task is None:
        return
    rejected = [
        row["id"]
        for row in context.rows.rows("contributions")
        if row["task"] == task["id"] and row["hash"] == task["consensus"] and row["status"] == "CONTRIBUTED"
    ]
    for row_id in rejected:
        there(context.rows.change("contributions", row_id))["status"] = "REJECTED"
    task["status"] = "ACTIVE"
    task["consensus"] = None
    task["reveal_deadline"] = None
    _record_task(context, event)


def task_finalize(context: Context, event: Event) -> None:
    """The scheduler ended a task with its result."""
    task = _task(context, event)
    if task is None:
        return
    fact = context.facts.tasks.get(task["id"])
    task["status"] = "COMPLETED"
    task["results"] = event.fields["results"]
    task["results_callback"] = fact.results_callback if fact else "0x"
    _end(context, task, "completed_tasks_count")
    _record_task(context, event, results=event.fields["results"])


def task_claimed(context: Context, event: Event) -> None:
    """A task missed its final deadline and was refunded."""
    task = _task(context, event) or _claimed_boost_task(context, event)
    if task is None:
        return
    task["status"] = "FAILLED"
    _end(context, task, "claimed_tasks_count")
    _record_task(context, event)


# --- Boost ------------------------------------------------------------------------------------------------------------


def result_pushed(context: Context, event: Event) -> None:
    """A Boost task was done: it is initialized and finalized at once, and that is how it is told."""
    deal_id, index = event.fields["dealid"], event.fields["index"]
    task = _make_boost_task(context, deal_id, index)
    if task is None:
        return
    task["status"] = "COMPLETED"
    task["results"] = event.fields["results"]
    task["results_callback"] = "0x"
    _end(context, task, "completed_tasks_count")
    context.record("task_events", event, "TaskFinalize", task=task["id"], results=event.fields["results"])


def _claimed_boost_task(context: Context, event: Event) -> Row | None:
    """The Boost task that is met when it is claimed; only the transaction tells which it is."""
    found = claimed_boost_task(event.fields["taskid"], context.facts.transactions[event.transaction].data)
    return _make_boost_task(context, *found) if found else None


def _make_boost_task(context: Context, deal_id: str, index: int) -> Row | None:
    deal = context.rows.find("deals", deal_id)
    if deal is None:
        return None
    category = there(context.rows.find("categories", deal["category"]))
    deadline = deadlines(deal["start_time"], category["work_clock_time_ref"]).contribution
    return _make_task(context, task_id(DealId(Bytes32(deal_id)), index), deal, index, deadline, deadline)


# ----------------------------------------------------------------------------------------------------------------------


def _make_task(
    context: Context, task: str, deal: Row, index: int, contribution_deadline: int, final_deadline: int
) -> Row:
    return context.rows.make(
        "tasks",
        {
            "id": task,
            "status": "ACTIVE",
            "deal": deal["id"],
            "index": index,
            "requester": deal["requester"],
            "consensus": None,
            "result_digest": None,
            "results": None,
            "results_callback": None,
            "contribution_deadline": contribution_deadline,
            "reveal_deadline": None,
            "final_deadline": final_deadline,
            "timestamp": context.now,
        },
    )


def _task(context: Context, event: Event) -> Row | None:
    """The task of an event, to be changed; None when it was begun before the first block that was read."""
    task = context.rows.change("tasks", event.fields["taskid"])
    if task is not None:
        task["timestamp"] = context.now
    return task


def _end(context: Context, task: Row, counter: str) -> None:
    there(context.rows.change("deals", task["deal"]))[counter] += 1
    context.protocol()[counter] += 1


def _record_task(context: Context, event: Event, **columns: Any) -> None:
    context.record("task_events", event, event.name, task=event.fields["taskid"], **columns)


def contribution_judged(context: Context, event: Event) -> None:
    """A worker's reputation changed, ``AccurateContribution`` or ``FaultyContribution``."""
    worker, score = event.fields["worker"], context.facts.scores[event.id]
    context.account(worker)["score"] = score
    contribution = f"{event.fields['taskid']}-{worker}"
    columns = {"account": worker, "contribution": contribution, "score": score}
    context.record("account_events", event, event.name, **columns)
