"""The order book under load, on SQLite: pages of a large book, and publications by many wallets at once.

Pages: GET of 20 orders out of 100,000 open ones, each request with another filter and page, beside a node http server
that answers the same bytes from memory; both asked by `wrk` over as many connections, in turns, in one run. That no
answer is remembered is shown by an order that is published between two equal questions.

Publications: app, dataset and workerpool orders of real assets on a real hub. Each is a challenge, its signature, the
order's signature and all that the chain has to say, and is on disk (SQLite, WAL, synchronous=FULL) when it is answered.
Orders are signed before; challenges as they come. Server, chain and clients share the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec
import uvloop

import market_book
from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.foundation.database import Database
from pyiexec.foundation.settings import from_json, save_settings
from pyiexec.market.queries import cursor_block
from pyiexec.market.service import serve
from pyiexec.market.settings import MarketSettings
from pyiexec.protocol.eip712 import Domain, challenge_hash, order_hash
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, WorkerpoolOrder, kind_of, order_to_json
from pyiexec.protocol.primitives import Address, bytes32, to_bytes, to_hex
from verdict import Measured, conclude

PAGE_BAR, PUBLICATION_BAR = 0.10, 400.0
CONNECTIONS, SECONDS, ROUNDS, PATHS, BODIES = 32, 8, 3, 20_000, 500
WALLETS, ORDERS_PER_WALLET, CLIENTS = 120, 45, 64
PEER = Path(__file__).with_name("market_peer")
SEED = 4


class Published(NamedTuple):
    """An order ready for publication, and who publishes it."""

    signer: Signer
    order: Order


def needed(program: str) -> str:
    """A Debian program of the same name as its package; installed when it is missing."""
    found = shutil.which(program)
    if found is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", program], check=True, stdout=subprocess.DEVNULL)
        found = shutil.which(program)
    assert found is not None, f"{program} was installed"
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def running(*command: str, stop: int = 15) -> Iterator[str]:
    """A program that prints the URL it listens on."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None, "it was asked for"
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(stop)


async def be_the_market(settings: MarketSettings) -> None:
    """What the process under test does."""
    await serve(settings, ready=lambda url: print(url, flush=True), stop=anyio.Event())


@contextmanager
def serving(folder: Path, processes: int = 1) -> Iterator[str]:
    """The order book that the settings in a folder describe, in processes that share its port."""
    command = [sys.executable, __file__, "--serve", str(folder / "settings.json")]
    with ExitStack() as stack:
        urls = {stack.enter_context(running(*command)) for _ in range(processes)}
        assert len(urls) == 1, "they share a port"
        yield urls.pop()


async def prepare(folder: Path, url: str, block: int, domain: Domain) -> None:
    """A full book that knows the chain up to a block: orders put into it are as if published there."""
    with serving(folder):
        database = await Database.open(url)
        while await database.read(cursor_block) < block:  # noqa: ASYNC110 - the book does not tell how far it is
            await anyio.sleep(0.1)
        await database.close()
    await market_book.fill(url, domain, random.Random(SEED))
    print(f"{market_book.OPEN_ORDERS} open orders", flush=True)


# --- pages --------------------------------------------------------------------------------------------------------


def requests_per_second(url: str, paths: Path) -> float:
    """What `wrk` gets from a server; a refusal among the answers ends the benchmark."""
    command = [needed("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(PEER / "pages.lua"), url]
    output = subprocess.run(
        command, env=os.environ | {"PATHS": str(paths)}, check=True, capture_output=True, text=True
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(output)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found is not None, output
    return float(found[1])


async def bodies_of(url: str, paths: Sequence[str]) -> list[str]:
    """What the order book answers, each a full page."""
    async with aiohttp.ClientSession() as session:
        found = []
        for path in paths:
            async with session.get(url + path) as response:
                found.append(await response.text())
                if response.status != 200 or len(json.loads(found[-1])["orders"]) != 20:
                    raise SystemExit(f"{path}: {response.status}, not a page of 20 orders: {found[-1][:200]}")
        return found


async def measure_pages(url: str, chain_id: int, folder: Path) -> float:
    """The ratio of requests per second, ours to node's."""
    paths, bodies = folder / "paths", folder / "bodies.json"
    asked = market_book.paths(chain_id, PATHS, random.Random(SEED))
    paths.write_text("\n".join(asked))
    bodies.write_text(json.dumps(await bodies_of(url, asked[:BODIES])))
    ratios = []
    with running("node", str(PEER / "static.mjs"), str(bodies)) as peer:
        for number in range(ROUNDS):
            ours = await asyncio.to_thread(requests_per_second, url, paths)
            theirs = await asyncio.to_thread(requests_per_second, peer, paths)
            ratios.append(ours / theirs)
            print(f"pages, round {number + 1}: pyiexec {ours:.0f}/s, node {theirs:.0f}/s: {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


# --- publications -------------------------------------------------------------------------------------------------


async def assets(rpc: JsonRpc, manifest: Manifest, wallets: Sequence[Signer]) -> list[Address]:
    """An app, a dataset or a workerpool for each wallet in turn, and stake for all."""
    admin, entries = derive(MNEMONIC, 0), manifest.registries
    creations = []
    for number, wallet in enumerate(wallets):
        data, registry = (
            (registries.create_app(wallet.address, f"app {number}", "DOCKER", b"/ipfs/x", bytes32(1)), entries.app),
            (registries.create_dataset(wallet.address, f"data {number}", b"/ipfs/y", bytes32(2)), entries.dataset),
            (registries.create_workerpool(wallet.address, f"pool {number}"), entries.workerpool),
        )[number % 3]
        creations.append(Call(registry, data, 3_000_000, "create an asset"))
    receipts = await send_all(rpc, admin, creations)
    amounts, stake = [wallet.address for wallet in wallets], 10**6
    deposit = calls.deposit_for_array([stake] * len(amounts), amounts)
    approve = token.approve(manifest.hub, stake * len(amounts))
    await send_all(rpc, admin, [Call(manifest.token, approve), Call(manifest.hub, deposit, 10_000_000)])
    return [
        registries.created_asset(receipt, call.to) for receipt, call in zip(receipts, creations, strict=True) if call.to
    ]


def sign(order: Order, signer: Signer, domain: Domain, salt: int) -> Published:
    """The order, signed."""
    salted = msgspec.structs.replace(order, salt=bytes32(salt))
    signature = to_hex(signer.sign_digest(to_bytes(order_hash(salted, domain))))
    return Published(signer, msgspec.structs.replace(salted, sign=signature))


def signed_orders(wallets: Sequence[Signer], owned: Sequence[Address], domain: Domain) -> list[Published]:
    """Orders of all wallets, in turns."""
    made = []
    for number in range(ORDERS_PER_WALLET):
        for place, (wallet, asset) in enumerate(zip(wallets, owned, strict=True)):
            order = (
                AppOrder(app=asset, appprice=number, volume=10),
                DatasetOrder(dataset=asset, datasetprice=number, volume=10),
                WorkerpoolOrder(workerpool=asset, workerpoolprice=number, volume=1),
            )[place % 3]
            made.append(sign(order, wallet, domain, len(made) + 1))
    return made


class Connection:
    """A client that spends little of the machine it shares with the server: one HTTP connection, kept open."""

    _LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Connection]:
        """A connection to a server, closed in the end."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        yield cls(reader, writer)
        writer.close()
        await writer.wait_closed()

    async def ask(self, method: str, path: str, body: bytes = b"", authorization: str = "") -> Any:
        """The JSON of a successful answer; any other ends the benchmark."""
        login = f"authorization: {authorization}\r\n" if authorization else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: market\r\ncontent-length: {len(body)}\r\n{login}\r\n"
        self._writer.write(head.encode() + body)
        answered = await self._reader.readuntil(b"\r\n\r\n")
        length = self._LENGTH.search(answered)
        assert length is not None, answered
        content = await self._reader.readexactly(int(length[1]))
        if not answered.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"{method} {path} was refused: {content[:200]!r}")
        return msgspec.json.decode(content)


class Publication(NamedTuple):
    """A request to publish, ready but for the answer to its challenge."""

    signer: Signer
    challenge: str
    path: str
    body: bytes


def prepared(jobs: Sequence[Published], chain_id: int) -> list[Publication]:
    """The requests that publish orders."""
    return [
        Publication(
            job.signer,
            f"/challenge?chainId={chain_id}&address={job.signer.address}",
            f"/{kind_of(job.order)}s?chainId={chain_id}",
            msgspec.json.encode({"order": order_to_json(job.order)}),
        )
        for job in jobs
    ]


async def publish(connection: Connection, chain_id: int, job: Publication) -> str:
    """Log in and publish; the order's hash."""
    challenge = (await connection.ask("GET", job.challenge))["data"]["message"]["challenge"]
    digest = challenge_hash(challenge, chain_id)
    login = f"{digest}_{to_hex(job.signer.sign_digest(to_bytes(digest)))}_{job.signer.address}"
    answer = await connection.ask("POST", job.path, job.body, login)
    return str(answer["published"]["orderHash"])


async def measure_publications(url: str, chain_id: int, jobs: Sequence[Published]) -> float:
    """Publications per second: the median of as many rounds as the pages have."""
    share = len(jobs) // ROUNDS
    rates = []
    for number in range(ROUNDS):
        rates.append(await publications_per_second(url, chain_id, jobs[number * share : (number + 1) * share]))
        print(f"publications, round {number + 1}: {share} by {CLIENTS} clients: {rates[-1]:.0f}/s", flush=True)
    return statistics.median(rates)


async def publications_per_second(url: str, chain_id: int, jobs: Sequence[Published]) -> float:
    """What the order book takes of many clients at once."""
    waiting = iter(prepared(jobs, chain_id))

    async def client() -> None:
        async with Connection.to(url) as connection:
            for job in waiting:
                await publish(connection, chain_id, job)

    started = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(CLIENTS):
            group.start_soon(client)
    return len(jobs) / (time.perf_counter() - started)


async def prove_fresh(url: str, chain_id: int, jobs: Sequence[Published]) -> None:
    """An order that is published between two equal questions is in the second answer."""
    async with aiohttp.ClientSession() as session, Connection.to(url) as connection:
        for job in jobs:
            kind = kind_of(job.order)
            resource = kind.removesuffix("order")
            asked = f"{url}/{kind}s?chainId={chain_id}&{resource}={getattr(job.order, resource)}"
            answers = []
            for _ in range(2):
                async with session.get(asked) as response:
                    answers.append(await response.json())
                if len(answers) == 1:
                    made = await publish(connection, chain_id, *prepared([job], chain_id))
            hashes = [[item["orderHash"] for item in answer["orders"]] for answer in answers]
            if made in hashes[0] or hashes[1] != [made, *hashes[0]] or answers[1]["count"] != answers[0]["count"] + 1:
                raise SystemExit(f"{asked}: the order published between two questions is not in the second answer")
    print("an order published between two questions is in the second answer, of every kind asked", flush=True)


# --- all of it ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def chain() -> AsyncIterator[tuple[str, JsonRpc, Manifest]]:
    """A hub on a chain of its own."""
    async with Anvil(AnvilOptions(block_time=1)) as anvil, JsonRpc(anvil.url) as rpc:
        yield anvil.url, rpc, await deploy(rpc, derive(MNEMONIC, 0))


async def measure(folder: Path) -> None:
    """Both figures."""
    print(f"{os.cpu_count()} cores, shared by the order book, the chain, node and the clients", flush=True)
    async with chain() as (rpc_url, rpc, manifest):
        domain = Domain(manifest.chain_id, manifest.hub)
        wallets = [Signer.from_key(random.Random(number).randbytes(32)) for number in range(WALLETS)]
        owned = await assets(rpc, manifest, wallets)
        url = f"sqlite:///{folder / 'market.db'}"
        settings = MarketSettings(
            database_url=url,
            rpc_url=rpc_url,
            chain_id=manifest.chain_id,
            hub=manifest.hub,
            start_block=manifest.deployed_at,
            port=free_port(),
            share_port=True,
            rate_limit=10**9,
        )
        save_settings(settings, folder / "settings.json")
        await prepare(folder, url, int(await rpc.call("eth_blockNumber"), 16), domain)
        jobs = signed_orders(wallets, owned, domain)
        fresh, jobs = jobs[:3], jobs[3:]
        with serving(folder, os.cpu_count() or 1) as market:
            ratio = await measure_pages(market, manifest.chain_id, folder)
            await prove_fresh(market, manifest.chain_id, fresh)
        # Writers of one SQLite file only wait for each other: one process publishes.
        with serving(folder) as market:
            rate = await measure_publications(market, manifest.chain_id, jobs)
    conclude(
        Measured("bench-market pages", ratio, "x", PAGE_BAR, more=True),
        Measured("bench-market publications", rate, "/s", PUBLICATION_BAR, more=True),
    )


def main() -> None:
    """Measure, or be measured."""
    if "--serve" in sys.argv:
        uvloop.run(be_the_market(from_json(Path(sys.argv[-1]).read_bytes(), MarketSettings)))
        return
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as folder:
        uvloop.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
