"""Tasks that ask for enclaves: what the SMS may answer, and what becomes of the task."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.scheduler.model import DEAL_ID, START, TASK_ID, TIMEREF, address, deal, report

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.enclaves import read_answer
from pyiexec.scheduler.rules import Decision, decide
from pyiexec.scheduler.state import TaskState, new_task

ENCLAVE = address(77)


def tee_task(trust: int = 1) -> TaskState:
    asked = replace(deal(trust), tag=bytes32(9))
    return new_task(DEAL_ID, asked, 0, TASK_ID, timeref=TIMEREF, app_checksum="0xapp")


def after(state: TaskState, *events: e.Event, now: int = START, candidates: int = 3) -> Decision:
    return decide(state, events, now=now, candidates=candidates)


class TestAnswers:
    @pytest.mark.parametrize(
        "body",
        [
            ENCLAVE,
            f'"{ENCLAVE}"',
            f"  {ENCLAVE.lower()}\n",
            f'{{"data":"{ENCLAVE}"}}',
            f'{{"data":"{ENCLAVE}","ok":true}}',
        ],
    )
    def test_an_account_is_read_in_each_of_its_forms(self, body: str) -> None:
        assert read_answer(200, body.encode()) == ENCLAVE

    @pytest.mark.parametrize("body", ["", "null", "{}", "[]", "7", '"0x12"', "\xff", "0x" + "0" * 40, "[" * 5_000])
    def test_a_success_without_an_account_is_none(self, body: str) -> None:
        with pytest.raises(IexecError) as refusal:
            read_answer(200, body.encode("latin-1"))
        assert refusal.value.code == "TEE_UNAVAILABLE"

    @pytest.mark.parametrize(
        ("status", "body", "code"),
        [
            (501, '{"ok":false,"error":"no enclaves here","code":"TEE_UNAVAILABLE"}', "TEE_UNAVAILABLE"),
            (404, '{"error":"no enclaves here","code":"TEE_UNAVAILABLE"}', "TEE_UNAVAILABLE"),
            (401, '{"error":"NOT_AUTHORISED"}', "TEE_UNAVAILABLE"),
            (400, "", "TEE_UNAVAILABLE"),
            (501, "not implemented", "TEE_UNAVAILABLE"),
            (404, '{"error":"the task is not active"}', "SMS_UNREACHABLE"),
            (429, "", "SMS_UNREACHABLE"),
            (500, "<html>", "SMS_UNREACHABLE"),
            (503, '{"error":["a","list"]}', "SMS_UNREACHABLE"),
        ],
    )
    def test_refusals_are_final_unless_asking_again_may_help(self, status: int, body: str, code: str) -> None:
        with pytest.raises(IexecError) as refusal:
            read_answer(status, body.encode())
        assert refusal.value.code == code
        assert len(refusal.value.what) < 400

    def test_reasons_told_as_a_list_are_told_as_text(self) -> None:
        with pytest.raises(IexecError) as refusal:
            read_answer(404, b'{"error":["the task is not active","come back"]}')
        assert refusal.value.what.endswith(": the task is not active; come back")


class TestTheTask:
    def test_nobody_is_given_it_before_the_sms_has_answered(self) -> None:
        decision = after(tee_task(), e.Initialized())
        assert decision.commands == [c.AskEnclave()]
        assert decision.state.phase is Phase.RUNNING

    def test_workers_get_it_once_the_account_is_named(self) -> None:
        decision = after(tee_task(), e.Initialized(), e.EnclaveNamed(ENCLAVE))
        assert decision.commands == [c.AssignReplicas(1)]
        assert decision.state.enclave_challenge == ENCLAVE
        assert decision.state.mode == "contribute"

    def test_it_fails_at_once_where_there_are_no_enclaves_and_is_refunded_after_its_deadline(self) -> None:
        state = after(tee_task(), e.Initialized()).state
        failed = after(state, e.EnclaveRefused("TEE_UNAVAILABLE", "no enclave runs this task", final=True))
        assert failed.state.phase is Phase.FAILED
        assert (failed.state.cause, failed.state.explanation) == ("TEE_UNAVAILABLE", "no enclave runs this task")
        assert failed.commands == []
        final = failed.state.chain.final_deadline
        assert after(failed.state, e.Ticked(), now=final).commands == [c.SubmitClaim()]

    def test_a_service_that_is_away_holds_it_up_and_no_more(self) -> None:
        state = after(tee_task(), e.Initialized()).state
        waiting = after(state, e.EnclaveRefused("SMS_UNREACHABLE", "no answer", final=False))
        assert (waiting.state.phase, waiting.state.cause) == (Phase.RUNNING, "SMS_UNREACHABLE")
        assert waiting.commands == [c.AskEnclave()]
        going_on = after(waiting.state, e.EnclaveNamed(ENCLAVE))
        assert going_on.state.cause is None
        assert going_on.commands == [c.AssignReplicas(1)]

    def test_an_answer_that_never_came_is_named_when_it_is_too_late(self) -> None:
        state = after(tee_task(), e.Initialized(), e.EnclaveRefused("SMS_UNREACHABLE", "no answer", final=False)).state
        late = state.chain.contribution_deadline
        decision = after(replace(state, read_at=late), e.Ticked(), now=late)
        assert decision.state.phase is Phase.FAILED
        assert decision.state.cause == "SMS_UNREACHABLE"

    def test_late_answers_change_nothing(self) -> None:
        state = after(tee_task(), e.Initialized(), e.EnclaveNamed(ENCLAVE)).state
        again = after(state, e.EnclaveRefused("TEE_UNAVAILABLE", "too late", final=True), e.EnclaveNamed(address(5)))
        assert (again.state.enclave_challenge, again.state.given_up) == (ENCLAVE, False)
        gone = after(tee_task(), e.Initialized(), e.EnclaveRefused("TEE_UNAVAILABLE", "none", final=True)).state
        assert after(gone, e.EnclaveNamed(ENCLAVE)).state.phase is Phase.FAILED

    def test_workers_without_enclaves_fail_it_as_before(self) -> None:
        state = after(tee_task(), e.Initialized(), e.EnclaveNamed(ENCLAVE)).state
        for number in range(2):
            worker = address(number)
            refusal = report(worker, ReplicateStatus.FAILED, cause="TEE_NOT_SUPPORTED", message="no enclave here")
            state = after(state, e.Assigned(worker, 2), refusal).state
        assert (state.phase, state.cause) == (Phase.FAILED, "TEE_NOT_SUPPORTED")
