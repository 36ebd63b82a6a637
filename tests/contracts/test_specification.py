"""The specification tells the truth about what can be checked: tests, limits, constants, storage."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.phases import CompilerData
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

HERE = Path(__file__).parent
CONTRACTS = HERE.parents[1] / "contracts"
SPECIFICATION = CONTRACTS / "SPEC.md"
MODULES = CONTRACTS / "hub" / "modules"
#: Where the constants of the limits live that are not in `bounds` or `rules`.
PLACES = [MODULES, CONTRACTS / "registries", CONTRACTS / "registries" / "modules"]

REFERENCE = re.compile(r"`((?:\w+/)*\w+\.py)::(\w+)`")
DECLARED = re.compile(r"^(\w+): constant\((\w+)\) = (.+)$", re.MULTILINE)
NUMBERS = ("uint256", "address")
ROW = re.compile(r"^\|(.+)\|$")
#: Headings of the column that says what proves a row.
PROVING = {"proof", "shown by"}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@cache
def tables() -> list[list[dict[str, str]]]:
    """Every table as its rows by heading."""
    found: list[list[dict[str, str]]] = []
    heading: list[str] = []
    for line in SPECIFICATION.read_text().splitlines():
        if not ROW.match(line):
            heading = []
        elif not heading:
            heading = cells(line)
            found.append([])
        elif not set(line) <= set("|-: "):
            row = cells(line)
            assert len(row) == len(heading), line
            found[-1].append(dict(zip(heading, row, strict=True)))
    return found


def rules() -> list[tuple[str, str]]:
    """Every row that states a rule, and what proves it."""
    return [
        ("; ".join(list(row.values())[:2])[:60], row[column])
        for table in tables()
        for row in table
        for column in row
        if column in PROVING
    ]


@cache
def proofs_in(path: Path) -> set[str]:
    """Names of the tests and invariants in a file."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and (
            node.name.startswith("test_")
            or any(isinstance(mark, ast.Call) and "invariant" in ast.dump(mark.func) for mark in node.decorator_list)
        )
    }


REFERENCES = sorted(set(REFERENCE.findall(SPECIFICATION.read_text())))


@pytest.mark.parametrize("path", sorted({path for path, _ in REFERENCES}))
def test_every_test_named_exists(path: str) -> None:
    file = HERE / path if "/" in path else HERE / "hub" / path
    assert file.exists(), path
    named = {name for other, name in REFERENCES if other == path}
    assert named <= proofs_in(file), named - proofs_in(file)


def test_every_rule_has_a_proof() -> None:
    assert len(rules()) > 150
    for rule, proof in rules():
        references = proof.split("<br>")
        assert all(REFERENCE.fullmatch(reference) for reference in references), f"{rule}: {proof}"


def test_no_rule_has_the_number_of_another() -> None:
    numbers = [row["#"] for table in tables() for row in table if row.get("#")]
    assert len(numbers) == len(set(numbers))


# --- limits and constants ---------------------------------------------------------------------------------------------


def value_of(expression: str, known: dict[str, str]) -> int | str:
    """What a constant expression of Vyper comes to."""
    expression = expression.partition("  #")[0].strip().replace("max_value(uint256)", "(2**256 - 1)")
    if re.fullmatch(r"0x[0-9a-fA-F]{40}", expression):
        return expression
    tree = ast.parse(expression, mode="eval")
    names = {node.id: value_of(known[node.id], known) for node in ast.walk(tree) if isinstance(node, ast.Name)}
    value = eval(compile(tree, "constant", "eval"), {"__builtins__": {}}, names)
    assert isinstance(value, int)
    return value


@cache
def constants(module: str) -> dict[str, int | str]:
    """Numbers and addresses of a module."""
    source = next(place / f"{module}.vy" for place in PLACES if (place / f"{module}.vy").exists()).read_text()
    declared = {name: expression for name, kind, expression in DECLARED.findall(source) if kind in NUMBERS}
    return {name: value_of(expression, declared) for name, expression in declared.items()}


def described() -> dict[str, str]:
    """Constants that have a row, with the value that is told."""
    found = {}
    for table in tables():
        for row in table:
            if row.get("constant"):
                name = row["constant"].strip("`")
                assert name not in found, name
                found[name] = row["value"]
    return found


@pytest.mark.parametrize("module", ["bounds", "rules"])
def test_every_constant_of_the_sources_is_described(module: str) -> None:
    names = {f"{module}.{name}" for name in constants(module)}
    assert len(names) > 20
    assert names <= described().keys(), names - described().keys()


@pytest.mark.parametrize("name", sorted(described()))
def test_a_constant_has_the_value_told(name: str) -> None:
    module, constant = name.split(".")
    assert value_of(described()[name], {}) == constants(module)[constant]


# --- storage ----------------------------------------------------------------------------------------------------------


def layout() -> Iterator[tuple[str, str]]:
    bundle = FilesystemInputBundle([CONTRACTS])
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version="cancun")
    data = CompilerData(bundle.load_file(CONTRACTS / "hub" / "Diamond.vy"), bundle, settings=settings)
    with anchor_settings(settings):
        found = data.storage_layout
    for name, place in found["storage_layout"]["store"].items():
        yield name, str(place["slot"])
    for name in found["transient_storage_layout"]["store"]:
        yield name, "transient"


def storage_rows() -> list[dict[str, str]]:
    return next(table for table in tables() if "slot" in table[0])


def test_every_variable_of_the_hub_is_described_where_it_is() -> None:
    assert {row["variable"].strip("`"): row["slot"] for row in storage_rows()} == dict(layout())


def test_no_word_is_said_to_hold_more_than_a_word_does() -> None:
    """Widths follow names: `free 128, frozen 128`."""
    words = [word for row in storage_rows() for word in re.split(r"Word \d:", row["word"])]
    kept = next(table for table in tables() if "salt" in table[0])
    words += [word for row in kept for word in row["content after the head"].split("·")]
    widths = [[int(width) for width in re.findall(r"[a-zA-Z*₂] (\d+)(?=[,.; ]|$)", word)] for word in words]
    assert sum(len(found) for found in widths) > 50
    for word, found in zip(words, widths, strict=True):
        assert sum(found) <= 256, word


def test_the_numbered_differences_are_the_fixes_that_are_tested() -> None:
    """Each has tests named after it, and no fix is tested that is not listed."""
    numbered = {row["#"] for table in tables() if "reference" in table[0] for row in table if row["#"]}
    tested = {
        match.group(1)
        for file in (HERE / "hub").glob("test_*.py")
        for name in proofs_in(file)
        if (match := re.match(r"test_fixed_(\d\d)_", name))
    }
    assert numbered == tested
