"""Keep the table of errors.md in line with the catalogue: `python docs/errors.py`.

What a code means is written by hand, in the table, and kept; all else comes from `pyiexec.protocol.errors`. A new code
gets a row whose meaning is still to be written, which a test asks for.
"""

from __future__ import annotations

import re
from pathlib import Path

from pyiexec.protocol.errors import CATALOGUE

PAGE = Path(__file__).with_name("errors.md")
_ROW = re.compile(r"^\| `(?P<code>[A-Z0-9_]+)` \| (?P<meaning>.*?) ?\| .*\|$")
_HEAD = ("| code | what happened | what to do | again? | HTTP |", "|---|---|---|---|---|")


def meanings(page: str) -> dict[str, str]:
    """What the page says of each code."""
    rows = (_ROW.match(line) for line in page.splitlines())
    return {row["code"]: row["meaning"] for row in rows if row}


def render(page: str) -> str:
    """The page with its table as the catalogue has it."""
    known = meanings(page)
    rows = []
    for code, entry in CATALOGUE.items():
        again = "yes" if entry.retry else "no"
        rows.append(f"| `{code}` | {known.get(code, '')} | {entry.remedy} | {again} | {entry.http_status} |")
    before, _, rest = page.partition(_HEAD[0])
    after = rest.partition("\n\n")[2]
    return before + "\n".join([*_HEAD, *rows]) + "\n" + (f"\n{after}" if after else "")


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
