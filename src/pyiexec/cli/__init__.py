"""The `pyiexec` command. Sub-commands live in one module per noun and are imported when they are used."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point: runs a command, and turns every failure into cause, remedy and exit code."""
    try:
        # Whoever presses Ctrl-C while it loads gets no traceback either.
        from pyiexec.cli.reporting import run_and_report
        from pyiexec.cli.root import root
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run_and_report(root))
