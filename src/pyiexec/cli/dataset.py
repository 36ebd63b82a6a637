"""`pyiexec dataset`: encrypt and decrypt datasets."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.options import json_option
from pyiexec.cli.reporting import emit

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(dir_okay=False, path_type=Path)


@click.group()
def dataset() -> None:
    """Encrypt datasets for enclaves, and decrypt them."""


@dataset.command()
@click.argument("file", type=EXISTING)
@click.option("--output", type=NEW, help="The encrypted file.  [default: FILE.enc]")
@click.option("--key-file", type=NEW, help="Where the new key goes.  [default: FILE.key]")
@json_option
def encrypt(file: Path, output: Path | None, key_file: Path | None) -> None:
    """Encrypt FILE with a new key.

    Store the encrypted file, register it with the checksum printed, and push the key: `pyiexec secret push dataset
    ADDRESS --file FILE.key`.
    """
    import os

    from pyiexec.storage.encryption import encrypt_dataset, new_dataset_key

    output = output or file.with_name(f"{file.name}.enc")
    key_file = key_file or file.with_name(f"{file.name}.key")
    _refuse_existing(output, key_file)
    key = new_dataset_key(os.urandom)
    key_file.touch(mode=0o600, exist_ok=False)
    key_file.write_text(key)
    checksum = encrypt_dataset(file, output, key, os.urandom)
    emit({"file": str(output), "keyFile": str(key_file), "checksum": checksum})


@dataset.command()
@click.argument("file", type=EXISTING)
@click.option("--key-file", type=EXISTING, required=True, help="The key it was encrypted with.")
@click.option("--output", type=NEW, required=True, help="Where to write it.")
@json_option
def decrypt(file: Path, key_file: Path, output: Path) -> None:
    """Decrypt FILE with its key."""
    from pyiexec.storage.encryption import decrypt_dataset

    _refuse_existing(output)
    decrypt_dataset(file, output, key_file.read_text())
    emit({"file": str(output)})


def _refuse_existing(*files: Path) -> None:
    from pyiexec.protocol.errors import IexecError

    for file in files:
        if file.exists():
            raise IexecError("OUTPUT_EXISTS", f"{file} exists already")
