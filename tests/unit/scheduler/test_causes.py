"""Every way in which the reference says that work failed, and which of ours it is."""

from __future__ import annotations

import pytest

from pyiexec.protocol.errors import CATALOGUE
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.workflow import FailureCause
from pyiexec.scheduler import rules
from pyiexec.scheduler.causes import REFERENCE_NAMES, UNKNOWN, reference_name

S = ReplicateStatus

#: The reference's causes that a worker without enclaves can meet, each with a code of ours and the step before it.
MET = [
    ("CHAIN_UNREACHABLE", "CHAIN_UNREACHABLE", S.CREATED),
    ("STAKE_TOO_LOW", "STAKE_TOO_LOW", S.STARTED),
    ("OUT_OF_GAS", "INSUFFICIENT_FUNDS", S.COMPUTED),
    ("TASK_NOT_ACTIVE", "TASK_NOT_ACTIVE", S.STARTED),
    ("TASK_DESCRIPTION_INVALID", "BAD_PARAMS", S.STARTED),
    ("TASK_DESCRIPTION_NOT_FOUND", "DEAL_UNKNOWN", S.STARTED),
    ("CONTRIBUTION_ALREADY_SET", "CONTRIBUTION_ALREADY_SET", S.STARTED),
    ("CONSENSUS_REACHED", "CONSENSUS_REACHED", S.COMPUTED),
    ("CHAIN_RECEIPT_NOT_VALID", "TRANSACTION_REVERTED", S.COMPUTED),
    ("APP_IMAGE_DOWNLOAD_FAILED", "CONTENT_NOT_FOUND", S.STARTED),
    ("APP_IMAGE_DOWNLOAD_FAILED", "APP_CHECKSUM_MISMATCH", S.STARTED),
    ("INPUT_FILES_DOWNLOAD_FAILED", "INPUT_UNAVAILABLE", S.APP_DOWNLOADED),
    ("INPUT_FILES_DOWNLOAD_FAILED", "CONTENT_NOT_FOUND", S.APP_DOWNLOADED),
    ("DATASET_FILE_DOWNLOAD_FAILED", "DATASET_UNKNOWN", S.APP_DOWNLOADED),
    ("DATASET_FILE_BAD_CHECKSUM", "DATASET_CHECKSUM_MISMATCH", S.APP_DOWNLOADED),
    ("APP_NOT_FOUND_LOCALLY", "APP_UNSUPPORTED", S.STARTED),
    ("APP_COMPUTE_FAILED", "APP_EXITED_NON_ZERO", S.DATA_DOWNLOADED),
    ("APP_COMPUTE_FAILED", "APP_TRAPPED", S.DATA_DOWNLOADED),
    ("APP_COMPUTE_TIMEOUT", "APP_TIMEOUT", S.DATA_DOWNLOADED),
    ("APP_COMPUTE_TIMEOUT", "APP_OUT_OF_FUEL", S.DATA_DOWNLOADED),
    ("POST_COMPUTE_COMPUTED_FILE_NOT_FOUND", "APP_NO_RESULT", S.DATA_DOWNLOADED),
    ("POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED", "BAD_RESULT", S.DATA_DOWNLOADED),
    ("POST_COMPUTE_RESULT_FILE_NOT_FOUND", "RESULT_WRONG", S.RESULT_UPLOADED),
    ("POST_COMPUTE_IPFS_UPLOAD_FAILED", "STORE_UNREACHABLE", S.REVEALED),
    ("POST_COMPUTE_IPFS_UPLOAD_FAILED", "STORE_UNWRITABLE", S.REVEALED),
    ("TEE_NOT_SUPPORTED", "TEE_NOT_SUPPORTED", S.STARTED),
    ("TEE_PREPARATION_FAILED", "TEE_UNAVAILABLE", S.CREATED),
    ("UNKNOWN_SMS", "SMS_UNREACHABLE", S.CREATED),
    ("WORKERPOOL_AUTHORIZATION_NOT_FOUND", "AUTHORIZATION_INVALID", S.STARTED),
    ("RESULT_LINK_MISSING", "RESULT_LOST", S.REVEALED),
    ("CONTRIBUTION_TIMEOUT", "CONTRIBUTION_TIMEOUT", S.COMPUTED),
    ("REVEAL_TIMEOUT", "REVEAL_TIMEOUT", S.CONTRIBUTED),
    ("ABORTED_BY_WORKER", "TASK_ABORTED", S.STARTED),
    ("CANNOT_REVEAL", "CONTRIBUTION_REJECTED", S.CONTRIBUTED),
    ("UNKNOWN", "INTERNAL", S.STARTED),
    ("UNKNOWN", "WORKER_FORGOT", S.STARTED),
]
#: Of the reference's list outside of enclaves, those that cannot happen here, and why.
NOT_MET = {
    "BLOCK_NOT_REACHED": "a worker waits for blocks as long as they take",
    "CONSENSUS_BLOCK_MISSING": "workers read the consensus themselves",
    "DETERMINISM_HASH_NOT_FOUND": "the digest is computed where it is needed",
    "ENCLAVE_SIGNATURE_NOT_FOUND": "workers have no enclaves yet",
    "TRUST_NOT_1": "the scheduler chooses the way a result is brought",
    "TASK_ALREADY_CONTRIBUTED": "told as CONSENSUS_REACHED",
    "GET_TEE_SERVICES_CONFIGURATION_FAILED": "workers have no enclaves yet",
}
#: The reference's whole list outside of sessions, pre-compute and the inside of post-compute.
REFERENCE = {
    *("CHAIN_UNREACHABLE", "BLOCK_NOT_REACHED", "STAKE_TOO_LOW", "OUT_OF_GAS", "TASK_NOT_ACTIVE"),
    *("TASK_DESCRIPTION_INVALID", "TASK_DESCRIPTION_NOT_FOUND", "CONTRIBUTION_ALREADY_SET", "CONSENSUS_REACHED"),
    *("CHAIN_RECEIPT_NOT_VALID", "CONSENSUS_BLOCK_MISSING", "APP_IMAGE_DOWNLOAD_FAILED"),
    *("INPUT_FILES_DOWNLOAD_FAILED", "DATASET_FILE_DOWNLOAD_FAILED", "DATASET_FILE_BAD_CHECKSUM"),
    *("APP_NOT_FOUND_LOCALLY", "APP_COMPUTE_FAILED", "APP_COMPUTE_TIMEOUT", "TEE_NOT_SUPPORTED"),
    *("DETERMINISM_HASH_NOT_FOUND", "ENCLAVE_SIGNATURE_NOT_FOUND", "WORKERPOOL_AUTHORIZATION_NOT_FOUND"),
    *("RESULT_LINK_MISSING", "TRUST_NOT_1", "TASK_ALREADY_CONTRIBUTED", "CONTRIBUTION_TIMEOUT", "REVEAL_TIMEOUT"),
    *("TEE_PREPARATION_FAILED", "UNKNOWN_SMS", "GET_TEE_SERVICES_CONFIGURATION_FAILED", "ABORTED_BY_WORKER"),
    *("CANNOT_REVEAL", "UNKNOWN"),
    *("POST_COMPUTE_COMPUTED_FILE_NOT_FOUND", "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED"),
    *("POST_COMPUTE_RESULT_FILE_NOT_FOUND", "POST_COMPUTE_IPFS_UPLOAD_FAILED"),
}


@pytest.mark.parametrize(("theirs", "ours", "reached"), MET)
def test_a_cause_is_told_by_the_name_the_reference_has_for_it(theirs: str, ours: str, reached: S) -> None:
    assert reference_name(ours, reached) == theirs
    assert CATALOGUE[ours].remedy


def test_nothing_on_the_reference_s_list_is_left_out() -> None:
    assert {theirs for theirs, _, _ in MET} | NOT_MET.keys() == REFERENCE
    assert not {theirs for theirs, _, _ in MET} & NOT_MET.keys()


def test_names_are_told_for_codes_that_exist_in_names_that_exist() -> None:
    assert REFERENCE_NAMES.keys() <= CATALOGUE.keys()
    assert set(REFERENCE_NAMES.values()) <= REFERENCE


def test_what_has_no_name_there_is_unknown_there() -> None:
    assert reference_name("FROM_A_NEWER_WORKER", S.STARTED) == UNKNOWN


@pytest.mark.parametrize(
    "code",
    [
        *FailureCause,
        rules.NO_WORKER,
        rules.REQUIREMENTS_UNMET,
        rules.WORKERS_FAILED,
        rules.TEE_UNAVAILABLE,
        "WORKER_FORGOT",
    ],
)
def test_whatever_a_task_can_fail_of_has_a_remedy(code: str) -> None:
    assert CATALOGUE[code].remedy
