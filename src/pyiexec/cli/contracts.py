"""`pyiexec contracts`: the contracts themselves, for whoever runs a chain or builds on the hub."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.options import json_option
from pyiexec.cli.reporting import emit


@click.group()
def contracts() -> None:
    """Deploy, export and verify the contracts of the marketplace."""


@contracts.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write the files into."
)
@json_option
def export(out: Path) -> None:
    """Write ABI and bytecode of every contract for other tools.

    One JSON file each, with contractName, abi, bytecode and deployedBytecode, under the names by which PoCo is known;
    IexecInterfaceToken.json and IexecInterfaceNative.json are the ABI of the whole hub in either variant.
    """
    from pyiexec.chain.export import export as write

    written = write(out)
    data = {"folder": str(out), "files": [path.name for path in written]}
    emit(data, f"{len(written)} files in {out}")
