"""What scheduler and worker say to each other over their WebSocket, as JSON text.

The scheduler opens with a `Challenge`, the worker answers `Hello` and hears `Welcome` or `Refused`. Afterwards commands
and reports travel in numbered `Envelope`s: the sender stores one before sending it, and keeps it until the receiver has
committed its effect and acknowledged its number. `Ping` and `Pong` show that the other is there and are never stored;
nor is `Output`, which repeats what the run's last report says for whoever cannot wait for it, or `Offer`.

A greeting is read by whatever version its receiver is of, so fields that it does not know are passed over there. A
worker that reads greetings like that says so in the address that it connects to (`GREETING`); older ones, which do not,
are greeted with the fields that they know alone. In all else an unknown field is an error.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pyiexec.protocol.authorization import SIGNATURE_PATTERN, WORD_PATTERN, WorkerpoolAuthorization
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32, ResultHash, TaskId, checksum, keccak256, to_bytes
from pyiexec.protocol.printed import Excerpt, Printed
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.versions import UNSAID, Speech, unsaid

#: Name and value in the query of a worker's connection, by which it says that it passes over what it does not know in
#: greetings.
GREETING, GREETING_FORM = "greeting", "2"
#: Longest free text in characters.
MAX_TEXT = 4_096

_Word = Annotated[Bytes32, Meta(pattern=WORD_PATTERN)]
_TransactionHash = Annotated[str, Meta(pattern=WORD_PATTERN)]
_TaskId = Annotated[TaskId, Meta(pattern=WORD_PATTERN)]
_ResultHash = Annotated[ResultHash, Meta(pattern=WORD_PATTERN)]
_Signature = Annotated[str, Meta(pattern=SIGNATURE_PATTERN)]
_Name = Annotated[str, Meta(max_length=256)]
_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
#: Numbers that every database holds.
_MOST = (1 << 53) - 1
_Number = Annotated[int, Meta(ge=1, le=_MOST)]
_Received = Annotated[int, Meta(ge=0, le=_MOST)]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """A message; its JSON carries the class name in `type`."""


class _Greeting(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A message with which a conversation begins; newer versions may say more in it."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker offers, to all its tasks together.

    Attributes:
        slots: tasks at a time.
        runtimes: by name.
        cached: checksums of the apps and datasets that it holds.
        cpus: processors lent; None, as for memory and disk, of a worker that does not tell.
        memory_bytes: memory lent.
        disk_bytes: of the disk, free for tasks.
        gpus: GPUs lent to applications.
        enclaves: frameworks of its enclaves, by their names in tags.
    """

    slots: Annotated[int, Meta(ge=0, le=4096)] = 1
    runtimes: Annotated[list[_Name], Meta(max_length=64)] = []
    cached: Annotated[list[_Name], Meta(max_length=1024)] = []
    cpus: _Number | None = None
    memory_bytes: _Received | None = None
    disk_bytes: _Received | None = None
    gpus: Annotated[int, Meta(ge=0, le=4096)] = 0
    enclaves: Annotated[list[_Name], Meta(max_length=16)] = []


class Challenge(_Greeting, frozen=True, kw_only=True, tag=True):
    """The scheduler's first word.

    Attributes:
        nonce: random and good for one login.
        protocol: the version to speak with who takes only one.
        speech: all that the scheduler speaks; only for workers that read greetings of this form.
    """

    nonce: _Word
    chain_id: _Number
    workerpool: Address
    protocol: int = UNSAID
    speech: Speech | UnsetType = UNSET

    def __post_init__(self) -> None:
        _require_checksum(self.workerpool)

    @property
    def spoken(self) -> Speech:
        """What the scheduler speaks."""
        return unsaid(self.protocol) if self.speech is UNSET else self.speech


class Hello(_Greeting, frozen=True, kw_only=True, tag=True):
    """The worker's answer.

    Attributes:
        signature: over `login_hash`.
        received: the last command that it has carried out.
        speech: what the worker speaks; said to schedulers that say what they speak.
    """

    worker: Address
    signature: _Signature
    capabilities: Capabilities
    received: _Received
    speech: Speech | UnsetType = UNSET

    def __post_init__(self) -> None:
        _require_checksum(self.worker)

    @property
    def spoken(self) -> Speech:
        """What the worker speaks."""
        return unsaid() if self.speech is UNSET else self.speech


class Welcome(_Greeting, frozen=True, kw_only=True, tag=True):
    """The worker is in: `received` is its last report kept; silence of several heartbeats means that it is lost."""

    received: _Received
    heartbeat_seconds: Annotated[float, Meta(gt=0)]


class Refused(_Greeting, frozen=True, kw_only=True, tag=True):
    """The worker is not let in; `code` is one of the error catalogue."""

    code: _Name
    message: _Text

    def __post_init__(self) -> None:
        _fit(self, "message", self.message[:MAX_TEXT])


class Ack(_Message, frozen=True, kw_only=True, tag=True):
    """Everything up to envelope `seq` is committed and need not be kept."""

    seq: _Received


class Ping(_Message, frozen=True, kw_only=True, tag=True):
    """Are you there?"""


class Pong(_Message, frozen=True, kw_only=True, tag=True):
    """Yes."""


class Assign(_Message, frozen=True, kw_only=True, tag=True):
    """Run the task and vote before `contribution_deadline` (chain time, seconds)."""

    authorization: WorkerpoolAuthorization
    mode: Literal["contribute", "contribute_and_finalize"]
    contribution_deadline: _Received

    def __post_init__(self) -> None:
        _require_checksum(self.authorization.worker)
        _require_checksum(self.authorization.enclave_challenge)

    @property
    def task_id(self) -> TaskId:
        """The task to run."""
        return self.authorization.task_id


class Reveal(_Message, frozen=True, kw_only=True, tag=True):
    """The chain agreed on `consensus`: reveal if that was your vote."""

    task_id: _TaskId
    consensus: _ResultHash


class Upload(_Message, frozen=True, kw_only=True, tag=True):
    """Upload the result and report its location."""

    task_id: _TaskId


class Complete(_Message, frozen=True, kw_only=True, tag=True):
    """The task is finalized; forget it."""

    task_id: _TaskId


class Abort(_Message, frozen=True, kw_only=True, tag=True):
    """Stop working on the task and forget it."""

    task_id: _TaskId
    reason: _Text

    def __post_init__(self) -> None:
        _fit(self, "reason", self.reason[:MAX_TEXT])


class Progress(_Message, frozen=True, kw_only=True, tag=True):
    """The worker reached `status`. Texts too long are cut when the report is made.

    Attributes:
        cause: an error code when it failed or stopped.
        message: the cause in words.
        transaction: hash of the transaction that brought the status about.
        location: where the uploaded result is, as in the result link.
        exit_code: of the application, once it ended.
        printed: the end of what the application printed, once it ended and if it printed anything.
    """

    task_id: _TaskId
    status: ReplicateStatus
    cause: _Name | None = None
    message: _Text = ""
    transaction: _TransactionHash | None = None
    location: _Text | None = None
    exit_code: Annotated[int, Meta(ge=-_MOST, le=_MOST)] | None = None
    printed: Printed | None = None

    def __post_init__(self) -> None:
        _fit(self, "message", self.message[:MAX_TEXT])


class Output(_Message, frozen=True, kw_only=True, tag=True):
    """What a task's application has printed since the last of these; pieces may be missing between two of them."""

    task_id: _TaskId
    stdout: Excerpt = Excerpt()
    stderr: Excerpt = Excerpt()


class Offer(_Message, frozen=True, kw_only=True, tag=True):
    """What a worker offers from now on; sent only where both sides have the feature `OFFERS`."""

    capabilities: Capabilities


Command: TypeAlias = Assign | Reveal | Upload | Complete | Abort
Report: TypeAlias = Progress


class Envelope(_Message, frozen=True, kw_only=True, tag=True):
    """A command or report and its number, counted from 1 for each worker and direction."""

    seq: _Number
    body: Assign | Reveal | Upload | Complete | Abort | Progress


Message: TypeAlias = Challenge | Hello | Welcome | Refused | Envelope | Ack | Ping | Pong | Output | Offer


def _require_checksum(address: str) -> None:
    """One spelling only, so that addresses from the wire can be compared as text."""
    try:
        if checksum(address) != address:
            raise ValueError(f"{address} is not spelled with its EIP-55 checksum")
    except IexecError as error:
        raise ValueError(error.what) from None


def _fit(message: _Message | _Greeting, field: str, text: str) -> None:
    """Let no free text, which comes from anywhere, make a stored message that its receiver would refuse for ever."""
    fitting = text.encode("utf-8", "replace").decode()
    if fitting != getattr(message, field):
        msgspec.structs.force_setattr(message, field, fitting)


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_body_decoder: msgspec.json.Decoder[Command | Report] = msgspec.json.Decoder(Command | Report)


def encode_message(message: Message | Command | Report) -> bytes:
    """The JSON of a message, or of the body of an envelope to be stored."""
    return _encoder.encode(message)


def decode_message(data: str | bytes) -> Message:
    """The message in `data`.

    Raises:
        IexecError: ``BAD_MESSAGE`` when it is none, naming the field.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise IexecError("BAD_MESSAGE", f"not a message of the worker channel: {error}") from None


def decode_body(data: str | bytes) -> Command | Report:
    """The command or report stored as `data`.

    Raises:
        IexecError: ``BAD_MESSAGE``.
    """
    try:
        return _body_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise IexecError("BAD_MESSAGE", f"not a command or report: {error}") from None


def login_hash(challenge: Challenge, worker: Address) -> bytes:
    """What `worker` signs, with the EIP-191 prefix, to log in: bound to the challenge, the chain and the pool."""
    return keccak256(
        b"pyiexec-worker-login"
        + to_bytes(challenge.nonce)
        + challenge.chain_id.to_bytes(32, "big")
        + to_bytes(challenge.workerpool)
        + to_bytes(worker)
    )
