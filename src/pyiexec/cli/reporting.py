"""How commands report: text for people, one JSON object for scripts, and failures with cause and remedy."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from pyiexec.protocol.errors import IexecError

if TYPE_CHECKING:
    from rich.console import Console

#: Exit codes: 1 a refusal or failure that the message explains, 2 wrong usage, 130 interrupted.
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


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

    return Console(stderr=wants_json(), highlight=False)


def _lay_out(data: Any) -> None:
    if isinstance(data, dict):
        width = max((len(str(key)) for key in data), default=0)
        for key, value in data.items():
            shown = json.dumps(value, default=str) if isinstance(value, (dict, list)) else value
            click.echo(f"{key:<{width}}  {shown}")
    else:
        click.echo(json.dumps(data, default=str, indent=2))


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table for people."""
    from rich.table import Table

    grid = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    console().print(grid)


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
            click.echo(json.dumps({"ok": False, "error": error.format_message(), "code": "USAGE", "retry": False}))
        else:
            error.show()
        return MISUSED
    except (KeyboardInterrupt, BrokenPipeError):
        return INTERRUPTED
    except BaseException as error:
        cause = _single(error)
        if isinstance(cause, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(cause, BaseExceptionGroup):
            known = [e for e in _flatten(cause) if isinstance(e, IexecError)]
            cause = known[0] if known else cause
        if not isinstance(cause, IexecError):
            if isinstance(cause, SystemExit):
                return int(cause.code or 0)
            raise
        _report(cause)
        return FAILED
    return outcome if isinstance(outcome, int) else 0


def _flatten(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _flatten(inner)]
    return [error]
