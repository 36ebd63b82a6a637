"""Options that commands share, and opening what they name: the network, the wallet, the client."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pyiexec.chain.signer import Signer
    from pyiexec.protocol.primitives import Bytes32
    from pyiexec.sdk import AsyncClient, NetworkProfile

Function = TypeVar("Function", bound=Callable[..., Any])


def data_directory() -> Path:
    """Where networks and queues live between runs (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "pyiexec"


def local_directory() -> Path:
    """Where the network of `pyiexec up` lives."""
    return data_directory() / "local"


def _want_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["pyiexec.json"] = True


json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_want_json, is_eager=True, help="Print one JSON object."
)

network_option = click.option(
    "--network",
    "network",
    metavar="NAME|FILE",
    envvar="PYIEXEC_NETWORK",
    help="Network by name (`pyiexec network list`), or a profile file. Default: the network of `pyiexec up`.",
)


def key_options(function: Function) -> Function:
    """`--wallet`, `--keystore`, `--password-file`: whose key signs."""
    options = [
        click.option("--wallet", metavar="ADDRESS|FILE", help="Keystore file, or the address of one in --keystore."),
        click.option(
            "--keystore",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder of keystore files.  [default: ~/.ethereum/keystore]",
        ),
        click.option(
            "--password-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="File holding the wallet's password; asked for otherwise.",
        ),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


def wallet_options(function: Function) -> Function:
    """`--as`, and the `key_options`: who acts."""
    role = click.option(
        "--as",
        "role",
        metavar="ROLE",
        help="Act as a test account of a local network: requester, app-provider, pool-manager, worker-1 ...",
    )
    return role(key_options(function))


def run_async(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """A coroutine function as a command body."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        import asyncio

        return asyncio.run(function(*args, **kwargs))

    return wrapper


def networks_directory() -> Path:
    """Where the networks are that the user added, a profile file each."""
    return data_directory() / "networks"


def load_network(network: str | None) -> NetworkProfile:
    """The profile named, or that of the local network.

    Args:
        network: a public network's name, that of one the user added, ``local``, or the path of a file.

    Raises:
        IexecError: ``NETWORK_UNKNOWN``.
    """
    from pyiexec.chain.networks import LOCAL, PUBLIC, load_profile
    from pyiexec.protocol.errors import IexecError

    if network is None or network == LOCAL:
        return load_profile(local_directory() / "profile.json")
    if network in PUBLIC:
        return PUBLIC[network]
    if "/" in network or network.endswith(".json"):
        return load_profile(Path(network))
    added = networks_directory() / f"{network}.json"
    if not added.exists():
        raise IexecError(
            "NETWORK_UNKNOWN", f"there is no network {network!r}", remedy="`pyiexec network list` shows those known."
        )
    return load_profile(added)


def is_local(profile: NetworkProfile) -> bool:
    """Whether the network's accounts are public test accounts, which have roles."""
    from pyiexec.chain.networks import NetworkKind

    return profile.kind is NetworkKind.LOCAL


def keystore_directory(keystore: Path | None) -> Path:
    """The folder of keystore files, by default the one that the JS CLI uses."""
    return keystore or Path.home() / ".ethereum" / "keystore"


def open_wallet(
    profile: NetworkProfile,
    *,
    role: str | None = None,
    wallet: str | None = None,
    keystore: Path | None = None,
    password_file: Path | None = None,
) -> Signer:
    """The account that the options name: a role, a keystore file, or ``PYIEXEC_PRIVATE_KEY``.

    On a local network with none of them it is the requester.

    Raises:
        IexecError: ``WALLET_MISSING``; ``WRONG_PASSWORD``.
    """
    if role is not None:
        return _role(profile, role)
    if wallet is None and keystore is None and is_local(profile) and "PYIEXEC_PRIVATE_KEY" not in os.environ:
        return _role(profile, "requester")
    return open_key(wallet=wallet, keystore=keystore, password_file=password_file)


def open_key(*, wallet: str | None, keystore: Path | None, password_file: Path | None) -> Signer:
    """The account of a keystore file, or of ``PYIEXEC_PRIVATE_KEY`` when no file is named.

    Raises:
        IexecError: ``WALLET_MISSING``; ``WRONG_PASSWORD``; ``BAD_KEY``.
    """
    from pyiexec.chain.keystore import find_keyfile, unlock
    from pyiexec.chain.signer import Signer
    from pyiexec.protocol.errors import IexecError

    if wallet is None and "PYIEXEC_PRIVATE_KEY" in os.environ:
        return Signer.from_key(os.environ["PYIEXEC_PRIVATE_KEY"])
    file = find_keyfile(keystore_directory(keystore), wallet)
    if file is None:
        where = keystore_directory(keystore)
        raise IexecError("WALLET_MISSING", f"no keystore file for {wallet or 'any account'} in {where}")
    return unlock(file, ask_password(password_file, f"Password of {file.name}"))


def _role(profile: NetworkProfile, role: str) -> Signer:
    from pyiexec.devnet import roles
    from pyiexec.protocol.errors import IexecError

    if not is_local(profile):
        raise IexecError("WALLET_MISSING", "roles are public test accounts, which only a local network honours")
    if role.startswith("worker-") and role.removeprefix("worker-").isdecimal():
        return roles.worker_account(int(role.removeprefix("worker-")))
    if role not in roles.NAMED:
        raise IexecError("WALLET_MISSING", f"there is no role {role!r}", remedy=f"Use one of {', '.join(roles.NAMED)}.")
    return roles.account(roles.NAMED[role])


def ask_password(password_file: Path | None, prompt: str, *, confirm: bool = False) -> str:
    """The password from a file, or typed unseen."""
    if password_file is not None:
        return password_file.read_text().rstrip("\r\n")
    password: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return password


@asynccontextmanager
async def client(network: str | None, signer: Signer | None = None) -> AsyncIterator[AsyncClient]:
    """A client of the network named; with a signer its transactions survive an interruption."""
    from pyiexec.sdk import AsyncClient

    profile = load_network(network)
    async with AsyncClient(profile, signer, state=data_directory() / "transactions" if signer else None) as opened:
        yield opened


@asynccontextmanager
async def acting_client(network: str | None, **wallet: Any) -> AsyncIterator[AsyncClient]:
    """A client that acts for the account that the wallet options name."""
    signer = open_wallet(load_network(network), **wallet)
    async with client(network, signer) as opened:
        yield opened


def acting(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """Add network, wallet and JSON options; the body receives ``open_client``, a function giving the client context."""

    @functools.wraps(function)
    def wrapper(
        *args: Any,
        network: str | None,
        role: str | None,
        wallet: str | None,
        keystore: Path | None,
        password_file: Path | None,
        **kwargs: Any,
    ) -> Any:
        options = {"role": role, "wallet": wallet, "keystore": keystore, "password_file": password_file}
        open_client = functools.partial(acting_client, network, **options)
        return run_async(function)(*args, open_client=open_client, **kwargs)

    return json_option(network_option(wallet_options(wrapper)))


def reading(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    """Add network and JSON options; the body receives ``open_client``."""

    @functools.wraps(function)
    def wrapper(*args: Any, network: str | None, **kwargs: Any) -> Any:
        return run_async(function)(*args, open_client=functools.partial(client, network), **kwargs)

    return json_option(network_option(wrapper))


class Amount(click.ParamType[int]):
    """An amount of RLC: ``1.5 RLC``, ``20 nRLC``, or a bare number of nRLC."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Amount in nRLC."""
        from pyiexec.protocol.errors import IexecError
        from pyiexec.protocol.units import parse_amount

        if isinstance(value, int):
            return value
        try:
            return parse_amount(value)
        except IexecError as error:
            self.fail(f"{error.what}. {error.remedy}", param, ctx)


class AddressType(click.ParamType[str]):
    """An Ethereum address."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checksummed address."""
        from pyiexec.protocol.errors import IexecError
        from pyiexec.protocol.primitives import checksum

        try:
            return checksum(value)
        except IexecError as error:
            self.fail(f"{error.what}. {error.remedy}", param, ctx)


class Word(click.ParamType["Bytes32"]):
    """A deal id, task id or order hash."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Bytes32:
        """Lower-case 32-byte hexadecimal."""
        from pyiexec.protocol.errors import IexecError
        from pyiexec.protocol.primitives import bytes32

        try:
            return bytes32(value)
        except IexecError as error:
            self.fail(f"{error.what}. {error.remedy}", param, ctx)


class Tag(click.ParamType[str]):
    """A tag: names such as ``tee,tdx``, or 32 bytes."""

    name = "tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Lower-case 32-byte hexadecimal."""
        from pyiexec.protocol.errors import IexecError
        from pyiexec.protocol.tags import parse_tag

        try:
            return parse_tag(value)
        except IexecError as error:
            self.fail(f"{error.what}. {error.remedy}", param, ctx)


AMOUNT, ADDRESS, WORD, TAG = Amount(), AddressType(), Word(), Tag()
