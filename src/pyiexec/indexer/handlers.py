"""What each event means for the index: functions of an event and the rows at hand, which they change.

Where the published index loses or mixes up something that no client can depend on, this one does not; see
docs/decisions. Source: event handlers of the PoCo subgraph 2.1.2; events of PoCo 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import AppFact, DatasetFact, DealFact, Facts, TransactionFact, WorkerpoolFact
from pyiexec.indexer.rules import bulk_cid
from pyiexec.indexer.working_set import Row, WorkingSet
from pyiexec.protocol.deadlines import reveal_deadline
from pyiexec.protocol.primitives import NULL_ADDRESS

#: Id of the one row of totals.
PROTOCOL = "iExec"
_NO_BYTES32 = "0x" + "0" * 64


class Projector:
    """Applies events to rows.

    Args:
        rows: those that the events may concern.
        facts: what the logs do not say.
    """

    def __init__(self, rows: WorkingSet, facts: Facts) -> None:
        self._rows = rows
        self._facts = facts
        self._number = -1
        self._now = 0

    def apply(self, event: Event) -> None:
        """Take one event in; events come in order."""
        if event.number != self._number:
            self._number = event.number
            self._rows.begin_block(event.number)
        self._now = self._facts.timestamps[event.block_hash]
        self._HANDLERS[event.name](self, event)

    # --- rows that several events need --------------------------------------------------------------------------------

    def _id_of(self, address: str) -> str:
        """The id of an account, which is there from now on."""
        if self._rows.find("accounts", address) is None:
            self._rows.make("accounts", {"id": address, "balance": 0, "frozen": 0, "score": 0})
        return address

    def _account(self, address: str) -> Row:
        return _there(self._rows.change("accounts", self._id_of(address)))

    def _protocol(self) -> Row:
        row = self._rows.change("protocols", PROTOCOL)
        return row or self._rows.make(
            "protocols",
            {
                "id": PROTOCOL,
                "categories_count": 0,
                "apps_count": 0,
                "datasets_count": 0,
                "workerpools_count": 0,
                "deals_count": 0,
                "tasks_count": 0,
                "completed_tasks_count": 0,
                "claimed_tasks_count": 0,
                "tvl": 0,
            },
        )

    def _transaction(self, event: Event) -> str:
        name = event.transaction
        if self._rows.find("transactions", name) is None:
            fact: TransactionFact = self._facts.transactions[name]
            self._rows.make(
                "transactions",
                {
                    "id": name,
                    "from": self._id_of(fact.sender),
                    "to": self._id_of(fact.to) if fact.to else None,
                    "value": fact.value,
                    "gas_limit": fact.gas,
                    # As published: clients know the limit under both names.
                    "gas_used": fact.gas,
                    "gas_price": fact.gas_price,
                    "timestamp": self._now,
                    "block_number": event.number,
                },
            )
        return name

    def _record(self, table: str, event: Event, kind: str | None = None, **columns: Any) -> None:
        """The row of the event itself."""
        row: Row = {"id": event.id, "transaction": self._transaction(event), "timestamp": self._now}
        self._rows.make(table, row | ({"kind": kind} if kind else {}) | columns)

    # --- money --------------------------------------------------------------------------------------------------------

    def _on_transfer(self, event: Event) -> None:
        sender, receiver, value = event.fields["from"], event.fields["to"], event.fields["value"]
        if sender == NULL_ADDRESS:
            self._protocol()["tvl"] += value
        else:
            self._account(sender)["balance"] -= value
        if receiver == NULL_ADDRESS:
            self._protocol()["tvl"] -= value
        else:
            self._account(receiver)["balance"] += value
        places = {"from": self._id_of(sender), "to": self._id_of(receiver)}
        self._record("transfers", event, **places, value=value)

    def _on_lock(self, event: Event) -> None:
        self._freeze(event, event.fields["amount"])

    def _on_unlock(self, event: Event) -> None:
        self._freeze(event, -event.fields["amount"])

    def _on_seize(self, event: Event) -> None:
        self._freeze(event, -event.fields["amount"], task=event.fields["ref"])

    def _freeze(self, event: Event, change: int, **columns: Any) -> None:
        owner, amount = event.fields["owner"], event.fields["amount"]
        self._account(owner)["frozen"] += change
        self._record("account_events", event, event.name, account=owner, value=amount, **columns)

    def _on_reward(self, event: Event) -> None:
        owner = self._id_of(event.fields["owner"])
        amount, task = event.fields["amount"], event.fields["ref"]
        self._record("account_events", event, event.name, account=owner, value=amount, task=task)

    # --- market -------------------------------------------------------------------------------------------------------

    def _on_create_category(self, event: Event) -> None:
        fields = event.fields
        values = {
            "name": fields["name"],
            "description": fields["description"],
            "work_clock_time_ref": fields["workClockTimeRef"],
            "timestamp": self._now,
        }
        self._transaction(event)
        row = self._rows.change("categories", str(fields["catid"]))
        if row is None:
            self._rows.make("categories", {"id": str(fields["catid"])} | values)
            self._protocol()["categories_count"] += 1
        else:
            row.update(values)

    def _on_orders_matched(self, event: Event) -> None:
        deal_id = event.fields["dealid"]
        fact = self._facts.deals.get(deal_id)
        if fact is None:
            return
        self._see_assets(fact)
        app, pool = _there(self._rows.change("apps", fact.app.pointer)), fact.workerpool.pointer
        for used in (app, _there(self._rows.change("workerpools", pool))):
            used["usage_count"] += fact.bot_size
            used["last_usage_timestamp"] = self._now
        self._make_deal(deal_id, fact, self._make_orders(event, fact))
        totals = self._protocol()
        totals["deals_count"] += 1
        totals["tasks_count"] += fact.bot_size
        self._record("deal_events", event, event.name, deal=deal_id)

    def _see_assets(self, fact: DealFact) -> None:
        """Assets of older registries are met here for the first time."""
        if self._rows.find("apps", fact.app.pointer) is None:
            self._make_app(fact.app.pointer, fact.app.owner)
        if fact.dataset.pointer != NULL_ADDRESS and self._rows.find("datasets", fact.dataset.pointer) is None:
            self._make_dataset(fact.dataset.pointer, fact.dataset.owner)
        if self._rows.find("workerpools", fact.workerpool.pointer) is None:
            self._make_workerpool(fact.workerpool.pointer, fact.workerpool.owner)
        if self._rows.find("categories", str(fact.category)) is None:
            known = self._facts.categories.get(fact.category)
            self._rows.make(
                "categories",
                {
                    "id": str(fact.category),
                    "name": known.name if known else "",
                    "description": known.description if known else "",
                    "work_clock_time_ref": known.work_clock_time_ref if known else 0,
                    "timestamp": self._now,
                },
            )

    def _make_orders(self, event: Event, fact: DealFact) -> Row:
        """The four orders, of which a match tells little; their ids as the deal refers to them."""
        hashes = event.fields
        with_dataset = fact.dataset.pointer != NULL_ADDRESS
        self._make_order("app_orders", hashes["appHash"], app=fact.app.pointer, appprice=fact.app.price)
        if with_dataset:
            dataset = {"dataset": fact.dataset.pointer, "datasetprice": fact.dataset.price}
            self._make_order("dataset_orders", hashes["datasetHash"], **dataset)
        pool = {"workerpool": fact.workerpool.pointer, "workerpoolprice": fact.workerpool.price}
        self._make_order("workerpool_orders", hashes["workerpoolHash"], **pool)
        self._make_order("request_orders", hashes["requestHash"], requester=self._id_of(fact.requester))
        return {
            "apporder": hashes["appHash"],
            "datasetorder": hashes["datasetHash"] if with_dataset else None,
            "workerpoolorder": hashes["workerpoolHash"],
            "requestorder": hashes["requestHash"],
        }

    def _make_order(self, table: str, order_hash: str, **columns: Any) -> None:
        if self._rows.find(table, order_hash) is None:
            self._rows.make(table, {"id": order_hash} | columns)

    def _make_deal(self, deal_id: str, fact: DealFact, orders: Row) -> None:
        with_dataset = fact.dataset.pointer != NULL_ADDRESS
        self._rows.make(
            "deals",
            {
                "id": deal_id,
                "app": fact.app.pointer,
                "app_owner": self._id_of(fact.app.owner),
                "app_price": fact.app.price,
                # Not the null address, as published: a filter for deals without dataset shall find them.
                "dataset": fact.dataset.pointer if with_dataset else None,
                "dataset_owner": self._id_of(fact.dataset.owner),
                "dataset_price": fact.dataset.price,
                "workerpool": fact.workerpool.pointer,
                "workerpool_owner": self._id_of(fact.workerpool.owner),
                "workerpool_price": fact.workerpool.price,
                "trust": fact.trust,
                "category": str(fact.category),
                "tag": fact.tag,
                "requester": self._id_of(fact.requester),
                "beneficiary": self._id_of(fact.beneficiary),
                "callback": self._id_of(fact.callback),
                "params": fact.params,
                "start_time": fact.start_time,
                "bot_first": fact.bot_first,
                "bot_size": fact.bot_size,
                "completed_tasks_count": 0,
                "claimed_tasks_count": 0,
                "worker_stake": fact.worker_stake,
                "scheduler_reward_ratio": fact.scheduler_reward_ratio,
                "sponsor": self._id_of(fact.sponsor),
                "timestamp": self._now,
                "bulk": deal_id if bulk_cid(fact.dataset.pointer, fact.params) else None,
            }
            | orders,
        )

    def _on_scheduler_notice(self, event: Event) -> None:
        self._record(
            "workerpool_events",
            event,
            event.name,
            workerpool=event.fields["workerpool"],
            deal=event.fields["dealid"],
        )

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _on_task_initialize(self, event: Event) -> None:
        task_id = event.fields["taskid"]
        fact = self._facts.tasks.get(task_id)
        deal = self._rows.find("deals", fact.deal) if fact else None
        if fact is None or deal is None:
            return
        self._rows.make(
            "tasks",
            {
                "id": task_id,
                "status": "ACTIVE",
                "deal": fact.deal,
                "index": fact.number,
                "requester": deal["requester"],
                "consensus": None,
                "result_digest": None,
                "results": None,
                "results_callback": None,
                "contribution_deadline": fact.contribution_deadline,
                "reveal_deadline": None,
                "final_deadline": fact.final_deadline,
                "timestamp": self._now,
            },
        )
        self._record_task(event, workerpool=event.fields["workerpool"])

    def _on_task_contribute(self, event: Event) -> None:
        task_id, worker = event.fields["taskid"], self._id_of(event.fields["worker"])
        fact = self._facts.contributions.get((task_id, worker))
        if self._task(event) is None:
            return
        self._rows.make(
            "contributions",
            {
                "id": f"{task_id}-{worker}",
                "status": "CONTRIBUTED",
                "timestamp": self._now,
                "task": task_id,
                "worker": worker,
                "hash": event.fields["hash"],
                "seal": fact.seal if fact else _NO_BYTES32,
                "challenge": fact.challenge if fact else NULL_ADDRESS,
            },
        )
        self._record_task(event, worker=worker, hash=event.fields["hash"])

    def _on_task_consensus(self, event: Event) -> None:
        task = self._task(event)
        if task is None:
            return
        deal = _there(self._rows.find("deals", task["deal"]))
        category = _there(self._rows.find("categories", deal["category"]))
        task["status"] = "REVEALING"
        task["consensus"] = event.fields["consensus"]
        task["reveal_deadline"] = reveal_deadline(self._now, category["work_clock_time_ref"])
        self._record_task(event, consensus=event.fields["consensus"])

    def _on_task_reveal(self, event: Event) -> None:
        task, worker = self._task(event), self._id_of(event.fields["worker"])
        if task is None:
            return
        task["status"] = "REVEALING"
        task["result_digest"] = event.fields["digest"]
        contribution = self._rows.change("contributions", f"{task['id']}-{worker}")
        if contribution is not None:
            contribution["status"] = "PROVED"
        self._record_task(event, worker=worker, digest=event.fields["digest"])

    def _on_task_reopen(self, event: Event) -> None:
        task = self._task(event)
        if task is None:
            return
        rejected = [
            row["id"]
            for row in self._rows.rows("contributions")
            if row["task"] == task["id"] and row["hash"] == task["consensus"] and row["status"] == "CONTRIBUTED"
        ]
        for row_id in rejected:
            _there(self._rows.change("contributions", row_id))["status"] = "REJECTED"
        task["status"] = "ACTIVE"
        task["consensus"] = None
        task["reveal_deadline"] = None
        self._record_task(event)

    def _on_task_finalize(self, event: Event) -> None:
        task = self._task(event)
        if task is None:
            return
        fact = self._facts.tasks.get(task["id"])
        task["status"] = "COMPLETED"
        task["results"] = event.fields["results"]
        task["results_callback"] = fact.results_callback if fact else "0x"
        self._end(task, "completed_tasks_count")
        self._record_task(event, results=event.fields["results"])

    def _on_task_claimed(self, event: Event) -> None:
        task = self._task(event)
        if task is None:
            return
        task["status"] = "FAILLED"
        self._end(task, "claimed_tasks_count")
        self._record_task(event)

    def _task(self, event: Event) -> Row | None:
        """The task of an event, to be changed; None when it was begun before the first block that was read."""
        task = self._rows.change("tasks", event.fields["taskid"])
        if task is not None:
            task["timestamp"] = self._now
        return task

    def _end(self, task: Row, counter: str) -> None:
        _there(self._rows.change("deals", task["deal"]))[counter] += 1
        self._protocol()[counter] += 1

    def _record_task(self, event: Event, **columns: Any) -> None:
        self._record("task_events", event, event.name, task=event.fields["taskid"], **columns)

    def _on_contribution_judged(self, event: Event) -> None:
        worker, score = event.fields["worker"], self._facts.scores[event.id]
        self._account(worker)["score"] = score
        contribution = f"{event.fields['taskid']}-{worker}"
        columns = {"account": worker, "contribution": contribution, "score": score}
        self._record("account_events", event, event.name, **columns)

    # --- assets -------------------------------------------------------------------------------------------------------

    def _on_app_transfer(self, event: Event) -> None:
        self._transfer_asset(event, "apps", "app", self._make_app)

    def _on_dataset_transfer(self, event: Event) -> None:
        self._transfer_asset(event, "datasets", "dataset", self._make_dataset)

    def _on_workerpool_transfer(self, event: Event) -> None:
        self._transfer_asset(event, "workerpools", "workerpool", self._make_workerpool)

    def _transfer_asset(self, event: Event, table: str, column: str, make: Callable[[str, str], Row]) -> None:
        asset, owner = event.fields["asset"], self._id_of(event.fields["to"])
        # What was counted about it stays: only its owner is another.
        row = self._rows.change(table, asset) or make(asset, owner)
        row["owner"] = owner
        row["timestamp"] = self._now
        if event.fields["from"] == NULL_ADDRESS:
            self._protocol()[f"{table}_count"] += 1
        sides = {"from": self._id_of(event.fields["from"]), "to": owner}
        self._record("ressource_transfer_events", event, event.name, **sides, **{column: asset})

    def _make_app(self, app: str, owner: str) -> Row:
        fact = self._facts.apps.get(app) or AppFact(owner, "", "", "0x", _NO_BYTES32, "0x")
        return self._rows.make(
            "apps",
            {
                "id": app,
                "owner": self._id_of(owner),
                "name": fact.name,
                "type": fact.type,
                "multiaddr": fact.multiaddr,
                "checksum": fact.checksum,
                "mrenclave": fact.mrenclave,
                "timestamp": self._now,
                "usage_count": 0,
                "last_usage_timestamp": 0,
            },
        )

    def _make_dataset(self, dataset: str, owner: str) -> Row:
        fact = self._facts.datasets.get(dataset) or DatasetFact(owner, "", "0x", _NO_BYTES32)
        return self._rows.make(
            "datasets",
            {
                "id": dataset,
                "owner": self._id_of(owner),
                "name": fact.name,
                "multiaddr": fact.multiaddr,
                "checksum": fact.checksum,
                "timestamp": self._now,
            },
        )

    def _make_workerpool(self, workerpool: str, owner: str) -> Row:
        fact = self._facts.workerpools.get(workerpool) or WorkerpoolFact(owner, "", 0, 0)
        return self._rows.make(
            "workerpools",
            {
                "id": workerpool,
                "owner": self._id_of(owner),
                "description": fact.description,
                "worker_stake_ratio": fact.worker_stake_ratio,
                "scheduler_reward_ratio": fact.scheduler_reward_ratio,
                "timestamp": self._now,
                "usage_count": 0,
                "last_usage_timestamp": 0,
            },
        )

    def _on_policy_update(self, event: Event) -> None:
        workerpool = self._rows.change("workerpools", event.address)
        if workerpool is None:
            return
        fields = event.fields
        workerpool["worker_stake_ratio"] = fields["newWorkerStakeRatio"]
        workerpool["scheduler_reward_ratio"] = fields["newSchedulerRewardRatio"]
        self._record(
            "workerpool_events",
            event,
            event.name,
            workerpool=event.address,
            old_worker_stake_ratio=fields["oldWorkerStakeRatio"],
            new_worker_stake_ratio=fields["newWorkerStakeRatio"],
            old_scheduler_reward_ratio=fields["oldSchedulerRewardRatio"],
            new_scheduler_reward_ratio=fields["newSchedulerRewardRatio"],
        )

    _HANDLERS: ClassVar[Mapping[str, Callable[[Projector, Event], None]]] = {
        "Transfer": _on_transfer,
        "Lock": _on_lock,
        "Unlock": _on_unlock,
        "Seize": _on_seize,
        "Reward": _on_reward,
        "CreateCategory": _on_create_category,
        "OrdersMatched": _on_orders_matched,
        "SchedulerNotice": _on_scheduler_notice,
        "TaskInitialize": _on_task_initialize,
        "TaskContribute": _on_task_contribute,
        "TaskConsensus": _on_task_consensus,
        "TaskReveal": _on_task_reveal,
        "TaskReopen": _on_task_reopen,
        "TaskFinalize": _on_task_finalize,
        "TaskClaimed": _on_task_claimed,
        "AccurateContribution": _on_contribution_judged,
        "FaultyContribution": _on_contribution_judged,
        "AppTransfer": _on_app_transfer,
        "DatasetTransfer": _on_dataset_transfer,
        "WorkerpoolTransfer": _on_workerpool_transfer,
        "PolicyUpdate": _on_policy_update,
    }


def _there(row: Row | None) -> Row:
    assert row is not None, "made before whatever refers to it"
    return row
