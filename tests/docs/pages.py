"""The published pages and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

#: Languages a block may be in. `console` is run, `python` is run, `toml` is loaded, `c` is what a page talks about,
#: `json` must be well-formed, `text` is anything.
LANGUAGES = frozenset({"c", "console", "json", "python", "text", "toml"})

_FENCE = re.compile(r"^```(?P<language>\S*)\s*$")
_EXCUSE = re.compile(r"^<!-- not run here: (?P<reason>.+\S) -->$")
#: A block whose first line is a comment with a file's name is that file.
_NAME = re.compile(r"^(?:#|//) (?P<name>[\w-]+\.\w+)$")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        line: of its fence, from 1.
        excuse: why the page's tests do not run it; empty when they do.
    """

    page: Path
    line: int
    language: str
    text: str
    excuse: str

    @property
    def name(self) -> str | None:
        """The file that the block is, if it is one."""
        match = _NAME.match(self.text.partition("\n")[0])
        return match["name"] if match else None

    @property
    def is_test(self) -> bool:
        """Whether it is a file for pytest."""
        return self.language == "python" and (self.name or "").startswith("test_")

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a `console` block, and the lines shown below it, in which … stands for anything."""

    block: Block
    text: str
    shown: tuple[str, ...]


def pages() -> list[Path]:
    """Every page that is published, in the order of the alphabet."""
    return sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    found: list[Block] = []
    lines = page.read_text().splitlines()
    start: int | None = None
    language = ""
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if match is None:
            continue
        if start is None:
            start, language = number, match["language"]
            continue
        above = _EXCUSE.match(lines[start - 1]) if start else None
        text = "\n".join(lines[start + 1 : number])
        found.append(Block(page, start + 1, language, text, above["reason"] if above else ""))
        start = None
    assert start is None, f"{page}: the block of line {start} has no end"
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a `console` block: `$ ` begins one, `> ` continues it, the rest is what it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith(("> ", ">")) and found and not found[-1][1]:
            text, shown = found[-1]
            found[-1] = (f"{text}\n{line[2:]}", shown)
        elif line.strip():
            assert found, f"{block.place}: a console block begins with a command"
            found[-1][1].append(line)
    return [Command(block, text, tuple(shown)) for text, shown in found]
