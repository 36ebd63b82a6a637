"""Where contracts live: who stands at which address, what they announced, and how a refused call is undone.

The state of all contracts is kept in tables that remember what they replaced. A call that is refused takes its changes
and events back, as the chain does; nothing is copied for it. Calls may nest, as when a callback calls the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial, wraps
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

from pyiexec.protocol.poco.refusals import Refusal, nothing
from pyiexec.protocol.primitives import Address, TaskId

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
P = ParamSpec("P")

#: The account whose key made a signature of 64 (EIP-2098) or 65 bytes over a digest, None when no key did. A recovery
#: id of 0 or 1 means 27 or 28, and s is in the lower half of the order (EIP-2).
Recover = Callable[[bytes, bytes], Address | None]

_ABSENT = object()


class Event(NamedTuple):
    """What a contract announced; `fields` by the names of its ABI, amounts in nRLC."""

    emitter: Address
    name: str
    fields: Mapping[str, Any]


class Outcome(NamedTuple, Generic[T]):
    """What a call that went through returned, and all events it caused, in order."""

    value: T
    events: tuple[Event, ...]


class Table(dict[K, V]):
    """A contract's mapping: changed by assignment alone, which can be undone."""

    def __init__(self, changes: list[tuple[dict[Any, Any], Any, Any]]) -> None:
        super().__init__()
        self._changes = changes

    def __setitem__(self, key: K, value: V) -> None:
        self._changes.append((self, key, self.get(key, _ABSENT)))
        super().__setitem__(key, value)


class Contract:
    """Code at an address. What it does not understand it refuses; override what it does."""

    def is_valid_signature(self, _digest: bytes, _signature: bytes) -> bool:
        """ERC-1271: whether the contract stands by a signature."""
        raise nothing()

    def has_member(self, _account: Address) -> bool:
        """ERC-734 `keyHasPurpose` with the purpose of group members."""
        raise nothing()

    def receive_result(self, _task: TaskId, _data: bytes, *, sender: Address, now: int) -> None:
        """ERC-1154: told of a result. May call the hub back."""
        raise nothing()

    def receive_approval(
        self, _owner: Address, _amount: int, _token: Address, _data: Any, *, sender: Address, now: int
    ) -> bool:
        """Told of an approval by `approveAndCall`; whether it is content."""
        raise nothing()

    def view_score(self, _worker: Address) -> int:
        """A hub of old: the score to be imported."""
        raise nothing()


class World:
    """All contracts of a simulation. Not safe to share between threads."""

    def __init__(self, recover: Recover) -> None:
        self.recover = recover
        self.contracts: dict[Address, Contract] = {}
        self._events: list[Event] = []
        self._changes: list[tuple[dict[Any, Any], Any, Any]] = []
        self._depth = 0

    def table(self) -> Table[Any, Any]:
        """A new empty table."""
        return Table(self._changes)

    def emit(self, emitter: Address, name: str, /, **fields: Any) -> None:
        """Announce an event."""
        self._events.append(Event(emitter, name, fields))

    def has_code(self, account: Address) -> bool:
        """Whether a contract stands at `account`."""
        return account in self.contracts

    def at(self, account: Address) -> Contract:
        """The contract at `account`.

        Raises:
            Refusal: there is none.
        """
        contract = self.contracts.get(account)
        if contract is None:
            raise nothing()
        return contract

    def attempt(self, call: Callable[[], T]) -> Outcome[T]:
        """Carry out `call` as a whole or not at all.

        Raises:
            Refusal: the call was refused and nothing changed.
        """
        changed, told = len(self._changes), len(self._events)
        self._depth += 1
        try:
            value = call()
            return Outcome(value, tuple(self._events[told:]))
        except BaseException:
            self._undo(changed)
            del self._events[told:]
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._changes.clear()
                self._events.clear()

    def succeeds(self, call: Callable[[], object]) -> bool:
        """Carry out `call`; a refusal undoes that call alone and is no."""
        try:
            self.attempt(call)
        except Refusal:
            return False
        return True

    def agrees(self, question: Callable[[], bool]) -> bool:
        """The answer to a question that changes nothing; a refusal is no."""
        try:
            return question()
        except Refusal:
            return False

    def _undo(self, mark: int) -> None:
        while len(self._changes) > mark:
            table, key, before = self._changes.pop()
            if before is _ABSENT:
                dict.__delitem__(table, key)
            else:
                dict.__setitem__(table, key, before)


class Resident(Protocol):
    """Anything that lives in a world."""

    @property
    def world(self) -> World:
        """The world."""
        ...


R = TypeVar("R", bound=Resident)


def transaction(method: Callable[Concatenate[R, P], T]) -> Callable[Concatenate[R, P], Outcome[T]]:
    """Make a method of a contract a call: all or nothing, and answering with its events."""

    @wraps(method)
    def call(self: R, /, *args: P.args, **kwargs: P.kwargs) -> Outcome[T]:
        return self.world.attempt(partial(method, self, *args, **kwargs))

    return call
