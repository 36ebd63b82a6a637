"""From an empty database to answering about 20,000 events, against Ponder and against a loop that merely stores them.

One chain is played, and then read three times, one after the other: by our indexer, a process of its own, until its
GraphQL tells of the last block; by Ponder, likewise, with handlers that write the same entities; and by a loop that
gets, decodes and stores the same logs. What is timed starts with the process and an empty database. Afterwards ten
blocks are taken back and others put in their place, and the index has to end as one that never saw them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec

from indexer_history import OPTIONS, History, Player, play
from peers.javascript import installed, node, node_environment
from pyiexec.chain.anvil import Anvil, free_port
from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.database import Database
from pyiexec.indexer import queries
from pyiexec.indexer.service import serve
from pyiexec.indexer.settings import IndexerSettings
from verdict import Measured, conclude

EVENTS_WANTED, SEED = 20_000, 4
REORGANISED = 10
PEER = Path(__file__).parent / "indexer_peer"
#: Events that indexers make entities of, and the list that tells of them.
TOLD = {
    "OrdersMatched": "dealEvents",
    "SchedulerNotice": "workerpoolEvents",
    "TaskInitialize": "taskEvents",
    "TaskContribute": "taskEvents",
    "TaskConsensus": "taskEvents",
    "TaskReveal": "taskEvents",
    "TaskReopen": "taskEvents",
    "TaskFinalize": "taskEvents",
    "TaskClaimed": "taskEvents",
    "AccurateContribution": "accountEvents",
    "FaultyContribution": "accountEvents",
    "Reward": "accountEvents",
    "Seize": "accountEvents",
    "Lock": "accountEvents",
    "Unlock": "accountEvents",
    "Transfer": "transfers",
    "CreateCategory": "categories",
}
#: Seconds between questions to a process about how far it is, and until it is given up.
PAUSE, PATIENCE = 0.02, 900.0
#: Blocks that the loop asks for at once.
SPAN = 1_000


class Reading(msgspec.Struct, frozen=True):
    """A chain that was read, and how long it took in seconds."""

    name: str
    events: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.name:<12}{self.events:>8,} events in {self.seconds:7.2f} s: {self.events / self.seconds:8,.0f}/s"


async def expected(rpc: JsonRpc, history: History) -> dict[str, set[str]]:
    """Ids of the events that an index has to tell of, by list."""
    logs = await rpc.call("eth_getLogs", {"address": history.manifest.hub, "fromBlock": "0x0", "toBlock": "latest"})
    found: dict[str, set[str]] = {}
    topics = {EVENTS[name].topic: name for name in TOLD}
    for log in logs:
        name = topics.get(log["topics"][0])
        if name is not None:
            found.setdefault(TOLD[name], set()).add(f"{int(log['blockNumber'], 16)}-{int(log['logIndex'], 16)}")
    return found


# --- a process that answers queries -------------------------------------------------------------------------------


def start(command: Sequence[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """A process of a group of its own, which writes into `log`."""
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)


def words(log: Path) -> str:
    """The last of what a process said."""
    return log.read_text(errors="replace")[-2000:]


@asynccontextmanager
async def process(command: Sequence[str], log: Path, **options: Any) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process while it is needed."""
    child = start(command, log, **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
        await anyio.to_thread.run_sync(child.wait)


async def ask(session: aiohttp.ClientSession, url: str, query: str) -> Any:
    """The data of a GraphQL answer; None while there is none."""
    try:
        async with session.post(url, json={"query": query}) as response:
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, json.JSONDecodeError):
        return None
    return answer.get("data") if isinstance(answer, dict) else None


async def until(child: subprocess.Popen[bytes], log: Path, holds: Any) -> None:
    """Until something is true of a process, which has no way of telling it by itself.

    Raises:
        SystemExit: the process ended.
    """
    with anyio.fail_after(PATIENCE):
        while not await holds():
            if child.poll() is not None:
                raise SystemExit(f"it ended with {child.returncode}: {words(log)}")
            await anyio.sleep(PAUSE)


# --- ours ---------------------------------------------------------------------------------------------------------


class Ours:
    """Our indexer in a process of its own, on a database in `folder`."""

    def __init__(self, folder: Path, rpc_url: str, history: History) -> None:
        folder.mkdir()
        self.database_url = f"sqlite:///{folder}/index.db"
        self.settings = IndexerSettings(
            database_url=self.database_url,
            rpc_url=rpc_url,
            chain_id=history.manifest.chain_id,
            hub=history.manifest.hub,
            port=free_port(),
        )
        self.log = folder / "log"
        self.url = f"http://127.0.0.1:{self.settings.port}/graphql/{history.manifest.chain_id}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[subprocess.Popen[bytes]]:
        """While it runs."""
        told = msgspec.json.encode(self.settings).decode()
        async with process([sys.executable, __file__, "serve", told], self.log) as child:
            yield child

    async def reach(self, child: subprocess.Popen[bytes], session: aiohttp.ClientSession, block: str) -> None:
        """Until it answers from the state of a block."""

        async def has_come() -> bool:
            data = await ask(session, self.url, "{ _meta { block { hash } } }")
            return bool(data and data["_meta"] and data["_meta"]["block"]["hash"] == block)

        await until(child, self.log, has_come)

    async def ids(self, session: aiohttp.ClientSession, root: str) -> set[str]:
        """The ids in a list, page by page as clients read it."""
        found: set[str] = set()
        last = ""
        while True:
            query = f'{{ page: {root}(first: 1000, where: {{ id_gt: "{last}" }}) {{ id }} }}'
            data = await ask(session, self.url, query)
            page = [item["id"] for item in data["page"]]
            if not page:
                return found
            found.update(page)
            last = page[-1]

    async def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Everything in the database."""
        database = await Database.open(self.database_url)
        try:
            return await database.read(queries.dump)
        finally:
            await database.close()


async def read_with_ours(
    ours: Ours, session: aiohttp.ClientSession, head: str, wanted: Mapping[str, set[str]]
) -> Reading:
    """Time from the start of the process to answers from the last block; then all events are asked for."""
    started = time.perf_counter()
    async with ours.running() as child:
        await ours.reach(child, session, head)
        seconds = time.perf_counter() - started
        for root, ids in wanted.items():
            found = await ours.ids(session, root)
            # Categories are known by their number; pools' policies are beside what the hub says.
            missing = len(ids) - len(found) if root == "categories" else len(ids - found)
            if missing:
                raise SystemExit(f"{missing} of {len(ids)} {root} cannot be found in our index")
    return Reading("pyiexec", sum(map(len, wanted.values())), seconds)


# --- Ponder -------------------------------------------------------------------------------------------------------


def lay_out(folder: Path) -> None:
    """The peer's project in a folder of its own, which it fills with its state."""
    shutil.copytree(PEER, folder)
    (folder / "node_modules").symlink_to(installed(PEER) / "node_modules")


async def read_with_ponder(
    folder: Path, rpc_url: str, session: aiohttp.ClientSession, history: History, wanted: Mapping[str, set[str]]
) -> Reading:
    """Time from the start of the process until it is ready and tells of all events."""
    port = free_port()
    registries = history.manifest.registries
    environment = node_environment() | {
        "RPC_URL": rpc_url,
        "CHAIN_ID": str(history.manifest.chain_id),
        "HUB": history.manifest.hub,
        "APP_REGISTRY": registries.app,
        "DATASET_REGISTRY": registries.dataset,
        "WORKERPOOL_REGISTRY": registries.workerpool,
        "PONDER_TELEMETRY_DISABLED": "true",
        "NODE_ENV": "production",
    }
    command = [
        str(node()),
        "node_modules/ponder/dist/esm/bin/ponder.js",
        "start",
        "--schema",
        "index",
        "--port",
        str(port),
    ]
    command += ["--hostname", "127.0.0.1", "--log-format", "json", "--log-level", "warn"]
    log = folder / "log"
    url = f"http://127.0.0.1:{port}"
    counts = " ".join(f"{'categorys' if root == 'categories' else root} {{ totalCount }}" for root in wanted)

    async def is_ready() -> bool:
        try:
            async with session.get(f"{url}/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def has_all() -> bool:
        data = await ask(session, f"{url}/graphql", f"{{ {counts} }}")
        totals = [entry["totalCount"] for entry in data.values()] if data else []
        return bool(data) and all(total >= len(ids) for total, ids in zip(totals, wanted.values(), strict=True))

    started = time.perf_counter()
    async with process(command, log, cwd=folder, env=environment) as child:
        await until(child, log, is_ready)
        await until(child, log, has_all)
        seconds = time.perf_counter() - started
    return Reading("Ponder", sum(map(len, wanted.values())), seconds)


# --- the loop -----------------------------------------------------------------------------------------------------


async def read_with_loop(file: Path, rpc: JsonRpc, history: History) -> Reading:
    """Get, decode, store; nothing else."""
    events = 0
    started = time.perf_counter()
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(
        "CREATE TABLE logs (block INTEGER, position INTEGER, name TEXT, fields TEXT, PRIMARY KEY (block, position))"
    )
    for first in range(0, history.head + 1, SPAN):
        span = {"fromBlock": hex(first), "toBlock": hex(min(first + SPAN - 1, history.head))}
        rows = []
        for log in await rpc.call("eth_getLogs", {"address": history.manifest.hub} | span):
            decoded = decode_log(log)
            assert decoded is not None, "the hub emits what its ABI says"
            name, fields = decoded
            place = int(log["blockNumber"], 16), int(log["logIndex"], 16)
            rows.append((*place, name, json.dumps(fields, default=str)))
        with database:
            database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?)", rows)
        events += len(rows)
    database.close()
    return Reading("bare loop", events, time.perf_counter() - started)


# --- a reorganisation ---------------------------------------------------------------------------------------------


async def head_hash(rpc: JsonRpc) -> str:
    """Of the newest block."""
    block = await rpc.call("eth_getBlockByNumber", "latest", False)
    return str(block["hash"])


async def reorganise(
    ours: Ours, fresh: Ours, rpc: JsonRpc, session: aiohttp.ClientSession, player: Player
) -> tuple[int, int]:
    """Take ten blocks back under a running index.

    Returns:
        How many rows were other before than they are now, and how many are other than in an index made afresh.
    """

    async def live(blocks: int) -> None:
        target = int(await rpc.call("eth_blockNumber"), 16) + blocks
        lives = player.lives(1_000_000)
        running = [next(lives) for _ in range(8)]
        while int(await rpc.call("eth_blockNumber"), 16) < target:
            steps = [(life, next(life, None)) for life in running]
            running = [next(lives) if step is None else life for life, step in steps]
            await player.mine([call for _, step in steps for call in step or []])

    await live(REORGANISED)
    async with ours.running() as child:
        fork = await rpc.call("evm_snapshot")
        await live(REORGANISED)
        await ours.reach(child, session, await head_hash(rpc))
        before = await ours.dump()
        await rpc.call("evm_revert", fork)
        await live(REORGANISED + 2)
        await ours.reach(child, session, await head_hash(rpc))
    async with fresh.running() as child:
        await fresh.reach(child, session, await head_hash(rpc))
    after = await ours.dump()
    return differences(before, after), differences(after, await fresh.dump())


def differences(one: Mapping[str, list[dict[str, Any]]], other: Mapping[str, list[dict[str, Any]]]) -> int:
    """How many rows one has that the other has not, in either direction."""

    def counted(dump: Mapping[str, list[dict[str, Any]]]) -> Counter[str]:
        return Counter(repr((table, sorted(row.items()))) for table, rows in dump.items() for row in rows)

    left, right = counted(one), counted(other)
    return (left - right).total() + (right - left).total()


# --- all of it ----------------------------------------------------------------------------------------------------


async def measure(folder: Path) -> list[Measured]:
    """Play, read three times, take back."""
    lay_out(peer := folder / "peer")
    async with Anvil(OPTIONS) as anvil, JsonRpc(anvil.url, timeout=120) as rpc, aiohttp.ClientSession() as session:
        history, player = await play(rpc, EVENTS_WANTED, SEED)
        wanted = await expected(rpc, history)
        print(
            f"{history.events:,} events of the hub in {history.head:,} blocks, {sum(map(len, wanted.values())):,} told"
        )
        loop = await read_with_loop(folder / "loop.db", rpc, history)
        ours = Ours(folder / "ours", anvil.url, history)
        own = await read_with_ours(ours, session, await head_hash(rpc), wanted)
        ponder = await read_with_ponder(peer, anvil.url, session, history, wanted)
        for reading in (own, ponder, loop):
            print(reading)
        faster, share = ponder.seconds / own.seconds, loop.seconds / own.seconds * own.events / loop.events
        print(f"{faster:.1f} x Ponder, {share:.2f} x the loop")
        fresh = Ours(folder / "fresh", anvil.url, history)
        changed, different = await reorganise(ours, fresh, rpc, session, player)
        if not changed:
            raise SystemExit("the reorganisation changed nothing, and so proves nothing")
        print(f"a reorganisation of {REORGANISED} blocks changed {changed} rows")
    return [
        Measured("bench-indexer, events/s by those of Ponder", faster, "x", 5.0, more=True),
        Measured("bench-indexer, events/s by those of a bare loop", share, "x", 0.25, more=True),
        Measured("bench-indexer, rows that a reorganisation leaves wrong", different, "rows", 0),
    ]


async def serve_until_terminated(settings: IndexerSettings) -> None:
    """Our side of the comparison, as a process runs it."""
    stop = anyio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(settings, ready=lambda _url: None, stop=stop)


def main() -> None:
    """Measure and conclude, or serve what is measured."""
    if len(sys.argv) > 1:
        asyncio.run(serve_until_terminated(msgspec.json.decode(sys.argv[2], type=IndexerSettings)))
        return
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as folder:
        figures = asyncio.run(measure(Path(folder)))
    conclude(*figures)


if __name__ == "__main__":
    main()
