"""Tells one call after the other to the contracts and to the model, and compares what came of it.

Both must have gone through, or been refused with the same data, returned the same and announced the same in the same
order; and every view that the call concerns must answer as the model says.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import event

from pyiexec.chain.abi import Function, decode_revert
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.chain.rpc import RpcError
from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.orders import Order
from pyiexec.protocol.poco import Outcome, Refusal, World
from pyiexec.protocol.poco.matching import FourOrders
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, TaskId, to_bytes

from .invariants import Invariants
from .orders import OrderMill
from .questions import Question, Questionnaire
from .stage import Answer, Call, Stage, recover_any

T = TypeVar("T")

#: How much of the story a failure tells.
TAIL = 12


class ObservedWorld(World):
    """A world that says which entries of which tables a call changed."""

    def __init__(self) -> None:
        super().__init__(recover_any)
        self.touched: set[tuple[int, Hashable]] = set()

    def attempt(self, call: Callable[[], T]) -> Outcome[T]:
        def observed() -> T:
            value = call()
            self.touched |= {(id(table), key) for table, key, _ in self._changes}
            return value

        return super().attempt(observed)


class Player(Invariants):
    """One history on both sides.

    Attributes:
        clock: the second of the last call; the next is made a second later.
        matched: orders that made deals, or are signed on chain and may.
        votes: what each worker voted for.
    """

    stage: ClassVar[Stage]
    #: Calls by function and what came of them, over all histories.
    tally: ClassVar[Counter[tuple[str, str]]] = Counter()
    #: Calls by step and whether they went through, over all histories.
    by_step: ClassVar[Counter[tuple[str, bool]]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.stage.ask("evm_snapshot")
        self.clock = self.stage.now()
        self.world = ObservedWorld()
        self.mirror = self.stage.mirror(self.world)
        self.hub, self.rlc = self.mirror.hub, self.mirror.token
        self.hub_address = self.hub.address
        self.expected_scores.update(self.hub.scores)
        self.questions = Questionnaire(self.mirror)
        self.mill = OrderMill(self.stage, self.mirror)
        self.everybody = sorted({*self.stage.addresses.values(), KITTY_ADDRESS} - {NULL_ADDRESS})
        self.matched: list[FourOrders] = []
        self.orders: list[Order] = []
        self.votes: dict[tuple[TaskId, Address], bytes] = {}
        self.step = "opening"
        self.differed = False
        self.story: deque[str] = deque(maxlen=TAIL)
        self._look([])

    def teardown(self) -> None:
        try:
            if not self.differed:
                self._compare(self.questions.everything())
        finally:
            self.stage.ask("evm_revert", self.snapshot)

    def at(self, name: str) -> Address:
        """The address behind a name; an address is its own."""
        return self.stage.addresses.get(name, Address(name))

    def name(self, address: Address) -> str:
        """The name of an address, or the address itself."""
        return self.stage.name(address)

    def now(self) -> int:
        """When the next call will be made."""
        return self.clock + 1

    def play(
        self,
        sender: str,
        to: str,
        function: Function,
        arguments: Sequence[Any],
        model: Callable[[int], Outcome[Any]],
        *,
        gas: int | None = None,
    ) -> Outcome[Any] | None:
        """Make a call on both sides; its outcome if it went through."""
        self.clock += 1
        self.story.append(f"{sender} calls {to}.{function.name}{self._spoken(arguments)} at {self.clock}")
        self.world.touched.clear()
        outcome: Outcome[Any] | None = None
        try:
            outcome = model(self.clock)
            expected = Answer(True, outcome.value, b"", outcome.events)
        except Refusal as refusal:
            expected = Answer(False, None, refusal.data, ())
        call = Call(self.at(sender), self.at(to), function, arguments, gas)
        self._agree(self.stage.send(call, self.clock), expected)
        self._count(function.name, expected)
        if outcome is not None:
            self.remember(outcome.events)
            self._look(self.questions.about(self.world.touched))
        return outcome

    def call(
        self,
        sender: str,
        name: str,
        arguments: Sequence[Any],
        model: Callable[[int], Outcome[Any]],
        *,
        gas: int | None = None,
    ) -> Outcome[Any] | None:
        """`play` a function of the hub."""
        return self.play(sender, "hub", FUNCTIONS[name], arguments, model, gas=gas)

    def ask(self, name: str, arguments: Sequence[Any], model: Callable[[], Any]) -> None:
        """Ask a view of the hub that may refuse."""
        function = FUNCTIONS[name]
        self.story.append(f"asked for {name}{self._spoken(arguments)}")
        try:
            expected = Answer(True, model(), b"", ())
        except Refusal as refusal:
            expected = Answer(False, None, refusal.data, ())
        [raw] = self.stage.read([(self.hub_address, function.encode(*arguments))])
        if isinstance(raw, RpcError):
            answer = Answer(False, None, to_bytes(raw.data if isinstance(raw.data, str) else "0x"), ())
        else:
            answer = Answer(True, (function.decode(raw) or (None,))[0], b"", ())
        self._agree(answer, expected)
        self._count(name, expected)

    def _agree(self, answer: Answer, expected: Answer) -> None:
        if answer != expected:
            self.differed = True
            sides = (f"  contracts: {self._told(answer)}", f"  model:     {self._told(expected)}")
            raise AssertionError("\n".join(["contracts and model differ after", *self.story, *sides]))

    def _told(self, answer: Answer) -> str:
        if not answer.succeeded:
            return f"refused: {decode_revert(answer.refusal).reason or '(no reason)'}"
        events = "".join(f"\n        {name} {self._spoken(fields)}" for _, name, fields in answer.events)
        return f"returned {answer.value}{events}"

    def _spoken(self, value: Any) -> Any:
        """`value` with names in place of addresses, and long bytes cut."""
        if isinstance(value, (tuple, list)):
            return tuple(map(self._spoken, value))
        if isinstance(value, dict):
            return {key: self._spoken(item) for key, item in value.items()}
        if isinstance(value, bytes):
            return value if len(value) <= 16 else f"{len(value)} bytes"
        return self.name(value) if isinstance(value, str) else value

    def _count(self, name: str, answer: Answer) -> None:
        reason = "done" if answer.succeeded else decode_revert(answer.refusal).reason.partition("(0x")[0]
        self.tally[name, reason or "(no reason)"] += 1
        event(f"{name}: {reason or '(no reason)'}")
        self.by_step[self.step, answer.succeeded] += 1

    # --- views --------------------------------------------------------------------------------------------------------

    def _look(self, concerned: list[Question]) -> None:
        """At what a call concerns, and at everybody's account whatever it was."""
        values = self._compare([*self.questions.accounts(self.everybody), *concerned])
        count = len(self.everybody)
        self.seen = dict(zip(self.everybody, values[:count], strict=True))
        self.seen_supply, self.seen_held = values[count], values[count + 1]

    def _compare(self, questions: list[Question]) -> list[Any]:
        """What the contracts answer, which is what the model does."""
        raw = self.stage.read([question.call for question in questions])
        for question, answer in zip(questions, raw, strict=True):
            if isinstance(answer, RpcError) or not question.is_answered_by(answer):
                self.differed = True
                given = answer if isinstance(answer, RpcError) else question.decode(answer)
                lines = (f"  contracts: {self._spoken(given)}", f"  model:     {self._spoken(question.expected)}")
                asked = f"{question.function.name}{self._spoken(question.arguments)} answers"
                raise AssertionError("\n".join([*self.story, asked, *lines]))
        return [question.expected for question in questions]
