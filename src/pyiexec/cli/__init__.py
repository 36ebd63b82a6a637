"""The `pyiexec` command. Sub-commands live in one module per noun and are imported when they are used."""

from __future__ import annotations

import sys

from pyiexec.cli.root import root

__all__ = ["main", "root"]


def main() -> None:
    """Entry point: runs a command, and turns every failure into cause, remedy and exit code."""
    # Importing the reporter pulls in nothing heavy; a traceback is for developers only.
    from pyiexec.cli.reporting import run_and_report

    sys.exit(run_and_report(root))
