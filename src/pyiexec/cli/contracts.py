"""`pyiexec contracts`: the contracts themselves, for whoever runs a chain or builds on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import ADDRESS, json_option, key_options, open_key, run_async
from pyiexec.cli.reporting import FAILED, console, emit, table, wants_json

if TYPE_CHECKING:
    from pyiexec.chain.deployment import Manifest, Survey
    from pyiexec.chain.deployment.verification import Check
    from pyiexec.chain.hub import Category

#: Seconds for the transactions of one stage of a deployment: public chains take their time.
PATIENCE = 600.0


class CategoryType(click.ParamType["Category"]):
    """A category of tasks: a name and its unit of time in seconds."""

    name = "category"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Category:
        """The category, with the description that those of the public networks have."""
        from pyiexec.chain.hub import Category

        name, _, seconds = str(value).partition("=")
        if not 0 < len(name.encode()) <= 256 or not seconds.isdecimal() or not 0 < int(seconds) < 2**32:
            self.fail(f"{value!r} is not NAME=SECONDS, such as XS=300", param, ctx)
        return Category(name, '""', int(seconds))


#: The environment is for URLs that hold an access key, which a process list would show.
rpc_option = click.option(
    "--rpc",
    "url",
    metavar="URL",
    envvar="PYIEXEC_RPC",
    show_envvar=True,
    help="HTTP JSON-RPC of a node of the chain.  [default: that of the network of `pyiexec up`]",
)


def _node(url: str | None) -> str:
    """The URL given, or that of the local network's chain."""
    from pyiexec.cli.options import load_network
    from pyiexec.protocol.errors import IexecError

    if url:
        return url
    try:
        return load_network(None).rpc_url
    except IexecError as error:
        raise IexecError(
            error.code, error.what, remedy="Name a node with --rpc, or start one with `pyiexec up`."
        ) from None


@click.group()
def contracts() -> None:
    """Deploy, export and verify the contracts of the marketplace."""


@contracts.command()
@rpc_option
@click.option(
    "--variant",
    type=click.Choice(["token", "native"]),
    required=True,
    help="What the hub holds: an ERC-20, or the chain's own coin.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write the manifest into."
)
@click.option("--token", type=ADDRESS, help="RLC, if the chain has it; a new one is deployed otherwise.")
@click.option(
    "--category",
    "categories",
    type=CategoryType(),
    metavar="NAME=SECONDS",
    multiple=True,
    help="Category of tasks, in the order of their numbers; can be repeated.  [default: those of the public networks]",
)
@click.option(
    "--base-uri", help="Prefix of the metadata of assets; {kind} and {chain_id} are filled in.  [default: iExec's]"
)
@click.option(
    "--salt", type=click.IntRange(0, 2**256 - 1), default=0, help="Sets several deployments of one account apart."
)
@click.option("--chain-id", type=click.IntRange(1), help="Refuse a node of any other chain.")
@click.option("--dry-run", is_flag=True, help="Tell addresses, transactions and gas, and send nothing.")
@key_options
@json_option
@run_async
async def deploy(
    url: str | None,
    variant: Any,
    out: Path,
    token: str | None,
    categories: tuple[Category, ...],
    base_uri: str | None,
    salt: int,
    chain_id: int | None,
    dry_run: bool,
    wallet: str | None,
    keystore: Path | None,
    password_file: Path | None,
) -> None:
    """Deploy the marketplace on any chain: token, registries, hub, categories.

    Addresses depend on the contracts and on your account, and are the same on every chain. What stands already is left
    as it is, so the command can be interrupted and repeated. The key comes from a keystore file or from
    PYIEXEC_PRIVATE_KEY.
    """
    from pyiexec.chain.deployment import (
        REGISTRY_BASE_URI,
        STANDARD_CATEGORIES,
        carry_out,
        make_plan,
        settle,
        survey,
    )
    from pyiexec.chain.rpc import JsonRpc
    from pyiexec.protocol.errors import IexecError
    from pyiexec.protocol.primitives import Address, bytes32

    async with JsonRpc(_node(url)) as rpc:
        found_id = await rpc.chain_id()
        if found_id != (chain_id or found_id):
            raise IexecError("CHAIN_ID_WRONG", f"{rpc.host} is a node of chain {found_id}, not {chain_id}")
        signer = open_key(wallet=wallet, keystore=keystore, password_file=password_file)
        plan = make_plan(
            signer.address,
            chain_id=found_id,
            variant=variant,
            token_address=Address(token) if token else None,
            registry_base_uri=base_uri or REGISTRY_BASE_URI,
            categories=categories or STANDARD_CATEGORIES,
            salt=bytes32(salt),
        )
        _check_free(out, plan.manifest(0))
        if not dry_run:
            await settle(rpc, signer.address, timeout=PATIENCE)
        found = await survey(rpc, plan)
        if dry_run:
            _show_survey(found)
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        with _Bar(len(found.steps)) as bar:
            manifest = await carry_out(rpc, signer, found, estimate=True, progress=bar.show, timeout=PATIENCE)
        manifest.save(out)
    _show_manifest(manifest, out, len(found.steps))


class _Bar:
    """How many of a deployment's transactions are sent, on a terminal."""

    def __init__(self, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        screen = console()
        self._progress = Progress(
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=screen,
            disable=not screen.is_terminal,
        )
        self._bar = self._progress.add_task("", total=total)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, _total: int) -> None:
        """One more was sent."""
        self._progress.update(self._bar, completed=done, description=what)


def _check_free(out: Path, planned: Manifest) -> None:
    """Refuse to write over the manifest of another deployment."""
    from pyiexec.chain.deployment import Manifest
    from pyiexec.protocol.errors import IexecError

    if not out.exists():
        return
    there = Manifest.read(out)
    if there.chain_id != planned.chain_id:
        raise IexecError("CHAIN_ID_WRONG", f"{out} describes a deployment on chain {there.chain_id}")
    if there.hub != planned.hub:
        what = f"{out} describes another deployment, whose hub is {there.hub}"
        raise IexecError("OUTPUT_EXISTS", what, remedy="Choose another --out, or move the file away.")


def _show_survey(found: Survey) -> None:
    missing = {step.call.title for step in found.steps}
    data = {
        "contracts": {
            name: {"address": part.address, "stands": part.creation.call.title not in missing}
            for name, part in found.plan.parts.items()
        },
        "transactions": [step.call.title for step in found.steps],
        "gas": found.gas,
        "wei": str(found.cost),
    }
    if wants_json():
        emit(data)
        return
    rows = [
        [name, part.address, "to be created" if part.creation.call.title in missing else "stands"]
        for name, part in found.plan.parts.items()
    ]
    table("", ["contract", "address", "state"], rows)
    coin = f"{found.cost / 10**18:.4f} of the chain's coin at the present price"
    click.echo(f"{len(found.steps)} transactions, at most {found.gas:,} gas: {coin}. Nothing was sent.")


def _show_manifest(manifest: Manifest, out: Path, transactions: int) -> None:
    import msgspec

    data = msgspec.to_builtins(manifest)
    lines = [
        f"hub                  {manifest.hub}",
        f"token                {manifest.token if manifest.variant == 'token' else 'none: native variant'}",
        f"app registry         {manifest.registries.app}",
        f"dataset registry     {manifest.registries.dataset}",
        f"workerpool registry  {manifest.registries.workerpool}",
        f"{transactions} transactions were sent; manifest: {out}"
        if transactions
        else f"Everything stood already, nothing was sent; manifest: {out}",
    ]
    emit({"transactions": transactions, "file": str(out), "manifest": data}, "\n".join(lines))


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


@contracts.command()
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@rpc_option
@click.option("--owner", type=ADDRESS, help="Who should own hub and registries.  [default: who deployed them]")
@json_option
@run_async
async def verify(manifest: Path, url: str | None, owner: str | None) -> int:
    """Prove that what MANIFEST describes is on chain as it was compiled. Exit code 1 when anything differs.

    Compared are the code at every address, the addresses themselves, the functions that the hub links to each facet,
    and what hub and registries were configured with.
    """
    from pyiexec.chain.deployment import Manifest
    from pyiexec.chain.deployment.verification import verify as look
    from pyiexec.chain.rpc import JsonRpc
    from pyiexec.protocol.primitives import Address

    described = Manifest.read(manifest)
    async with JsonRpc(_node(url)) as rpc:
        checks = await look(rpc, described, owner=Address(owner) if owner else None)
    wrong = [check for check in checks if not check.right]
    data = {
        "ok": not wrong,
        "checks": len(checks),
        "differences": [
            {"subject": check.subject, "what": check.what, "difference": check.difference} for check in wrong
        ],
    }
    if wants_json():
        emit(data)
    else:
        _show_checks(checks, wrong)
    return FAILED if wrong else 0


def _show_checks(checks: list[Check], wrong: list[Check]) -> None:
    rows: list[list[Any]] = []
    for subject in dict.fromkeys(check.subject for check in checks):
        right = [check.right for check in checks if check.subject == subject]
        rows.append([subject, len(right), "right" if all(right) else f"{right.count(False)} differ"])
    table("", ["contract", "checks", "found"], rows)
    for check in wrong:
        click.secho(f"{check.subject}, {check.what}: {check.difference}", fg="red")
    click.echo(f"{len(checks)} checks, {len(wrong)} differences.")
