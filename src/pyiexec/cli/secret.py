"""`pyiexec secret`: what owners leave with the secret management service.

Values come from a file or from standard input, never from the command line: others on the machine can read that.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import ADDRESS, acting, json_option, reading
from pyiexec.cli.reporting import emit, moment, table, wants_json

if TYPE_CHECKING:
    from pyiexec.protocol.secrets import Secret

KINDS = ("dataset", "app", "requester", "web2")
KIND = click.argument("kind", type=click.Choice(KINDS))
WHICH = click.argument("which", metavar="ADDRESS|NAME")
VALUE_FILE = click.option(
    "--file",
    "value_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File holding the value.  [default: standard input]",
)
LEGACY = click.option(
    "--legacy", is_flag=True, help="Sign as the JS SDK does, for a service that knows nothing else: can be replayed."
)
KEY_FOLDER = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".secrets/beneficiary"),
    show_default=True,
    help="Where result keys are kept, as by the JS CLI.",
)


@click.group()
def secret() -> None:
    """Set, check, list, rotate and delete secrets.

    A dataset's secret is the key it is encrypted with, an app's is its developer's; of both, WHICH is the address. A
    requester's is handed to apps, a web2 secret is the person's own (result key, storage token); of both, WHICH is the
    name. Nobody can read them again but enclaves.
    """


@secret.command()
@KIND
@WHICH
@VALUE_FILE
@LEGACY
@acting
async def push(kind: str, which: str, value_file: Path | None, legacy: bool, open_client: Any) -> None:
    """Set a secret that is not set yet."""
    value = _value(value_file)
    async with open_client() as client:
        named = _secret(kind, which, client.address)
        await client.secrets.push(named, value, legacy=legacy)
    _report(named, "set")


@secret.command()
@KIND
@WHICH
@VALUE_FILE
@LEGACY
@acting
async def rotate(kind: str, which: str, value_file: Path | None, legacy: bool, open_client: Any) -> None:
    """Replace the value of a secret."""
    value = _value(value_file)
    async with open_client() as client:
        named = _secret(kind, which, client.address)
        await client.secrets.rotate(named, value, legacy=legacy)
    _report(named, "replaced")


@secret.command()
@KIND
@WHICH
@acting
async def delete(kind: str, which: str, open_client: Any) -> None:
    """Delete a secret."""
    async with open_client() as client:
        named = _secret(kind, which, client.address)
        await client.secrets.delete(named)
    _report(named, "deleted")


@secret.command()
@KIND
@WHICH
@click.option("--owner", type=ADDRESS, help="Whose secret it is; of a requester's and a web2 secret only.")
@reading
async def check(kind: str, which: str, owner: str | None, open_client: Any) -> None:
    """Tell whether a secret is set; anybody may ask."""
    if kind in ("requester", "web2") and owner is None:
        raise click.UsageError(f"a {kind} secret takes --owner ADDRESS")
    named = _secret(kind, which, owner or "")
    async with open_client() as client:
        known = await client.secrets.has(named)
    emit({"isSet": known}, "set" if known else "not set")


@secret.command("list")
@acting
async def list_(open_client: Any) -> None:
    """List the secrets you set, by name."""
    async with open_client() as client:
        known = await client.secrets.names()
    if wants_json():
        from msgspec import to_builtins

        emit({"secrets": to_builtins(known)})
        return
    rows = [
        [
            "dataset" if each.secret.kind == "web3" else str(each.secret.kind),
            each.secret.subject,
            each.secret.name,
            moment(each.updated_at // 1000),
        ]
        for each in known
    ]
    table("", ["kind", "of", "name", "set"], rows)


@secret.command("push-result-key")
@KEY_FOLDER
@click.option("--replace", is_flag=True, help="In place of a key pushed before.")
@acting
async def push_result_key(folder: Path, replace: bool, open_client: Any) -> None:
    """Have your results encrypted: push your public key, made now if there is none."""
    from pyiexec.storage.encryption import new_result_key_pair

    async with open_client() as client:
        private = folder / f"{client.address}_key"
        public = folder / f"{client.address}_key.pub"
        if not public.exists():
            pair = new_result_key_pair()
            folder.mkdir(parents=True, exist_ok=True)
            private.touch(mode=0o600, exist_ok=False)
            private.write_bytes(pair.private)
            public.write_bytes(pair.public)
        await client.secrets.push_result_key(public.read_bytes(), replace=replace)
    emit({"privateKeyFile": str(private), "publicKeyFile": str(public)}, f"results will open with {private}: keep it")


@secret.command("push-storage-token")
@click.argument("provider", type=click.Choice(("dropbox", "ipfs")))
@VALUE_FILE
@click.option("--replace", is_flag=True, help="In place of a token pushed before.")
@acting
async def push_storage_token(provider: str, value_file: Path | None, replace: bool, open_client: Any) -> None:
    """Leave the token with which enclaves store your results at PROVIDER."""
    token = _value(value_file)
    async with open_client() as client:
        await client.secrets.push_storage_token(provider, token, replace=replace)
    emit({"provider": provider, "isSet": True}, f"results may be stored at {provider}")


@secret.command("decrypt-result")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The private key, as `push-result-key` wrote it.",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to write it.")
@json_option
def decrypt_result(archive: Path, key_file: Path, output: Path) -> None:
    """Decrypt the result ARCHIVE with your private key."""
    from pyiexec.protocol.errors import IexecError
    from pyiexec.storage import encryption

    if output.exists():
        raise IexecError("OUTPUT_EXISTS", f"{output} exists already")
    encryption.decrypt_result(archive, output, key_file.read_bytes())
    emit({"file": str(output)}, f"{output}")


def _secret(kind: str, which: str, owner: str) -> Secret:
    from pyiexec.protocol import secrets
    from pyiexec.protocol.primitives import Address, checksum

    if kind == "dataset":
        return secrets.dataset_secret(checksum(which))
    if kind == "app":
        return secrets.app_secret(checksum(which))
    if kind == "requester":
        return secrets.requester_secret(Address(owner), which)
    return secrets.web2_secret(Address(owner), which)


def _value(file: Path | None) -> str:
    """The value, without the end of its last line."""
    from pyiexec.protocol.secrets import read_value

    if file is None and sys.stdin.isatty():
        typed: str = click.prompt("Value", hide_input=True, err=True)
        return typed
    body = file.read_bytes() if file else sys.stdin.buffer.read()
    return read_value(body.removesuffix(b"\n").removesuffix(b"\r"))


def _report(named: Secret, done: str) -> None:
    data = {"kind": str(named.kind), "subject": named.subject, "name": named.name}
    emit(data, f"{done} for {named.subject}" + (f": {named.name}" if named.kind in ("web2", "requester") else ""))
