"""What the contracts must answer, given the state of the model: a view for each entry of each table.

Only entries that a call changed are asked for after it, so that a step costs little; at the end all are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import msgspec

from pyiexec.chain import registries, token
from pyiexec.chain.abi import Function
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.primitives import Address, to_bytes

from .stage import Mirror

_ERC721 = {
    name: Function.parse(signature)
    for name, signature in {
        "getApproved": "getApproved(uint256 tokenId) view returns (address)",
        "isApprovedForAll": "isApprovedForAll(address owner, address operator) view returns (bool)",
    }.items()
} | {"ownerOf": registries.FUNCTIONS["ownerOf"]}
_LEGACY = {
    name: Function.parse(f"{name}({arguments}) view returns ({answers})")
    for name, arguments, answers in (
        ("viewAccountABILegacy", "address account", "uint256, uint256"),
        (
            "viewDealABILegacy_pt1",
            "bytes32 id",
            "address, address, uint256, address, address, uint256, address, address, uint256",
        ),
        ("viewDealABILegacy_pt2", "bytes32 id", "uint256, bytes32, address, address, address, string"),
        ("viewConfigABILegacy", "bytes32 id", "uint256, uint256, uint256, uint256, uint256, uint256"),
        (
            "viewTaskABILegacy",
            "bytes32 task",
            "uint8, bytes32, uint256, uint256, uint256, uint256, uint256, bytes32, uint256, uint256, address[], bytes",
        ),
        ("viewContributionABILegacy", "bytes32 task, address worker", "uint8, bytes32, bytes32, address"),
        ("viewCategoryABILegacy", "uint256 number", "string, string, uint256"),
    )
}


class Question(NamedTuple):
    """A view and what it must answer now; `expected` are the plain values of the ABI."""

    to: Address
    function: Function
    arguments: tuple[Any, ...]
    expected: Any

    def __str__(self) -> str:
        return f"{self.function.name}{self.arguments}"

    @property
    def call(self) -> tuple[Address, bytes]:
        """Whom to ask, and the call data."""
        return self.to, _encoded(self.function, self.arguments)

    def decode(self, answer: bytes) -> Any:
        """The answer in plain values."""
        values = self.function.decode(answer)
        return values[0] if len(self.function.outputs) == 1 else values

    def is_answered_by(self, answer: bytes) -> bool:
        """Whether `answer` is what is expected; most answers are a few numbers, which need no codec."""
        values = self.expected if isinstance(self.expected, tuple) else (self.expected,)
        if all(type(value) is int for value in values):
            return answer == b"".join(value.to_bytes(32, "big") for value in values)
        return bool(self.decode(answer) == self.expected)


@lru_cache(maxsize=100_000)
def _encoded(function: Function, arguments: tuple[Any, ...]) -> bytes:
    return function.encode(*arguments)


def plain(value: Any) -> Any:
    """What the codec gives for a value of the model."""
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.structs.astuple(value))
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value


class Questionnaire:
    """Questions about a mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        hub, rlc = mirror.hub, mirror.token
        self._tables: list[tuple[dict[Any, Any], Callable[[Any], Iterator[Question]]]] = [
            (hub.free, self._account),
            (hub.frozen, self._account),
            (hub.sums, self._sums),
            (hub.allowances, lambda key: self._hub("allowance", *key, expected=hub.allowance(*key))),
            (hub.consumed, lambda key: self._hub("viewConsumed", key, expected=hub.consumed[key])),
            (hub.presigned, lambda key: self._hub("viewPresigned", key, expected=hub.presigned[key])),
            (hub.deals, self._deal),
            (hub.boost_deals, self._boost_deal),
            (hub.tasks, self._task),
            (hub.contributions, self._contribution),
            (hub.scores, lambda key: self._hub("viewScore", key, expected=hub.score(key))),
            (hub.categories, self._category),
            (hub.settings, lambda _: self._settings()),
            (rlc.balances, lambda key: self._token("balanceOf", key, expected=rlc.balance_of(key))),
            (rlc.allowances, lambda key: self._token("allowance", *key, expected=rlc.allowance(*key))),
        ]
        for registry in mirror.registries.values():
            self._tables += [
                (registry.entries, partial(self._asset, registry.address, registry)),
                (registry.approvals, partial(self._approval, registry.address, registry)),
                (registry.operators, partial(self._operator, registry.address, registry)),
            ]
        self._by_id = {id(table): ask for table, ask in self._tables}

    def about(self, changes: set[tuple[int, Hashable]]) -> list[Question]:
        """Questions about entries, given by the identity of their table and their key."""
        asked = {
            (question.function.name, question.arguments): question
            for table, key in sorted(changes, key=str)
            if table in self._by_id
            for question in self._by_id[table](key)
        }
        return list(asked.values())

    def everything(self) -> list[Question]:
        """All there is to ask, also in the form for clients that cannot read structs."""
        changes = {(id(table), key) for table, _ in self._tables for key in table}
        return self.about(changes) + list(self._legacy())

    def accounts(self, accounts: list[Address]) -> list[Question]:
        """Free and frozen stake of these accounts, and the sums of it all."""
        asked = [question for account in accounts for question in self._account(account)]
        hub = self.mirror.hub
        held = self.mirror.token.balance_of(hub.address)
        supply = self._hub("totalSupply", expected=hub.total_supply)
        return [*asked, *supply, *self._token("balanceOf", hub.address, expected=held)]

    # --- by table -----------------------------------------------------------------------------------------------------

    def _hub(self, name: str, *arguments: Any, expected: Any) -> Iterator[Question]:
        yield Question(self.mirror.hub.address, FUNCTIONS[name], arguments, plain(expected))

    def _token(self, name: str, *arguments: Any, expected: Any) -> Iterator[Question]:
        yield Question(self.mirror.token.address, token.FUNCTIONS[name], arguments, expected)

    def _account(self, account: Address) -> Iterator[Question]:
        hub = self.mirror.hub
        yield from self._hub("viewAccount", account, expected=(hub.balance_of(account), hub.frozen_of(account)))

    def _sums(self, _: str) -> Iterator[Question]:
        hub = self.mirror.hub
        yield from self._hub("totalSupply", expected=hub.total_supply)
        yield from self._hub("balanceOf", hub.address, expected=hub.balance_of(hub.address))

    def _deal(self, deal: Any) -> Iterator[Question]:
        yield from self._hub("viewDeal", deal, expected=self.mirror.hub.deal(deal))

    def _boost_deal(self, deal: Any) -> Iterator[Question]:
        values = list(plain(self.mirror.hub.boost_deal(deal)))
        values[12] = to_bytes(values[12])
        yield from self._hub("viewDealBoost", deal, expected=tuple(values))

    def _task(self, task: Any) -> Iterator[Question]:
        yield from self._hub("viewTask", task, expected=self.mirror.hub.task(task))

    def _contribution(self, key: Any) -> Iterator[Question]:
        yield from self._hub("viewContribution", *key, expected=self.mirror.hub.contribution(*key))

    def _category(self, number: int) -> Iterator[Question]:
        yield from self._hub("viewCategory", number, expected=self.mirror.hub.category(number))
        yield from self._hub("countCategory", expected=len(self.mirror.hub.categories))

    def _settings(self) -> Iterator[Question]:
        hub = self.mirror.hub
        yield from self._hub("owner", expected=hub.owner)
        yield from self._hub("teebroker", expected=hub.tee_broker)
        yield from self._hub("callbackgas", expected=hub.callback_gas)
        for name, kind in (
            ("appregistry", "apps"),
            ("datasetregistry", "datasets"),
            ("workerpoolregistry", "workerpools"),
        ):
            yield from self._hub(name, expected=hub.settings[kind])

    def _asset(self, to: Address, registry: Any, asset: Address) -> Iterator[Question]:
        entry = registry.entry(asset)
        yield Question(to, _ERC721["ownerOf"], (int(asset, 16),), entry.owner)
        if registry is self.mirror.registries["workerpools"]:
            ratios = entry.stake_ratio, entry.reward_ratio
            for name, ratio in zip(("m_workerStakeRatioPolicy", "m_schedulerRewardRatioPolicy"), ratios, strict=True):
                yield Question(asset, Function.parse(f"{name}() view returns (uint256)"), (), ratio)

    def _approval(self, to: Address, registry: Any, asset: Address) -> Iterator[Question]:
        yield Question(to, _ERC721["getApproved"], (int(asset, 16),), registry.approvals[asset])

    def _operator(self, to: Address, registry: Any, key: Any) -> Iterator[Question]:
        yield Question(to, _ERC721["isApprovedForAll"], key, registry.operators[key])

    def _legacy(self) -> Iterator[Question]:
        hub = self.mirror.hub

        def ask(name: str, *arguments: Any, expected: tuple[Any, ...]) -> Question:
            return Question(hub.address, _LEGACY[name], arguments, plain(expected))

        for account in hub.free:
            expected = hub.balance_of(account), hub.frozen_of(account)
            yield ask("viewAccountABILegacy", account, expected=expected)
        for deal_id, deal in hub.deals.items():
            resources = (*plain(deal.app), *plain(deal.dataset), *plain(deal.workerpool))
            yield ask("viewDealABILegacy_pt1", deal_id, expected=resources)
            terms = deal.trust, deal.tag, deal.requester, deal.beneficiary, deal.callback, deal.params
            yield ask("viewDealABILegacy_pt2", deal_id, expected=terms)
            settings = deal.category, deal.start_time, deal.bot_first, deal.bot_size
            rest = deal.worker_stake, deal.scheduler_reward_ratio
            yield ask("viewConfigABILegacy", deal_id, expected=settings + rest)
        for task_id, task in hub.tasks.items():
            values = plain(task)
            yield ask("viewTaskABILegacy", task_id, expected=(*values[:11], values[12]))
        for key, contribution in hub.contributions.items():
            yield ask("viewContributionABILegacy", *key, expected=plain(contribution)[:4])
        for number, category in hub.categories.items():
            yield ask("viewCategoryABILegacy", number, expected=tuple(category))
