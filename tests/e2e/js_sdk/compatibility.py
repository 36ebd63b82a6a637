"""What of the published client works here: gathered while its tests run, and written to `docs/compatibility.md`.

Tests record what the client did with success. After a run of all of them every command and method there is must have
been recorded, or be excused by one of the few reasons below; then the table is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"

#: Columns: releases of the client, and for the older one the kind of money.
EDITIONS = ("8.24.0 token", "8.24.0 native", "9.0.1 token")

VOUCHER = "vouchers"
ENS = "ENS names"
BRIDGE = "the Bellecour bridge"
HOSTED = "a hosted third-party service"
CLIENT_BUG = "the client's own verified bug"
#: The only reasons for which something may be excused.
REASONS = (VOUCHER, ENS, BRIDGE, HOSTED, CLIENT_BUG)


class Entry(NamedTuple):
    """A command or method of one edition of the client."""

    edition: str
    face: str
    name: str


def excuse(entry: Entry) -> str | None:
    """Why something is not applicable here, None when it has to work."""
    group = entry.name.replace(".", " ").split(" ")[0]
    if group == "voucher" or "voucher" in entry.name.lower():
        return VOUCHER
    if (
        group == "ens"
        or "Ens" in entry.name
        or entry.name in ("workerpool set-api-url", "workerpool.setWorkerpoolApiUrl")
    ):
        return ENS
    return BRIDGE if "bridge" in entry.name.lower() else None


class Findings:
    """What a run has shown."""

    def __init__(self) -> None:
        self.there: set[Entry] = set()
        self.works: dict[Entry, str] = {}
        self.files: set[str] = set()

    def add(self, file: str, test: str, properties: Iterable[tuple[str, object]]) -> None:
        """Take note of a test that passed."""
        self.files.add(file)
        for name, value in properties:
            if name == "exists":
                self.there.add(Entry(*str(value).split("/")))
            elif name == "works":
                self.works.setdefault(Entry(*str(value).split("/")), test)

    @property
    def missing(self) -> list[Entry]:
        """What is there, and neither works nor is excused."""
        return sorted(entry for entry in self.there if entry not in self.works and excuse(entry) is None)

    def page(self) -> str:
        """The document."""
        parts = [
            "# Compatibility with the JavaScript client\n\n"
            "Written by the tests in `tests/e2e/js_sdk`, which run the published npm `iexec` unmodified against\n"
            "`pyiexec up`: 8.24.0 with RLC the token and with the chain's own coin, and 9.0.1, which tags every\n"
            "order for trusted execution. “Works” means that a test used it and checked what it did; what is not\n"
            "applicable says why. Tasks of 9.0.1 wait for an enclave, and are refunded like any that is late.\n"
        ]
        for face, title in (("cli", "Commands"), ("library", "Methods of the library")):
            rows: dict[str, dict[str, str]] = {}
            for entry in sorted(self.there):
                if entry.face == face:
                    reason = excuse(entry)
                    done = "works" if entry in self.works else f"not applicable: {reason}"
                    rows.setdefault(entry.name, {})[entry.edition] = done
            parts.append(f"\n## {title}\n\n" + _table(rows))
        return "".join(parts)


def _table(rows: Mapping[str, Mapping[str, str]]) -> str:
    lines = ["| | " + " | ".join(EDITIONS) + " |", "|---" * (len(EDITIONS) + 1) + "|"]
    lines += [
        f"| `{name}` | " + " | ".join(cells.get(edition, "not in this release") for edition in EDITIONS) + " |"
        for name, cells in sorted(rows.items())
    ]
    return "\n".join(lines) + "\n"


# --- pytest's part ------------------------------------------------------------------------------------------------

_FOLDER = Path(__file__).parent
_findings = Findings()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather what passed; the process that distributes the tests hears of all of them."""
    file = report.nodeid.partition("::")[0]
    if file.startswith("tests/e2e/js_sdk/") and report.when == "call" and report.passed:
        _findings.add(Path(file).name, report.nodeid, report.user_properties)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a run of all of them: nothing is missing, and the page says so."""
    everything = {path.name for path in _FOLDER.glob("test_*.py")}
    if hasattr(session.config, "workerinput") or _findings.files != everything or session.testsfailed:
        return
    page = _findings.page()
    said = ""
    if _findings.missing:
        said = f"of the JavaScript client neither works nor is excused: {_findings.missing}"
    elif not PAGE.exists() or PAGE.read_text() != page:
        said = f"{PAGE.name} said something else and was written anew: commit it"
    PAGE.write_text(page)
    if said:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        assert reporter is not None, "pytest has a terminal reporter"
        reporter.write_line(said, red=True)
