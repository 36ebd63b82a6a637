"""Lock, unlock, reward and seize by themselves: what moves, what is told of it, and what is refused in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.phases import CompilerData
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

from pyiexec.chain.abi import Function
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32

SOURCES = Path(__file__).parents[3] / "contracts"
FUNCTIONS = {
    name: Function.parse(f"{name}{rest}")
    for name, rest in (
        ("setBalance", "(address account, uint256 amount)"),
        ("balanceOf", "(address account) view returns (uint256)"),
        ("frozenOf", "(address account) view returns (uint256)"),
        ("lock_", "(address account, uint256 value)"),
        ("unlock_", "(address account, uint256 value)"),
        ("reward_", "(address account, uint256 value, bytes32 ref)"),
        ("seize_", "(address account, uint256 value, bytes32 ref)"),
    )
}
REF = bytes32(7)
TO_EMPTY = "IexecEscrow: Transfer to empty address"
FROM_EMPTY = "IexecEscrow: Transfer from empty address"
EXCEEDS = "IexecEscrow: Transfer amount exceeds balance"
UNDERFLOW = "panic 0x11"


@pytest.fixture(scope="module")
def initcode() -> bytes:
    bundle = FilesystemInputBundle([SOURCES])
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version="cancun")
    source = bundle.load_file(Path(__file__).parent / "mocks" / "EscrowPrimitives.vy")
    data = CompilerData(source, bundle, settings=settings)
    with anchor_settings(settings):
        code: bytes = data.bytecode
    return code


class Escrow:
    def __init__(self, market: Any, address: Address) -> None:
        self.chain = market.chain
        self.admin = market.admin
        self.address = address

    def do(self, name: str, *arguments: Any) -> list[tuple[str, dict[str, Any]]]:
        """The events."""
        receipt = self.chain.send(self.address, FUNCTIONS[name].encode(*arguments), self.admin)
        events: list[tuple[str, dict[str, Any]]] = receipt.events_of(self.address)
        return events

    def view(self, name: str, account: Address) -> int:
        return int.from_bytes(self.chain.call(self.address, FUNCTIONS[name].encode(account)), "big")

    def held(self, account: Address) -> tuple[int, int, int]:
        """Free and frozen nRLC of the account, and what the contract's own balance shows."""
        return self.view("balanceOf", account), self.view("frozenOf", account), self.view("balanceOf", self.address)


@pytest.fixture
def escrow(market: Any, initcode: bytes) -> Escrow:
    return Escrow(market, market.chain.send(None, initcode, market.admin).contract)


@pytest.fixture
def alice(market: Any) -> Address:
    address: Address = market.requester
    return address


def transfer(sender: Address, receiver: Address, amount: int) -> tuple[str, dict[str, Any]]:
    return "Transfer", {"from": sender, "to": receiver, "value": amount}


@pytest.mark.parametrize("amount", [100, 40, 0])
def test_a_lock_moves_what_is_free_to_the_contract(escrow: Escrow, alice: Address, amount: int) -> None:
    escrow.do("setBalance", alice, 100)
    events = escrow.do("lock_", alice, amount)
    assert events == [transfer(alice, escrow.address, amount), ("Lock", {"owner": alice, "amount": amount})]
    assert escrow.held(alice) == (100 - amount, amount, amount)


@pytest.mark.parametrize("amount", [100, 40, 0])
def test_an_unlock_moves_it_back(escrow: Escrow, alice: Address, amount: int) -> None:
    escrow.do("setBalance", alice, 100)
    escrow.do("lock_", alice, 100)
    events = escrow.do("unlock_", alice, amount)
    assert events == [transfer(escrow.address, alice, amount), ("Unlock", {"owner": alice, "amount": amount})]
    assert escrow.held(alice) == (amount, 100 - amount, 100 - amount)


@pytest.mark.parametrize("amount", [100, 40, 0])
def test_a_reward_is_paid_by_the_contract(escrow: Escrow, alice: Address, amount: int) -> None:
    escrow.do("setBalance", escrow.address, 100)
    events = escrow.do("reward_", alice, amount, REF)
    told = {"owner": alice, "amount": amount, "ref": REF}
    assert events == [transfer(escrow.address, alice, amount), ("Reward", told)]
    assert escrow.held(alice) == (amount, 0, 100 - amount)


@pytest.mark.parametrize("amount", [100, 40, 0])
def test_a_seizure_takes_what_is_frozen_and_moves_nothing(escrow: Escrow, alice: Address, amount: int) -> None:
    escrow.do("setBalance", alice, 150)
    escrow.do("lock_", alice, 100)
    events = escrow.do("seize_", alice, amount, REF)
    assert events == [("Seize", {"owner": alice, "amount": amount, "ref": REF})]
    assert escrow.held(alice) == (50, 100 - amount, 100)


#: What is free, what is frozen and what the contract shows; then the call and its refusal.
REFUSALS: list[tuple[int, int, int, str, int, str]] = [
    (100, 0, 0, "lock_", 101, EXCEEDS),
    (0, 0, 0, "lock_", 1, EXCEEDS),
    (100, 0, 0, "lock_", 2**256 - 1, EXCEEDS),
    # the contract's balance is looked at before the account's
    (0, 100, 99, "unlock_", 100, EXCEEDS),
    (0, 0, 0, "unlock_", 1, EXCEEDS),
    (0, 0, 100, "unlock_", 1, UNDERFLOW),
    (100, 60, 100, "unlock_", 61, UNDERFLOW),
    (0, 0, 100, "unlock_", 2**256 - 1, EXCEEDS),
    (0, 0, 100, "reward_", 101, EXCEEDS),
    (100, 100, 0, "reward_", 1, EXCEEDS),
    (0, 0, 100, "reward_", 2**256 - 1, EXCEEDS),
    (100, 60, 100, "seize_", 61, UNDERFLOW),
    (100, 0, 100, "seize_", 1, UNDERFLOW),
    (0, 0, 0, "seize_", 2**256 - 1, UNDERFLOW),
]


@pytest.mark.parametrize(("free", "frozen", "pot", "name", "amount", "reason"), REFUSALS)
def test_what_is_not_there_cannot_be_moved(
    escrow: Escrow,
    alice: Address,
    reverted: Any,
    free: int,
    frozen: int,
    pot: int,
    name: str,
    amount: int,
    reason: str,
) -> None:
    escrow.do("setBalance", alice, frozen)
    escrow.do("lock_", alice, frozen)
    escrow.do("setBalance", alice, free)
    escrow.do("setBalance", escrow.address, pot)
    held = escrow.held(alice)
    assert held == (free, frozen, pot)
    with pytest.raises(reverted) as caught:
        escrow.do(name, alice, amount, *([REF] if len(FUNCTIONS[name].inputs) == 3 else []))
    assert caught.value.reason == reason
    assert escrow.held(alice) == held


@pytest.mark.parametrize(
    ("name", "amount", "reason"),
    [
        ("lock_", 0, FROM_EMPTY),
        ("lock_", 1, FROM_EMPTY),
        ("unlock_", 0, TO_EMPTY),
        ("unlock_", 1, TO_EMPTY),
        ("reward_", 0, TO_EMPTY),
        ("reward_", 1, TO_EMPTY),
        ("seize_", 1, UNDERFLOW),
    ],
)
def test_the_zero_address_has_nothing(escrow: Escrow, reverted: Any, name: str, amount: int, reason: str) -> None:
    with pytest.raises(reverted) as caught:
        escrow.do(name, NULL_ADDRESS, amount, *([REF] if len(FUNCTIONS[name].inputs) == 3 else []))
    assert caught.value.reason == reason


def test_the_largest_supply_fits_one_account(escrow: Escrow, alice: Address) -> None:
    """128 bits each: what is frozen does not run into what is free."""
    most = 2**128 - 1
    escrow.do("setBalance", alice, most)
    escrow.do("lock_", alice, most)
    assert escrow.held(alice) == (0, most, most)
    escrow.do("unlock_", alice, most)
    assert escrow.held(alice) == (most, 0, 0)
