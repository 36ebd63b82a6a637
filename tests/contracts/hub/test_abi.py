"""The published ABI: every function of every facet, every event, and what clients may rely on of the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import DIAMOND_FACETS, Variant, hub_facets, selectors
from pyiexec.chain.signer import create2_address
from pyiexec.protocol.eip712 import operation_type_hash, type_hash
from pyiexec.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import keccak256, to_bytes, to_hex

HERE = Path(__file__).parent
MODULES = HERE.parents[2] / "contracts" / "hub" / "modules"
CODE_SIZE_LIMIT = 24_576


def lines(name: str) -> Iterator[str]:
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def published_functions() -> dict[str, set[tuple[str, ...]]]:
    facets: dict[str, set[tuple[str, ...]]] = {}
    facet = ""
    for line in lines("published_functions.txt"):
        if " " not in line:
            facet = line
            facets[facet] = set()
        else:
            facets[facet].add(tuple(line.split(" ")))
    return facets


def type_of(argument: dict[str, Any]) -> str:
    name: str = argument["type"]
    if not name.startswith("tuple"):
        return name
    return f"({','.join(map(type_of, argument['components']))}){name.removeprefix('tuple')}"


def signature_of(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(map(type_of, entry['inputs']))})"


PUBLISHED = published_functions()
CONTRACTS = ["Diamond", "DiamondInit", *PUBLISHED]
#: Of no use to the hub, which computes hashes itself.
LIBRARY = "IexecLibOrders_v5"


@pytest.mark.parametrize("facet", PUBLISHED)
def test_a_facet_has_exactly_the_published_functions(facet: str) -> None:
    compiled = {
        (
            to_hex(Function.parse(signature_of(entry)).selector),
            entry["name"],
            entry["stateMutability"],
            f"({','.join(map(type_of, entry['outputs']))})",
        )
        for entry in load(facet).abi
        if entry["type"] == "function"
    }
    assert compiled == PUBLISHED[facet]


@pytest.mark.parametrize("variant", ["token", "native"])
def test_a_hub_has_the_91_published_functions_but_what_no_facet_implements(variant: Variant) -> None:
    linked = (*hub_facets(variant, 31337), "OwnershipFacet")
    # neither has renounceOwnership, the native one has no receiveApproval; Boost is not in the aggregate interface
    missing = {"token": 1, "native": 2}[variant]
    classic = [name for name in linked if "Boost" not in name]
    assert sum(len(PUBLISHED[name]) for name in classic) == 91 - missing


@pytest.mark.parametrize(
    ("variant", "chain_id", "facets", "routed"),
    [("token", 31337, 15, 103), ("native", 31337, 15, 102), ("token", 42161, 13, 98), ("token", 421614, 13, 98)],
)
def test_a_hub_has_as_many_facets_and_selectors_as_published(
    variant: Variant, chain_id: int, facets: int, routed: int
) -> None:
    """Receive and fallback have a selector each; there is no Boost on Arbitrum."""
    linked = (*DIAMOND_FACETS, *hub_facets(variant, chain_id))
    assert len(linked) == facets
    assert len({selector for name in linked for selector in selectors(load(name))}) == routed
    assert any("Boost" in name for name in linked) == (chain_id == 31337)


def test_every_published_event_is_emitted_with_its_topic_and_indexes() -> None:
    compiled = {}
    for name in CONTRACTS:
        for entry in load(name).abi:
            if entry["type"] == "event":
                indexed = tuple(field["indexed"] for field in entry["inputs"])
                compiled[to_hex(keccak256(signature_of(entry).encode()))] = entry["name"], indexed
    for line in lines("published_events.txt"):
        topic, signature = line.split(" ", 1)
        event = Event.parse(signature)
        assert event.topic == topic
        assert compiled.pop(topic) == (event.name, tuple(field.indexed for field in event.inputs)), signature
    assert not compiled


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_fits_the_limit_of_code(name: str) -> None:
    assert len(to_bytes(load(name).deployed_bytecode)) < CODE_SIZE_LIMIT


def test_every_contract_agrees_on_the_storage(layouts: Any, layout: Any) -> None:
    assert set(layouts) == {*CONTRACTS, LIBRARY}
    transient = layouts["Diamond"]["transient_storage_layout"]["store"]
    for name, found in layouts.items():
        assert found["storage_layout"] == ({} if name == LIBRARY else {"store": layout}), name
        assert found["transient_storage_layout"].get("store") == (None if name == LIBRARY else transient), name
        assert not found.get("code_layout"), f"{name} has immutables"


def test_the_storage_starts_as_it_always_did(layout: Any) -> None:
    """Append only: a hub in use is upgraded facet by facet over this very layout."""
    first = ["routes", "selector_words", "selector_count", "interfaces", "owner", "accounts", "pot", "allowances"]
    then = ["order_marks", "continuations", "tasks", "contributors", "contributions", "scores", "categories"]
    assert [layout[name]["slot"] for name in first + then] == list(range(len(first + then)))


def test_the_init_code_of_deals_is_frozen() -> None:
    """One changed byte, and no deal or result is found any more."""
    source = (MODULES / "blobs.vy").read_text()
    init_code = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")
    assert f'INIT_CODE: constant(Bytes[30]) = x"{init_code.hex()}"' in source
    assert f"INIT_CODE_HASH: constant(bytes32) = {to_hex(keccak256(init_code))}" in source
    assert keccak256(b"blob()")[:4] == init_code[1:5]
    assert 'PREAMBLE: constant(Bytes[11]) = x"600b80380380913d393df3"' in source


def test_a_deal_is_found_under_its_id(market: Any) -> None:
    match = market.match(params="{}")
    init_code = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")
    address = create2_address(market.hub, to_bytes(match.id), keccak256(init_code))
    code = to_bytes(market.chain.ask("eth_getCode", address, "latest"))
    assert code[:11] == bytes.fromhex("600b80380380913d393df3")
    assert market.chain.call(address, b"") == code[11:]
    assert code.endswith(b"{}")


def test_type_hashes_are_those_of_the_type_strings() -> None:
    source = (MODULES / "orders.vy").read_text()
    structs = {"APP": AppOrder, "DATASET": DatasetOrder, "WORKERPOOL": WorkerpoolOrder, "REQUEST": RequestOrder}
    for name, struct in structs.items():
        assert f"{name}_ORDER_TYPEHASH: constant(bytes32) = {to_hex(type_hash(struct))}" in source
        assert f"{name}_OPERATION_TYPEHASH: constant(bytes32) = {to_hex(operation_type_hash(struct))}" in source


def test_windows_list_only_functions_that_fit_them() -> None:
    """Narrow: one static word or nothing. Medium: static words, or text of a known bound."""
    source = (MODULES / "windows.vy").read_text()
    narrow, medium = source.split("MEDIUM_FUNCTIONS", 1)
    bounded = {"name", "symbol", "domain", "viewCategory", "viewCategoryABILegacy", "resultFor"}
    words = {"(uint256)", "(bool)", "(address)", "(bytes32)", "(uint8)", "()"}
    listed = set()
    for selector, name, _, returns in (function for facet in PUBLISHED.values() for function in facet):
        is_narrow = selector in narrow or f'"{name}(' in narrow
        is_medium = selector in medium or f'"{name}(' in medium
        if is_narrow or is_medium:
            listed.add(selector)
        assert not (is_narrow and is_medium)
        if is_narrow:
            assert returns in words, name
        elif is_medium:
            assert name in bounded or not {"bytes", "string"} & set(returns.strip("()").split(",")), name
        else:
            assert "string" in returns or "bytes," in returns or "bytes)" in returns or "[]" in returns, name
    assert len(listed) == narrow.count("method_id(") + narrow.count(",  # ") + medium.count("method_id(") - 2
