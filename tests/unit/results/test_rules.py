"""Who may upload what follows from the chain alone."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import recover
from pyiexec.protocol import ids
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, ResultDigest, TaskId, bytes32
from pyiexec.protocol.tags import encode_tag
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus
from pyiexec.results.rules import Facts, check_moment, check_permission, check_result, enclave_message

TASK, DIGEST = TaskId(bytes32(7)), ResultDigest(bytes32(8))
WORKER = derive("test test test test test test test test test test test junk", 5)
ENCLAVE = Address("0x" + "ab" * 20)
PLAIN, TEE = (encode_tag(names) for names in ((), ("tee", "scone")))


def facts(
    *,
    status: TaskStatus = TaskStatus.REVEALING,
    contribution: ContributionStatus = ContributionStatus.PROVED,
    tag: Any = PLAIN,
    now: int = 99,
) -> Facts:
    return Facts(
        task=Task(status=status, final_deadline=100),
        deal=Deal(bot_size=1, tag=tag),
        contribution=Contribution(status=contribution, result_hash=ids.result_hash(TASK, DIGEST)),
        now=now,
    )


def refused(check: Any, *arguments: Any) -> bool:
    try:
        check(*arguments)
    except IexecError as error:
        if error.code != "UPLOAD_REFUSED":
            raise
        return True
    return False


def test_a_permission_is_for_a_task_that_is_there_and_not_over() -> None:
    assert not refused(check_permission, facts(), NULL_ADDRESS)
    assert refused(check_permission, facts(now=100), NULL_ADDRESS)
    assert refused(check_permission, facts(status=TaskStatus.UNSET), NULL_ADDRESS)
    nowhere = msgspec.structs.replace(facts(), deal=Deal())
    assert refused(check_permission, nowhere, NULL_ADDRESS)


def test_an_enclave_is_named_for_tasks_in_enclaves_and_for_no_others() -> None:
    for tag, enclave in itertools.product((PLAIN, TEE), (NULL_ADDRESS, ENCLAVE)):
        assert refused(check_permission, facts(tag=tag), enclave) == ((tag == TEE) != (enclave == ENCLAVE))


@pytest.mark.parametrize("tag", [PLAIN, TEE])
@pytest.mark.parametrize("status", list(TaskStatus))
@pytest.mark.parametrize("contribution", list(ContributionStatus))
def test_uploads_are_awaited_after_the_reveal_or_from_the_running_enclave(
    tag: Any, status: TaskStatus, contribution: ContributionStatus
) -> None:
    awaited = (
        status is TaskStatus.ACTIVE
        if tag == TEE
        else status is TaskStatus.REVEALING and contribution is ContributionStatus.PROVED
    )
    found = facts(tag=tag, status=status, contribution=contribution)
    assert refused(check_moment, found, WORKER.address) == (not awaited)


def test_the_result_is_the_one_that_was_contributed_to_this_task() -> None:
    assert not refused(check_result, facts(), TASK, DIGEST)
    assert refused(check_result, facts(), TASK, ResultDigest(bytes32(9)))
    assert refused(check_result, facts(), TaskId(bytes32(9)), DIGEST)


def test_an_enclave_signs_for_one_worker_task_and_result() -> None:
    message = enclave_message(TASK, WORKER.address, DIGEST)
    signed = WORKER.sign_message_hash(
        ids.enclave_hash(ids.result_hash(TASK, DIGEST), ids.result_seal(WORKER.address, TASK, DIGEST))
    )
    assert recover(message, signed) == WORKER.address
    others = (
        enclave_message(TaskId(bytes32(9)), WORKER.address, DIGEST),
        enclave_message(TASK, ENCLAVE, DIGEST),
        enclave_message(TASK, WORKER.address, ResultDigest(bytes32(9))),
    )
    assert len({message, *others}) == 4
