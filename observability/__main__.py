"""Write the files again: `python -m observability`."""

from __future__ import annotations

import json
from pathlib import Path

from observability.alerts import rules
from observability.dashboard import dashboard
from observability.families import FAMILIES

HERE = Path(__file__).parent
_PAGE_HEAD = """# All metrics

What each part of pyiexec exports, as [observability](observability.md) tells how to collect it. Histograms have
`_bucket`, `_sum` and `_count`; the figures of a process (`process_…`) are Prometheus' usual ones. This page is made
from the code by `python -m observability`.
"""


def page() -> str:
    """The list of all metrics."""
    parts = [_PAGE_HEAD]
    for whose, families in FAMILIES.items():
        parts.append(f"\n## {whose[0].upper()}{whose[1:]}\n\n| metric | kind | labels | what |\n|---|---|---|---|\n")
        for family in families:
            labels = ", ".join(f"`{label}`" for label in family.labels)
            parts.append(f"| `{family.name}` | {family.kind} | {labels} | {family.text} |\n")
    return "".join(parts)


def files() -> dict[Path, str]:
    """What is made, by its place."""
    return {
        HERE / "grafana" / "pyiexec.json": json.dumps(dashboard(), indent=2) + "\n",
        HERE / "prometheus" / "alerts.yml": rules(),
        HERE.parent / "docs" / "metrics.md": page(),
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
