"""A bag of 1,000 tasks at trust 5 by 50 simulated workers, on a chain with a block a second and nothing in between.

A simulated worker logs in to the real scheduler, takes a task at a time, sleeps for as long as the task would run, and
votes, reveals and reports on the real chain, with results that the scheduler fetches from a real content store and
checks. The bar is what the work cannot be done without: the run time of all replicates shared by the workers, four
blocks (opening, votes, reveals, settlement), and the blocks that all the gas fills. Gas of transactions that were in
vain does not count.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from websockets.asyncio.client import connect

from pool import Pool, pool
from pyiexec.chain import calls
from pyiexec.chain.anvil import BLOCK_GAS_LIMIT, AnvilOptions
from pyiexec.chain.hub import EVENTS
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer, Transaction
from pyiexec.devnet import roles
from pyiexec.protocol import ids
from pyiexec.protocol.messages import Abort, Assign, Command, Complete, Progress, Reveal, Upload
from pyiexec.protocol.primitives import ResultDigest, TaskId, bytes32, to_bytes, to_hex
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.results import pack
from pyiexec.storage.client import ContentClient
from simulated import SimulatedWorker
from verdict import Measured, conclude

TASKS, TRUST, WORKERS, BAR = 1_000, 5, 50, 1.3
BLOCK_SECONDS, BLOCKS = 1.0, 4
#: Shortest and longest run of a task, in seconds; each task's is drawn between them.
SHORTEST, LONGEST = 1.0, 3.0
#: Of five minutes: nothing is overdue.
CATEGORY, SEED = 0, 5
#: Gas limits and fees: what is not used is not paid.
CONTRIBUTE_GAS, REVEAL_GAS, FEE, TIP = 600_000, 200_000, 100 * 10**9, 10**9
ANSWER = b"as every worker would compute it"

S = ReplicateStatus


class Voter:
    """One simulated worker's part in all tasks."""

    def __init__(self, number: int, rpc: JsonRpc, chain: Pool, location: str, group: asyncio.TaskGroup) -> None:
        self.worker = SimulatedWorker(roles.worker_account(number), self._told)
        self.run_seconds = 0.0
        self._rpc = rpc
        self._chain = chain
        self._location = location
        self._group = group
        self._nonce = 0
        self._sending = asyncio.Lock()

    def _told(self, _worker: SimulatedWorker, command: Command) -> None:
        match command:
            case Assign():
                self._group.create_task(self._vote(command))
            case Reveal():
                self._group.create_task(self._reveal(command.task_id))
            case Upload(task_id=task_id):
                self._group.create_task(self._report(task_id, S.RESULT_UPLOADED, location=self._location))
            case Complete(task_id=task_id):
                self._group.create_task(self._report(task_id, S.COMPLETED))
            case Abort(task_id=task_id):
                self._group.create_task(self._report(task_id, S.ABORTED, cause="TASK_ABORTED"))

    async def _report(self, task_id: TaskId, status: ReplicateStatus, **fields: Any) -> None:
        await self.worker.report(Progress(task_id=task_id, status=status, **fields))

    async def _vote(self, assign: Assign) -> None:
        task_id = assign.task_id
        for status in (S.STARTED, S.APP_DOWNLOADED, S.DATA_DOWNLOADED):
            await self._report(task_id, status)
        # The same for all replicates of a task.
        seconds = random.Random(f"{SEED} {assign.authorization.index}").uniform(SHORTEST, LONGEST)
        await asyncio.sleep(seconds)
        self.run_seconds += seconds
        await self._report(task_id, S.COMPUTED)
        digest = digest_of(ANSWER)
        seal = ids.result_seal(self.worker.address, task_id, digest)
        signature = to_bytes(assign.authorization.signature)
        await self._send(calls.contribute(task_id, ids.result_hash(task_id, digest), seal, signature), CONTRIBUTE_GAS)
        await self._report(task_id, S.CONTRIBUTED)

    async def _reveal(self, task_id: TaskId) -> None:
        await self._send(calls.reveal(task_id, digest_of(ANSWER)), REVEAL_GAS)
        await self._report(task_id, S.REVEALED)
        await self._report(task_id, S.RESULT_UPLOADED, location=self._location)

    async def _send(self, data: bytes, gas: int) -> None:
        async with self._sending:
            transaction = Transaction(
                chain_id=self._chain.manifest.chain_id,
                nonce=self._nonce,
                max_priority_fee_per_gas=TIP,
                max_fee_per_gas=FEE,
                gas=gas,
                to=self._chain.hub.address,
                data=data,
            )
            self._nonce += 1
            await self._rpc.call("eth_sendRawTransaction", to_hex(self.worker.signer.sign_transaction(transaction)))


def digest_of(answer: bytes) -> ResultDigest:
    """What workers vote for."""
    return ResultDigest(bytes32(sha256(answer).digest()))


def archive(answer: bytes) -> bytes:
    """What they upload."""
    return pack({"computed.json": b'{"deterministic-output-path": "/iexec_out/result.txt"}', "result.txt": answer})


async def useful_gas(chain: Pool, after: int) -> tuple[int, int]:
    """Gas of the transactions in all blocks after one that succeeded, and the number of those that did not."""
    newest, gas, failed = int(await chain.rpc.call("eth_blockNumber"), 16), 0, 0
    for number in range(after + 1, newest + 1):
        for receipt in await chain.rpc.call("eth_getBlockReceipts", hex(number)):
            if receipt["status"] == "0x1":
                gas += int(receipt["gasUsed"], 16)
            else:
                failed += 1
    return gas, failed


async def ours(folder: Path) -> float:
    """How many times longer it took than it must."""
    signers: list[Signer] = [roles.worker_account(number) for number in range(1, WORKERS + 1)]
    options = AnvilOptions(block_time=BLOCK_SECONDS, mixed=False, accounts=roles.FIRST_WORKER + WORKERS)
    async with pool(folder, options) as chain, JsonRpc(chain.anvil.url) as rpc:
        await chain.start_store()
        async with ContentClient(chain.gateway_url) as content:
            location = f"/ipfs/{await content.add(archive(ANSWER))}"
        await chain.start_scheduler(assign_early=True)
        app = await chain.register(b"app")
        async with asyncio.TaskGroup() as group, connect(chain.anvil.ws_url, proxy=None, max_size=None) as socket:
            voters = [Voter(number, rpc, chain, location, group) for number in range(1, len(signers) + 1)]
            barrier = asyncio.Barrier(WORKERS + 1)
            running = []
            for voter in voters:
                arrived = asyncio.Event()

                async def arrive(arrived: asyncio.Event = arrived) -> None:
                    await arrived.wait()
                    await barrier.wait()

                group.create_task(arrive())
                running.append(group.create_task(voter.worker.run(chain.url, arrived.set)))
            await barrier.wait()
            wanted = {"address": chain.hub.address, "topics": [EVENTS["TaskFinalize"].topic]}
            subscription = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["logs", wanted]}
            await socket.send(msgspec.json.encode(subscription), text=True)
            await socket.recv()
            block = int(await rpc.call("eth_blockNumber"), 16)
            started = time.perf_counter()
            group.create_task(chain.buy(app, TASKS, trust=TRUST, category=CATEGORY))
            for number in range(TASKS):
                await socket.recv()
                if (number + 1) % 100 == 0:
                    print(f"  {number + 1} tasks after {time.perf_counter() - started:.1f} s", flush=True)
            elapsed = time.perf_counter() - started
            gas, failed = await useful_gas(chain, block)
            for task in running:
                task.cancel()
    run_seconds = sum(voter.run_seconds for voter in voters)
    least = run_seconds / WORKERS + BLOCKS * BLOCK_SECONDS + gas / BLOCK_GAS_LIMIT * BLOCK_SECONDS
    print(
        f"{elapsed:.1f} s; {run_seconds:.0f} s of runs / {WORKERS} workers + {BLOCKS} blocks + {gas / 1e6:.0f} million"
        f" gas in blocks of {BLOCK_GAS_LIMIT / 1e6:.0f} = {least:.1f} s; {failed} transactions in vain",
        flush=True,
    )
    return elapsed / least


def main() -> None:
    """Measure."""
    print(f"{os.cpu_count()} cores, shared by the chain, scheduler, store and the simulated workers", flush=True)
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as folder:
        ratio = uvloop.run(ours(Path(folder)))
    conclude(Measured("bench-bot", ratio, "x", BAR))


if __name__ == "__main__":
    main()
