"""Asking the chain what the logs leave out, in as few round trips as there are kinds of questions.

What is asked never changes once its event has happened, so one state answers for a whole batch of blocks: that of the
batch's last block, by its hash. Asking every event's own block costs a development node sixteen times as much, and most
nodes keep no old states at all. Where even the last one is refused, the newest is asked; should it be of another chain,
the follower takes the batch back anyway, since its last block is not part of that chain.

The one thing that does change, a worker's score, is calculated from the events and compared with the chain's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import anyio
import msgspec

from pyiexec.chain.hub import FUNCTIONS
from pyiexec.chain.rpc import JsonRpc, RpcError, reverted
from pyiexec.foundation.logs import get_logger
from pyiexec.indexer import facts
from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import Facts, WorkerpoolFact
from pyiexec.indexer.rules import score_after
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS

T = TypeVar("T")
K = TypeVar("K")

log = get_logger(__name__)

#: Batches of requests under way at a time.
PARALLEL = 4
#: Whole blocks are asked for while at least one of so many of their transactions is wanted.
SPARSE = 4

Request = tuple[str, Sequence[Any]]


class Unknown(NamedTuple):
    """Things that a batch of events speaks of."""

    apps: Collection[str]
    datasets: Collection[str]
    workerpools: Collection[str]
    categories: Collection[int]
    workers: Collection[str]


class Known(NamedTuple):
    """Which of them the index has already: assets and categories it need not ask for, and the scores it stored."""

    apps: Collection[str]
    datasets: Collection[str]
    workerpools: Collection[str]
    categories: Collection[int]
    scores: Mapping[str, int]


#: Looks things up in the index.
LookUp = Callable[[Unknown], Awaitable[Known]]


class ChainReader:
    """Reads the facts that batches of events need.

    Args:
        hub: PoCo's contract, lower-case.
        batch: requests that the node is asked at once; fewer when it refuses so many.
    """

    def __init__(self, rpc: JsonRpc, hub: str, batch: int = 250) -> None:
        self._rpc = rpc
        self._hub = hub
        self._size = batch
        self._whole_blocks = True

    async def read(self, events: Sequence[Event], head: str, look_up: LookUp) -> Facts:
        """The facts for `events`, without `Facts.timestamps` and `Facts.transactions`.

        Args:
            head: hash of the last block that was read.
            look_up: what of all this the index knows already.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, ``CHAIN_REFUSED``; the batch may be read again.
        """
        found = Facts()
        await self._read_views(events, head, found)
        await self._complete(events, head, found, look_up)
        return found

    # --- blocks and transactions ----------------------------------------------------------------------------------

    async def with_transactions(self, found: Facts, events: Iterable[Event]) -> Facts:
        """The facts, with the blocks and transactions of some of the events.

        Raises:
            IexecError: as `read`.
        """
        wanted: dict[str, set[str]] = {}
        for event in events:
            wanted.setdefault(event.block_hash, set()).add(event.transaction)
        completed = msgspec.structs.replace(found, timestamps={}, transactions={})
        if self._whole_blocks:
            await self._read_whole_blocks(wanted, completed)
        else:
            await self._read_single_transactions(wanted, completed)
        return completed

    async def _read_whole_blocks(self, wanted: Mapping[str, set[str]], found: Facts) -> None:
        blocks = await self._ask([("eth_getBlockByHash", (block_hash, True)) for block_hash in wanted])
        there = 0
        for (block_hash, hashes), block in zip(wanted.items(), blocks, strict=True):
            header = _expect(block, f"block {block_hash}")
            found.timestamps[block_hash] = int(header["timestamp"], 16)
            there += len(header["transactions"])
            for raw in header["transactions"]:
                if raw["hash"] in hashes:
                    found.transactions[raw["hash"]] = facts.read_transaction(raw)
        # On a busy chain most of a block is of no interest here.
        self._whole_blocks = there <= SPARSE * sum(map(len, wanted.values()))

    async def _read_single_transactions(self, wanted: Mapping[str, set[str]], found: Facts) -> None:
        places = [(block_hash, name) for block_hash, names in wanted.items() for name in sorted(names)]
        requests: list[Request] = [("eth_getBlockByHash", (block_hash, False)) for block_hash in wanted]
        requests += [("eth_getTransactionByHash", (name,)) for _, name in places]
        answers = await self._ask(requests)
        for block_hash, block in zip(wanted, answers, strict=False):
            found.timestamps[block_hash] = int(_expect(block, f"block {block_hash}")["timestamp"], 16)
        for (block_hash, name), answer in zip(places, answers[len(wanted) :], strict=True):
            raw = _expect(answer, f"transaction {name}")
            if raw["blockHash"] != block_hash:
                raise IexecError("CHAIN_UNREACHABLE", f"transaction {name} has moved to another block")
            found.transactions[name] = facts.read_transaction(raw)

    # --- views ----------------------------------------------------------------------------------------------------

    async def _read_views(self, events: Sequence[Event], head: str, found: Facts) -> None:
        deals: dict[str, None] = {}
        boosts = {event.fields["dealid"]: event.fields for event in events if event.name == "SchedulerNoticeBoost"}
        tasks: dict[str, None] = {}
        contributions: dict[tuple[str, str], None] = {}
        assets: dict[str, dict[str, None]] = {"AppTransfer": {}, "DatasetTransfer": {}, "WorkerpoolTransfer": {}}
        for event in events:
            if event.name == "OrdersMatched" and event.fields["dealid"] not in boosts:
                deals[event.fields["dealid"]] = None
            elif event.name in ("TaskInitialize", "TaskFinalize"):
                tasks[event.fields["taskid"]] = None
            elif event.name == "TaskContribute":
                contributions[event.fields["taskid"], event.fields["worker"]] = None
            elif event.name in assets:
                assets[event.name][event.fields["asset"]] = None
        found.deals = await self._view("viewDeal", deals, facts.read_deal, head)
        for deal, answer in (await self._view("viewDealBoost", boosts, str, head)).items():
            boost = facts.read_boost_deal(answer, boosts[deal])
            if boost is not None:
                found.deals[deal] = boost
        found.tasks = await self._view("viewTask", tasks, facts.read_task, head)
        found.contributions = await self._view("viewContribution", contributions, facts.read_contribution, head)
        found.apps = await self._view("viewApp", assets["AppTransfer"], facts.read_app, head)
        found.datasets = await self._view("viewDataset", assets["DatasetTransfer"], facts.read_dataset, head)
        pools = await self._view("viewWorkerpool", assets["WorkerpoolTransfer"], facts.read_workerpool, head)
        found.workerpools = _with_first_policies(pools, events)

    async def _complete(self, events: Sequence[Event], head: str, found: Facts, look_up: LookUp) -> None:
        """What deals refer to and no event announced, and the scores."""
        scored = [event for event in events if event.name in ("AccurateContribution", "FaultyContribution")]
        workers = list(dict.fromkeys(event.fields["worker"] for event in scored))
        deals = found.deals.values()
        created = {event.fields["catid"] for event in events if event.name == "CreateCategory"}
        unknown = Unknown(
            {deal.app.pointer for deal in deals} - found.apps.keys(),
            {deal.dataset.pointer for deal in deals} - found.datasets.keys() - {NULL_ADDRESS},
            {deal.workerpool.pointer for deal in deals} - found.workerpools.keys(),
            {deal.category for deal in deals} - created,
            workers,
        )
        if not any(unknown):
            return
        known = await look_up(unknown)
        apps = [app for app in unknown.apps if app not in known.apps]
        datasets = [dataset for dataset in unknown.datasets if dataset not in known.datasets]
        pools = [pool for pool in unknown.workerpools if pool not in known.workerpools]
        categories = [category for category in unknown.categories if category not in known.categories]
        found.apps |= await self._view("viewApp", apps, facts.read_app, head)
        found.datasets |= await self._view("viewDataset", datasets, facts.read_dataset, head)
        more = await self._view("viewWorkerpool", pools, facts.read_workerpool, head)
        found.workerpools |= _with_first_policies(more, events)
        found.categories = await self._view("viewCategory", categories, facts.read_category, head)
        found.scores = await self._scores(scored, workers, known.scores, head)

    async def _scores(
        self, scored: Sequence[Event], workers: Sequence[str], stored: Mapping[str, int], head: str
    ) -> dict[str, int]:
        """Scores after each event: calculated, and asked for where the calculation does not end at the chain's."""
        now = await self._view("viewScore", workers, facts.read_score, head)
        running = dict(stored)
        scores: dict[str, int] = {}
        for event in scored:
            worker = event.fields["worker"]
            scores[event.id] = running[worker] = score_after(event.name, running.get(worker, 0))
        strangers = {worker for worker, score in now.items() if running[worker] != score}
        doubtful = [event for event in scored if event.fields["worker"] in strangers]
        if doubtful:
            # Taken over from an older hub, which no event tells.
            answers = await self._outcomes(
                [self._call("viewScore", event.fields["worker"], {"blockHash": event.block_hash}) for event in doubtful]
            )
            for event, answer in zip(doubtful, answers, strict=True):
                if not isinstance(answer, RpcError):
                    scores[event.id] = facts.read_score(answer)
        return scores

    # --- requests -------------------------------------------------------------------------------------------------

    def _call(self, view: str, arguments: Any, block: Any) -> Request:
        words = arguments if isinstance(arguments, tuple) else (arguments,)
        data = "".join((f"{word:x}" if isinstance(word, int) else word[2:]).rjust(64, "0") for word in words)
        return "eth_call", ({"to": self._hub, "data": f"0x{FUNCTIONS[view].selector.hex()}{data}"}, block)

    async def _view(self, view: str, keys: Iterable[K], read: Callable[[str], T | None], head: str) -> dict[K, T]:
        """Answers of a view by what it was asked about; what it refuses or does not know is left out."""
        asked = list(keys)
        outcomes = await self._outcomes([self._call(view, key, {"blockHash": head}) for key in asked])
        if any(isinstance(outcome, RpcError) and reverted(outcome) is None for outcome in outcomes):
            log.info("the state of a block is not to be had, asking for the newest", view=view)
            outcomes = await self._outcomes([self._call(view, key, "latest") for key in asked])
        found: dict[K, T] = {}
        for key, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, RpcError):
                if reverted(outcome) is None:
                    raise outcome
                log.info("the chain does not know something that a log spoke of", view=view, of=key)
                continue
            try:
                value = read(outcome)
            except IexecError as error:
                log.warning("a view answered what it should not", view=view, of=key, reason=error.what)
                continue
            if value is not None:
                found[key] = value
        return found

    async def _ask(self, requests: Sequence[Request]) -> list[Any]:
        outcomes = await self._outcomes(requests)
        for outcome in outcomes:
            if isinstance(outcome, RpcError):
                raise outcome
        return outcomes

    async def _outcomes(self, requests: Sequence[Request]) -> list[Any]:
        """Answers in order, refusals in place; asked in several batches at a time."""
        size = self._size
        parts = [requests[start : start + size] for start in range(0, len(requests), size)]
        answers: list[list[Any]] = [[] for _ in parts]
        waiting = iter(range(len(parts)))

        failures: list[IexecError] = []

        async def ask() -> None:
            for number in waiting:
                try:
                    answers[number] = await self._batch(parts[number])
                except IexecError as error:
                    failures.append(error)
                if failures:
                    return

        async with anyio.create_task_group() as group:
            for _ in range(min(PARALLEL, len(parts))):
                group.start_soon(ask)
        if failures:
            raise failures[0]
        return [answer for part in answers for answer in part]

    async def _batch(self, requests: Sequence[Request]) -> list[Any]:
        try:
            return await self._rpc.batch_outcomes(requests)
        except RpcError as error:
            if len(requests) == 1:
                raise
            half = len(requests) // 2
            self._size = min(self._size, half)
            log.info("asking for less at once", requests=half, reason=error.message)
            return [*await self._batch(requests[:half]), *await self._batch(requests[half:])]


def _expect(answer: Any, what: str) -> Any:
    if not answer:
        raise IexecError("CHAIN_UNREACHABLE", f"{what} is gone")
    return answer


def _with_first_policies(pools: Mapping[str, WorkerpoolFact], events: Iterable[Event]) -> dict[str, WorkerpoolFact]:
    """The pools with the ratios they had before the first update among `events`."""
    found = dict(pools)
    updated: set[str] = set()
    for event in events:
        if event.name == "PolicyUpdate" and event.address in found and event.address not in updated:
            updated.add(event.address)
            found[event.address] = found[event.address]._replace(
                worker_stake_ratio=event.fields["oldWorkerStakeRatio"],
                scheduler_reward_ratio=event.fields["oldSchedulerRewardRatio"],
            )
    return found
