"""Vectors: a request order signed for chain 31337, and the synthetic ones of the middleware (0x11…, 0x22…, 0x33…)."""

from eth_account import Account
from eth_account.messages import encode_defunct

from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization, authorization_digest
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.primitives import (
    DealId,
    OrderHash,
    ResultDigest,
    TaskId,
    bytes32,
    checksum,
    keccak256,
    to_bytes,
    to_hex,
)

REQUEST_HASH = OrderHash(bytes32("0x43e466b0f38b113472badd32a35268523527311813d21bc9a17ebf8886d58685"))
DEAL = DealId(bytes32("0x06c3a4d82575bef7081f07e9921ace13bfa31a4c63133ed1a66ca1fb7b7cd1be"))
TASK = TaskId(bytes32("0x881fa203e9f2f423329cc0321ddc0946cea681945bf1d4874795638e5532744e"))
WORKER = checksum("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
ENCLAVE = checksum("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
DIGEST = ResultDigest(bytes32(keccak256(b"result")))
SCHEDULER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


def test_a_deal_is_named_by_its_request_and_what_was_consumed_before() -> None:
    assert ids.deal_id(REQUEST_HASH, 0) == DEAL
    assert ids.deal_id(REQUEST_HASH, 1) != DEAL


def test_a_task_is_named_by_its_deal_and_index() -> None:
    assert ids.task_id(DEAL, 0) == TASK
    ones = DealId(bytes32("0x" + "11" * 32))
    assert ids.task_id(ones, 3) == "0x3b31255a9f930bb80359c3ba2fef22133cd773f2653bd87c6035861658aa0882"


def test_vote_and_seal_commit_to_the_digest() -> None:
    vote = ids.result_hash(TASK, DIGEST)
    seal = ids.result_seal(WORKER, TASK, DIGEST)
    assert vote == "0x67410b83f4a97cd62ac7db27289876aa083afef94c4ce39ab2f3d0e00866774c"
    assert seal == "0x0464360eda93aea596ad2f774a8a340a610046f6ddf71b24cebb040b57c789ae"
    inner = ids.enclave_hash(vote, seal)
    assert to_hex(inner) == "0x35e21a66eba9d0d62f85f8bcf124fa129063027d7c270afe6b55ab5e072f4df9"
    assert (
        to_hex(ethereum_message_digest(inner)) == "0x11b9a747644b1633a14a23bb9a08a6a9934179628b363ac61d593ad1e017c8a7"
    )


def test_an_enclave_of_the_single_transaction_workflow_signs_the_seal() -> None:
    digest = ethereum_message_digest(ids.boost_enclave_hash(WORKER, TASK, DIGEST))
    assert to_hex(digest) == "0xeeb0af7df99c2d6db9a8a20272e6fa289327a5818b89513044ff498d0f690387"


def test_an_authorization_binds_worker_task_and_enclave() -> None:
    authorization = WorkerpoolAuthorization(
        worker=WORKER, task_id=TASK, deal_id=DEAL, index=0, enclave_challenge=ENCLAVE
    )
    inner = ids.authorization_hash(WORKER, TASK, ENCLAVE)
    assert to_hex(inner) == "0xe8f62f95f277265f4ff2e3a404939f0bda07c0d8bbb85b36e71bcd5745523572"
    digest = authorization_digest(authorization)
    assert to_hex(digest) == "0x9b9df9ed0ccecac22f92a38d7233a0e183b22a8e42fac80a45d53e3e05e18eaf"
    signature = (
        "0x6ac6e51309df212c5c8174776caefe295b213ce4090e1b22b036277e6080820e"
        "3d27ddc907a9393862c100e100339480cbf5285f04317b3455f9ef9e4c40ed7c1c"
    )
    assert to_hex(bytes(Account.sign_message(encode_defunct(inner), SCHEDULER_KEY).signature)) == signature


def test_an_authorization_whose_task_is_not_that_of_its_deal_is_told_apart() -> None:
    right = WorkerpoolAuthorization(worker=WORKER, task_id=TASK, deal_id=DEAL, index=0)
    wrong = WorkerpoolAuthorization(worker=WORKER, task_id=TASK, deal_id=DEAL, index=1)
    assert right.names_its_task
    assert not wrong.names_its_task


def test_the_vectors_of_the_middleware_hold() -> None:
    worker, enclave = checksum("0x" + "11" * 20), checksum("0x" + "33" * 20)
    task = ids.task_id(DealId(bytes32("0x" + "22" * 32)), 0)
    empty = ResultDigest(bytes32(keccak256(b"")))
    vote, seal = ids.result_hash(task, empty), ids.result_seal(worker, task, empty)
    assert task == "0x3ce992a2ff7a827e1758bb768873236a5a08de2ac7550ad6d6e12be43dde299e"
    assert [
        to_hex(ids.authorization_hash(worker, task, enclave)),
        to_hex(ids.authorization_hash(worker, task)),
        empty,
        vote,
        seal,
        to_hex(ids.enclave_hash(vote, seal)),
    ] == [
        "0x6887dae0ab522866d8dcc92bef779d3a36e264836bdb2438292fa3ec85ebae01",
        "0xdcd8cbbd8d2173aac6cf68218aa7574c4eb73289ae37f7d6fd721a8faea3fd38",
        "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        "0x7aaa91b3cb137af3b8f96da0981a3f5fd2538ff326aa15a4dbac304ae3352a81",
        "0x63e1cca9b8d4fd44fe583ec1f21d7af12ed3e31bac716429ead0ff4f39b1598a",
        "0xc36c5d9732519168845e34d3ef5f99382248611baa4819bd8406f3dfbe704a69",
    ]


def test_the_challenges_of_older_services_are_plain_concatenations() -> None:
    task, worker = ids.task_id(DealId(bytes32("0x" + "22" * 32)), 0), "0x" + "11" * 20
    assert (
        to_hex(keccak256(to_bytes(task) + to_bytes(worker)))
        == "0x19e438feee6ae60398cdc8e53dbbdcd242e7e3971715dce6ce566f0da7d02054"
    )
    assert to_hex(keccak256(to_bytes(task))) == "0x673d36cb27edb5358d964cee8fbe9b5391d86930b6cf4eb0997a07d72c7b25bc"
