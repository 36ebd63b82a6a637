"""When somebody should be told: rules for Prometheus' alerts."""

from __future__ import annotations

import json
from typing import NamedTuple

from pyiexec.chain.observed import FOLLOWER_LAG, HEAD_AGE, IN_FLIGHT, LAG_BLOCKS, STAKE, STALE_SECONDS, TRANSACTIONS
from pyiexec.foundation.metrics import BUILD_INFO, READY
from pyiexec.foundation.observation import FAILURES, WRITES_WAITING
from pyiexec.foundation.traffic import REQUEST_SECONDS
from pyiexec.keeper.observed import STUCK_DEALS
from pyiexec.scheduler.observed import REPLICATES, SLOTS, WAITING, WORKERS
from pyiexec.worker.observed import CONNECTED, DISK_BUDGET, DISK_USED


class Alert(NamedTuple):
    """A rule.

    Attributes:
        lasts: for how long it must have been so.
        severity: page for what loses money or stops work, ticket for what can wait until morning.
    """

    name: str
    expression: str
    lasts: str
    severity: str
    summary: str
    remedy: str


_ANSWERS = f"{REQUEST_SECONDS.name}_count"

ALERTS = (
    Alert(
        "PyiexecDown",
        # Prometheus has it of every target, its own included.
        f"up == 0 and on (job, instance) max_over_time({BUILD_INFO.name}[1d])",
        "1m",
        "page",
        "{{ $labels.job }} at {{ $labels.instance }} does not answer",
        "Look at its log; started again, it goes on where it was.",
    ),
    Alert(
        "PyiexecNotReady",
        f"{READY.name} == 0",
        "2m",
        "page",
        "{{ $labels.job }} at {{ $labels.instance }} cannot use its {{ $labels.dependency }}",
        "Ask its /health/ready, and its log for details.",
    ),
    Alert(
        "PyiexecChainStandsStill",
        f"{HEAD_AGE.name} > {STALE_SECONDS:g}",
        "1m",
        "page",
        "the newest block that {{ $labels.job }} knows is {{ $value | humanizeDuration }} old",
        "See whether the node follows its chain; tasks miss their deadlines meanwhile.",
    ),
    Alert(
        "PyiexecFollowerBehind",
        f"{FOLLOWER_LAG.name} > {LAG_BLOCKS}",
        "5m",
        "ticket",
        "{{ $labels.job }} is {{ $value }} blocks behind its node",
        "A new database catches up by itself; else the node refuses ranges of logs, as the log tells.",
    ),
    Alert(
        "PyiexecDatabaseAway",
        f"increase({FAILURES.name}[5m]) > 0",
        "5m",
        "page",
        "{{ $labels.job }} at {{ $labels.instance }} had no database",
        "See to the disk, or to PostgreSQL; what was to be written is written once it is back.",
    ),
    Alert(
        "PyiexecWritesPileUp",
        f"{WRITES_WAITING.name} > 500",
        "2m",
        "ticket",
        "{{ $value }} writes of {{ $labels.job }} wait for the database",
        "The disk, or another process on the same database, is too slow.",
    ),
    Alert(
        "PyiexecServerErrors",
        f'sum by (job) (rate({_ANSWERS}{{status=~"5.."}}[5m])) > 0.05 * sum by (job) (rate({_ANSWERS}[5m]))',
        "5m",
        "ticket",
        "more than one in twenty answers of {{ $labels.job }} is an error of its own",
        "Its log tells which requests fail, and why.",
    ),
    Alert(
        "PyiexecTransactionsStuck",
        f"{IN_FLIGHT.name} > 0 and on (job, instance) sum by (job, instance) (increase({TRANSACTIONS.name}[10m])) == 0",
        "5m",
        "page",
        "transactions of {{ $labels.job }} at {{ $labels.instance }} reach no block",
        "max_gas_price may be below what blocks cost, or the account has no coin for gas.",
    ),
    Alert(
        "PyiexecTransactionsFail",
        f'increase({TRANSACTIONS.name}{{outcome!="included"}}[15m]) > 10',
        "0m",
        "ticket",
        "{{ $value | humanize }} transactions of {{ $labels.job }} were {{ $labels.outcome }} in a quarter of an hour",
        "The log gives the contract's reason for each.",
    ),
    Alert(
        "PyiexecStakeShort",
        f'{STAKE.name}{{kind="short"}} > 0',
        "5m",
        "page",
        "{{ $labels.job }} at {{ $labels.instance }} lacks {{ $value | humanize }} nRLC of free stake",
        "Deposit RLC in the hub: without stake a pool sells nothing, and a worker's votes are refused.",
    ),
    Alert(
        "PyiexecNoWorkers",
        f'{WORKERS.name}{{state="in_reach"}} == 0',
        "2m",
        "page",
        "the scheduler at {{ $labels.instance }} reaches no worker",
        "Start one, or see why none gets through to /v1/worker.",
    ),
    Alert(
        "PyiexecTooFewWorkers",
        f'{WAITING.name} > 0 and on (job, instance) {SLOTS.name}{{state="free"}} == 0',
        "15m",
        "ticket",
        "{{ $value }} tasks wait, and every slot is taken",
        "Add workers, or publish fewer orders.",
    ),
    Alert(
        "PyiexecReplicatesFail",
        f'sum by (job) (rate({REPLICATES.name}{{outcome=~"FAILED|WORKER_LOST"}}[30m]))'
        f" > 0.5 * sum by (job) (rate({REPLICATES.name}[30m]))",
        "15m",
        "ticket",
        "more than half of the replicates fail",
        "`pyiexec task why` tells for any of their tasks whose fault it is.",
    ),
    Alert(
        "PyiexecWorkerDisconnected",
        f"{CONNECTED.name} == 0",
        "5m",
        "ticket",
        "the worker at {{ $labels.instance }} is not connected to its scheduler",
        "`pyiexec worker doctor` tells what is in its way.",
    ),
    Alert(
        "PyiexecWorkerDiskFull",
        f"{DISK_USED.name} > 0.95 * {DISK_BUDGET.name}",
        "30m",
        "ticket",
        "the worker at {{ $labels.instance }} has nearly used up its disk_bytes",
        "Raise disk_bytes: tasks without room are refused.",
    ),
    Alert(
        "PyiexecKeeperStuck",
        f"{STUCK_DEALS.name} > 0",
        "15m",
        "ticket",
        "{{ $value }} deals hold money that the keeper cannot claim",
        "`pyiexec keeper status` tells why.",
    ),
)


def rules() -> str:
    """The file of rules. Quoted as JSON, a text is one of YAML too."""
    lines = ["# Made by `python -m observability`.", "groups:", "  - name: pyiexec", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.expression)}",
            f"        for: {alert.lasts}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {json.dumps(alert.summary)}",
            f"          description: {json.dumps(alert.remedy)}",
        ]
    return "\n".join(lines) + "\n"
