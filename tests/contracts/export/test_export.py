"""What `pyiexec contracts export` writes is the ABI that clients know, and the code that is compiled."""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from benchmarks.reference import published as reference

from pyiexec.chain import hub, published, registries, token
from pyiexec.chain.abi import Function
from pyiexec.chain.artifacts import load
from pyiexec.chain.export import ASSET_PROXY, CONTRACTS, INTERFACES, export
from pyiexec.protocol.errors import IexecError

#: Contracts of 6.1.0 that are not in its package: their ABI is told by what others say of them.
ELSEWHERE = {"DiamondInit", "DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet", "RLC", ASSET_PROXY}

#: What 6.2 has and 6.1 has not, or the other way round: contract, in which of the two, entry.
DIFFERENCES = {
    ("IexecEscrowTokenFacet", "6.1", "function receiveApproval(address sender,uint256 amount,address token,bytes )"),
    (
        "IexecEscrowTokenFacet",
        "6.2",
        "function receiveApproval(address sender,uint256 amount,address token,bytes data)",
    ),
    *(
        (contract, "6.2", error)
        for contract in ("IexecEscrowTokenFacet", "IexecInterfaceToken")
        for error in (
            "error UnsupportedOperation(bytes4 selector)",
            "error OperationFailed()",
            "error CallerIsNotTheRequester()",
        )
    ),
}

#: Of OpenZeppelin 5, which the registries of 6.2 are built on; those of 6.1 refuse with texts.
REGISTRY_ERRORS = 15

#: Functions of ours that are no part of PoCo's ABI: `contracts/registries/README.md`, `contracts/hub/README.md`.
OURS = {
    "Diamond": {"blob"},
    "AppRegistry": {"blob", "entry"},
    "DatasetRegistry": {"blob", "entry"},
    "WorkerpoolRegistry": {"blob", "entry", "setPolicy"},
}


def named(entry: dict[str, Any]) -> str:
    """An entry with everything that counts, as one line."""
    return f"{entry['type']} {entry.get('name', '')}({_list(entry.get('inputs', []))}){_rest(entry)}"


def _rest(entry: dict[str, Any]) -> str:
    mutability = entry.get("stateMutability", "nonpayable")
    shown = "" if mutability == "nonpayable" else f" {mutability}"
    returns = f" -> ({_list(entry['outputs'])})" if entry.get("outputs") else ""
    return shown + returns + (" anonymous" if entry.get("anonymous") else "")


def _list(parameters: list[dict[str, Any]]) -> str:
    return ",".join(_parameter(parameter) for parameter in parameters)


def _parameter(parameter: dict[str, Any]) -> str:
    kind = parameter["type"]
    if "components" in parameter:
        kind = f"({_list(parameter['components'])}){kind.removeprefix('tuple')}"
    return f"{kind}{' indexed' if parameter.get('indexed') else ''} {parameter['name']}"


def typed(entry: dict[str, Any]) -> str:
    """An entry without the names of what it takes and gives."""

    def nameless(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            parameter
            | {"name": ""}
            | ({"components": nameless(parameter["components"])} if "components" in parameter else {})
            for parameter in parameters
        ]

    bare = {key: nameless(entry[key]) for key in ("inputs", "outputs") if key in entry}
    return named(entry | bare)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "contracts"
    export(folder)
    return folder


@cache
def reference_folder() -> Path:
    return reference.fetch_contracts(os.environ)


def exported(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    return found


def without_repetitions(entries: list[str]) -> set[str]:
    assert not [entry for entry, times in Counter(entries).items() if times > 1]
    return set(entries)


@pytest.mark.parametrize("name", [*CONTRACTS, ASSET_PROXY, *INTERFACES])
def test_a_file_has_the_four_fields_that_tools_read(folder: Path, name: str) -> None:
    found = exported(folder, name)
    assert list(found) == ["contractName", "abi", "bytecode", "deployedBytecode"]
    assert found["contractName"] == name
    without_repetitions([typed(entry) for entry in found["abi"]])


def test_nothing_else_is_written(folder: Path) -> None:
    assert {path.stem for path in folder.iterdir()} == {*CONTRACTS, ASSET_PROXY, *INTERFACES}
    assert {path.suffix for path in folder.iterdir()} == {".json"}


@pytest.mark.parametrize("name", sorted({*CONTRACTS, *INTERFACES} - ELSEWHERE))
def test_the_abi_is_that_of_the_published_package_but_for_what_changed_since(folder: Path, name: str) -> None:
    theirs = without_repetitions([named(entry) for entry in reference.artifact(reference_folder(), name)["abi"]])
    ours = without_repetitions([named(entry) for entry in exported(folder, name)["abi"]])
    if name.startswith("IexecEscrow"):
        # In 6.1 a facet of its own.
        theirs |= {named(entry) for entry in reference.artifact(reference_folder(), "IexecERC20Facet")["abi"]}
    if name == "IexecLibOrders_v5":
        # For linked Solidity alone.
        theirs = {entry for entry in theirs if not entry.startswith("function hash(")}
    if name.endswith("Registry"):
        errors = {entry for entry in ours if entry.startswith("error ")}
        assert len(errors) == REGISTRY_ERRORS
        ours -= errors
    changes = {(name, "6.1", entry) for entry in theirs - ours} | {(name, "6.2", entry) for entry in ours - theirs}
    told = {
        (contract, version, f"{entry}{' -> (bool )' if 'function' in entry else ''}")
        for contract, version, entry in DIFFERENCES
    }
    assert changes == {change for change in told if change[0] == name}


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_abi_has_the_types_of_the_compiler_s_own(folder: Path, name: str) -> None:
    """Every function with its types and mutability, and every event that the code can emit."""
    compiled, ours = load(name).abi, exported(folder, name)["abi"]
    functions = {
        typed(entry) for entry in compiled if entry["type"] == "function" and entry["name"] not in OURS.get(name, set())
    }
    if name == "DiamondInit":
        # `init` is a word of the language: there it is the default function.
        functions = {"function init()"}
    assert {typed(entry) for entry in ours if entry["type"] == "function"} == functions
    events = {typed(entry) for entry in compiled if entry["type"] == "event"}
    assert events <= {typed(entry) for entry in ours if entry["type"] == "event"}


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_constructed_with_what_the_compiler_says(folder: Path, name: str) -> None:
    def constructor(entries: list[dict[str, Any]]) -> tuple[str, str]:
        (found,) = [entry for entry in entries if entry["type"] == "constructor"] or [{}]
        return _list([]) if not found.get("inputs") else typed(found), found.get("stateMutability", "nonpayable")

    assert constructor(exported(folder, name)["abi"]) == constructor(load(name).abi)


def test_a_contract_that_answers_anything_says_so(folder: Path) -> None:
    answering = {
        name: {entry["type"] for entry in exported(folder, name)["abi"]} & {"receive", "fallback"}
        for name in (*CONTRACTS, ASSET_PROXY, *INTERFACES)
    }
    both = {"receive", "fallback"}
    wanted = {"Diamond", "IexecEscrowTokenFacet", "IexecEscrowNativeFacet", ASSET_PROXY, *INTERFACES}
    assert {name for name, found in answering.items() if found == both} == wanted
    assert {name for name, found in answering.items() if found} == wanted


def test_the_whole_hub_has_91_functions_and_32_events_in_either_variant(folder: Path) -> None:
    kinds = {name: Counter(entry["type"] for entry in exported(folder, name)["abi"]) for name in INTERFACES}
    shared = {"function": 91, "event": 32, "receive": 1, "fallback": 1}
    assert kinds == {"IexecInterfaceToken": shared | {"error": 4}, "IexecInterfaceNative": shared | {"error": 1}}


def test_every_function_of_the_whole_hub_is_some_facet_s(folder: Path) -> None:
    of_facets = {
        function.selector for name in CONTRACTS if name.endswith("Facet") for function in published.functions(name)
    }
    for name in INTERFACES:
        missing = {function.name for function in published.functions(name) if function.selector not in of_facets}
        assert missing == {"renounceOwnership"}


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_code_is_what_was_compiled(folder: Path, name: str) -> None:
    found, compiled = exported(folder, name), load(name)
    assert found["bytecode"] == compiled.bytecode
    assert found["deployedBytecode"] == compiled.deployed_bytecode
    assert int(found["bytecode"], 16)


def test_interfaces_have_no_code(folder: Path) -> None:
    for name in INTERFACES:
        assert exported(folder, name)["bytecode"] == exported(folder, name)["deployedBytecode"] == "0x"


def test_tuples_name_their_library_as_typechain_wants_it(folder: Path) -> None:
    (match,) = [entry for entry in exported(folder, "IexecPoco1Facet")["abi"] if entry.get("name") == "matchOrders"]
    assert [argument["internalType"] for argument in match["inputs"]] == [
        f"struct IexecLibOrders_v5.{kind}Order" for kind in ("App", "Dataset", "Workerpool", "Request")
    ]
    (facets,) = [entry for entry in exported(folder, "DiamondLoupeFacet")["abi"] if entry["name"] == "facets"]
    assert facets["outputs"][0]["internalType"] == "struct IDiamondLoupe.Facet[]"


def test_exporting_again_replaces_the_files_and_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "RLC.json").write_text("old")
    first = export(tmp_path)
    before = {path: path.read_bytes() for path in first}
    assert {path: path.read_bytes() for path in export(tmp_path)} == before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == len(first) + 1


def test_a_contract_that_is_not_published_is_refused() -> None:
    with pytest.raises(IexecError) as failure:
        published.abi("IexecMaintenanceDelegate")
    assert failure.value.code == "ARTIFACT_MISSING"
    with pytest.raises(IexecError):
        list(published.functions("IexecMaintenanceDelegate"))


@pytest.mark.parametrize(
    ("known", "contracts"),
    [
        (hub.FUNCTIONS, [name for name in CONTRACTS if name.endswith("Facet")]),
        (registries.FUNCTIONS, ["AppRegistry", "DatasetRegistry", "WorkerpoolRegistry", "Workerpool"]),
        (token.FUNCTIONS, ["RLC"]),
    ],
    ids=["hub", "registries", "token"],
)
def test_what_our_own_clients_call_is_published(known: dict[str, Function], contracts: list[str]) -> None:
    all_published = {function.selector: function for name in contracts for function in published.functions(name)}
    for function in known.values():
        found = all_published[function.selector]
        assert (found.name, found.mutability.replace("pure", "view")) == (function.name, function.mutability)
        assert [output.type for output in found.outputs] == [output.type for output in function.outputs]
