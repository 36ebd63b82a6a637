"""The Grafana dashboard: what an operator looks at, most urgent first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyiexec.chain.observed import (
    FOLLOWED_BLOCK,
    FOLLOWER_LAG,
    GAS_FEES,
    GAS_USED,
    HEAD_AGE,
    HEAD_BLOCK,
    HEADS_CONNECTED,
    IN_FLIGHT,
    INCLUSION_SECONDS,
    QUEUED,
    REPLACED,
    RPC_FAILURES,
    RPC_REQUESTS,
    RPC_SECONDS,
    STAKE,
    TRANSACTIONS,
)
from pyiexec.foundation.metrics import BUILD_INFO, READY, Family, Kind
from pyiexec.foundation.observation import COMMITS, FAILURES, READ_SECONDS, WRITE_SECONDS, WRITES_WAITING
from pyiexec.foundation.traffic import REQUEST_SECONDS
from pyiexec.keeper.observed import CLAIMED, LEADING, OPEN_DEALS, STUCK_DEALS
from pyiexec.market.chain_routes import OPEN_ORDERS
from pyiexec.scheduler.observed import (
    DEALS,
    PHASE_SECONDS,
    REPLICATES,
    SLOTS,
    STREAMS,
    TASK_SECONDS,
    TASKS,
    WAITING,
    WORKERS,
)
from pyiexec.sms.app import SECRETS
from pyiexec.worker.observed import (
    CONNECTED,
    DISK_BUDGET,
    DISK_USED,
    ENDED_TASKS,
    FETCHED,
    OPEN_TASKS,
    RUN_SECONDS,
    SENT,
)
from pyiexec.worker.observed import SLOTS as WORKER_SLOTS

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_CHOSEN = 'job=~"$job"'
_UNDER_WAY = 'phase!~"COMPLETED|FAILED"'
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 3


class Query(NamedTuple):
    """An expression of PromQL, and how its series are named."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A graph."""

    title: str
    unit: str
    queries: tuple[Query, ...]


def of(family: Family, *more: str, suffix: str = "") -> str:
    """The series of a family, of the jobs chosen."""
    return f"{family.name}{suffix}{{{', '.join((_CHOSEN, *more))}}}"


def level(family: Family, *by: str, how: str = "sum") -> Query:
    """A gauge, by job and labels."""
    assert family.kind is Kind.GAUGE, family.name
    return _by(f"{how} by ({{}}) ({of(family)})", by)


def rate(family: Family, *by: str) -> Query:
    """How fast a counter grows a second, by job and labels."""
    assert family.kind is Kind.COUNTER, family.name
    return _by(f"sum by ({{}}) (rate({of(family)}[$__rate_interval]))", by)


def times(family: Family, *by: str) -> Query:
    """How many durations a second a histogram is told of."""
    assert family.kind is Kind.HISTOGRAM, family.name
    return _by(f"sum by ({{}}) (rate({of(family, suffix='_count')}[$__rate_interval]))", by)


def quantile(share: float, family: Family, *by: str) -> Query:
    """A quantile of a histogram."""
    assert family.kind is Kind.HISTOGRAM, family.name
    inner = f"sum by (le, {{}}) (rate({of(family, suffix='_bucket')}[$__rate_interval]))"
    query = _by(f"histogram_quantile({share}, {inner})", by)
    return Query(query.expression, f"p{share * 100:g} {query.legend}")


def _by(expression: str, by: Sequence[str]) -> Query:
    labels = ("job", *by)
    return Query(expression.replace("{}", ", ".join(labels)), " ".join(f"{{{{{label}}}}}" for label in labels))


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is everything well?": (
        Panel("Parts that answer", "short", (level(BUILD_INFO, "version", how="count"),)),
        Panel("Dependencies (1: can be used)", "short", (level(READY, "instance", "dependency", how="min"),)),
        Panel("Age of the newest block", "s", (level(HEAD_AGE, how="max"),)),
        Panel("Blocks not read yet", "short", (level(FOLLOWER_LAG, how="max"),)),
        Panel("Told of new blocks", "short", (level(HEADS_CONNECTED, "instance", how="min"),)),
        Panel("Stake in the hub", "short", (level(STAKE, "instance", "kind"),)),
    ),
    "Scheduler": (
        Panel("Tasks under way", "short", (
            Query(f"sum by (phase) ({of(TASKS, _UNDER_WAY)})", "{{phase}}"),
            level(WAITING),
        )),
        Panel("Tasks ended", "ops", (times(TASK_SECONDS, "outcome"), rate(DEALS))),
        Panel("From deal to end", "s", tuple(quantile(share, TASK_SECONDS, "outcome") for share in (0.5, 0.95))),
        Panel("Time in each phase, p95", "s", (quantile(0.95, PHASE_SECONDS, "phase"),)),
        Panel("Workers and slots", "short", (level(WORKERS, "state"), level(SLOTS, "state"))),
        Panel("Replicates by outcome", "ops", (rate(REPLICATES, "outcome"), level(STREAMS))),
    ),
    "Workers": (
        Panel("Runs by outcome", "ops", (times(RUN_SECONDS, "outcome"),)),
        Panel("Length of runs", "s", (quantile(0.5, RUN_SECONDS), quantile(0.95, RUN_SECONDS))),
        Panel("Slots and tasks", "short", (
            level(WORKER_SLOTS, "instance", "state"), level(OPEN_TASKS, "instance"), level(CONNECTED, "instance"),
        )),
        Panel("Bytes moved", "Bps", (rate(FETCHED, "instance"), rate(SENT, "instance"))),
        Panel("Disk", "bytes", (level(DISK_USED, "instance"), level(DISK_BUDGET, "instance"))),
        Panel("Tasks remembered", "short", (level(ENDED_TASKS, "instance", "status"),)),
    ),
    "Chain and transactions": (
        Panel("Transactions by outcome", "ops", (rate(TRANSACTIONS, "outcome"), rate(REPLACED))),
        Panel("Transactions under way", "short", (level(IN_FLIGHT), level(QUEUED))),
        Panel("Until in a block", "s", (quantile(0.5, INCLUSION_SECONDS), quantile(0.95, INCLUSION_SECONDS))),
        Panel("Gas used", "short", (rate(GAS_USED),)),
        Panel("Gas paid, wei", "short", (rate(GAS_FEES),)),
        Panel("Blocks told of and read", "short", (level(HEAD_BLOCK, how="max"), level(FOLLOWED_BLOCK, how="max"))),
        Panel("Requests to the node", "ops", (rate(RPC_REQUESTS), rate(RPC_FAILURES), quantile(0.95, RPC_SECONDS))),
    ),
    "HTTP and databases": (
        Panel("Requests", "reqps", (times(REQUEST_SECONDS, "status"),)),
        Panel("Until an answer begins, p95", "s", (quantile(0.95, REQUEST_SECONDS, "route"),)),
        Panel("Commits, and times without a database", "ops", (rate(COMMITS), rate(FAILURES))),
        Panel("Writes, p95", "s", (quantile(0.95, WRITE_SECONDS),)),
        Panel("Reads, p95", "s", (quantile(0.95, READ_SECONDS),)),
        Panel("Writes waiting", "short", (level(WRITES_WAITING),)),
    ),
    "Market, secrets, keeper": (
        Panel("Open orders", "short", (level(OPEN_ORDERS, "kind"),)),
        Panel("Secrets", "short", (level(SECRETS, "kind"),)),
        Panel("Keeper", "short", (level(OPEN_DEALS), level(STUCK_DEALS), level(LEADING), rate(CLAIMED))),
    ),
}  # fmt: skip


def queries() -> list[str]:
    """Every expression of the dashboard."""
    return [query.expression for panels in ROWS.values() for panel in panels for query in panel.queries]


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    height = 0
    for title, row in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "id": len(panels) + 1, "gridPos": {"x": 0, "y": height, "w": 24, "h": 1}}
        )
        height += 1
        for number, panel in enumerate(row):
            place = {"x": number % _COLUMNS * _WIDTH, "y": height + number // _COLUMNS * _HEIGHT}
            panels.append(_graph(panel, len(panels) + 1, place | {"w": _WIDTH, "h": _HEIGHT}))
        height += -(-len(row) // _COLUMNS) * _HEIGHT
    return {
        "uid": "pyiexec",
        "title": "pyiexec",
        "tags": ["pyiexec"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source_choice(), _job_choice()]},
        "panels": panels,
    }


def _graph(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + position),
            "datasource": _SOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
        }
        for position, query in enumerate(panel.queries)
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "id": number,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def _source_choice() -> dict[str, Any]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _job_choice() -> dict[str, Any]:
    query = f"label_values({BUILD_INFO.name}, job)"
    return {
        "name": "job",
        "label": "Part",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "jobs"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
