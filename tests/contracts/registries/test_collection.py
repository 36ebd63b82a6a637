"""The registries as enumerable ERC-721 collections."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.registries import FUNCTIONS, TRANSFER, asset_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

Registries = dict[str, Address]

MISSING = 12345
APPROVE = Function.parse("approve(address to, uint256 tokenId)")
APPROVE_ALL = Function.parse("setApprovalForAll(address operator, bool approved)")
APPROVED = Function.parse("getApproved(uint256 tokenId) view returns (address)")
APPROVED_ALL = Function.parse("isApprovedForAll(address owner, address operator) view returns (bool)")
SAFE_WITH_DATA = Function.parse("safeTransferFrom(address from, address to, uint256 tokenId, bytes data)")
SUPPORTS = Function.parse("supportsInterface(bytes4 id) view returns (bool)")
ON_RECEIVED = Function.parse("onERC721Received(address operator, address from, uint256 tokenId, bytes data)")
TOKEN_URI = Function.parse("tokenURI(uint256 tokenId) view returns (string)")
APPROVAL = Event.parse("Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)")
APPROVAL_ALL = Event.parse("ApprovalForAll(address indexed owner, address indexed operator, bool approved)")

ERRORS = {
    error.partition("(")[0]: Function.parse(error)
    for error in (
        "ERC721NonexistentToken(uint256 a)",
        "ERC721InvalidOwner(address a)",
        "ERC721IncorrectOwner(address a, uint256 b, address c)",
        "ERC721InvalidReceiver(address a)",
        "ERC721InsufficientApproval(address a, uint256 b)",
        "ERC721InvalidApprover(address a)",
        "ERC721InvalidOperator(address a)",
        "ERC721OutOfBoundsIndex(address a, uint256 b)",
    )
}


@pytest.fixture
def pools(chain: Any, registries: Registries) -> list[int]:
    """Three tokens of account 6."""
    return [mint(chain, registries, chain.accounts[6], f"pool {number}") for number in range(3)]


def mint(chain: Any, registries: Registries, owner: Address, description: str) -> int:
    receipt = chain.send(registries["workerpool"], FUNCTIONS["createWorkerpool"], owner, description)
    return int(receipt["logs"][0]["topics"][3], 16)


def receiver(chain: Any, behaviour: int) -> Address:
    """A contract that is sent tokens; see TokenReceiver.vy for the behaviours."""
    contract: Address = chain.create_double("TokenReceiver", behaviour)
    return contract


# Each case: sender, function, arguments, expected error and its arguments. Numbers below 10 are accounts, `T` the token
# of account 6.
T = "token"
REFUSALS: list[tuple[int, Function, tuple[Any, ...], str, tuple[Any, ...]]] = [
    (0, FUNCTIONS["ownerOf"], (MISSING,), "ERC721NonexistentToken", (MISSING,)),
    (0, TOKEN_URI, (MISSING,), "ERC721NonexistentToken", (MISSING,)),
    (0, APPROVED, (MISSING,), "ERC721NonexistentToken", (MISSING,)),
    (0, APPROVE, (7, MISSING), "ERC721NonexistentToken", (MISSING,)),
    (0, FUNCTIONS["balanceOf"], (NULL_ADDRESS,), "ERC721InvalidOwner", (NULL_ADDRESS,)),
    (0, FUNCTIONS["tokenOfOwnerByIndex"], (NULL_ADDRESS, 0), "ERC721InvalidOwner", (NULL_ADDRESS,)),
    (0, APPROVE, (7, T), "ERC721InvalidApprover", (0,)),
    (0, APPROVE_ALL, (NULL_ADDRESS, True), "ERC721InvalidOperator", (NULL_ADDRESS,)),
    (0, FUNCTIONS["transferFrom"], (6, 7, T), "ERC721InsufficientApproval", (0, T)),
    (0, FUNCTIONS["transferFrom"], (0, 7, T), "ERC721InsufficientApproval", (0, T)),
    (6, FUNCTIONS["transferFrom"], (7, 8, T), "ERC721IncorrectOwner", (7, T, 6)),
    (6, FUNCTIONS["transferFrom"], (6, 7, MISSING), "ERC721NonexistentToken", (MISSING,)),
    (6, FUNCTIONS["transferFrom"], (6, NULL_ADDRESS, T), "ERC721InvalidReceiver", (NULL_ADDRESS,)),
    (0, FUNCTIONS["transferFrom"], (6, NULL_ADDRESS, MISSING), "ERC721InvalidReceiver", (NULL_ADDRESS,)),
    (0, FUNCTIONS["safeTransferFrom"], (6, 7, T), "ERC721InsufficientApproval", (0, T)),
    (0, FUNCTIONS["tokenOfOwnerByIndex"], (6, 3), "ERC721OutOfBoundsIndex", (6, 3)),
    (0, FUNCTIONS["tokenOfOwnerByIndex"], (6, 2**256 - 1), "ERC721OutOfBoundsIndex", (6, 2**256 - 1)),
    (0, FUNCTIONS["tokenByIndex"], (3,), "ERC721OutOfBoundsIndex", (NULL_ADDRESS, 3)),
]


@pytest.mark.parametrize(("sender", "function", "arguments", "error", "told"), REFUSALS)
def test_a_refusal_names_its_cause(
    chain: Any,
    registries: Registries,
    pools: list[int],
    reverted: Any,
    sender: int,
    function: Function,
    arguments: tuple[Any, ...],
    error: str,
    told: tuple[Any, ...],
) -> None:
    def actual(value: Any, parameter_type: str) -> Any:
        if value == T:
            return pools[0]
        return chain.accounts[value] if parameter_type == "address" and isinstance(value, int) else value

    values = [actual(value, p.type) for value, p in zip(arguments, function.inputs, strict=True)]
    expected = [actual(value, p.type) for value, p in zip(told, ERRORS[error].inputs, strict=True)]
    with pytest.raises(reverted) as refusal:
        chain.call(registries["workerpool"], function, *values, sender=chain.accounts[sender])
    assert refusal.value.data == ERRORS[error].encode(*expected)


@pytest.mark.parametrize("how", ["owner", "approved", "operator"])
def test_owner_approved_and_operator_may_transfer(
    chain: Any, registries: Registries, pools: list[int], how: str
) -> None:
    registry, owner, buyer, other = registries["workerpool"], *chain.accounts[6:9]
    if how == "approved":
        (log,) = chain.send(registry, APPROVE, other, pools[0], sender=owner)["logs"]
        assert APPROVAL.decode(log) == {"owner": owner, "approved": other, "tokenId": pools[0]}
    elif how == "operator":
        (log,) = chain.send(registry, APPROVE_ALL, other, True, sender=owner)["logs"]
        assert APPROVAL_ALL.decode(log) == {"owner": owner, "operator": other, "approved": True}
        assert chain.call(registry, APPROVED_ALL, owner, other) is True
    sender = owner if how == "owner" else other
    (log,) = chain.send(registry, FUNCTIONS["transferFrom"], owner, buyer, pools[0], sender=sender)["logs"]
    assert TRANSFER.decode(log) == {"from": owner, "to": buyer, "tokenId": pools[0]}
    assert chain.call(registry, FUNCTIONS["ownerOf"], pools[0]) == buyer


def test_an_operator_may_approve_and_can_be_dismissed(
    chain: Any, registries: Registries, pools: list[int], reverted: Any
) -> None:
    registry, owner, operator = registries["workerpool"], chain.accounts[6], chain.accounts[8]
    chain.send(registry, APPROVE_ALL, operator, True, sender=owner)
    chain.send(registry, APPROVE, chain.accounts[9], pools[0], sender=operator)
    assert chain.call(registry, APPROVED, pools[0]) == chain.accounts[9]
    chain.send(registry, APPROVE_ALL, operator, False, sender=owner)
    with pytest.raises(reverted):
        chain.send(registry, APPROVE, operator, pools[0], sender=operator)


def test_an_approval_ends_with_the_transfer(chain: Any, registries: Registries, pools: list[int]) -> None:
    registry, owner, buyer, broker = registries["workerpool"], *chain.accounts[6:9]
    chain.send(registry, APPROVE, broker, pools[0], sender=owner)
    chain.send(registry, FUNCTIONS["transferFrom"], owner, buyer, pools[0], sender=owner)
    assert chain.call(registry, APPROVED, pools[0]) == NULL_ADDRESS


def test_a_transfer_to_oneself_changes_nothing_but_the_approval(
    chain: Any, registries: Registries, pools: list[int]
) -> None:
    registry, owner = registries["workerpool"], chain.accounts[6]
    chain.send(registry, APPROVE, chain.accounts[8], pools[1], sender=owner)
    chain.send(registry, FUNCTIONS["transferFrom"], owner, owner, pools[1], sender=owner)
    held = [chain.call(registry, FUNCTIONS["tokenOfOwnerByIndex"], owner, index) for index in range(3)]
    assert held == pools
    assert chain.call(registry, APPROVED, pools[1]) == NULL_ADDRESS


def test_a_contract_that_accepts_tokens_owns_it_when_asked(
    chain: Any, registries: Registries, pools: list[int]
) -> None:
    registry, owner = registries["workerpool"], chain.accounts[6]
    contract = receiver(chain, 0)
    chain.send(registry, SAFE_WITH_DATA, owner, contract, pools[0], b"hello", sender=owner)
    assert chain.call(contract, Function.parse("owned_when_asked() view returns (bool)")) is True
    assert chain.call(contract, Function.parse("data() view returns (bytes)")) == b"hello"
    chain.send(registry, FUNCTIONS["safeTransferFrom"], owner, contract, pools[1], sender=owner)
    assert chain.call(contract, Function.parse("data() view returns (bytes)")) == b""


@pytest.mark.parametrize("behaviour", [1, 2, 3])
def test_a_contract_that_does_not_accept_tokens_does_not_get_any(
    chain: Any, registries: Registries, pools: list[int], reverted: Any, behaviour: int
) -> None:
    registry, owner = registries["workerpool"], chain.accounts[6]
    contract = receiver(chain, behaviour)
    with pytest.raises(reverted) as refusal:
        chain.send(registry, FUNCTIONS["safeTransferFrom"], owner, contract, pools[0], sender=owner)
    if behaviour == 2:
        assert str(refusal.value) == "no tokens please"
    else:
        assert refusal.value.data == ERRORS["ERC721InvalidReceiver"].encode(contract)
    assert chain.call(registry, FUNCTIONS["ownerOf"], pools[0]) == owner


def test_a_receivers_refusal_is_passed_on_up_to_a_kilobyte(
    chain: Any, registries: Registries, pools: list[int], reverted: Any
) -> None:
    registry, owner = registries["workerpool"], chain.accounts[6]
    contract = receiver(chain, 4)
    for size in (300, 494, 1024):
        refused_with = bytes(32) + ON_RECEIVED.selector + 2 * (b"e" * size)
        with pytest.raises(reverted) as refusal:
            chain.send(registry, SAFE_WITH_DATA, owner, contract, pools[0], b"e" * size, sender=owner)
        assert refusal.value.data == refused_with[:1024]


def test_a_safe_transfer_takes_a_kilobyte_of_data_and_no_more(
    chain: Any, registries: Registries, pools: list[int], reverted: Any
) -> None:
    registry, owner = registries["workerpool"], chain.accounts[6]
    contract = receiver(chain, 0)
    with pytest.raises(reverted) as refusal:
        chain.send(registry, SAFE_WITH_DATA, owner, contract, pools[0], b"d" * 1025, sender=owner)
    assert refusal.value.data == b""
    chain.send(registry, SAFE_WITH_DATA, owner, contract, pools[0], b"d" * 1024, sender=owner)
    assert chain.call(contract, Function.parse("data() view returns (bytes)")) == b"d" * 1024


def test_a_safe_transfer_to_a_contract_without_the_hook_is_refused(
    chain: Any, registries: Registries, pools: list[int], reverted: Any
) -> None:
    registry, owner = registries["workerpool"], chain.accounts[6]
    with pytest.raises(reverted) as refusal:
        chain.send(registry, FUNCTIONS["safeTransferFrom"], owner, registry, pools[0], sender=owner)
    assert refusal.value.data == ERRORS["ERC721InvalidReceiver"].encode(registry)


@pytest.mark.parametrize("seed", range(3))
def test_the_lists_stay_those_of_a_swap_with_last_list_over_any_history(
    chain: Any, registries: Registries, seed: int
) -> None:
    """Three owners cross the ten lanes of a word both ways."""
    random_ = random.Random(seed)
    registry, owners = registries["workerpool"], chain.accounts[6:9]
    everything: list[int] = []
    lists: dict[Address, list[int]] = {owner: [] for owner in owners}
    for step in range(60):
        if len(everything) < 24 and (step < 12 or random_.random() < 0.4):
            owner = owners[0] if step < 12 else random_.choice(owners)
            token = mint(chain, registries, owner, f"{seed} {step}")
            everything.append(token)
            lists[owner].append(token)
        else:
            token = random_.choice(everything)
            sender = next(owner for owner in owners if token in lists[owner])
            buyer = random_.choice(owners)
            chain.send(registry, FUNCTIONS["transferFrom"], sender, buyer, token, sender=sender)
            if buyer != sender:
                lists[sender][lists[sender].index(token)] = lists[sender][-1]
                lists[sender].pop()
                lists[buyer].append(token)
    assert chain.call(registry, FUNCTIONS["totalSupply"]) == len(everything)
    found = [chain.call(registry, FUNCTIONS["tokenByIndex"], index) for index in range(len(everything))]
    assert found == everything
    for owner in owners:
        assert chain.call(registry, FUNCTIONS["balanceOf"], owner) == len(lists[owner])
        held = [
            chain.call(registry, FUNCTIONS["tokenOfOwnerByIndex"], owner, index) for index in range(len(lists[owner]))
        ]
        assert held == lists[owner]
        for token in held:
            assert chain.call(registry, FUNCTIONS["ownerOf"], token) == owner
            assert chain.call(asset_of(token), FUNCTIONS["owner"]) == owner


@pytest.mark.parametrize(
    ("interface", "supported"),
    [
        ("0x01ffc9a7", True),
        ("0x80ac58cd", True),
        ("0x5b5e139f", True),
        ("0x780e9d63", True),
        ("0xffffffff", False),
        ("0x00000000", False),
        ("0x7f5828d0", False),
    ],
)
def test_the_interfaces_of_a_collection_are_announced(
    chain: Any, registries: Registries, interface: str, supported: bool
) -> None:
    for registry in registries.values():
        assert chain.call(registry, SUPPORTS, interface) is supported
