"""The diamond: routing, cuts, loupe, ownership."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function, Parameter, encode
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import selectors
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.primitives import NULL_ADDRESS, keccak256

#: What the hub with a token routes: the functions of its 15 facets, and plain transfers and unknown functions.
SELECTORS = 103
ADD, REPLACE, REMOVE = 0, 1, 2
A, B, C = (bytes.fromhex(digits * 4) for digits in ("aa", "bb", "cc"))
CUTS = Parameter(
    "(address,uint8,bytes4[])[]", components=(Parameter("address"), Parameter("uint8"), Parameter("bytes4[]"))
)
ARGUMENTS = Parameter(
    "(address,address,bytes)", components=(Parameter("address"), Parameter("address"), Parameter("bytes"))
)


def error(signature: str, *values: Any) -> bytes:
    """Revert data of a custom error."""
    return Function.parse(signature).encode(*values)


def cut(market: Any, *cuts: Any, initializer: str = NULL_ADDRESS, data: bytes = b"", sender: str = "") -> Any:
    return market.send("diamondCut", list(cuts), initializer, data, sender=sender or market.admin)


def facet(market: Any, name: str) -> str:
    address: str = market.manifest.contracts[name].address
    return address


@pytest.fixture
def bare(market: Any) -> str:
    """A diamond without facets, owned by the administrator."""
    data = load("Diamond").initcode + encode([CUTS, ARGUMENTS], [[], (market.admin, NULL_ADDRESS, b"")])
    receipt = market.chain.send(None, data, market.admin)
    assert receipt.events_of(receipt.contract) == [
        ("OwnershipTransferred", {"previousOwner": NULL_ADDRESS, "newOwner": market.admin}),
        ("DiamondCut", {"_diamondCut": (), "_init": NULL_ADDRESS, "_calldata": b""}),
    ]
    contract: str = receipt.contract
    return contract


@pytest.mark.parametrize(
    ("data", "selector"),
    [
        (b"", "00000000"),
        (b"\xaa", "aa000000"),
        (b"\xaa\xbb", "aabb0000"),
        (b"\xaa\xbb\xcc", "aabbcc00"),
        (b"\x12\x34\x56\x78", "12345678"),
        (b"\x12\x34\x56\x78\x90", "12345678"),
    ],
)
def test_a_diamond_without_facets_knows_no_function(
    market: Any, bare: str, reverted: Any, data: bytes, selector: str
) -> None:
    for value in (0, 1):
        with pytest.raises(reverted) as caught:
            market.chain.send(bare, data, market.stranger, value=value)
        assert caught.value.data == error("FunctionNotFound(bytes4 s)", bytes.fromhex(selector))


def test_the_loupe_shows_every_facet_with_its_functions(market: Any) -> None:
    names = [name for name in market.manifest.contracts if name.endswith("Facet")]
    facets = market.view("facets")
    assert [address for address, _ in facets] == [facet(market, name) for name in names]
    assert sum(len(found) for _, found in facets) == SELECTORS
    for (address, found), name in zip(facets, names, strict=True):
        assert found == selectors(load(name))
        assert market.view("facetFunctionSelectors", address) == found
        assert all(market.view("facetAddress", selector) == address for selector in found[:2])
    assert market.view("facetAddresses") == tuple(address for address, _ in facets)
    assert market.view("facetAddress", A) == NULL_ADDRESS
    assert market.view("facetFunctionSelectors", market.stranger) == ()


def test_plain_transfers_and_unknown_functions_are_the_escrows(market: Any) -> None:
    escrow = facet(market, "IexecEscrowTokenFacet")
    assert market.view("facetAddress", bytes(4)) == market.view("facetAddress", b"\xff" * 4) == escrow


@pytest.mark.parametrize(
    ("interface", "supported"),
    [("01ffc9a7", True), ("1f931c1c", True), ("48e2b093", True), ("7f5828d0", True), ("ffffffff", False)],
)
def test_the_interfaces_of_a_diamond_are_declared(market: Any, interface: str, supported: bool) -> None:
    assert market.view("supportsInterface", bytes.fromhex(interface)) is supported


def test_functions_are_added_replaced_and_removed(market: Any) -> None:
    one, two = facet(market, "OwnershipFacet"), facet(market, "IexecPoco1Facet")
    before = market.view("facetFunctionSelectors", one)
    receipt = cut(market, (one, ADD, [A, B, C]))
    told = {"_diamondCut": ((one, ADD, (A, B, C)),), "_init": NULL_ADDRESS, "_calldata": b""}
    assert market.events(receipt) == [("DiamondCut", told)]
    assert market.view("facetFunctionSelectors", one) == (*before, A, B, C)
    cut(market, (two, REPLACE, [B]))
    assert market.view("facetAddress", B) == two
    cut(market, (NULL_ADDRESS, REMOVE, [A]))
    assert market.view("facetAddress", A) == NULL_ADDRESS
    # the last of the list took the place of the first
    assert market.view("facetFunctionSelectors", one) == (*before, C)
    everything = [selector for _, found in market.view("facets") for selector in found]
    assert len(everything) == len(set(everything)) == SELECTORS + 2


def test_any_order_of_removal_keeps_the_list_whole(market: Any) -> None:
    target = facet(market, "OwnershipFacet")
    new = [keccak256(bytes([number]))[:4] for number in range(20)]
    cut(market, (target, ADD, new))
    for selector in (new[0], new[19], new[7], new[8], new[18]):
        cut(market, (NULL_ADDRESS, REMOVE, [selector]))
        new.remove(selector)
        found = market.view("facetFunctionSelectors", target)
        assert set(found[2:]) == set(new)
        assert all(market.view("facetAddress", other) == target for other in new)
    cut(market, (NULL_ADDRESS, REMOVE, new))
    assert market.view("facetFunctionSelectors", target) == tuple(found[:2])


#: What is wrong, the cuts and the error; `one` is the ownership facet, `mute` an account without code.
NO_CODE = "NoBytecodeAtAddress(address a, string m)"
REFUSALS: list[tuple[Any, Any]] = [
    (lambda m, one: [(one, ADD, [])], lambda m, one: error("NoSelectorsProvidedForFacetForCut(address f)", one)),
    (
        lambda m, one: [(NULL_ADDRESS, ADD, [A])],
        lambda m, one: error("CannotAddSelectorsToZeroAddress(bytes4[] s)", [A]),
    ),
    (
        lambda m, one: [(m.stranger, ADD, [A])],
        lambda m, one: error(NO_CODE, m.stranger, "LibDiamondCut: Add facet has no code"),
    ),
    (
        lambda m, one: [(one, ADD, [A, A])],
        lambda m, one: error("CannotAddFunctionToDiamondThatAlreadyExists(bytes4 s)", A),
    ),
    (
        lambda m, one: [(NULL_ADDRESS, REPLACE, [A])],
        lambda m, one: error("CannotReplaceFunctionsFromFacetWithZeroAddress(bytes4[] s)", [A]),
    ),
    (
        lambda m, one: [(m.stranger, REPLACE, [A])],
        lambda m, one: error(NO_CODE, m.stranger, "LibDiamondCut: Replace facet has no code"),
    ),
    (
        lambda m, one: [(one, REPLACE, [A])],
        lambda m, one: error("CannotReplaceFunctionThatDoesNotExists(bytes4 s)", A),
    ),
    (
        lambda m, one: [(one, REPLACE, [FUNCTIONS["owner"].selector])],
        lambda m, one: error(
            "CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet(bytes4 s)", FUNCTIONS["owner"].selector
        ),
    ),
    (
        lambda m, one: [(m.hub, ADD, [A]), (one, REPLACE, [A])],
        lambda m, one: error("CannotReplaceImmutableFunction(bytes4 s)", A),
    ),
    (
        lambda m, one: [(one, REMOVE, [A])],
        lambda m, one: error("RemoveFacetAddressMustBeZeroAddress(address f)", one),
    ),
    (
        lambda m, one: [(NULL_ADDRESS, REMOVE, [A])],
        lambda m, one: error("CannotRemoveFunctionThatDoesNotExist(bytes4 s)", A),
    ),
    (
        lambda m, one: [(m.hub, ADD, [A]), (NULL_ADDRESS, REMOVE, [A])],
        lambda m, one: error("CannotRemoveImmutableFunction(bytes4 s)", A),
    ),
    (lambda m, one: [(one, 3, [A])], lambda m, one: b""),
]


@pytest.mark.parametrize(("cuts", "expected"), REFUSALS)
def test_a_wrong_cut_is_refused_with_its_error(market: Any, reverted: Any, cuts: Any, expected: Any) -> None:
    one = facet(market, "OwnershipFacet")
    with pytest.raises(reverted) as caught:
        cut(market, *cuts(market, one))
    assert caught.value.data == expected(market, one)


def test_only_the_owner_cuts(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        cut(market, (facet(market, "OwnershipFacet"), ADD, [A]), sender=market.stranger)
    assert caught.value.data == error("NotContractOwner(address a, address b)", market.stranger, market.admin)


def test_a_cut_may_run_an_initialiser(market: Any, reverted: Any) -> None:
    init = facet(market, "DiamondInit")
    cut(market, initializer=init, data=Function.parse("init()").selector)
    with pytest.raises(reverted) as caught:
        cut(market, initializer=init, data=A)
    assert caught.value.data == error("InitializationFunctionReverted(address i, bytes d)", init, A)
    with pytest.raises(reverted) as caught:
        cut(market, initializer=market.stranger)
    assert caught.value.data == error(NO_CODE, market.stranger, "LibDiamondCut: _init address has no code")
    with pytest.raises(reverted, match=r"^fallback-disabled$"):
        cut(market, initializer=facet(market, "IexecEscrowTokenFacet"), data=A)


def test_the_hub_is_handed_over_in_one_step(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        market.send("transferOwnership", market.stranger, sender=market.stranger)
    assert caught.value.data == error("NotContractOwner(address a, address b)", market.stranger, market.admin)
    receipt = market.send("transferOwnership", market.stranger, sender=market.admin)
    handed = {"previousOwner": market.admin, "newOwner": market.stranger}
    assert market.events(receipt) == [("OwnershipTransferred", handed)]
    assert market.view("owner") == market.stranger
    market.send("transferOwnership", NULL_ADDRESS, sender=market.stranger)
    assert market.view("owner") == NULL_ADDRESS


def test_a_facet_by_itself_has_no_state(market: Any) -> None:
    """Calling a facet directly finds an empty hub: it holds neither money nor an owner."""
    answer = market.chain.call(facet(market, "OwnershipFacet"), FUNCTIONS["owner"].encode())
    assert int.from_bytes(answer, "big") == 0


def test_too_many_selectors_are_refused_with_a_reason(market: Any, reverted: Any) -> None:
    target = facet(market, "OwnershipFacet")
    new = [keccak256(number.to_bytes(2, "big"))[:4] for number in range(512 - SELECTORS + 1)]
    for start in range(0, 384, 128):
        cut(market, (target, ADD, new[start : start + 128]))
    with pytest.raises(reverted, match=r"^too many selectors$"):
        cut(market, (target, ADD, new[384:]))
    cut(market, (target, ADD, new[384:-1]))
    assert len(market.view("facetFunctionSelectors", target)) == 2 + 512 - SELECTORS
