"""The documentation is whole and true: nothing that a user can type, set or meet is missing from it."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from pyiexec.cli.root import root
from pyiexec.devnet.network import NetworkOptions
from pyiexec.devnet.parts import Kind, settings_type
from pyiexec.foundation.settings import to_json
from pyiexec.protocol.expectations import Expectation
from pyiexec.protocol.reasons import Reason
from pyiexec.scheduler.pool_policy import Admission, Offer, Sales
from pyiexec.scheduler.sales_plan import Hindrance
from pyiexec.worker.runtimes.docker import DockerSettings
from tests.docs.pages import LANGUAGES, REPOSITORY, blocks, pages

DOCS = REPOSITORY / "docs"
DECISIONS = DOCS / "decisions"
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
_ROUTE = re.compile(r'@(?:get|post|put|head|websocket)\(\s*f?"(?P<path>[^"]+)"')


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def everything() -> str:
    return "\n".join(page.read_text() for page in pages())


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to, as GitHub makes them."""
    titles = (match["title"].lower() for match in _HEADING.finditer(prose(page)))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def commands(group: click.Group, path: str = "pyiexec") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def error_table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_errors", DOCS / "errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for match in _LINK.finditer(prose(page)):
        target, _, anchor = match["target"].partition("#")
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_relative_to(REPOSITORY), f"{target} leads out of the repository"
        assert file.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(file), f"{target} has no heading {anchor}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_block_of_code_is_in_a_language_whose_examples_are_tested(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block.place}: {block.language or 'no language'}"
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "python":
            ast.parse(block.text)


def test_every_command_is_described() -> None:
    text = everything()
    missing = [command for command in commands(root) if not re.search(rf"{command}\b", text)]
    assert not missing


def test_every_error_code_is_explained_and_its_row_says_what_the_catalogue_says() -> None:
    table = error_table()
    page = table.PAGE.read_text()
    assert table.render(page) == page, "run `python docs/errors.py`"
    unexplained = [code for code, meaning in table.meanings(page).items() if not meaning.endswith(".")]
    assert not unexplained, "write what these codes mean into docs/errors.md"


def test_every_reason_and_everything_awaited_is_explained() -> None:
    page = (DOCS / "scheduler-api.md").read_text()
    assert not [code for code in (*Reason, *Expectation) if f"| `{code}` | " not in page]


def test_every_reason_not_to_sell_is_explained() -> None:
    page = (DOCS / "running-a-pool.md").read_text()
    assert not [code for code in Hindrance if f"| `{code}` | " not in page]


def settings_table(kind: Kind) -> dict[str, str]:
    """The defaults that the page tells, by setting."""
    heading = {
        Kind.WORKER: "### Settings",
        Kind.SCHEDULER: "## A scheduler",
        Kind.MARKET: "| order book | default |",
        Kind.RESULTS: "| content store | default |",
        Kind.SMS: "| secret management service |",
        Kind.COMPASS: "| compass | default |",
        Kind.FAUCET: "| faucet | default |",
        Kind.INDEXER: "| index | default |",
        Kind.KEEPER: "| keeper | default |",
    }[kind]
    return table_after(heading)


def table_after(heading: str) -> dict[str, str]:
    """The second column of the first table after a heading, by the names in the first."""
    lines = iter(everything().partition(f"\n{heading}")[2].splitlines())
    next(line for line in lines if line.startswith("|---"))
    told: dict[str, str] = {}
    for row in takewhile(lambda line: line.startswith("|"), lines):
        names, default, _meaning = row.strip("|").split("|")
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip())
    return told


def defaults(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The default of every setting, as a page shows it."""

    def shown(field: Any) -> str:
        if field.required:
            return ""
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        return "none" if default is None else f"`{json.dumps(default)}`"

    return {field.name: shown(field) for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_setting_of_a_service_is_described_with_its_default(kind: Kind) -> None:
    assert settings_table(kind) == defaults(settings_type(kind))


def test_every_setting_of_containers_is_described_with_its_default() -> None:
    assert table_after("| container setting | default |") == defaults(DockerSettings)


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("| sales setting | default |", Sales),
        ("| offer setting | default |", Offer),
        ("| admission setting | default |", Admission),
    ],
)
def test_every_choice_of_a_pool_is_described_with_its_default(heading: str, kind: type[msgspec.Struct]) -> None:
    assert table_after(heading) == defaults(kind)


def test_every_option_of_a_local_network_for_tests_is_named() -> None:
    page = (DOCS / "testing.md").read_text()
    of_daemons = {"directory", "embedded", "ports", "restart", "trace_chain"}
    options: dict[str, Any] = json.loads(to_json(NetworkOptions(directory=Path())))
    assert not [name for name in options.keys() - of_daemons if f"`{name}`" not in page]


@pytest.mark.parametrize(
    ("service", "where"),
    [
        ("market/order_routes.py", "market"),
        ("market/chain_routes.py", "market"),
        ("results", "storage"),
        ("results/node_api.py", "storage"),
        ("results/gateway.py", "storage"),
        ("results/upload_routes.py", "storage"),
        ("results/proxy_routes.py", "storage"),
        ("scheduler", "scheduler-api"),
        ("sms", "secrets"),
        ("compass", "compass"),
        ("indexer", "indexer"),
        ("indexer/graphql", "graphql"),
    ],
)
def test_every_route_of_a_service_is_described(service: str, where: str) -> None:
    file = REPOSITORY / "src" / "pyiexec" / service
    source = (file if file.suffix else file / "app.py").read_text()
    page = (DOCS / f"{where}.md").read_text()
    found = {match["path"] for match in _ROUTE.finditer(source)}
    assert found
    for path in found:
        shown = re.sub(r":(?:str|path)\}", "}", path.replace("{{", "{").replace("}}", "}"))
        shown = shown.replace("{kind}s", "apporders")
        assert f"`{shown}`" in page, shown


def test_every_table_of_a_database_is_described() -> None:
    page = (DOCS / "architecture.md").read_text()
    sources = [*(REPOSITORY / "src").rglob("tables.py"), *(REPOSITORY / "src").rglob("cursor.py")]
    names = [name for file in sources for name in re.findall(r'sa\.Table\(\s*"(\w+)"', file.read_text())]
    assert names
    assert not [name for name in names if f"`{name}`" not in page]


def test_decisions_are_short_numbered_and_listed() -> None:
    index = (DECISIONS / "README.md").read_text()
    found = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [int(file.name[:4]) for file in found] == list(range(1, len(found) + 1))
    for file in found:
        text = file.read_text()
        assert f"]({file.name})" in index, file.name
        assert text.startswith("# "), file.name
        assert len(text.splitlines()) <= 40, f"{file.name} is no decision any more, but an essay"
