"""What services show of the chain: node, heads, how far logs were followed, and their own transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import Totals, TransactionManager
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.metrics import MINUTES, counter, gauge, histogram
from pyiexec.foundation.observation import Observation

#: Seconds without a word of the node after which it is asked whether it is there.
QUIET_SECONDS = 3.0
#: Age of the newest block from which on the chain, or the node, is taken to stand still, seconds.
STALE_SECONDS = 120.0
#: Blocks that a follower may be behind the node: it reads a few at a time.
LAG_BLOCKS = 32

RPC_REQUESTS = counter("chain_rpc_requests_total", "requests to the node, each of a batch")
RPC_FAILURES = counter("chain_rpc_failures_total", "times that the node did not answer")
RPC_SECONDS = histogram("chain_rpc_duration_seconds", "time until the node answered, batches as one")
HEAD_BLOCK = gauge("chain_head_block", "number of the newest block that the node told of")
HEAD_AGE = gauge("chain_head_age_seconds", "time since the newest block's timestamp")
HEADS_CONNECTED = gauge("chain_heads_connected", "1 while the node tells of new blocks")
FOLLOWED_BLOCK = gauge("chain_followed_block", "number of the last block whose logs were read")
FOLLOWER_LAG = gauge("chain_follower_lag_blocks", "blocks that the node has and that were not read yet")
TRANSACTIONS = counter("transactions_total", "transactions by what became of them", "outcome")
REPLACED = counter("transactions_replaced_total", "offers raised, and transactions given another nonce")
IN_FLIGHT = gauge("transactions_in_flight", "transactions with a nonce that are in no block yet")
QUEUED = gauge("transactions_queued", "transactions that wait for room in the node's pool")
INCLUSION_SECONDS = histogram(
    "transaction_inclusion_seconds", "time from a transaction's submission to its block", buckets=MINUTES
)
STAKE = gauge(
    "stake_nrlc", "the account's stake in the hub: free, locked, and what the next votes or deals need", "kind"
)
GAS_USED = counter("gas_used_total", "units of gas that transactions used")
GAS_FEES = counter("gas_fees_wei_total", "wei paid for gas, rounded to the precision of a double")


def _observe_nodes(observation: Observation, nodes: Sequence[JsonRpc]) -> None:
    metrics = observation.metrics
    metrics.watch(RPC_REQUESTS, lambda: sum(node.count for node in nodes))
    metrics.watch(RPC_FAILURES, lambda: sum(node.failures for node in nodes))
    seconds = metrics.histogram(RPC_SECONDS)
    for node in nodes:
        node.on_answer = seconds.observe


def observe_chain(observation: Observation, rpc: JsonRpc, feed: HeadFeed, clock: Clock) -> None:
    """Show how the node answers and which blocks it tells of; the service needs both."""
    _observe_nodes(observation, [rpc])
    metrics = observation.metrics
    metrics.watch(HEAD_BLOCK, lambda: None if feed.newest is None else feed.newest.number)
    metrics.watch(HEAD_AGE, lambda: None if feed.newest is None else clock.now() - feed.newest.timestamp)
    metrics.watch(HEADS_CONNECTED, lambda: feed.connected)

    async def check() -> str:
        if feed.newest is None or not feed.connected:
            return "the node tells of no blocks"
        if feed.quiet_seconds > QUIET_SECONDS:
            # Nothing may have happened there. It answers, or this raises.
            number = await rpc.block_number()
            if number > feed.newest.number + LAG_BLOCKS:
                return f"the node has block {number}, and told of {feed.newest.number}"
        age = clock.now() - feed.newest.timestamp
        return f"the newest block is {age:.0f} s old" if age > STALE_SECONDS else ""

    observation.health.needs("chain", check)


def observe_nodes(observation: Observation, *nodes: JsonRpc) -> None:
    """As `observe_chain`, for a service that asks nodes and follows no blocks."""
    _observe_nodes(observation, nodes)

    async def check() -> str:
        for node in nodes:
            await node.block_number()
        return ""

    observation.health.needs("chain", check)


def observe_follower(observation: Observation, feed: HeadFeed, reached: Callable[[], int | None]) -> None:
    """Show how far the logs were followed; the service needs them.

    Args:
        reached: the last block read; None in a process that does not follow.
    """

    def lag() -> int | None:
        number = reached()
        return None if number is None or feed.newest is None else max(feed.newest.number - number, 0)

    observation.metrics.watch(FOLLOWED_BLOCK, reached)
    observation.metrics.watch(FOLLOWER_LAG, lag)

    async def check() -> str:
        behind = lag()
        return f"{behind} blocks behind the node" if behind is not None and behind > LAG_BLOCKS else ""

    observation.health.needs("follower", check)


def observe_transactions(
    observation: Observation, totals: Totals, manager: Callable[[], TransactionManager | None]
) -> None:
    """Show what becomes of an account's transactions.

    Args:
        totals: those of the manager.
        manager: None while there is none.
    """
    metrics = observation.metrics
    metrics.watch(
        TRANSACTIONS,
        lambda: {"included": totals.included, "reverted": totals.reverted, "refused": totals.refused},
    )
    metrics.watch(REPLACED, lambda: totals.replaced)
    metrics.watch(GAS_USED, lambda: totals.gas)
    metrics.watch(GAS_FEES, lambda: totals.fees)
    metrics.watch(IN_FLIGHT, lambda: 0 if (found := manager()) is None else found.in_flight)
    metrics.watch(QUEUED, lambda: 0 if (found := manager()) is None else found.queued)
    totals.on_block = metrics.histogram(INCLUSION_SECONDS).observe
