"""How commands report: text for people, one JSON object for scripts, and failures with cause and remedy."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pyiexec.protocol.errors import IexecError

if TYPE_CHECKING:
    from rich.console import Console

#: Exit codes: 1 a refusal or failure that the message explains, 2 wrong usage, 130 interrupted.
FAILED, MISUSED, INTERRUPTED = 1, 2, 130

#: Columns of tables that go into a file.
FILE_WIDTH = 200


def wants_json() -> bool:
    """Whether the command being run was given ``--json``."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get("pyiexec.json"))


def emit(data: Any, text: str | None = None) -> None:
    """Print a command's answer: `data` as JSON with ``--json``, else `text` (or the data, laid out)."""
    if wants_json():
        click.echo(
            json.dumps({"ok": True} | data if isinstance(data, dict) else {"ok": True, "data": data}, default=str)
        )
    elif text is not None:
        click.echo(text)
    else:
        _lay_out(data)


def console() -> Console:
    """The terminal, for tables and progress; on standard error when standard output carries JSON."""
    from rich.console import Console

    found = Console(stderr=wants_json(), highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        # A file or a pipe has no width to wrap at: whole hashes fit.
        found.width = FILE_WIDTH
    return found


def _lay_out(data: Any) -> None:
    if isinstance(data, dict):
        width = max((len(str(key)) for key in data), default=0)
        for key, value in data.items():
            shown = json.dumps(value, default=str) if isinstance(value, (dict, list)) else value
            click.echo(f"{key:<{width}}  {shown}")
    else:
        click.echo(json.dumps(data, default=str, indent=2))


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table for people. Cells are never broken: ids in them are there to be copied."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *cells, strict=True)]
    if title:
        click.secho(title, italic=True)
    click.secho(_line(columns, widths), bold=True)
    for row in cells:
        click.echo(_line(row, widths))


def _line(cells: list[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def moment(seconds: int) -> str:
    """A chain time for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _report(error: IexecError) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps(error.as_json(), default=str))
    else:
        click.secho(f"Error: {error.what}", fg="red", err=True)
        click.echo(f"  {error.remedy}  [{error.code}]", err=True)


def _single(error: BaseException) -> BaseException:
    """The one error inside nested exception groups, where there is just one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def run_and_report(command: click.Command) -> int:
    """Run a command; the process's exit code."""
    try:
        outcome = command.main(standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        if "--json" in sys.argv:
            path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "pyiexec"
            answer = {"ok": False, "error": error.format_message(), "code": "USAGE", "remedy": f"Read `{path} --help`."}
            click.echo(json.dumps(answer | {"retry": False}))
        else:
            error.show()
        return MISUSED
    except (KeyboardInterrupt, BrokenPipeError):
        return INTERRUPTED
    except BaseException as error:
        cause = _single(error)
        if any(isinstance(leaf, KeyboardInterrupt) for leaf in _flatten(cause)):
            return INTERRUPTED
        if isinstance(cause, BaseExceptionGroup):
            known = [e for e in _flatten(cause) if isinstance(e, IexecError)]
            cause = known[0] if known else cause
        if isinstance(cause, SystemExit):
            return int(cause.code or 0)
        _report(cause if isinstance(cause, IexecError) else _explain(cause))
        return FAILED
    return outcome if isinstance(outcome, int) else 0


def _explain(error: BaseException) -> IexecError:
    """What to say of a failure that nobody foresaw; its traceback goes to a file, for the report."""
    if isinstance(error, OSError) and error.filename is not None:
        return IexecError("FILE_UNUSABLE", f"{error.filename}: {error.strerror}")
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="pyiexec-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    return IexecError("INTERNAL", f"an unexpected {type(error).__name__}, described in {file.name}")


def _flatten(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _flatten(inner)]
    return [error]
