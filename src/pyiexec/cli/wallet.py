"""`pyiexec wallet`: keystore files, in the format of the JS CLI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from pyiexec.cli.options import acting, ask_password, json_option, keystore_directory
from pyiexec.cli.reporting import emit, table, wants_json

keystore_option = click.option(
    "--keystore",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of keystore files.  [default: ~/.ethereum/keystore]",
)
password_option = click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File holding the password; asked for otherwise.",
)


@click.group()
def wallet() -> None:
    """Create, import and show wallets.

    A wallet is a V3 keystore file: the private key, encrypted with a password. The JS CLI's files work here and ours
    work there.
    """


@wallet.command()
@keystore_option
@password_option
@json_option
def create(keystore: Path | None, password_file: Path | None) -> None:
    """Create a new account."""
    from pyiexec.chain.signer import Signer

    _store(Signer.from_key(os.urandom(32)), keystore, password_file)


@wallet.command(name="import")
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File holding the private key as 0x hexadecimal; PYIEXEC_PRIVATE_KEY otherwise.",
)
@keystore_option
@password_option
@json_option
def import_key(key_file: Path | None, keystore: Path | None, password_file: Path | None) -> None:
    """Encrypt an existing private key into a keystore file.

    The key is never given on the command line, where every user of the machine could read it.
    """
    from pyiexec.chain.signer import Signer
    from pyiexec.protocol.errors import IexecError

    key = key_file.read_text().strip() if key_file else os.environ.get("PYIEXEC_PRIVATE_KEY")
    if not key:
        raise IexecError("BAD_KEY", "no key was given")
    _store(Signer.from_key(key), keystore, password_file)


def _store(signer: Any, keystore: Path | None, password_file: Path | None) -> None:
    from pyiexec.chain.keystore import create_keyfile

    folder = keystore_directory(keystore)
    path = create_keyfile(folder, signer, ask_password(password_file, "Password", confirm=True))
    emit({"address": signer.address, "fileName": str(path)}, f"{signer.address} in {path}")


@wallet.command(name="list")
@keystore_option
@json_option
def list_wallets(keystore: Path | None) -> None:
    """List the accounts in the keystore folder."""
    from pyiexec.chain.keystore import list_keyfiles

    folder = keystore_directory(keystore)
    found = [{"address": address, "fileName": str(path)} for address, path in list_keyfiles(folder)]
    if wants_json():
        emit({"wallets": found})
    else:
        table("", ["address", "file"], [[row["address"], row["fileName"]] for row in found])


@wallet.command()
@acting
async def show(open_client: Any) -> None:
    """Show the address of your account, its coins and its RLC."""
    from pyiexec.protocol.units import format_rlc

    async with open_client() as client:
        balance = await client.account.show()
        wei = int(await client.connection.rpc.call("eth_getBalance", balance.address, "latest"), 16)
    data = {
        "address": balance.address,
        "balance": {"wei": str(wei), "nRLC": str(balance.wallet), "stake": str(balance.stake)},
    }
    lines = [
        f"account  {balance.address}",
        f"coins    {wei / 10**18:.6f} ether",
        f"RLC      {format_rlc(balance.wallet)}",
        f"stake    {format_rlc(balance.stake)} free, {format_rlc(balance.locked)} locked",
    ]
    emit(data, "\n".join(lines))
