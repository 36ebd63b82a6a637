"""RLC moves only what is there, and tells the spender when asked to."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.token import APPROVAL, FUNCTIONS, TRANSFER
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, checksum, to_bytes, to_hex

SUPPLY = 87_000_000 * 10**9
GOT_APPROVAL = Event.parse("GotApproval(address sender, uint256 amount, address token, bytes extraData)")


def spender(chain: Any) -> Address:
    """A contract that takes its allowance when told of it; see ApprovalReceiver.vy."""
    root = Path(__file__).parents[3]
    spec = importlib.util.spec_from_file_location("compile_contracts", root / "contracts" / "compile.py")
    assert spec is not None
    assert spec.loader is not None
    compiler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiler)
    artifact = compiler.compile_source(Path(__file__).with_name("ApprovalReceiver.vy"))
    return checksum(chain.transact(None, to_bytes(artifact["bytecode"]))["contractAddress"])


def balance(chain: Any, token: Address, account: Address) -> int:
    amount: int = chain.call(token, FUNCTIONS["balanceOf"], account)
    return amount


def test_the_deployer_receives_the_whole_supply(chain: Any, token: Address) -> None:
    assert chain.call(token, FUNCTIONS["totalSupply"]) == SUPPLY
    assert balance(chain, token, chain.accounts[0]) == SUPPLY
    assert chain.call(token, FUNCTIONS["decimals"]) == 9
    assert chain.call(token, FUNCTIONS["symbol"]) == "RLC"
    assert chain.call(token, FUNCTIONS["name"]) == "iEx.ec Network Token"


@pytest.mark.parametrize("amount", [0, 1, SUPPLY])
def test_a_transfer_moves_and_is_logged(chain: Any, token: Address, amount: int) -> None:
    sender, receiver = chain.accounts[:2]
    assert chain.call(token, FUNCTIONS["transfer"], receiver, amount, sender=sender) is True
    (log,) = chain.send(token, FUNCTIONS["transfer"], receiver, amount)["logs"]
    assert TRANSFER.decode(log) == {"from": sender, "to": receiver, "value": amount}
    assert balance(chain, token, sender) == SUPPLY - amount
    assert balance(chain, token, receiver) == amount


def test_a_transfer_to_oneself_changes_nothing(chain: Any, token: Address) -> None:
    chain.send(token, FUNCTIONS["transfer"], chain.accounts[0], SUPPLY)
    assert balance(chain, token, chain.accounts[0]) == SUPPLY


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("transfer", (2, SUPPLY + 1)), ("transferFrom", (0, 2, 1)), ("transferFrom", (1, 2, 2**256 - 1))],
    ids=["beyond the balance", "without allowance", "beyond the allowance"],
)
def test_what_is_not_there_cannot_be_moved_and_no_reason_is_given(
    chain: Any, token: Address, reverted: Any, name: str, arguments: tuple[int, ...]
) -> None:
    actual = [chain.accounts[value] for value in arguments[:-1]]
    sender = chain.accounts[0] if name == "transfer" else chain.accounts[3]
    with pytest.raises(reverted) as refusal:
        chain.send(token, FUNCTIONS[name], *actual, arguments[-1], sender=sender)
    assert refusal.value.data == b""


def test_an_allowance_beyond_the_balance_does_not_help(chain: Any, token: Address, reverted: Any) -> None:
    poor, rich = chain.accounts[1:3]
    chain.send(token, FUNCTIONS["approve"], rich, 2**256 - 1, sender=poor)
    with pytest.raises(reverted):
        chain.send(token, FUNCTIONS["transferFrom"], poor, rich, 1, sender=rich)


def test_the_zero_address_may_hold_tokens_as_in_circulation(chain: Any, token: Address) -> None:
    (log,) = chain.send(token, FUNCTIONS["transfer"], NULL_ADDRESS, 7)["logs"]
    assert TRANSFER.decode(log) == {"from": chain.accounts[0], "to": NULL_ADDRESS, "value": 7}
    assert balance(chain, token, NULL_ADDRESS) == 7
    assert chain.call(token, FUNCTIONS["totalSupply"]) == SUPPLY


def test_a_deployment_script_may_hand_over_the_token(chain: Any, token: Address, reverted: Any) -> None:
    owner, transfer_ownership = (
        Function.parse("owner() view returns (address)"),
        Function.parse("transferOwnership(address)"),
    )
    first, second = chain.accounts[:2]
    assert chain.call(token, owner) == first
    with pytest.raises(reverted) as refusal:
        chain.send(token, transfer_ownership, second, sender=second)
    assert refusal.value.data == b""
    assert chain.send(token, transfer_ownership, second)["logs"] == []
    assert chain.call(token, owner) == second


def test_a_spender_takes_within_its_allowance_which_sinks_silently(chain: Any, token: Address) -> None:
    owner, taker, receiver = chain.accounts[:3]
    (log,) = chain.send(token, FUNCTIONS["approve"], taker, 100)["logs"]
    assert APPROVAL.decode(log) == {"owner": owner, "spender": taker, "value": 100}
    (log,) = chain.send(token, FUNCTIONS["transferFrom"], owner, receiver, 60, sender=taker)["logs"]
    assert TRANSFER.decode(log) == {"from": owner, "to": receiver, "value": 60}
    assert chain.call(token, FUNCTIONS["allowance"], owner, taker) == 40


def test_an_approval_replaces_the_former(chain: Any, token: Address) -> None:
    owner, taker = chain.accounts[:2]
    chain.send(token, FUNCTIONS["approve"], taker, 100)
    chain.send(token, FUNCTIONS["approve"], taker, 7)
    assert chain.call(token, FUNCTIONS["allowance"], owner, taker) == 7


@pytest.mark.parametrize("data", [b"", b"orders", b"x" * 16_384, b"answer false"])
def test_approve_and_call_lets_the_spender_act_at_once(chain: Any, token: Address, data: bytes) -> None:
    owner, contract = chain.accounts[0], spender(chain)
    logs = chain.send(token, FUNCTIONS["approveAndCall"], contract, 5, data)["logs"]
    assert [log["topics"][0] for log in logs] == [APPROVAL.topic, TRANSFER.topic, GOT_APPROVAL.topic]
    assert GOT_APPROVAL.decode(logs[2]) == {"sender": owner, "amount": 5, "token": token, "extraData": data}
    assert balance(chain, token, contract) == 5
    assert chain.call(token, FUNCTIONS["allowance"], owner, contract) == 0


@pytest.mark.parametrize("size", [0, 1, 32, 4000])
def test_the_spender_is_called_with_its_data_and_nothing_behind_it(chain: Any, token: Address, size: int) -> None:
    """A hub passes all call data on to a facet, and pays for each word of it."""
    owner, contract, data = chain.accounts[0], spender(chain), b"d" * size
    call = {"from": owner, "to": token, "data": to_hex(FUNCTIONS["approveAndCall"].encode(contract, 5, data))}
    (told, *_) = chain.ask("debug_traceCall", call, "latest", {"tracer": "callTracer"})["calls"]
    receive = Function.parse("receiveApproval(address sender, uint256 amount, address token, bytes data)")
    assert told["input"] == to_hex(receive.encode(owner, 5, token, data))


def test_a_spender_that_refuses_undoes_the_approval(chain: Any, token: Address, reverted: Any) -> None:
    contract = spender(chain)
    with pytest.raises(reverted) as refusal:
        chain.send(token, FUNCTIONS["approveAndCall"], contract, 0, b"")
    assert str(refusal.value) == "nothing approved"
    assert chain.call(token, FUNCTIONS["allowance"], chain.accounts[0], contract) == 0


def test_an_account_without_code_cannot_be_told(chain: Any, token: Address, reverted: Any) -> None:
    with pytest.raises(reverted):
        chain.send(token, FUNCTIONS["approveAndCall"], chain.accounts[1], 5, b"")


def test_the_token_refuses_value(chain: Any, token: Address, reverted: Any) -> None:
    for data in (b"", Function.parse("totalSupply()").encode()):
        with pytest.raises(reverted):
            chain.transact(token, data, value=1)
