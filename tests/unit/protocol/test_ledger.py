"""The ledger tells every movement once, and the audit notices every unit that is missing."""

from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.ledger import Holdings, HubEvent, Movement, discrepancies, ledger, replay
from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, TaskId, bytes32, checksum

HUB, ALICE, BOB, EVE = (checksum(f"0x{number:040x}") for number in range(1, 5))
TASK = TaskId(bytes32(7))
DEAL = bytes32(9)
RIGHT, WRONG = bytes32(1), bytes32(2)


def transfer(sender: Address, receiver: Address, value: int, tx: str = "0xt") -> HubEvent:
    return HubEvent("Transfer", {"from": sender, "to": receiver, "value": value}, tx, 1)


def amount(name: str, owner: Address, value: int, tx: str, **more: str) -> HubEvent:
    return HubEvent(name, {"owner": owner, "amount": value, **more}, tx, 1)


def history() -> list[HubEvent]:
    """Alice buys a task that Bob proves and Eve gets wrong."""
    return [
        transfer(NULL_ADDRESS, ALICE, 100, "0xd1"),
        transfer(NULL_ADDRESS, BOB, 30, "0xd2"),
        transfer(NULL_ADDRESS, EVE, 30, "0xd3"),
        transfer(ALICE, HUB, 100, "0xmatch"),
        amount("Lock", ALICE, 100, "0xmatch"),
        HubEvent("OrdersMatched", {"dealid": DEAL, "volume": 1}, "0xmatch", 1),
        *contribution(BOB, RIGHT, "0xc1"),
        *contribution(EVE, WRONG, "0xc2"),
        HubEvent("TaskConsensus", {"taskid": TASK, "consensus": RIGHT}, "0xc2", 2),
        amount("Seize", ALICE, 100, "0xf", ref=TASK),
        transfer(HUB, BOB, 30, "0xf"),
        amount("Unlock", BOB, 30, "0xf"),
        transfer(HUB, BOB, 130, "0xf"),
        amount("Reward", BOB, 130, "0xf", ref=TASK),
        HubEvent("AccurateContribution", {"worker": BOB, "taskid": TASK}, "0xf", 3),
        amount("Seize", EVE, 30, "0xf", ref=TASK),
        HubEvent("FaultyContribution", {"worker": EVE, "taskid": TASK}, "0xf", 3),
        HubEvent("TaskFinalize", {"taskid": TASK, "results": b""}, "0xf", 3),
    ]


def contribution(worker: Address, result: str, tx: str) -> list[HubEvent]:
    return [
        transfer(worker, HUB, 30, tx),
        amount("Lock", worker, 30, tx),
        HubEvent("TaskContribute", {"taskid": TASK, "worker": worker, "hash": result}, tx, 2),
    ]


def test_replaying_the_events_gives_what_everybody_holds() -> None:
    held = replay(history())
    assert held == {
        ALICE: Holdings(0, 0),
        BOB: Holdings(160, 0),
        EVE: Holdings(0, 0),
        HUB: Holdings(0, 0),
    }


def test_money_that_adds_up_has_no_discrepancies() -> None:
    held = replay(history())
    assert discrepancies(held, held, HUB, total_supply=160, token_balance=160) == []


@given(st.sampled_from([ALICE, BOB, EVE, HUB]), st.integers(-50, 50).filter(bool), st.booleans())
def test_every_unit_that_is_off_is_noticed(account: Address, off: int, frozen: bool) -> None:
    held = replay(history())
    right = held[account]
    wrong = Holdings(right.stake, right.locked + off) if frozen else Holdings(right.stake + off, right.locked)
    assert discrepancies(held, held | {account: wrong}, HUB, total_supply=160, token_balance=160)


def test_a_hub_that_holds_too_little_rlc_is_noticed() -> None:
    held = replay(history())
    assert discrepancies(held, held, HUB, total_supply=160, token_balance=159)


def test_the_ledger_says_who_lost_a_stake_and_why() -> None:
    lost = [line for line in ledger(history(), [TASK], [DEAL]) if line.movement is Movement.LOST]
    assert [(line.account, line.amount, line.transaction) for line in lost] == [(EVE, 30, "0xf")]
    assert WRONG[:10] in lost[0].reason
    assert RIGHT[:10] in lost[0].reason


def test_the_ledger_leaves_out_what_other_deals_did() -> None:
    foreign = amount("Reward", EVE, 5, "0xother", ref=bytes32(1234))
    assert ledger([*history(), foreign], [TASK], [DEAL]) == ledger(history(), [TASK], [DEAL])


def test_a_claimed_task_gives_back_and_the_scheduler_pays_the_kitty() -> None:
    events = [
        transfer(HUB, ALICE, 100, "0xclaim"),
        amount("Unlock", ALICE, 100, "0xclaim"),
        amount("Seize", BOB, 30, "0xclaim", ref=TASK),
        amount("Reward", KITTY_ADDRESS, 30, "0xclaim", ref=TASK),
        amount("Lock", KITTY_ADDRESS, 30, "0xclaim"),
        HubEvent("TaskClaimed", {"taskid": TASK}, "0xclaim", 4),
    ]
    lines = ledger(events, [TASK], [])
    assert [(line.account, line.movement) for line in lines] == [
        (ALICE, Movement.UNLOCKED),
        (BOB, Movement.LOST),
        (KITTY_ADDRESS, Movement.EARNED),
    ]
    assert {line.reason for line in lines if line.account == ALICE} == {"claimed back"}


def test_tasks_claimed_together_are_told_apart() -> None:
    other = TaskId(bytes32(8))
    events = [
        event
        for task in (TASK, other)
        for event in (
            amount("Unlock", ALICE, 100, "0xclaims"),
            amount("Seize", BOB, 30, "0xclaims", ref=task),
            amount("Unlock", EVE, 30, "0xclaims"),
            HubEvent("TaskClaimed", {"taskid": task}, "0xclaims", 4),
        )
    ]
    lines = ledger(events, [TASK, other], [])
    assert [line.task_id for line in lines] == [TASK] * 3 + [other] * 3
