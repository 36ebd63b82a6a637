"""Steps with orders: matching, signing and closing on chain, announcing."""

from __future__ import annotations

from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.orders import DatasetOrder, Order, RequestOrder, order_to_abi
from pyiexec.protocol.poco import Outcome
from pyiexec.protocol.poco.matching import FourOrders
from pyiexec.protocol.poco.store import VOLUME_MAX
from pyiexec.protocol.primitives import NULL_ADDRESS, DealId, bytes32, to_bytes
from pyiexec.protocol.tags import GPU, SCONE, TDX, TEE

from .dice import Dice
from .orders import KINDS
from .player import Player
from .steps import step


class Trading(Player):
    """What is done with orders."""

    def learn(self, orders: FourOrders) -> None:
        """Take note of orders about to be used."""
        self.volumes |= {self.hub.hash(order): order.volume for order in orders.each}
        self.orders += [order for order in orders.each if order not in self.orders[-16:]]

    def unused(self) -> list[FourOrders]:
        """Orders of former deals that have something left, the pool's aside."""
        return [four for four in self.matched if all(map(self._has_left, (four.app, four.request, four.dataset)))]

    def _has_left(self, order: Order) -> bool:
        if isinstance(order, DatasetOrder) and order.dataset == NULL_ADDRESS:
            return True
        return self.hub.consumed.get(self.hub.hash(order), 0) < min(order.volume, VOLUME_MAX)

    @step(4)
    def match(self, dice: Dice) -> None:
        boost = dice.pick(False, False, False, True)
        self.match_orders(dice, self.mill.four(dice, boost=boost), boost=boost)

    @step(3, lambda history: history.unused())
    def match_again(self, dice: Dice) -> None:
        """Orders of a former deal, mostly with a fresh one of the pool."""
        orders = dice.choose(self.unused()[-6:])
        boost = orders.request.trust <= 1 and dice.chance(30)
        if dice.usually(85):
            pool = self.mill.again(dice, orders.workerpool, volume=dice.pick(1, 2, 5))
            orders = orders._replace(workerpool=pool)
        self.match_orders(dice, orders, boost=boost)

    def match_orders(self, dice: Dice, orders: FourOrders, *, boost: bool) -> None:
        hub, sponsored = self.hub, dice.chance(30)
        sender = dice.pick("sponsor", "requester", "stranger") if sponsored else dice.pick("stranger", "requester")
        who = self.at(sender)
        name = ("sponsorMatchOrders" if sponsored else "matchOrders") + ("Boost" if boost else "")
        self.learn(orders)

        def model(now: int) -> Outcome[DealId]:
            if boost and sponsored:
                return hub.sponsor_match_orders_boost(*orders, sender=who, now=now)
            if boost:
                return hub.match_orders_boost(*orders, now=now)
            return (hub.sponsor_match_orders if sponsored else hub.match_orders)(*orders, sender=who, now=now)

        if self.call(sender, name, [order_to_abi(order) for order in orders.each], model):
            self.matched.append(orders)

    @step(2, lambda history: history.orders)
    def manage_order(self, dice: Dice) -> None:
        """Sign or close an order by a transaction; most of those signed were not signed before."""
        if dice.chance(50):
            four = self.mill.four(dice, calm=True)
            kind = dice.choose(KINDS)
            order: Order = self.mill.unsigned(getattr(four, kind))
            four = four._replace(**{kind: order})
            self.learn(four)
            self.matched.append(four)
            operation = 0
        else:
            order, operation = dice.choose(self.orders[-16:]), dice.pick(0, 0, 0, 1, 1, 2)
        owner = self.mill.owner(order)
        sender, sign = (owner, b"") if owner != "nobody" else ("stranger", b"")
        if dice.chance(30):
            sender = dice.pick("stranger", "requester")
            sign = self.mill.operation(order, operation, dice.pick(owner, owner, "stranger"))
        self.call(
            sender,
            f"manage{type(order).__name__}",
            [(order_to_abi(order), operation, sign)],
            lambda _: self.hub.manage_order(order, operation, sign, sender=self.at(sender)),
        )

    @step(1, lambda history: history.orders)
    def broadcast(self, dice: Dice) -> None:
        order = dice.choose(self.orders[-8:])
        name = f"broadcast{type(order).__name__}"
        self.call("stranger", name, [order_to_abi(order)], lambda _: self.hub.broadcast_order(order))

    @step(1, lambda history: history.matched)
    def ask_for_the_volume(self, dice: Dice) -> None:
        orders = dice.choose(self.matched[-6:])
        abi = [order_to_abi(each) for each in orders.each]
        self.ask("computeDealVolume", abi, lambda: self.hub.compute_deal_volume(*orders))

    @step(2, lambda history: history.orders and history.hub.deals)
    def ask_for_compatibility(self, dice: Dice) -> None:
        """May a deal, mostly one without a dataset, borrow a dataset?"""
        hub = self.hub
        without = [name for name, deal in hub.deals.items() if not deal.has_dataset]
        deal = dice.choose(without if without and dice.usually(85) else [*hub.deals, *hub.boost_deals])
        known = [each for each in self.orders if isinstance(each, DatasetOrder) and each.dataset != NULL_ADDRESS]
        if known and dice.usually(70):
            order = dice.choose(known[-6:])
        else:
            order = self.mill.four(dice, calm=dice.chance(50)).dataset
        if order.dataset != NULL_ADDRESS and dice.usually(60):
            tag = int(hub.deal(deal).tag, 16) ^ dice.pick(0, SCONE, TDX, TEE, GPU)
            order = self.mill.again(dice, order, tag=bytes32(tag), volume=1)
        self.ask(
            "assertDatasetDealCompatibility",
            [order_to_abi(order), deal],
            lambda: hub.assert_dataset_deal_compatibility(order, deal),
        )

    @step(1, lambda history: history.orders)
    def ask_for_signatures(self, dice: Dice) -> None:
        hub, order = self.hub, dice.choose(self.orders[-8:])
        owner = order.requester if isinstance(order, RequestOrder) else self.at(self.mill.owner(order))
        who = dice.pick(owner, owner, self.at("stranger"))
        name, sign = hub.hash(order), to_bytes(order.sign)
        questions = (
            ("verifySignature", [who, name, sign], lambda: hub.verify_signature(who, name, sign)),
            ("verifyPresignature", [who, name], lambda: hub.verify_presignature(who, name)),
            (
                "verifyPresignatureOrSignature",
                [who, name, sign],
                lambda: hub.verify_presignature_or_signature(who, name, sign),
            ),
        )
        self.ask(*dice.choose(questions))

    def deposit_data(self, orders: FourOrders) -> bytes:
        """The call that a deposit may bring along."""
        return FUNCTIONS["matchOrders"].encode(*[order_to_abi(order) for order in orders.each])
