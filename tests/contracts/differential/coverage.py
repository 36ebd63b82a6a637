"""What a run has reached: functions, events, refusals and changes of state, counted where both hubs agreed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import DIAMOND_FACETS, Variant, hub_facets
from pyiexec.chain.hub import EVENTS

from .worlds import Call, Outcome

#: How often a full run reaches everything.
LEAST = 20
#: The share of transactions that have to succeed in a full run.
SUCCEEDING = 0.6

KINDS = ("app", "dataset", "workerpool")
#: Edges of the state machines of tasks and contributions, with the call that takes them.
EDGES = (
    "task UNSET to ACTIVE by initialize",
    "task UNSET to COMPLETED by pushResultBoost",
    "task UNSET to FAILED by claimBoost",
    "task ACTIVE to ACTIVE by contribute",
    "task ACTIVE to REVEALING by contribute",
    "task ACTIVE to COMPLETED by contributeAndFinalize",
    "task ACTIVE to FAILED by claim",
    "task REVEALING to ACTIVE by reopen",
    "task REVEALING to REVEALING by reveal",
    "task REVEALING to COMPLETED by finalize",
    "task REVEALING to FAILED by claim",
    "contribution UNSET to CONTRIBUTED by contribute",
    "contribution UNSET to PROVED by contributeAndFinalize",
    "contribution CONTRIBUTED to PROVED by reveal",
    "contribution CONTRIBUTED to REJECTED by reopen",
)
#: Where an event leaves its task, for those that alone say so.
STATUSES = {
    "TaskInitialize": "ACTIVE",
    "TaskContribute": "ACTIVE",
    "TaskConsensus": "REVEALING",
    "TaskReveal": "REVEALING",
    "TaskReopen": "ACTIVE",
    "TaskFinalize": "COMPLETED",
    "TaskClaimed": "FAILED",
    "ResultPushedBoost": "COMPLETED",
}
#: Functions that do the same as another, and are counted as that one where refusals and changes of state are.
FAMILIES = {
    "sponsorMatchOrders": "matchOrders",
    "sponsorMatchOrdersBoost": "matchOrdersBoost",
    "manageAppOrder": "manageOrder",
    "manageDatasetOrder": "manageOrder",
    "manageWorkerpoolOrder": "manageOrder",
    "manageRequestOrder": "manageOrder",
    "initializeArray": "initialize",
    "claimArray": "claim",
    "initializeAndClaimArray": "claim",
}
#: Functions of ours that the published ABI does not have.
OWN_FUNCTIONS = {"blob", "entry", "setPolicy"}


def contract_of(name: str) -> str:
    """The kind of contract behind a name."""
    if name.endswith("_registry"):
        return f"{name.partition('_')[0].capitalize()}Registry"
    kind = name.split()[0]
    if kind in KINDS:
        return kind.capitalize()
    return {"bare hub": "hub", "the new diamond": "diamond"}.get(name, name)


def function_name(contract: str, name: str, arguments: int) -> str:
    """A function as it is counted; `safeTransferFrom` is two functions."""
    return f"{contract}.{name}" + (f"/{arguments}" if name == "safeTransferFrom" else "")


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


class Coverage(msgspec.Struct):
    """Counts by name."""

    functions: dict[str, int] = {}
    events: dict[str, int] = {}
    refusals: dict[str, int] = {}
    edges: dict[str, int] = {}
    differences: dict[str, int] = {}
    calls: int = 0
    succeeded: int = 0
    transactions: int = 0
    transactions_succeeded: int = 0
    statuses: dict[str, str] = {}
    votes: dict[str, dict[str, str]] = {}

    def begin(self) -> None:
        """Forget the tasks: those of another run have the same names."""
        self.statuses, self.votes = {}, {}

    def note(self, call: Call, outcome: Outcome, row: str = "", *, transaction: bool = True) -> None:
        """Count a call; `row` names a refusal that gives no reason of its own."""
        name = call.function.name
        _count(self.functions, function_name(contract_of(call.to), name, len(call.function.inputs)))
        self.calls += 1
        self.transactions += transaction
        self.succeeded += outcome.succeeded
        self.transactions_succeeded += transaction and outcome.succeeded
        family = FAMILIES.get(name, name)
        if outcome.succeeded:
            self.note_events(outcome.events, family)
        else:
            if reason := outcome.reason:
                _count(self.refusals, f"{family}: {reason}")
            if row:
                _count(self.refusals, f"{family}: {row}")

    def note_events(self, events: Iterable[tuple[str, str, Mapping[str, str]]], family: str = "") -> None:
        """Count what was emitted."""
        for emitter, name, fields, *_ in events:
            _count(self.events, f"{contract_of(emitter)}.{name}")
            if emitter == "hub" and name in STATUSES:
                self._follow(family, name, fields)

    def note_refusal(self, function: str, outcome: Outcome, row: str) -> None:
        """Count a refusal that is not that of a function, such as of a constructor."""
        self.calls += 1
        _count(self.refusals, f"{function}: {outcome.reason or row}")

    def _follow(self, family: str, event: str, fields: Mapping[str, str]) -> None:
        """Which edges the event tells of."""
        task = fields.get("taskid") or f"{fields['dealId']}, {fields['index']}"
        before, after = self.statuses.get(task, "UNSET"), STATUSES[event]
        votes = self.votes.setdefault(task, {})
        if family == "contributeAndFinalize":
            # its events tell the whole story again
            if event != "TaskFinalize":
                return
            _count(self.edges, "contribution UNSET to PROVED by contributeAndFinalize")
            before = "ACTIVE"
        elif event == "TaskConsensus":
            # the contribution before it was counted as one that brought none
            self.edges["task ACTIVE to ACTIVE by contribute"] -= 1
            votes[""] = fields["consensus"]
        elif event == "TaskContribute":
            votes[fields["worker"]] = fields["hash"]
            _count(self.edges, "contribution UNSET to CONTRIBUTED by contribute")
        elif event == "TaskReveal":
            votes[fields["worker"]] = "revealed"
            _count(self.edges, "contribution CONTRIBUTED to PROVED by reveal")
        elif event == "TaskReopen":
            consensus = votes.pop("")
            for worker in [worker for worker, vote in votes.items() if vote == consensus]:
                votes[worker] = "rejected"
                _count(self.edges, "contribution CONTRIBUTED to REJECTED by reopen")
        by = "initialize" if event == "TaskInitialize" else family
        self.statuses[task] = after
        _count(self.edges, f"task {before} to {after} by {by}")

    def merge(self, other: Coverage) -> None:
        """Add what another run has reached."""
        for group in ("functions", "events", "refusals", "edges", "differences"):
            counts: dict[str, int] = getattr(self, group)
            for name, count in getattr(other, group).items():
                counts[name] = counts.get(name, 0) + count
        for total in ("calls", "succeeded", "transactions", "transactions_succeeded"):
            setattr(self, total, getattr(self, total) + getattr(other, total))


class Requirement(msgspec.Struct, frozen=True):
    """What a full run has to reach, by group."""

    functions: tuple[str, ...]
    events: tuple[str, ...]
    refusals: tuple[str, ...]
    edges: tuple[str, ...] = EDGES


def published_functions(variant: Variant, chain_id: int) -> Iterator[str]:
    """All functions of hub, registries and assets.

    The facets of the diamond itself are not among them: the published package does not hold them.
    """
    facets = [(name, "hub") for name in hub_facets(variant, chain_id) if name not in DIAMOND_FACETS]
    yield "hub.owner"
    yield "hub.renounceOwnership"
    assets = [(kind.capitalize(), kind.capitalize()) for kind in KINDS]
    for name, contract in (*facets, *((f"{kind}Registry", f"{kind}Registry") for kind, _ in assets), *assets):
        for entry in load(name).abi:
            if entry["type"] == "function" and entry["name"] not in OWN_FUNCTIONS:
                yield function_name(contract, entry["name"], len(entry["inputs"]))


def published_events() -> Iterator[str]:
    """All events of hub, registries and assets, but for those of the diamond's own facets."""
    yield from (f"hub.{name}" for name in EVENTS if name not in ("DiamondCut", "OwnershipTransferred"))
    yield from ("diamond.DiamondCut", "diamond.OwnershipTransferred", "Workerpool.PolicyUpdate")
    for kind in KINDS:
        registry = f"{kind.capitalize()}Registry"
        yield from (f"{registry}.{n}" for n in ("Transfer", "Approval", "ApprovalForAll", "OwnershipTransferred"))


def missing(coverage: Coverage, requirement: Requirement, least: int) -> list[str]:
    """What was not reached often enough, and how often it was."""
    found = []
    for group in ("functions", "events", "refusals", "edges"):
        counts: dict[str, int] = getattr(coverage, group)
        few = [name for name in dict.fromkeys(getattr(requirement, group)) if counts.get(name, 0) < least]
        found += [f"{group}: {name}: {counts.get(name, 0)} of {least}" for name in few]
    return found


def table(coverage: Coverage, requirement: Requirement) -> str:
    """Every requirement with its count."""
    lines = []
    for group in ("functions", "events", "refusals", "edges"):
        names = list(dict.fromkeys(getattr(requirement, group)))
        if not names:
            continue
        counts: dict[str, int] = getattr(coverage, group)
        fewest = min(names, key=lambda name: counts.get(name, 0))
        lines.append(f"\n{group}: {len(names)}, reached at least {counts.get(fewest, 0)} times each ({fewest})")
        lines += [f"  {counts.get(name, 0):>7}  {name}" for name in names]
    if coverage.differences:
        lines.append("\ndifferences met, as the tables of comparison.py have them")
        lines += [f"  {count:>7}  {why}" for why, count in sorted(coverage.differences.items())]
    return "\n".join(lines)
