"""Names and commitments derived by hashing: deals, tasks, votes and what is signed about them.

Everything is keccak-256 of packed bytes: 32 for hashes and numbers, 20 for addresses. Source: PoCo message formats.
"""

from __future__ import annotations

from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    Address,
    DealId,
    OrderHash,
    ResultDigest,
    ResultHash,
    ResultSeal,
    TaskId,
    bytes32,
    keccak256,
    to_bytes,
)


def deal_id(request_hash: OrderHash, consumed_before: int) -> DealId:
    """The deal that a request order makes when `consumed_before` of its tasks were already matched."""
    return DealId(bytes32(keccak256(to_bytes(request_hash) + consumed_before.to_bytes(32, "big"))))


def task_id(deal: DealId, index: int) -> TaskId:
    """Task number `index` of a deal; indexes run from the deal's `bot_first`."""
    return TaskId(bytes32(keccak256(to_bytes(deal) + index.to_bytes(32, "big"))))


def result_hash(task: TaskId, digest: ResultDigest) -> ResultHash:
    """The vote: equal for all workers that found the same result."""
    return ResultHash(bytes32(keccak256(to_bytes(task) + to_bytes(digest))))


def result_seal(worker: Address, task: TaskId, digest: ResultDigest) -> ResultSeal:
    """The proof that `worker` itself knew the digest when it voted."""
    return ResultSeal(bytes32(keccak256(to_bytes(worker) + to_bytes(task) + to_bytes(digest))))


def authorization_hash(worker: Address, task: TaskId, enclave: Address = NULL_ADDRESS) -> bytes:
    """What the workerpool signs, with the EIP-191 prefix, to let `worker` contribute to `task`."""
    return keccak256(to_bytes(worker) + to_bytes(task) + to_bytes(enclave))


def enclave_hash(result: ResultHash, seal: ResultSeal) -> bytes:
    """What the enclave signs, with the EIP-191 prefix, about a contribution made inside it."""
    return keccak256(to_bytes(result) + to_bytes(seal))


def boost_enclave_hash(worker: Address, task: TaskId, digest: ResultDigest) -> bytes:
    """What the enclave signs, with the EIP-191 prefix, about a result that is pushed in one step."""
    return to_bytes(result_seal(worker, task, digest))
