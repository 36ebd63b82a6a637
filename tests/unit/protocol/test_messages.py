import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import (
    Abort,
    Ack,
    Assign,
    Capabilities,
    Challenge,
    Command,
    Complete,
    Envelope,
    Hello,
    Message,
    Offer,
    Output,
    Ping,
    Pong,
    Progress,
    Refused,
    Reveal,
    Upload,
    Welcome,
    decode_body,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import DealId, ResultHash, TaskId, bytes32, checksum, keccak256
from pyiexec.protocol.printed import KEPT_CHARACTERS, Excerpt, Printed
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.versions import SPEECH, UNSAID, unsaid

WORKER, POOL = checksum("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), checksum("0x" + "ab" * 20)
DEAL = DealId(bytes32(7))
TASK = ids.task_id(DEAL, 0)
AUTHORIZATION = WorkerpoolAuthorization(worker=WORKER, task_id=TASK, deal_id=DEAL, index=0, signature="0x" + "ab" * 65)
CHALLENGE = Challenge(nonce=bytes32(9), chain_id=31337, workerpool=POOL)
BODIES: list[Command | Progress] = [
    Assign(authorization=AUTHORIZATION, mode="contribute", contribution_deadline=1_700_000_000),
    Reveal(task_id=TASK, consensus=ResultHash(bytes32(3))),
    Upload(task_id=TASK),
    Complete(task_id=TASK),
    Abort(task_id=TASK, reason="another worker was faster"),
    Progress(task_id=TASK, status=ReplicateStatus.STARTED),
    Progress(
        task_id=TASK,
        status=ReplicateStatus.FAILED,
        cause="APP_EXITED_NON_ZERO",
        message="exit code 3",
        transaction=bytes32(4),
        location="/ipfs/Qm",
        exit_code=3,
        printed=Printed(Excerpt("…\n\x1b[31mred"), Excerpt("\0", 7)),
    ),
]
MESSAGES: list[Message] = [
    CHALLENGE,
    Hello(worker=WORKER, signature="0x" + "00" * 65, capabilities=Capabilities(slots=2, runtimes=["wasm"]), received=0),
    Welcome(received=12, heartbeat_seconds=2.5),
    Refused(code="NOT_OWNER", message="not you"),
    Ack(seq=3),
    Ping(),
    Pong(),
    Output(task_id=TASK, stdout=Excerpt("one", 3)),
    Offer(capabilities=Capabilities(cpus=2, memory_bytes=1 << 33, disk_bytes=0, gpus=1, enclaves=["tdx"])),
    msgspec.structs.replace(CHALLENGE, speech=SPEECH),
    *(Envelope(seq=number, body=body) for number, body in enumerate(BODIES, start=1)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert decode_message(encode_message(message)) == message
    assert decode_message(encode_message(message).decode()) == message


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_body_survives_the_outbox(body: Any) -> None:
    assert decode_body(encode_message(body)) == body


def test_every_command_is_among_the_samples() -> None:
    assert {type(body) for body in BODIES} == {*get_args(Command), Progress}
    assert {type(message) for message in MESSAGES} == set(get_args(Message))


def test_a_message_names_its_type() -> None:
    assert json.loads(encode_message(Envelope(seq=1, body=Upload(task_id=TASK)))) == {
        "type": "Envelope",
        "seq": 1,
        "body": {"type": "Upload", "task_id": TASK},
    }


def altered(message: Any, **changes: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(message) | changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"type":"Nonsense"}',
        b'"\xff"',
        b"[" * 100_000,
        altered(CHALLENGE, nonce="0x12"),
        altered(CHALLENGE, nonce=bytes32(9) + "\n"),
        altered(CHALLENGE, workerpool=WORKER.lower()),
        altered(CHALLENGE, workerpool="0x12"),
        altered(CHALLENGE, chain_id="1"),
        altered(CHALLENGE, speech={"lowest": 3, "highest": 2}),
        altered(Upload(task_id=TASK), extra=1),
        altered(Ack(seq=1), seq=-1),
        altered(Ack(seq=1), seq=1.5),
        altered(MESSAGES[1], capabilities={"slots": -1}),
        altered(MESSAGES[1], worker=WORKER.lower()),
        altered(MESSAGES[1], signature="0xabc"),
        altered(Welcome(received=0, heartbeat_seconds=1), heartbeat_seconds=0),
        altered(Envelope(seq=1, body=Upload(task_id=TASK)), seq=0),
        altered(Envelope(seq=1, body=Upload(task_id=TASK)), body={"type": "Ping"}),
    ],
)
def test_what_is_not_a_message_is_refused_whole(data: bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        decode_message(data)
    assert refusal.value.code == "BAD_MESSAGE"


@pytest.mark.parametrize(
    "greeting", [CHALLENGE, MESSAGES[1], Welcome(received=0, heartbeat_seconds=1), Refused(code="X", message="")]
)
def test_what_a_newer_version_adds_to_a_greeting_is_passed_over(greeting: Message) -> None:
    assert decode_message(altered(greeting, something={"new": [1]})) == greeting


def test_greetings_from_before_there_was_anything_to_negotiate_are_read_and_written() -> None:
    """The texts are those that peers of that time sent, and the only ones that they understand."""
    challenge = (
        f'{{"type":"Challenge","nonce":"{bytes32(9)}","chain_id":31337,"workerpool":"{POOL}","protocol":2}}'
    ).encode()
    assert encode_message(CHALLENGE) == challenge
    assert decode_message(challenge) == CHALLENGE
    assert CHALLENGE.spoken == unsaid(UNSAID)
    signature = "0x" + "00" * 65
    capabilities = '{"slots":2,"runtimes":["wasm"],"cached":["0xapp"]}'
    hello = decode_message(
        f'{{"type":"Hello","worker":"{WORKER}","signature":"{signature}","capabilities":{capabilities},"received":5}}'
    )
    assert isinstance(hello, Hello)
    assert hello.capabilities == Capabilities(slots=2, runtimes=["wasm"], cached=["0xapp"])
    assert (hello.received, hello.spoken) == (5, unsaid(UNSAID))
    assert set(json.loads(encode_message(hello))) == {"type", "worker", "signature", "capabilities", "received"}


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        altered(Upload(task_id=TASK), task_id=TASK.upper()),
        altered(BODIES[0], mode="guess"),
        altered(BODIES[0], authorization=msgspec.to_builtins(AUTHORIZATION) | {"index": -1}),
        altered(BODIES[0], authorization=msgspec.to_builtins(AUTHORIZATION) | {"deal_id": "0x1"}),
        altered(BODIES[0], authorization=msgspec.to_builtins(AUTHORIZATION) | {"worker": POOL.lower()}),
        altered(BODIES[0], authorization=msgspec.to_builtins(AUTHORIZATION) | {"extra": 1}),
        altered(BODIES[5], status="ASLEEP"),
        altered(BODIES[5], printed={"stdout": {"text": "x" * (KEPT_CHARACTERS + 1)}}),
        altered(BODIES[5], printed={"stdout": {"text": "x", "offset": -1}}),
        altered(BODIES[5], printed={"stdin": {"text": "x"}}),
        altered(CHALLENGE),
    ],
)
def test_what_is_not_a_body_is_refused_whole(data: bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        decode_body(data)
    assert refusal.value.code == "BAD_MESSAGE"


def test_a_login_is_bound_to_challenge_chain_pool_and_worker() -> None:
    expected = keccak256(
        b"pyiexec-worker-login"
        + bytes(31)
        + b"\x09"
        + (31337).to_bytes(32, "big")
        + b"\xab" * 20
        + bytes.fromhex(WORKER[2:])
    )
    assert login_hash(CHALLENGE, WORKER) == expected
    other = msgspec.structs.replace
    assert (
        len(
            {
                login_hash(CHALLENGE, WORKER),
                login_hash(CHALLENGE, POOL),
                login_hash(other(CHALLENGE, nonce=bytes32(8)), WORKER),
                login_hash(other(CHALLENGE, chain_id=1), WORKER),
                login_hash(other(CHALLENGE, workerpool=WORKER), WORKER),
            }
        )
        == 5
    )


def test_a_task_id_reads_the_same_in_command_and_authorization() -> None:
    assign = BODIES[0]
    assert isinstance(assign, Assign)
    assert assign.task_id == TaskId(TASK) == assign.authorization.task_id


@given(st.text(st.characters(), max_size=20), st.sampled_from([1, 10_000]))
def test_no_text_makes_a_message_that_its_receiver_would_refuse(text: str, times: int) -> None:
    wild = (text + "\ud800") * times
    bodies = (
        Progress(
            task_id=TASK, status=ReplicateStatus.FAILED, message=wild, printed=Printed(Excerpt(wild), Excerpt(wild))
        ),
        Abort(task_id=TASK, reason=wild),
    )
    for body in bodies:
        assert decode_body(encode_message(body)) == body
    refusal = Refused(code="NOT_OWNER", message=wild)
    assert decode_message(encode_message(refusal)) == refusal
