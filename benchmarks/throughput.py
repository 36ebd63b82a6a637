"""How many tasks a second a pool carries through, chain included: a bag of no-ops, from the match to the last payout.

Scheduler, content store and workers are processes that keep their state in SQLite on disk; the app is a real
WebAssembly module, run in its sandbox, whose result is packed, uploaded and verified on chain by one worker (trust 1).
Two peers:

* The chain alone. The run's own transactions are taken from its blocks, the chain goes back to where it was before
  them, and the very same bytes are sent again, phase by phase (the match, the openings, the contributions), pipelined
  over one connection; each phase ends when all of it is in blocks. The services are stopped by then.
* Slurm, with an array of as many `/bin/true`: with its defaults and with what its documentation advises; the better
  counts (`slurm.py`, `slurm_peer/`).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop
from websockets.asyncio.client import connect

import slurm
from pool import Pool, pool
from pyiexec.chain.anvil import AnvilOptions
from pyiexec.chain.hub import EVENTS
from pyiexec.chain.signer import rlp
from pyiexec.devnet import roles
from pyiexec.devnet.samples import sample
from pyiexec.protocol.primitives import Address, to_bytes, to_hex
from verdict import Measured, conclude

TASKS, RUNS, WARM = 500, 3, 20
WORKERS, SLOTS = 2, 4
CHAIN_BAR, SLURM_BAR = 0.5, 10.0
#: Of five minutes: no deadline passes while the benchmark lasts.
CATEGORY = 0
#: Slurm's settings and how many processors it is told to have: with more than there are, more tasks run at a time.
SLURM = (("defaults", os.cpu_count() or 1), ("defaults", 64), ("tuned", 64), ("tuned", 256))
SLURM_TASKS = 100
#: Raw transactions, those of one function of the hub together.
Phases = list[list[str]]


class Run(NamedTuple):
    """Tasks a second: of the pool, and of the chain alone with the same transactions."""

    ours: float
    chain: float
    transactions: int


async def carried_through(chain: Pool, app: Address, tasks: int) -> float:
    """Seconds from sending the match until the last task is finalized."""
    block = int(await chain.rpc.call("eth_blockNumber"), 16)
    seen = 0
    async with connect(chain.anvil.ws_url, proxy=None) as socket:
        # The hub's logs are pushed; nobody takes the chain's time to ask for them.
        topics = [EVENTS["TaskFinalize"].topic]
        subscription = ["logs", {"address": chain.hub.address, "topics": topics}]
        await socket.send(_request(1, "eth_subscribe", subscription))
        await socket.recv()
        started = time.perf_counter()
        await chain.buy(app, tasks, trust=1, category=CATEGORY)
        while seen < tasks:
            await socket.recv()
            seen += 1
        elapsed = time.perf_counter() - started
    log = {"address": chain.hub.address, "topics": topics, "fromBlock": hex(block + 1)}
    found = await chain.rpc.call("eth_getLogs", log)
    if len(found) != tasks:
        raise SystemExit(f"{len(found)} of {tasks} tasks were finalized")
    return elapsed


# --- the chain alone ----------------------------------------------------------------------------------------------


def raw(transaction: dict[str, Any]) -> str:
    """The bytes that were sent, made again from what a block says of them."""

    def number(name: str) -> int:
        return int(transaction[name], 16)

    if transaction["type"] != "0x2" or transaction.get("accessList"):
        raise SystemExit("a transaction is of a kind that nobody here sends")
    fields: list[Any] = [
        *(number(name) for name in ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas")),
        to_bytes(transaction["to"]),
        number("value"),
        to_bytes(transaction["input"]),
        [],
        *(number(name) for name in ("yParity", "r", "s")),
    ]
    return to_hex(b"\x02" + rlp(fields))


async def recorded(chain: Pool, after: int) -> Phases:
    """The transactions of all blocks after one, by function, in the order of the functions' first use."""
    newest = int(await chain.rpc.call("eth_blockNumber"), 16)
    phases: dict[str, list[str]] = {}
    for start in range(after + 1, newest + 1, 100):
        numbers = range(start, min(start + 100, newest + 1))
        blocks = await chain.rpc.batch([("eth_getBlockByNumber", [hex(number), True]) for number in numbers])
        for block in blocks:
            for transaction in block["transactions"]:
                phases.setdefault(transaction["input"][:10], []).append(raw(transaction))
    return list(phases.values())


def _request(number: int, method: str, parameters: Sequence[Any]) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})


async def replayed(chain: Pool, phases: Phases) -> float:
    """Seconds that the chain takes for the phases, sent over one connection."""
    async with connect(chain.anvil.ws_url, proxy=None, max_size=None) as socket:
        started = time.perf_counter()
        for phase in phases:
            hashes = []
            for number, transaction in enumerate(phase):
                await socket.send(_request(number, "eth_sendRawTransaction", [transaction]), text=True)
            for _ in phase:
                answer = msgspec.json.decode(await socket.recv())
                if "error" in answer:
                    raise SystemExit(f"the chain does not take a transaction again: {answer['error']}")
                hashes.append(answer["result"])
            for known in reversed(hashes):
                # The last ones are asked for until they are there, the others are by then.
                while True:
                    await socket.send(_request(0, "eth_getTransactionReceipt", [known]), text=True)
                    receipt = msgspec.json.decode(await socket.recv())["result"]
                    if receipt is not None:
                        break
                if receipt["status"] != "0x1":
                    raise SystemExit(f"{known} reverted when it was sent again")
        return time.perf_counter() - started


# --- all of it ----------------------------------------------------------------------------------------------------


async def once(folder: Path) -> Run:
    """One run of the pool, and of its transactions."""
    signers = [roles.worker_account(number) for number in range(1, WORKERS + 1)]
    async with pool(folder, AnvilOptions(), signers) as chain:
        await chain.start_store()
        app = await chain.register(sample("noop/noop.wasm"))
        await chain.start_scheduler()
        for number, signer in enumerate(signers, start=1):
            await chain.start_worker(f"worker-{number}", signer, slots=SLOTS)
        # Modules are compiled and caches filled before.
        await carried_through(chain, app, WARM)
        block = int(await chain.rpc.call("eth_blockNumber"), 16)
        before = await chain.rpc.call("evm_snapshot")
        used = chain.processor_seconds()
        ours = await carried_through(chain, app, TASKS)
        for name, seconds in chain.processor_seconds().items():
            print(f"  {name:<12}{(seconds - used[name]) / TASKS * 1000:6.2f} ms of processor time a task", flush=True)
        await chain.stop()
        phases = await recorded(chain, block)
        used = chain.processor_seconds()
        if not await chain.rpc.call("evm_revert", before):
            raise SystemExit("the chain does not go back")
        alone = await replayed(chain, phases)
        spent = chain.processor_seconds()["chain"] - used["chain"]
        print(f"  {'chain alone':<12}{spent / TASKS * 1000:6.2f} ms of processor time a task", flush=True)
    run = Run(TASKS / ours, TASKS / alone, sum(map(len, phases)))
    sizes = " + ".join(str(len(phase)) for phase in phases)
    print(
        f"pool {run.ours:.1f} tasks/s, its {sizes} transactions alone {run.chain:.1f} tasks/s:"
        f" {run.ours / run.chain:.2f} x",
        flush=True,
    )
    return run


async def ours(folder: Path) -> list[Run]:
    """All runs."""
    return [await once(folder / str(number)) for number in range(RUNS)]


def main() -> None:
    """Measure the pool, the chain and Slurm."""
    print(f"{os.cpu_count()} cores, shared by the chain, scheduler, store and {WORKERS} workers", flush=True)
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as folder:
        runs = uvloop.run(ours(Path(folder)))
    slurm.install()
    arrays = []
    for settings, cpus in SLURM:
        with slurm.slurm(settings, cpus) as environment:
            arrays.append(SLURM_TASKS / slurm.array_seconds(environment, SLURM_TASKS))
        print(f"Slurm, {settings}, {cpus} processors: {arrays[-1]:.2f} tasks/s", flush=True)
    rate = statistics.median(run.ours for run in runs)
    conclude(
        Measured(
            "bench-throughput chain", statistics.median(run.ours / run.chain for run in runs), "x", CHAIN_BAR, more=True
        ),
        Measured("bench-throughput Slurm", rate / max(arrays), "x", SLURM_BAR, more=True),
    )


if __name__ == "__main__":
    main()
