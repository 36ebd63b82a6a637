"""Money in and out of the hub, and the staked token's ERC-20 face."""

from __future__ import annotations

from .. import moves
from ..moves import hub, rlc, view
from ..stage import PEOPLE, STAKE, Refusal, Stage
from ..worlds import Call

BEYOND = "beyond the balance"

REFUSALS = (
    "nowhere: fallback-disabled",
    "renounceOwnership: fallback-disabled",
    "deposit: the token refuses",
    "deposit: sent with coins",
    "depositFor: ERC20: mint to the zero address",
    "depositForArray: invalid-array-length",
    f"withdraw: {BEYOND}",
    "withdraw: ERC20: burn from the zero address",
    f"withdrawTo: {BEYOND}",
    "recover: Ownable: caller is not the owner",
    "receiveApproval: wrong-token",
    f"transfer: {BEYOND}",
    "transfer: ERC20: transfer from the zero address",
    "transfer: ERC20: transfer to the zero address",
    f"transferFrom: {BEYOND}",
    "transferFrom: beyond the allowance",
    "transferFrom: ERC20: transfer from the zero address",
    "transferFrom: ERC20: transfer to the zero address",
    "approve: ERC20: approve from the zero address",
    "approve: ERC20: approve to the zero address",
    "approveAndCall: approval-refused",
    "approveAndCall: nobody there",
    "approveAndCall: wrong-token",
    "increaseAllowance: beyond all numbers",
    "decreaseAllowance: beyond the allowance",
)


def _bare(sender: str, data: bytes, value: int = 0) -> Call:
    """A call of no function."""
    whole = hub(sender, "nowhere", value=value)
    return Call(sender, "hub", whole.function, whole.arguments, f"{data!r}, {value} wei", value, data=data)


def deposits_and_withdrawals(stage: Stage) -> None:
    dice = stage.dice
    amount = dice.choice([0, 1, 10**6, 10**9])
    sender, target = dice.sample([name for name in PEOPLE if name != "worker 6"], 2)
    stage.do(hub(sender, "deposit", amount))
    stage.do(hub(sender, "depositFor", amount, target))
    stage.do(hub(sender, "depositForArray", [amount, 5], [target, sender]))
    stage.do(hub(sender, "withdraw", amount))
    stage.do(hub(sender, "withdrawTo", amount, target))
    stage.do(rlc(sender, "approveAndCall", "hub", amount, b""))
    stage.do(rlc(sender, "transfer", "hub", 7))
    stage.do(hub("admin", "recover"))
    stage.do(hub("admin", "recover"))
    stage.refuse_all(
        [
            Refusal(hub(sender, "deposit", 2**200), row="the token refuses"),
            Refusal(hub(sender, "deposit", 0, value=1), row="sent with coins"),
            Refusal(hub(sender, "depositFor", 0, "nobody"), "ERC20: mint to the zero address"),
            Refusal(hub(sender, "depositForArray", [1, 2], [target]), "invalid-array-length"),
            Refusal(hub(sender, "withdraw", STAKE * 1000), row=BEYOND),
            Refusal(hub("nobody", "withdraw", 0), "ERC20: burn from the zero address"),
            Refusal(hub(sender, "withdrawTo", STAKE * 1000, target), row=BEYOND),
            Refusal(hub(sender, "recover"), "Ownable: caller is not the owner"),
            Refusal(hub(sender, "receiveApproval", sender, 0, target, b""), "wrong-token"),
            Refusal(hub(sender, "nowhere"), "fallback-disabled"),
            Refusal(hub(sender, "renounceOwnership"), "fallback-disabled"),
            Refusal(_bare(sender, b""), "fallback-disabled"),
            Refusal(_bare(sender, b"", 5), "fallback-disabled"),
            Refusal(_bare(sender, b"\xaa\xbb"), "fallback-disabled"),
        ]
    )
    stage.see(
        view("totalSupply"),
        view("balanceOf", sender),
        view("frozenOf", sender),
        view("viewAccount", target),
        view("viewAccountABILegacy", target),
    )
    stage.look()


def staked_tokens_moved(stage: Stage) -> None:
    dice = stage.dice
    amount = dice.choice([0, 1, 10**6, 10**9])
    owner, spender, friend = dice.sample([name for name in PEOPLE if name != "worker 6"], 3)
    stage.do(hub(owner, "transfer", friend, amount))
    stage.do(hub(owner, "transfer", owner, amount))
    stage.do(hub(owner, "approve", spender, 10 * amount))
    stage.do(hub(owner, "increaseAllowance", spender, 5))
    stage.do(hub(owner, "decreaseAllowance", spender, 5))
    stage.do(hub(spender, "transferFrom", owner, friend, 10 * amount))
    stage.do(hub(owner, "approveAndCall", "spender", 1 + amount, b"data"))
    stage.do(hub(owner, "approve", friend, 2**256 - 1))
    stage.see(view("allowance", owner, spender), view("allowance", owner, friend), view("allowance", owner, "spender"))
    stage.refuse_all(
        [
            Refusal(hub(owner, "transfer", friend, STAKE * 1000), row=BEYOND),
            Refusal(hub("nobody", "transfer", friend, 0), "ERC20: transfer from the zero address"),
            Refusal(hub(owner, "transfer", "nobody", 0), "ERC20: transfer to the zero address"),
            Refusal(hub(friend, "transferFrom", owner, spender, STAKE * 1000), row=BEYOND),
            Refusal(hub(spender, "transferFrom", owner, friend, 1), row="beyond the allowance"),
            Refusal(hub(spender, "transferFrom", "nobody", friend, 1), "ERC20: transfer from the zero address"),
            Refusal(hub(spender, "transferFrom", owner, "nobody", 1), "ERC20: transfer to the zero address"),
            Refusal(hub("nobody", "approve", spender, 1), "ERC20: approve from the zero address"),
            Refusal(hub(owner, "approve", "nobody", 1), "ERC20: approve to the zero address"),
            Refusal(hub(owner, "approveAndCall", "spender", 0, b""), "approval-refused"),
            Refusal(hub(owner, "approveAndCall", friend, 1, b""), row="nobody there"),
            Refusal(hub(owner, "approveAndCall", "hub", 1, b""), "wrong-token"),
            Refusal(hub(owner, "increaseAllowance", friend, 1), row="beyond all numbers"),
            Refusal(hub(owner, "decreaseAllowance", spender, 1), row="beyond the allowance"),
        ]
    )
    stage.look()


SCENES = (deposits_and_withdrawals, staked_tokens_moved)

# --- the chain's own coin -----------------------------------------------------------------------------------------

UNIT = 10**9
NATIVE_REFUSALS = (
    "deposit: native-transfer-failed",
    "depositFor: ERC20: mint to the zero address",
    "depositForArray: invalid-array-length",
    "depositForArray: more than was sent",
    f"withdraw: {BEYOND}",
    "withdraw: sent with coins",
    "withdrawTo: native-transfer-failed",
    "recover: Ownable: caller is not the owner",
)


def coins_deposited_and_withdrawn(stage: Stage) -> None:
    dice = stage.dice
    amount = dice.choice([0, 1, 10**6, 10**9])
    dust = dice.choice([0, 1, UNIT - 1])
    sender, target = dice.sample(list(PEOPLE), 2)
    native = moves.native
    stage.do(native(sender, "deposit", value=amount * UNIT + dust))
    stage.do(native(sender, "depositFor", target, value=amount * UNIT + dust))
    stage.do(native(sender, "depositForArray", [amount, 5], [target, sender], value=(amount + 5) * UNIT + dust))
    stage.do(_bare(sender, b"", amount * UNIT + dust))
    stage.do(_bare(sender, b"\xaa\xbb", amount * UNIT))
    stage.do(hub(sender, "nowhere", value=amount * UNIT + dust))
    stage.do(hub(sender, "withdraw", amount))
    stage.do(hub(sender, "withdrawTo", amount, target))
    stage.do(hub("admin", "recover"))
    stage.refuse_all(
        [
            Refusal(native("yes", "deposit", value=UNIT), "native-transfer-failed"),
            Refusal(native(sender, "depositFor", "nobody", value=UNIT), "ERC20: mint to the zero address"),
            Refusal(native(sender, "depositForArray", [1, 2], [target], value=UNIT), "invalid-array-length"),
            Refusal(
                native(sender, "depositForArray", [1, 2], [target, sender], value=2 * UNIT), row="more than was sent"
            ),
            Refusal(hub(sender, "withdraw", 10**18), row=BEYOND),
            Refusal(hub(sender, "withdraw", 0, value=1), row="sent with coins"),
            Refusal(hub(sender, "withdrawTo", 1, "yes"), "native-transfer-failed"),
            Refusal(hub(sender, "recover"), "Ownable: caller is not the owner"),
        ]
    )
    stage.see(view("token"), view("totalSupply"), view("balanceOf", sender), view("viewAccount", target))
    stage.see(view("decimals"), view("symbol"))
    stage.do(hub(sender, "transfer", target, 1))
    stage.do(hub(sender, "approve", target, 5))
    stage.do(hub(target, "transferFrom", sender, target, 2))
    stage.look()


NATIVE_SCENES = (coins_deposited_and_withdrawn,)
