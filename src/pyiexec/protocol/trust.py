"""When a result stands: the consensus arithmetic of Proof-of-Contribution.

Votes for one task are grouped by result hash. The weights of the workers that voted for a result multiply; a result
stands once its credibility, its weight over one plus the weight of all, exceeds ``1 - 1/trust``.

Source: PoCo `contribute`, `reopen`, `finalize`; "Trust in the PoCo" (H. Croubois, 2018), equations 1 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from pyiexec.protocol.primitives import NULL_BYTES32, ResultHash

#: Successes between two failures that earn one unit of weight (``k`` in the trust paper).
SUCCESSES_PER_WEIGHT = 3
#: Weight of a worker nobody knows yet.
NEWCOMER_WEIGHT = 2


def worker_weight(score: int) -> int:
    """Weight of one vote by a worker whose reputation is ``score`` replicated successes.

    Never below 2, so that an unknown worker still moves a group.
    """
    return max(score // SUCCESSES_PER_WEIGHT, 3) - 1


def log_weight(score: int) -> int:
    """The worker's part in the reward of a task: the floor of log2 of its weight, at least 1."""
    return worker_weight(score).bit_length() - 1


def rewarded_score(score: int, contributors: int) -> int:
    """Score after a proved contribution; agreeing with nobody but oneself teaches nothing."""
    return score + 1 if contributors > 1 else score


def slashed_score(score: int) -> int:
    """Score after a wrong, rejected or unrevealed contribution."""
    return score * (SUCCESSES_PER_WEIGHT - 1) // SUCCESSES_PER_WEIGHT


def vote(groups: Mapping[ResultHash, int], result: ResultHash, weight: int) -> dict[ResultHash, int]:
    """The groups after one more worker of ``weight`` voted for ``result``."""
    return {**groups, result: max(groups.get(result, 1), 1) * weight}


def reopened(groups: Mapping[ResultHash, int], result: ResultHash) -> dict[ResultHash, int]:
    """The groups after a task was reopened because nobody revealed ``result``; dissenting votes stay."""
    return {other: weight for other, weight in groups.items() if other != result}


def stands(groups: Mapping[ResultHash, int], result: ResultHash, trust: int) -> bool:
    """Whether ``result`` is credible enough for a requester who asked for ``trust``.

    A result nobody voted for never stands. The comparison is strict, as on chain: trust 3 with a single newcomer is a
    tie, and a tie does not stand. A deal of trust 0 is recorded as trust 1, which any single vote satisfies.
    """
    everything = 1 + sum(groups.values())
    return result in groups and groups[result] * trust > everything * (trust - 1)


def _leader(groups: Mapping[ResultHash, int]) -> ResultHash:
    return max(groups, key=lambda result: groups[result], default=ResultHash(NULL_BYTES32))


def votes_missing(groups: Mapping[ResultHash, int], trust: int, weight: int) -> int:
    """How many more agreeing votes of ``weight`` (2 or more) the leading result needs to stand; 0 if it does already.

    Groups of equal weight lead equally; each needs the same number of votes.
    """
    assert weight >= NEWCOMER_WEIGHT, "a lighter vote would never settle anything"
    leader = _leader(groups)
    missing = 0
    while not stands(groups, leader, trust):
        groups = vote(groups, leader, weight)
        missing += 1
    return missing


def replicas_missing(
    groups: Mapping[ResultHash, int],
    pending_weights: Sequence[int],
    trust: int,
    newcomer_weight: int = NEWCOMER_WEIGHT,
) -> int:
    """How many more workers of ``newcomer_weight`` must be given the task for its leading result to stand.

    ``pending_weights`` are the weights of the workers still at it, each expected to agree with the leader. Workers that
    failed, were lost or aborted are not among them: they are replaced at once.
    """
    if pending_weights:
        groups = vote(groups, _leader(groups), prod(pending_weights))
    return votes_missing(groups, trust, newcomer_weight)
