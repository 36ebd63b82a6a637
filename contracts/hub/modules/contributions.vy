# pragma version 0.4.3
"""
@title Contributions and consensus
@license Apache-2.0
@notice Who voted for which result of a task, with what weight, and when a result stands.
@dev    A contributor is one word in the task's list: worker 160 | status 8 | log2 of the weight 8 | weight 80. The
        vote itself is two words by worker: result hash, and seal; a third, the enclave challenge, only when there is
        one.

        After the reveal the seal follows from the digest, so the first to reveal keeps the digest in its place and the
        others' seals are cleared.

        A group's weight is the product of its members' weights; the total is one plus the sum of all groups. Neither
        is stored: for the few contributors a task has, going through the list is cheaper than two more words each.
        Products saturate at `WEIGHT_CAP`, far beyond what any trust asks for, so that no vote can overflow.
"""
from hub.modules import bounds
from hub.modules import rules
from hub.modules import store

uses: store

struct Tally:
    # weight of the group, this vote included
    group: uint256
    # one plus all groups
    total: uint256
    # votes in the group, this one included
    votes: uint256
    # position of the group's first vote
    first: uint256

RESULT_HASH: constant(uint256) = 0
SEAL: constant(uint256) = 1
ENCLAVE: constant(uint256) = 2

STATUS_AT: constant(uint256) = 160
LOG_WEIGHT_AT: constant(uint256) = 168
WEIGHT_AT: constant(uint256) = 176
BYTE_MASK: constant(uint256) = 2**8 - 1
STATUS_BITS: constant(uint256) = BYTE_MASK << STATUS_AT

VOTE_MAX: constant(uint256) = 2**80 - 1
WEIGHT_CAP: constant(uint256) = 2**128


@internal
@pure
def _pack(worker: address, status: uint256, log_weight: uint256, weight: uint256) -> uint256:
    return convert(worker, uint256) | status << STATUS_AT | log_weight << LOG_WEIGHT_AT | weight << WEIGHT_AT


@internal
@pure
def _worker_of(contributor: uint256) -> address:
    return convert(contributor & rules.ADDRESS_MASK, address)


@internal
@pure
def _status_of(contributor: uint256) -> uint256:
    return contributor >> STATUS_AT & BYTE_MASK


@internal
@pure
def _log_weight_of(contributor: uint256) -> uint256:
    return contributor >> LOG_WEIGHT_AT & BYTE_MASK


@internal
@pure
def _with_status(contributor: uint256, status: uint256) -> uint256:
    return contributor & ~STATUS_BITS | status << STATUS_AT


@internal
@view
def _worker(task_id: bytes32, position: uint256) -> address:
    return self._worker_of(store.contributors[task_id][position])


@internal
@view
def _position(task_id: bytes32, count: uint256, worker: address) -> uint256:
    """@return Where `worker` is in the list of `count` contributors; `count` when it is not."""
    for i: uint256 in range(count, bound=bounds.CONTRIBUTORS):
        if self._worker(task_id, i) == worker:
            return i
    return count


@internal
@view
def _result_hash(task_id: bytes32, worker: address) -> bytes32:
    """@return What `worker` voted for, zero when it did not vote."""
    return convert(store.contributions[task_id][worker][RESULT_HASH], bytes32)


@internal
@view
def _seal(task_id: bytes32, worker: address) -> bytes32:
    """@return The seal of a vote not yet revealed."""
    return convert(store.contributions[task_id][worker][SEAL], bytes32)


@internal
@view
def _kept_digest(task_id: bytes32, worker: address) -> bytes32:
    """@return The digest that the first to reveal keeps in place of its seal."""
    return convert(store.contributions[task_id][worker][SEAL], bytes32)


@internal
def _keep_digest(task_id: bytes32, worker: address, digest: bytes32):
    """@notice Replace a revealed seal by the digest (first reveal) or by nothing (zero)."""
    store.contributions[task_id][worker][SEAL] = convert(digest, uint256)


@internal
@view
def _enclave(task_id: bytes32, worker: address) -> address:
    return convert(store.contributions[task_id][worker][ENCLAVE], address)


@internal
def _vote(task_id: bytes32, worker: address, result_hash: bytes32, seal: bytes32, enclave: address):
    """@notice Write the vote of `worker`; `result_hash` is not zero, for zero means that there is no vote."""
    store.contributions[task_id][worker][RESULT_HASH] = convert(result_hash, uint256)
    store.contributions[task_id][worker][SEAL] = convert(seal, uint256)
    if enclave != empty(address):
        store.contributions[task_id][worker][ENCLAVE] = convert(enclave, uint256)


@internal
@pure
def _expected_hash(task_id: bytes32, digest: bytes32) -> bytes32:
    """@return The result hash of a result: the same for all who agree."""
    return keccak256(concat(task_id, digest))


@internal
@pure
def _expected_seal(worker: address, task_id: bytes32, digest: bytes32) -> bytes32:
    """@return The seal of a result by `worker`: proof that it knew the digest before anyone revealed it."""
    return keccak256(concat(convert(worker, bytes20), task_id, digest))


@internal
@view
def _weight(worker: address) -> uint256:
    """@return The weight of a vote by `worker`, never below 2."""
    quotient: uint256 = max(store.scores[worker] // rules.SCORE_PER_WEIGHT, rules.MIN_SCORE_QUOTIENT)
    return min(quotient - 1, VOTE_MAX)


@internal
@pure
def _log2(weight: uint256) -> uint256:
    """@return The base-2 logarithm of `weight` > 0, rounded down."""
    exponent: uint256 = 0
    rest: uint256 = weight >> 1
    for i: uint256 in range(80):
        if rest == 0:
            break
        rest = rest >> 1
        exponent += 1
    return exponent


@internal
@view
def _tally(task_id: bytes32, count: uint256, result_hash: bytes32, weight: uint256) -> Tally:
    """
    @notice Count a vote of `weight` for `result_hash` after the `count` votes in the list.
    @dev Rejected votes count for nothing: their group starts again from this one.
    @custom:reverts `too many different results` beyond 64 answers other than this one.
    """
    tally: Tally = Tally(group=weight, total=1, votes=1, first=count)
    others: DynArray[bytes32, bounds.OTHER_RESULTS] = []
    weights: DynArray[uint256, bounds.OTHER_RESULTS] = []
    for i: uint256 in range(count, bound=bounds.CONTRIBUTORS):
        contributor: uint256 = store.contributors[task_id][i]
        if self._status_of(contributor) == rules.CONTRIBUTION_REJECTED:
            continue
        voted: bytes32 = self._result_hash(task_id, self._worker_of(contributor))
        vote: uint256 = contributor >> WEIGHT_AT
        if voted == result_hash:
            tally.group = min(tally.group * vote, WEIGHT_CAP)
            tally.votes += 1
            tally.first = min(tally.first, i)
            continue
        found: bool = False
        for j: uint256 in range(len(others), bound=bounds.OTHER_RESULTS):
            if others[j] == voted:
                weights[j] = min(weights[j] * vote, WEIGHT_CAP)
                found = True
                break
        if not found:
            assert len(others) < bounds.OTHER_RESULTS, "too many different results"
            others.append(voted)
            weights.append(vote)
    tally.total += tally.group
    for other: uint256 in weights:
        tally.total += other
    return tally


@internal
@pure
def _stands(tally: Tally, trust: uint256) -> bool:
    """@return Whether the group is credible enough: strictly more than `1 - 1/trust` of the total."""
    return tally.group * trust > tally.total * (trust - 1)
