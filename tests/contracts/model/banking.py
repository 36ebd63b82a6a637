"""Steps with money: deposits, withdrawals, transfers, allowances, and RLC itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyiexec.chain import token
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.poco import Outcome
from pyiexec.protocol.primitives import Address

from .dice import Dice
from .stage import PEOPLE, STAKERS
from .steps import step
from .trading import Trading

#: Who is paid by transfers. The kitty is not, so that what is frozen there is all it has.
PAYEES = (*PEOPLE, "yes", "spender")


class Banking(Trading):
    """What is done with money."""

    def _amount(self, dice: Dice, most: int) -> int:
        return dice.pick(most + 1, 2**200) if dice.chance(8) else dice.pick(most // 2, min(most, 7), most, 0)

    @step(2)
    def deposit(self, dice: Dice) -> None:
        sender = dice.choose(PEOPLE)
        who, hub = self.at(sender), self.hub
        amount = self._amount(dice, min(self.rlc.balance_of(who), self.rlc.allowance(who, hub.address), 10**12))
        odd = ["nobody", "hub"] if dice.chance(8) else []
        target = self.at(dice.choose(odd or ["requester", "scheduler", "worker 0", "worker 1"]))
        pick = dice.pick("deposit", "depositFor", "depositForArray")
        if pick == "deposit":
            self.call(sender, pick, [amount], lambda _: hub.deposit(amount, sender=who))
        elif pick == "depositFor":
            self.call(sender, pick, [amount, target], lambda _: hub.deposit_for(amount, target, sender=who))
        else:
            amounts = [amount // 2, 3] if dice.usually(85) else [amount]
            targets = [target, self.at("sponsor")]
            self.call(sender, pick, [amounts, targets], lambda _: hub.deposit_for_array(amounts, targets, sender=who))

    @step(1)
    def withdraw(self, dice: Dice) -> None:
        sender = dice.choose(STAKERS[:8])
        who, hub = self.at(sender), self.hub
        amount = self._amount(dice, hub.balance_of(who) // 2)
        if dice.chance(50):
            self.call(sender, "withdraw", [amount], lambda _: hub.withdraw(amount, sender=who))
        else:
            target = self.at("nobody" if dice.chance(8) else dice.pick("stranger", "requester"))
            self.call(sender, "withdrawTo", [amount, target], lambda _: hub.withdraw_to(amount, target, sender=who))

    @step(1)
    def transfer(self, dice: Dice) -> None:
        sender = dice.choose(STAKERS[:8])
        who, hub = self.at(sender), self.hub
        other = self.at(dice.pick("nobody", "hub") if dice.chance(8) else dice.choose(PAYEES))
        amount = self._amount(dice, hub.balance_of(who) // 2)
        self.call(sender, "transfer", [other, amount], lambda _: hub.transfer(other, amount, sender=who))

    def allowed(self) -> list[tuple[Address, Address]]:
        return [pair for pair, amount in self.hub.allowances.items() if amount and self.name(pair[1]) in PAYEES]

    @step(1, lambda history: history.allowed())
    def transfer_from(self, dice: Dice) -> None:
        hub = self.hub
        owner, spender = dice.choose(self.allowed())
        if dice.chance(5):
            owner = self.at("nobody")
        other = self.at(dice.pick("nobody", "hub") if dice.chance(8) else dice.choose(PAYEES))
        amount = self._amount(dice, min(hub.allowance(owner, spender), hub.balance_of(owner)))
        self.call(
            self.name(spender),
            "transferFrom",
            [owner, other, amount],
            lambda _: hub.transfer_from(owner, other, amount, sender=spender),
        )

    @step(2)
    def allow(self, dice: Dice) -> None:
        sender, spender = dice.choose(STAKERS[:6]), dice.pick("sponsor", "stranger", "requester")
        who, other, hub = self.at(sender), self.at("nobody" if dice.chance(5) else spender), self.hub
        pick = dice.pick("approve", "increaseAllowance", "decreaseAllowance", "approveAndCall")
        if pick == "approve":
            amount = self._amount(dice, 10**10)
            self.call(sender, pick, [other, amount], lambda _: hub.approve(other, amount, sender=who))
        elif pick == "increaseAllowance":
            amount = 2**256 - 1 if dice.chance(10) else self._amount(dice, 10**10)
            self.call(sender, pick, [other, amount], lambda _: hub.increase_allowance(other, amount, sender=who))
        elif pick == "decreaseAllowance":
            allowed = hub.allowance(who, other)
            amount = dice.pick(allowed, allowed // 2, 0) if dice.usually(85) else allowed + 1
            self.call(sender, pick, [other, amount], lambda _: hub.decrease_allowance(other, amount, sender=who))
        else:
            other = self.at("content" if dice.usually(75) else dice.pick("stranger", "hub", "token", "yes"))
            amount = self._amount(dice, 10**10)
            self.call(
                sender,
                pick,
                [other, amount, b"data"],
                lambda now: hub.approve_and_call(other, amount, b"data", sender=who, now=now),
            )

    # --- RLC ----------------------------------------------------------------------------------------------------------

    def _token(
        self, sender: str, name: str, arguments: Sequence[Any], model: Callable[[int], Outcome[Any]]
    ) -> Outcome[Any] | None:
        return self.play(sender, "token", token.FUNCTIONS[name], arguments, model)

    @step(1)
    def send_rlc(self, dice: Dice) -> None:
        """Mostly to the hub, without a notice: it is nobody's until it is recovered."""
        sender = dice.choose(PEOPLE[1:])
        who, amount = self.at(sender), dice.pick(7, 10**9, 0, 10**16)
        to = self.at(dice.pick("hub", "hub", "requester", "nobody"))
        strays = to == self.hub_address and amount <= self.rlc.balance_of(who)
        self.strayed += amount if strays else 0
        self._token(sender, "transfer", [to, amount], lambda _: self.rlc.transfer(to, amount, sender=who))

    @step(1)
    def allow_rlc(self, dice: Dice) -> None:
        """To the hub, or to somebody who takes it."""
        sender = dice.choose(PEOPLE[1:6])
        who, amount = self.at(sender), dice.pick(10**15, 10**12)
        if dice.usually(70):
            spender = dice.pick(self.hub_address, self.at("stranger"))
            arguments: list[Any] = [spender, amount]
            self._token(sender, "approve", arguments, lambda _: self.rlc.approve(spender, amount, sender=who))
        else:
            amount, taker = dice.pick(7, 10**12), self.at("stranger")
            self._token(
                "stranger",
                "transferFrom",
                [who, taker, amount],
                lambda _: self.rlc.transfer_from(who, taker, amount, sender=taker),
            )

    @step(2)
    def deposit_with_notice(self, dice: Dice) -> None:
        """A deposit by the token's call, mostly with the orders that it pays for."""
        orders = self.mill.four(dice) if dice.usually(70) else None
        data: Any = b""
        if orders:
            self.learn(orders)
            data = self.deposit_data(orders)
        elif dice.chance(30):
            selectors = FUNCTIONS["matchOrders"].selector, FUNCTIONS["sponsorMatchOrders"].selector
            data = dice.pick(b"abc", b"abcd", *selectors)
        sender = self.name(orders.request.requester) if orders else dice.choose(PEOPLE[1:])
        if sender not in self.stage.signers or dice.chance(5):
            sender = "stranger"
        who, amount = self.at(sender), dice.pick(10**10, 1, 0)
        spender = self.at("hub" if dice.usually(92) else dice.pick("stranger", "content"))
        told = self._token(
            sender,
            "approveAndCall",
            [spender, amount, data],
            lambda now: self.rlc.approve_and_call(spender, amount, orders or data, sender=who, now=now),
        )
        if told and orders and spender == self.hub_address:
            self.matched.append(orders)

    @step(1)
    def notify_the_hub(self, dice: Dice) -> None:
        """Somebody who is not the token says that a deposit was approved."""
        sender, rlc = dice.pick("requester", "stranger"), self.rlc.address
        who, amount = self.at(sender), dice.pick(1, 10**9)

        def model(now: int) -> Outcome[bool]:
            return self.world.attempt(lambda: self.hub.receive_approval(who, amount, rlc, b"", sender=who, now=now))

        self.call(sender, "receiveApproval", [who, amount, rlc, b""], model)

    @step(1)
    def recover(self, dice: Dice) -> None:
        sender = self.name(self.hub.owner) if dice.usually(85) else "stranger"
        before, self.strayed = self.strayed, 0 if sender == self.name(self.hub.owner) else self.strayed
        told = self.call(sender, "recover", [], lambda _: self.hub.recover(sender=self.at(sender)))
        assert told is None or told.value == before
