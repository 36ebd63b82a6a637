"""What a task asks for next, as a table of situations and as properties of random histories."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scheduler.model import START, TIMEREF, World, address, fresh, report, result

from pyiexec.protocol.primitives import ResultDigest, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.requirements import Needs
from pyiexec.scheduler.rules import Decision, Policy, decide, replicas_missing, wake_at
from pyiexec.scheduler.state import TaskState

S = ReplicateStatus
A, B, C, D, E, F = (address(number) for number in range(6))
RIGHT, WRONG = result("right"), result("wrong")
DIGEST = ResultDigest(bytes32(1))


def after(state: TaskState, *events: e.Event, now: int = START + 1, candidates: int = 9) -> Decision:
    return decide(state, events, now=now, candidates=candidates)


def running(trust: int, *workers: str, weight: int = 2) -> TaskState:
    assigned = (e.Assigned(worker, weight) for worker in workers)  # type: ignore[arg-type]
    return after(fresh(trust), e.Initialized(), *assigned).state


def revealing(*voters: str, trust: int = 2) -> TaskState:
    votes = [e.Contributed(voter, RIGHT, 2) for voter in voters]  # type: ignore[arg-type]
    consensus = e.ConsensusReached(RIGHT, START + 3 * TIMEREF)
    return after(running(trust, *voters), *votes, consensus).state


# --- opening and assigning ------------------------------------------------------------------------------------------


def test_a_new_task_is_opened_on_chain() -> None:
    assert after(fresh()).commands == [c.SubmitInitialize()]


def test_workers_get_a_task_once_it_is_open() -> None:
    state, commands = after(fresh(5), e.InitializeSent())
    assert state.phase is Phase.INITIALIZING
    assert commands == [c.SubmitInitialize()]
    assert after(state, e.Initialized()).commands == [c.AssignReplicas(3)]


def test_or_as_soon_as_its_opening_is_sent_if_the_manager_wants_that() -> None:
    policy = Policy(assign_early=True)
    commands = decide(fresh(5), [e.InitializeSent()], now=START, candidates=3, policy=policy).commands
    assert c.AssignReplicas(3) in commands


@pytest.mark.parametrize(("trust", "replicas"), [(0, 1), (1, 1), (2, 1), (3, 2), (5, 3), (10, 4), (100, 7)])
def test_trust_says_how_many_newcomers_are_needed(trust: int, replicas: int) -> None:
    assert after(fresh(trust), e.Initialized()).commands == [c.AssignReplicas(replicas)]


def test_a_reputed_worker_replaces_several_newcomers() -> None:
    assert after(running(10), e.Assigned(A, 9)).commands == [c.AssignReplicas(1)]


def test_nobody_is_added_while_those_at_work_suffice() -> None:
    assert after(running(10, A, B, C, D), report(A, S.COMPUTED)).commands == []


def test_one_dissent_at_trust_ten_takes_five_votes_against_it() -> None:
    state = running(10, A, B, C, D)
    assert after(state, e.Contributed(A, WRONG, 2), e.Contributed(B, RIGHT, 2)).commands == [c.AssignReplicas(2)]


def test_a_single_worker_is_enough_for_contribute_and_finalize() -> None:
    state = running(1, A)
    assert state.mode == "contribute_and_finalize"
    assert replicas_missing(state, START + 1, Policy()) == 0


def test_a_deal_with_a_callback_takes_the_classic_way() -> None:
    assert fresh(1, callback=True).mode == "contribute"


def test_when_the_chain_does_not_agree_with_the_arithmetic_another_worker_is_added() -> None:
    state = after(running(2, A), e.Contributed(A, RIGHT, 9)).state
    assert state.chain.status is TaskStatus.ACTIVE
    assert after(state).commands == [c.AssignReplicas(1)]


# --- replacing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        report(B, S.FAILED, cause="STAKE_TOO_LOW"),
        report(B, S.ABORTED, cause="TASK_ABORTED"),
        e.WorkerLost(B),
        e.WorkerReturned(B, forgot=True),
    ],
)
def test_a_replicate_that_ends_without_a_vote_is_replaced_at_once(failure: e.Event) -> None:
    assert after(running(5, A, B, C), failure).commands[-1] == c.AssignReplicas(1)


def test_a_worker_without_progress_for_longer_than_the_category_allows_is_replaced() -> None:
    state = running(5, A, B, C)
    due = wake_at(state, START + 1, Policy())
    assert due == START + 1 + TIMEREF + Policy().patience
    assert after(state, e.Ticked(), now=due).commands == [c.AssignReplicas(3)]


@pytest.mark.parametrize("status", [S.CONTRIBUTE_AND_FINALIZE_DONE, S.COMPLETED])
def test_a_worker_that_is_ahead_of_the_chains_log_is_replaced_only_when_the_log_stays_silent(status: S) -> None:
    state, commands = after(running(1, A), report(A, S.COMPUTED), report(A, status))
    assert commands == []
    due = wake_at(state, START + 1, Policy())
    assert due == START + 1 + TIMEREF + Policy().patience
    assert after(state, e.Ticked(), now=due - 1).commands == []
    assert after(state, e.Ticked(), now=due).commands == [c.AssignReplicas(1)]


@given(st.integers(1, 20), st.lists(st.sampled_from([S.FAILED, S.COMPUTED, S.ABORTED]), max_size=3), st.integers(2, 9))
def test_it_makes_no_difference_how_many_more_could_be_asked_than_must_fail_alike(
    trust: int, ends: list[S], candidates: int
) -> None:
    state = running(trust, A, B, C)
    reports = [report(worker, end, cause="APP_EXIT") for worker, end in zip((A, B, C), ends, strict=False)]
    few, many = (after(state, *reports, candidates=number) for number in (Policy().failures, candidates))
    assert few == many


def test_a_lost_worker_that_comes_back_in_time_keeps_its_replicate() -> None:
    lost = after(running(5, A, B, C), e.WorkerLost(B), candidates=0).state
    state, commands = after(lost, e.WorkerReturned(B), candidates=0)
    assert commands == []
    assert state.find(B).shown_status is S.CREATED  # type: ignore[union-attr]


def test_a_lost_worker_that_comes_back_after_its_replacement_is_sent_home() -> None:
    lost = after(running(5, A, B, C), e.WorkerLost(B), e.Assigned(D, 2)).state
    assert [type(command) for command in after(lost, e.WorkerReturned(B)).commands] == [c.SendAbort]


def test_a_lost_worker_whose_vote_is_on_chain_still_counts() -> None:
    state = after(running(5, A, B, C), e.Contributed(B, RIGHT, 2)).state
    assert after(state, e.WorkerLost(B)).commands == []


def test_a_vote_seen_on_chain_brings_back_a_replicate_given_up() -> None:
    state = after(running(5, A, B, C), report(B, S.FAILED, cause="INTERNAL"), e.Contributed(B, RIGHT, 2)).state
    assert state.find(B).status is S.CONTRIBUTED  # type: ignore[union-attr]
    assert after(state).commands == []


# --- failing early --------------------------------------------------------------------------------------------------


def test_the_task_fails_early_when_two_workers_blame_the_application_alike() -> None:
    blame = [report(worker, S.FAILED, cause="APP_EXITED_NON_ZERO", message="exit 3") for worker in (A, B)]
    state, commands = after(running(5, A, B, C), *blame)
    assert (state.phase, state.cause) == (Phase.FAILED, "APP_EXITED_NON_ZERO")
    assert "exit 3" in state.explanation
    assert commands == [c.SendAbort(C, f"the task failed: {state.explanation}")]


def test_one_worker_alone_cannot_fail_a_task_that_others_can_try() -> None:
    state, commands = after(running(5, A, B, C), report(A, S.FAILED, cause="APP_OUT_OF_FUEL"))
    assert state.phase is Phase.RUNNING
    assert commands == [c.AssignReplicas(1)]


def test_the_only_worker_of_a_pool_can() -> None:
    state = after(running(1, A), report(A, S.FAILED, cause="APP_OUT_OF_FUEL"), candidates=0).state
    assert (state.phase, state.cause) == (Phase.FAILED, "APP_OUT_OF_FUEL")


def test_two_workers_cannot_fail_a_task_that_two_others_computed() -> None:
    state = after(running(10, A, B, C, D), e.Contributed(A, RIGHT, 2), e.Contributed(B, RIGHT, 2)).state
    blame = [report(worker, S.FAILED, cause="APP_TRAPPED") for worker in (C, D)]
    assert after(state, *blame).commands == [c.AssignReplicas(2)]


def test_failures_of_the_workers_own_never_fail_the_task_early() -> None:
    blame = [report(worker, S.FAILED, cause="STAKE_TOO_LOW") for worker in (A, B, C)]
    state, commands = after(running(5, A, B, C), *blame)
    assert state.phase is Phase.RUNNING
    assert commands == [c.AssignReplicas(3)]


def test_without_another_worker_to_ask_no_consensus_is_told_at_once_and_final_at_the_deadline() -> None:
    votes = [e.Contributed(w, r, 2) for w, r in ((A, RIGHT), (B, RIGHT), (C, WRONG), (D, WRONG))]
    state, _ = after(running(10, A, B, C, D), *votes, candidates=0)
    assert (state.phase, state.cause) == (Phase.RUNNING, "NO_CONSENSUS")
    late = START + 7 * TIMEREF
    asking = after(state, now=late, candidates=0)
    assert c.ReadChain() in asking.commands
    assert asking.state.cause == "NO_CONSENSUS"
    read = e.ChainRead(state.chain, {}, {}, late)
    state = after(msgspec.structs.replace(state, read_at=read.at), now=late, candidates=0).state
    assert (state.phase, state.cause) == (Phase.FAILED, "NO_CONSENSUS")


def test_a_worker_that_joins_lets_a_stalled_task_go_on() -> None:
    votes = [e.Contributed(w, r, 2) for w, r in ((A, RIGHT), (B, RIGHT), (C, WRONG), (D, WRONG))]
    stalled = after(running(10, A, B, C, D), *votes, candidates=0).state
    state, commands = after(stalled, candidates=1)
    assert state.cause is None
    assert isinstance(commands[0], c.AssignReplicas)


def test_a_consensus_on_chain_outranks_a_task_given_up() -> None:
    blame = [report(worker, S.FAILED, cause="APP_TRAPPED") for worker in (A, B)]
    failed = after(running(5, A, B, C, D), *blame).state
    assert failed.phase is Phase.FAILED
    votes = [e.Contributed(C, RIGHT, 9), e.ConsensusReached(RIGHT, START + 300)]
    state, commands = after(failed, *votes)
    assert state.phase is Phase.CONSENSUS
    assert c.SendReveal(C, RIGHT) in commands


# --- revealing, uploading, finalizing -------------------------------------------------------------------------------


def test_consensus_asks_the_winners_to_reveal_and_sends_the_others_home() -> None:
    state = running(5, A, B, C, D, E)
    votes = [e.Contributed(A, RIGHT, 2), e.Contributed(B, WRONG, 2), e.Contributed(C, RIGHT, 9)]
    commands = after(state, *votes, e.ConsensusReached(RIGHT, START + 300)).commands
    assert [k for k in commands if isinstance(k, c.SendReveal)] == [c.SendReveal(A, RIGHT), c.SendReveal(C, RIGHT)]
    assert [k.worker for k in commands if isinstance(k, c.SendAbort)] == [D, E]


def test_nothing_is_told_twice() -> None:
    assert after(revealing(A)).commands == []


def test_contribute_and_finalize_seen_in_one_block_asks_for_no_reveal() -> None:
    seen = [
        e.Contributed(A, RIGHT, 2),
        e.ConsensusReached(RIGHT, START + 300),
        e.Revealed(A, DIGEST),
        e.Finalized(b"l"),
    ]
    state, commands = after(running(1, A), *seen)
    assert state.phase is Phase.COMPLETED
    assert commands == [c.SendComplete(A)]


def test_an_offered_result_is_verified_before_anything_is_finalized() -> None:
    offered = report(A, S.RESULT_UPLOADED, location="/ipfs/x")
    state, commands = after(revealing(A), e.Revealed(A, DIGEST), offered)
    assert commands == [c.VerifyUpload(A, "/ipfs/x", RIGHT)]
    state, commands = after(state, e.UploadVerified(A, "/ipfs/x"))
    assert commands == [c.SubmitFinalize("/ipfs/x")]
    assert state.phase is Phase.FINALIZING


def test_a_result_is_verified_while_other_winners_still_reveal() -> None:
    state = revealing(A, B)
    commands = after(state, e.Revealed(A, DIGEST), report(A, S.REVEALED, location="/ipfs/x")).commands
    assert commands == [c.VerifyUpload(A, "/ipfs/x", RIGHT)]


def test_a_result_verified_for_a_consensus_thrown_away_is_not_finalized_under_the_next() -> None:
    state = after(revealing(A), report(A, S.CONTRIBUTED, location="/ipfs/old"), e.Reopened()).state
    again = [e.Assigned(B, 2), e.Contributed(B, WRONG, 2), e.ConsensusReached(WRONG, START + 4 * TIMEREF)]
    state, commands = after(state, *again, e.Revealed(B, DIGEST), e.UploadVerified(A, "/ipfs/old"))
    assert state.location is None
    assert not any(isinstance(command, c.SubmitFinalize) for command in commands)


def test_of_many_offers_one_is_looked_at_at_a_time() -> None:
    offers = [report(A, S.REVEALED, location=f"/ipfs/{number}") for number in range(9)]
    assert after(revealing(A), *offers).commands == [c.VerifyUpload(A, "/ipfs/0", RIGHT)]


def test_a_wrong_upload_turns_to_the_next_winner() -> None:
    revealed = after(revealing(A, B), e.Revealed(A, DIGEST), e.Revealed(B, DIGEST)).state
    state = after(revealed, report(A, S.RESULT_UPLOADED, location="/ipfs/x")).state
    refused = e.UploadRefused(A, "/ipfs/x", "CONTENT_MISMATCH", "something else")
    state, commands = after(state, refused)
    assert commands == [c.RequestUpload(B)]
    assert state.find(A).cause == "CONTENT_MISMATCH"  # type: ignore[union-attr]


def test_an_uploader_that_stays_silent_gives_way_to_the_next() -> None:
    state, commands = after(revealing(A, B), e.Revealed(A, DIGEST), e.Revealed(B, DIGEST))
    assert commands == [c.RequestUpload(A)]
    assert after(state, now=START + 1 + Policy().patience).commands == [c.RequestUpload(B)]


def test_an_uploader_that_is_lost_gives_way_at_once() -> None:
    state = after(revealing(A, B), e.Revealed(A, DIGEST), e.Revealed(B, DIGEST)).state
    assert after(state, e.WorkerLost(A)).commands == [c.RequestUpload(B)]


def test_after_the_reveal_deadline_one_reveal_is_enough() -> None:
    verified = [report(A, S.REVEALED, location="/ipfs/x"), e.Revealed(A, DIGEST), e.UploadVerified(A, "/ipfs/x")]
    state = after(revealing(A, B), *verified).state
    assert after(state, now=START + 2).commands == []
    assert after(state, now=state.chain.reveal_deadline).commands == [c.SubmitFinalize("/ipfs/x")]


def test_without_any_reveal_the_task_is_reopened_and_given_to_others() -> None:
    state = revealing(A)
    assert after(state, now=state.chain.reveal_deadline).commands == [c.SubmitReopen(RIGHT)]
    reopened, commands = after(state, e.Reopened(), now=state.chain.reveal_deadline)
    assert reopened.phase is Phase.RUNNING
    assert commands == [c.AssignReplicas(1)]


def test_a_dissenter_is_kept_for_the_next_round() -> None:
    state = running(3, A, B, C)
    votes = [e.Contributed(B, WRONG, 2), e.Contributed(A, RIGHT, 9), e.ConsensusReached(RIGHT, START + 200)]
    state, commands = after(state, *votes)
    assert B not in [k.worker for k in commands if isinstance(k, c.SendAbort)]
    again = [e.Reopened(), e.Contributed(D, WRONG, 2), e.ConsensusReached(WRONG, START + 500)]
    assert c.SendReveal(B, WRONG) in after(state, *again, now=START + 201).commands


def test_after_the_final_deadline_the_task_is_claimed_once_the_manager_wants_it() -> None:
    state = running(5, A, B, C)
    late = START + 10 * TIMEREF
    assert c.SubmitClaim() in after(state, now=late).commands
    decision = decide(state, (), now=late, candidates=0, policy=Policy(auto_claim=False))
    assert c.SubmitClaim() not in decision.commands
    assert c.SubmitClaim(initialize=True) in after(fresh(5), now=late).commands


def test_every_participant_hears_of_the_end() -> None:
    state = after(revealing(A, B), e.Revealed(A, DIGEST)).state
    assert after(state, e.Finalized(b"link")).commands == [c.SendComplete(A), c.SendComplete(B)]
    claimed, commands = after(state, e.Claimed())
    assert [type(command) for command in commands] == [c.SendAbort, c.SendAbort]
    assert claimed.cause == "CLAIMED"


# --- the chain outranks everything ----------------------------------------------------------------------------------


def test_a_task_whose_needs_no_worker_in_reach_meets_says_what_they_are() -> None:
    state = after(msgspec.structs.replace(fresh(5), needs=Needs(gpu=True)), e.Initialized(), candidates=0).state
    assert state.cause == "NO_WORKER"
    state = decide(state, [e.Ticked()], now=START + 1, candidates=0, unsuited=3).state
    assert (state.phase, state.cause) == (Phase.RUNNING, "REQUIREMENTS_UNMET")
    assert "a GPU" in state.explanation
    # One that comes, busy or not, is waited for without a complaint.
    assert decide(state, [e.Ticked()], now=START + 1, candidates=1, unsuited=3).state.cause is None
    late = START + 7 * TIMEREF
    failed = decide(msgspec.structs.replace(state, read_at=late), [e.Ticked()], now=late, candidates=0, unsuited=3)
    assert (failed.state.phase, failed.state.cause) == (Phase.FAILED, "REQUIREMENTS_UNMET")


def test_a_reorganisation_takes_votes_back() -> None:
    state = revealing(A, B)
    state = after(state, e.ChainRead(running(2).chain, {}, {}, START + 2)).state
    assert state.phase is Phase.RUNNING
    assert not any(replicate.voted for replicate in state.replicates)


def test_reading_an_unopened_task_keeps_the_deadlines_of_its_deal() -> None:
    state = after(fresh(), e.ChainRead(type(fresh().chain)(), {}, {}, START + 2)).state
    assert state.chain.contribution_deadline == START + 7 * TIMEREF


def test_state_survives_storage() -> None:
    state = after(revealing(A, B), e.Revealed(A, DIGEST)).state
    assert msgspec.json.decode(msgspec.json.encode(state), type=TaskState) == state


# --- random histories -----------------------------------------------------------------------------------------------

behaviours = st.lists(
    st.sampled_from(["good", "good", "good", "liar", "silent", "broken", "app", "crash", "dead", "cheat", "slow"]),
    max_size=9,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0, 1, 2, 3, 5, 10, 17]), behaviours, st.integers(0, 2**32), st.booleans())
def test_every_history_ends_honestly(trust: int, crew: list[str], seed: int, callback: bool) -> None:
    world = World(fresh(trust, callback=callback), crew, seed)
    world.run()
    assert world.state.phase in (Phase.COMPLETED, Phase.FAILED)
    if world.state.phase is Phase.FAILED:
        assert world.state.cause, "a failure has a cause"
    assert len(set(world.assigned)) == len(world.assigned)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([0, 1, 2, 3, 5, 10, 17, 50]), st.integers(0, 2**32))
def test_honest_workers_complete_every_task_without_one_replica_too_many(trust: int, seed: int) -> None:
    world = World(fresh(trust), ["good"] * 12, seed)
    world.run()
    assert world.state.phase is Phase.COMPLETED
    votes = [world.weights[worker] for worker in world.assigned]
    if not world.state.single:
        # Without the last worker given the task it could not have stood.
        groups: dict = {}
        assert replicas_missing_by_weights(groups, votes[:-1], max(trust, 1)) > 0
    else:
        assert len(votes) == 1


def replicas_missing_by_weights(groups: dict, weights: list[int], trust: int) -> int:  # type: ignore[type-arg]
    from pyiexec.protocol.trust import replicas_missing as missing

    return missing(groups, weights, trust)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([2, 3, 5, 10]), behaviours, st.integers(0, 2**32))
def test_a_crash_loses_no_decision(trust: int, crew: list[str], seed: int) -> None:
    """Deciding again from the stored state repeats what is under way and says nothing new to workers."""
    world = World(fresh(trust), crew, seed)
    for _ in range(200):
        if world.state.settled:
            break
        again = decide(world.state, (), now=world.now, candidates=len(world.candidates), policy=world.policy)
        assert again.state == world.state
        told = (c.SendReveal, c.SendAbort, c.SendComplete, c.RequestUpload)
        assert not [command for command in again.commands if isinstance(command, told)]
        if world.pending:
            _, event = world.pending.pop(world.random.randrange(len(world.pending)))
            world._happen(event)
        else:
            world.now += TIMEREF // 2
            world.decide(e.Ticked())


def test_an_end_undone_by_a_reorganisation_is_open_again_until_the_chain_is_read() -> None:
    completed = after(revealing(A), e.Revealed(A, DIGEST), e.Finalized(b"link")).state
    assert completed.settled
    again = after(completed, e.Unsettled()).state
    assert (again.settled, again.chain.status, again.chain.results) == (False, TaskStatus.REVEALING, b"")
    claimed = after(running(5, A), e.Claimed()).state
    assert after(claimed, e.Unsettled()).state.chain.status is TaskStatus.ACTIVE
    assert after(again, e.Unsettled()).state.chain.status is TaskStatus.REVEALING
