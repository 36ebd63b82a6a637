"""Networks of `pyiexec up` for the JavaScript client, and accounts for it to act with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
from benchmarks.reference.markets import compiled
from coincurve import PublicKey

from pyiexec.chain import calls
from pyiexec.chain.abi import Function
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.networks import NetworkProfile, load_profile
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.protocol.primitives import Address, DealId, checksum, to_hex
from pyiexec.sdk import Client as Python
from tests.e2e.conftest import Cli
from tests.e2e.js_sdk.client import Command, Library, Used
from tests.e2e.js_sdk.compatibility import Entry


class JsNetwork(NamedTuple):
    """A running network, and what a client needs to use it."""

    cli: Cli
    profile: NetworkProfile
    folder: Path

    def store(self, content: bytes) -> str:
        """Put a file where workers find it; its CID."""
        with Python(self.profile) as client:
            return client.store(content).rpartition("/")[2]

    def fetch(self, cid: str) -> bytes:
        """A file from the gateway."""
        with urlopen(f"{self.profile.gateway_url}/ipfs/{cid}", timeout=10) as response:
            content: bytes = response.read()
            return content

    def deploy_consumer(self, sender: Signer) -> Address:
        """A contract that keeps the hash of what it is told of each task."""

        async def send() -> Address:
            async with JsonRpc(self.profile.rpc_url) as rpc:
                (receipt,) = await send_all(rpc, sender, [Call(None, compiled("Consumer"), title="deploy a consumer")])
                return checksum(receipt["contractAddress"].lower())

        return asyncio.run(send())

    def told(self, consumer: Address, task_id: str) -> str:
        """The hash of what a consumer was told of a task."""
        function = Function.parse("digests(bytes32) view returns (bytes32)")

        async def read() -> str:
            async with JsonRpc(self.profile.rpc_url) as rpc:
                call = {"to": consumer, "data": to_hex(function.encode(task_id))}
                return str(await rpc.call("eth_call", call, "latest"))

        return asyncio.run(read())

    def initialize(self, sender: Signer, deal_id: str, index: int) -> None:
        """Have a task of a deal exist on chain, as a scheduler would."""

        async def send() -> None:
            async with JsonRpc(self.profile.rpc_url) as rpc:
                await send_all(rpc, sender, [Call(self.profile.hub, calls.initialize(DealId(deal_id), index))])

        asyncio.run(send())

    def reach(self, timestamp: float) -> None:
        """Wait for the first block that is later."""

        async def wait() -> None:
            feed = HeadFeed(self.profile.rpc_url)
            async with feed, feed.subscribe() as heads:
                while feed.newest is None or feed.newest.timestamp <= timestamp:
                    await heads.take_all()

        asyncio.run(wait())

    def chain(self, version: str) -> dict[str, Any]:
        """The ready `chain.json` for a release of the client."""
        text = (self.folder / f"js-sdk-{version.partition('.')[0]}" / "chain.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found

    def options(self, version: str) -> dict[str, Any]:
        """The library's constructor options."""
        chain = next(iter(self.chain(version)["chains"].values()))
        names = {
            "hub": "hubAddress",
            "sms": "smsURL",
            "ipfsGateway": "ipfsGatewayURL",
            "iexecGateway": "iexecGatewayURL",
            "compass": "compassURL",
            "pocoSubgraph": "pocoSubgraphURL",
            "resultProxy": "resultProxyURL",
            "native": "isNative",
        }
        found = {names[key]: value for key, value in chain.items() if key in names}
        return found | {"ipfsNodeURL": chain["ipfsGateway"]}


class Client(NamedTuple):
    """One edition of the client on one network."""

    version: str
    network: JsNetwork
    native: bool
    folder: Path
    used: Used

    def command(self, account: Signer, name: str = "") -> Command:
        """The command with a wallet of `account`, in a folder that stays for the class of tests."""
        made = Command(
            self.version, self.folder / (name or account.address), self.network.chain(self.version), self.used
        )
        if not (made.folder / "wallet.json").exists():
            # As `iexec wallet import` and `iexec init` leave them; a flow of its own runs those.
            public = "0x" + PublicKey.from_secret(account.secret).format(compressed=False).hex()
            wallet = {"privateKey": to_hex(account.secret), "publicKey": public, "address": account.address}
            made.write("wallet.json", wallet)
            made.write("iexec.json", {"description": "a project", "license": "MIT", "order": {}})
        return made

    def library(self, account: Signer | None) -> Library:
        """The library acting for `account`."""
        key = None if account is None else to_hex(account.secret)
        options = self.network.options(self.version)
        return Library(self.version, self.network.profile.rpc_url, key, options, self.used)


@pytest.fixture(scope="module")
def start(make_cli: Callable[[], Cli]) -> Iterator[Callable[..., JsNetwork]]:
    """Starts networks that end with the module."""
    started: list[Cli] = []

    def up(*options: str) -> JsNetwork:
        cli = make_cli()
        answer = cli.json("up", "--any-ports", "--workers", "2", "--block-time", "1", *options)
        started.append(cli)
        profile = Path(answer["profile"])
        return JsNetwork(cli, load_profile(profile), profile.parent)

    yield up
    for cli in started:
        cli("down")


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[str, Entry], None]:
    """Notes something for the table of compatibility, provided that the test passes."""

    def note(what: str, entry: Entry) -> None:
        request.node.user_properties.append((what, "/".join(entry)))

    return note


#: Plays an enclave's worker; a test account that nobody else uses.
WORKER = roles.account(7)
#: An account for each part that somebody plays; all of them have coin and RLC.
PROVIDER, REQUESTER, DATA_OWNER, POOL_OWNER, ADMINISTRATOR = (
    roles.account(roles.NAMED[name])
    for name in ("app-provider", "requester", "dataset-provider", "pool-manager", "administrator")
)
