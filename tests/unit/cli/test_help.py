"""Every command explains itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from pyiexec.cli.root import LEAVES, root


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, (*path, name)
            yield from walk(below, (*path, name))


COMMANDS = list(walk(root, ()))
by_path = pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=[" ".join(path) or "pyiexec" for path, _ in COMMANDS]
)


@by_path
def test_help_works_and_tells_what_the_command_does(path: tuple[str, ...], command: click.Command) -> None:
    shown = CliRunner().invoke(root, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    assert command.help
    # The first line stands alone in the overview above it.
    first = command.help.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":"))
    assert " ".join(first.split())[:40] in " ".join(shown.output.split())


@by_path
def test_every_option_says_what_it_is_for(path: tuple[str, ...], command: click.Command) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.opts}"
            assert parameter.help.endswith((".", "]")), parameter.help


@by_path
def test_every_command_that_does_something_can_answer_in_json(path: tuple[str, ...], command: click.Command) -> None:
    if isinstance(command, click.Group) or path[-1] in ("start", "serve"):
        return
    assert any("--json" in parameter.opts for parameter in command.params), path


@pytest.mark.parametrize("name", list(LEAVES))
def test_the_overview_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    summary, first = LEAVES[name].summary, " ".join((command.help or "").split("\n\n")[0].split())
    # The same subject: the overview's first word is the command's own.
    assert summary.split()[0] == first.split()[0], (summary, first)


def test_the_overview_names_every_command() -> None:
    shown = CliRunner().invoke(root, ["--help"]).output
    for name, leaf in LEAVES.items():
        assert name in shown
        assert leaf.summary.split(",")[0][:30] in shown


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys; from pyiexec.cli.root import root; from click.testing import CliRunner;"
        "[CliRunner().invoke(root, a) for a in (['--help'], ['--version'], ['order', '--help'], ['run', '--help'])];"
        "print(*sorted({'aiohttp', 'sqlalchemy', 'litestar', 'wasmtime', 'eth_abi', 'coincurve', 'rich', 'anyio'}"
        " & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
