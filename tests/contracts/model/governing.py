"""Steps of owners: of assets, of workerpools and their policies, of the hub."""

from __future__ import annotations

from pyiexec.chain import registries
from pyiexec.chain.abi import Function

from .dice import Dice
from .player import Player
from .stage import ASSETS, PEOPLE, WORKERS
from .steps import step

_APPROVE = Function.parse("approve(address to, uint256 tokenId)")
_APPROVE_ALL = Function.parse("setApprovalForAll(address operator, bool approved)")


class Governing(Player):
    """What owners do."""

    @step(1)
    def change_policy(self, dice: Dice) -> None:
        pool = dice.pick("workerpool 0", "workerpool 1")
        registry = self.mirror.registries["workerpools"]
        sender = self.name(registry.entry(self.at(pool)).owner) if dice.usually(90) else "stranger"
        ratios = (
            dice.pick((30, 1), (100, 50), (0, 0), (1000, 100)) if dice.usually(85) else dice.pick((35, 101), (2**32, 5))
        )
        self.play(
            sender,
            pool,
            registries.FUNCTIONS["changePolicy"],
            ratios,
            lambda _: registry.change_policy(self.at(pool), *ratios, sender=self.at(sender)),
        )

    @step(2)
    def sell(self, dice: Dice) -> None:
        asset = dice.choose(tuple(ASSETS))
        kind = f"{ASSETS[asset][0]}s"
        registry, what = self.mirror.registries[kind], self.at(asset)
        seller = self.name(registry.entry(what).owner)
        sender = seller if dice.usually(80) else dice.pick("stranger", "sponsor")
        owner = self.at(seller if dice.usually(90) else "stranger")
        buyer = self.at("nobody" if dice.chance(8) else dice.pick(*PEOPLE[1:6], "yes", "worker 0"))
        self.play(
            sender,
            kind,
            registries.FUNCTIONS["transferFrom"],
            (owner, buyer, int(what, 16)),
            lambda _: registry.transfer_from(owner, buyer, what, sender=self.at(sender)),
        )

    @step(1)
    def let_others_sell(self, dice: Dice) -> None:
        asset = dice.choose(tuple(ASSETS))
        kind = f"{ASSETS[asset][0]}s"
        registry, what = self.mirror.registries[kind], self.at(asset)
        sender = self.name(registry.entry(what).owner) if dice.usually(85) else "stranger"
        who, other = self.at(sender), self.at("nobody" if dice.chance(8) else dice.pick("stranger", "sponsor"))
        if dice.chance(50):
            token_id, approved = int(what, 16), dice.pick(True, False)
            self.play(sender, kind, _APPROVE, (other, token_id), lambda _: registry.approve(other, what, sender=who))
        else:
            approved = dice.pick(True, False)
            self.play(
                sender,
                kind,
                _APPROVE_ALL,
                (other, approved),
                lambda _: registry.set_approval_for_all(other, approved, sender=who),
            )

    @step(2)
    def set_something(self, dice: Dice) -> None:
        hub = self.hub
        sender = self.name(hub.owner) if dice.usually(85) else "stranger"
        who = self.at(sender)
        pick = dice.pick("setTeeBroker", "setCallbackGas", "createCategory", "changeRegistries", "transferOwnership")
        if pick == "setTeeBroker":
            broker = self.at(dice.pick("broker", "nobody"))
            self.call(sender, pick, [broker], lambda _: hub.set_tee_broker(broker, sender=who))
        elif pick == "setCallbackGas":
            gas = dice.pick(200_000, 100_000)
            self.call(sender, pick, [gas], lambda _: hub.set_callback_gas(gas, sender=who))
        elif pick == "createCategory":
            seconds = dice.pick(60, 0) if dice.usually(80) else 2**32
            category = "new", "a category", seconds
            self.call(sender, pick, category, lambda _: hub.create_category(*category, sender=who))
        elif pick == "changeRegistries":
            usual = [self.at(kind) for kind in ("apps", "datasets", "workerpools")]
            changed = usual if dice.usually(85) else [usual[1], usual[0], self.at("stranger")]
            self.call(sender, pick, changed, lambda _: hub.change_registries(*changed, sender=who))
        else:
            heir = self.at(dice.pick("admin", "sponsor"))
            self.call(sender, pick, [heir], lambda _: hub.transfer_ownership(heir, sender=who))

    @step(1)
    def import_a_score(self, dice: Dice) -> None:
        worker = self.at(dice.choose(WORKERS))
        # The invariant that looks at scores is checked after the step.
        if self.call("stranger", "importScore", [worker], lambda _: self.hub.import_score(worker)):
            self.expected_scores[worker] = max(self.expected_scores[worker], 22)

    @step(1)
    def refresh_the_domain(self, _: Dice) -> None:
        self.call("stranger", "updateDomainSeparator", [], lambda _: self.hub.update_domain_separator())
