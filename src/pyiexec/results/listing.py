"""Folders as pages and as JSON."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pyiexec.storage.directories import Directory

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td{padding:.1rem 1.5rem .1rem 0}td+td{font-family:ui-monospace,monospace;font-size:14px}"
)


def as_json(folder: Directory) -> dict[str, Any]:
    """What a program wants to know of a folder."""
    return {
        "cid": str(folder.cid),
        "entries": [
            {"name": entry.name, "cid": str(entry.cid), "dagBytes": entry.dag_bytes}
            for entry in folder.entries.values()
        ],
    }


def as_page(folder: Directory, path: Sequence[str]) -> str:
    """What a person wants to see of it; names are anybody's, and stand as text and encoded only.

    Args:
        path: CID and names that led to it.
    """
    place = "/ipfs/" + "/".join(quote(name, safe="") for name in path)
    rows = "".join(
        f'<tr><td><a href="{place}/{quote(entry.name, safe="")}">{html.escape(entry.name)}</a>'
        f"<td>{entry.cid}<td>{entry.dag_bytes}"
        for entry in folder.entries.values()
    )
    title = html.escape("/ipfs/" + "/".join(path))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><table>{rows}</table>"
    )
