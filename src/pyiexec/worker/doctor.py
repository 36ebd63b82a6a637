"""Why a worker does not work, or that it can: everything it depends on is tried, nothing is changed.

Nothing here logs in to the scheduler: that would take the place of the worker, should it be running.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp
import anyio.to_thread
import websockets
from websockets.asyncio.client import connect

from pyiexec.chain.hub import Hub
from pyiexec.chain.keystore import read_key_file
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.clock import Clock
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Challenge, decode_message
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.units import format_rlc
from pyiexec.protocol.versions import SPEECH, agree
from pyiexec.storage.client import ContentClient
from pyiexec.storage.unixfs import file_cid
from pyiexec.worker.channel import MAX_MESSAGE, channel_url
from pyiexec.worker.computation import room_for
from pyiexec.worker.disk import used_bytes
from pyiexec.worker.presence import EXPLANATIONS, obstacles
from pyiexec.worker.runtimes.base import Examinable
from pyiexec.worker.runtimes.registry import load_runtimes
from pyiexec.worker.runtimes.self_test import run_self_test
from pyiexec.worker.runtimes.wasm import WasmRuntime
from pyiexec.worker.sensors import Sensors
from pyiexec.worker.settings import WorkerSettings
from pyiexec.worker.status import read_status
from pyiexec.worker.tasks import CONTRIBUTE_GAS, REVEAL_GAS

#: Seconds that a service has to answer.
TIMEOUT = 10.0
#: Seconds by which clocks may differ: deadlines of short tasks are not much longer.
SKEW_SECONDS = 5.0
#: What a vote and its reveal are sent with, at most.
VOTE_GAS = CONTRIBUTE_GAS + (REVEAL_GAS or 0)

_MEBIBYTE = 1 << 20


class Finding(NamedTuple):
    """What came of one check.

    Attributes:
        name: what was looked at.
        good: whether nothing has to be done.
        what: what was found, one line.
        remedy: what to do; empty when nothing is.
    """

    name: str
    good: bool
    what: str
    remedy: str = ""


async def examine(settings: WorkerSettings, sensors: Sensors, clock: Clock) -> AsyncIterator[Finding]:
    """Findings, one by one, of everything that a worker with these settings needs."""
    checks: dict[str, Callable[[], Awaitable[Finding | str]]] = {
        "key": lambda: _key(settings),
        "chain": lambda: _chain(settings, clock),
        "workerpool": lambda: _workerpool(settings),
        "gas": lambda: _gas(settings),
        "stake": lambda: _stake(settings),
        "scheduler": lambda: _scheduler(settings),
        "clock": lambda: _clock(settings, clock),
        "content": lambda: _content(settings),
        "disk": lambda: _disk(settings),
        "runtimes": lambda: _runtimes(settings),
        "sandbox": _sandbox,
        "presence": lambda: _presence(settings, sensors, clock),
        "running": lambda: _running(settings),
    }
    for name, check in checks.items():
        try:
            async with asyncio.timeout(3 * TIMEOUT):
                found = await check()
        except IexecError as error:
            found = Finding(name, False, error.what, error.remedy)
        except TimeoutError:
            found = Finding(
                name, False, f"no answer within {3 * TIMEOUT:.0f} seconds", "Check the URL and the network."
            )
        yield found if isinstance(found, Finding) else Finding(name, True, found)


def _address(settings: WorkerSettings) -> Address:
    return read_key_file(settings.key_file, settings.password_file).address


async def _key(settings: WorkerSettings) -> Finding | str:
    # Opening a keystore takes a second of work.
    address = await anyio.to_thread.run_sync(_address, settings)
    readers = settings.key_file.stat().st_mode & 0o077
    if readers:
        remedy = f"Take the rights from everybody else: chmod 600 {settings.key_file}"
        return Finding("key", False, f"other users of the machine may read {settings.key_file}", remedy)
    return f"{address}"


async def _chain(settings: WorkerSettings, clock: Clock) -> str:
    async with JsonRpc(settings.rpc_url, timeout=TIMEOUT) as rpc:
        chain_id = await rpc.chain_id()
        block = await rpc.call("eth_getBlockByNumber", "latest", False)
    age = clock.now() - int(block["timestamp"], 16)
    # Chains for development run ahead of time when they are busy: that alone is no fault.
    return f"chain {chain_id}, block {int(block['number'], 16)}, {max(age, 0):.0f} s old"


async def _workerpool(settings: WorkerSettings) -> str:
    async with JsonRpc(settings.rpc_url, timeout=TIMEOUT) as rpc:
        pool = await Hub(rpc, settings.hub).workerpool(settings.workerpool)
    ratio = pool.worker_stake_ratio
    return f"{settings.workerpool}: {pool.description}; each vote locks {ratio} % of the task's pool price"


async def _gas(settings: WorkerSettings) -> Finding | str:
    address = await anyio.to_thread.run_sync(_address, settings)
    async with JsonRpc(settings.rpc_url, timeout=TIMEOUT) as rpc:
        answers = await rpc.batch([("eth_getBalance", [address, "latest"]), ("eth_gasPrice", [])])
    wei, price = (int(answer, 16) for answer in answers)
    what = f"{wei / 10**18:.6f} of the chain's coin"
    if wei < price * VOTE_GAS:
        return Finding("gas", False, f"{what}, less than one vote costs", f"Send coin to {address}.")
    return what


async def _stake(settings: WorkerSettings) -> Finding | str:
    address = await anyio.to_thread.run_sync(_address, settings)
    async with JsonRpc(settings.rpc_url, timeout=TIMEOUT) as rpc:
        account = await Hub(rpc, settings.hub).account(address)
    what = f"{format_rlc(account.stake)} free, {format_rlc(account.locked)} locked"
    if not account.stake:
        remedy = f"Deposit RLC for {address}: `pyiexec account deposit AMOUNT` with its wallet."
        return Finding("stake", False, what, remedy)
    return what


async def _scheduler(settings: WorkerSettings) -> Finding | str:
    url = channel_url(settings.scheduler_url)
    remedy = "Check scheduler_url, and ask the workerpool's manager whether its scheduler runs."
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            connect(url, max_size=MAX_MESSAGE, compression=None, open_timeout=TIMEOUT, proxy=None) as socket,
        ):
            challenge = decode_message(await socket.recv())
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        return Finding("scheduler", False, f"no answer from {url}: {error or type(error).__name__}", remedy)
    if not isinstance(challenge, Challenge):
        return Finding("scheduler", False, f"{url} does not speak as a scheduler does", remedy)
    agree(challenge.spoken, SPEECH)
    if challenge.workerpool != settings.workerpool:
        return Finding("scheduler", False, f"{url} serves the workerpool {challenge.workerpool}", remedy)
    return f"{settings.scheduler_url} serves this workerpool on chain {challenge.chain_id}"


async def _clock(settings: WorkerSettings, clock: Clock) -> Finding | str:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session:
        try:
            async with session.get(settings.scheduler_url.rstrip("/") + "/version") as answer:
                told = answer.headers.get("Date")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return "the scheduler, which would tell the time, does not answer"
    try:
        theirs = parsedate_to_datetime(told or "").timestamp()
    except ValueError:
        return "the scheduler does not tell the time"
    # What is told are whole seconds.
    skew = clock.now() - theirs - 0.5
    if abs(skew) > SKEW_SECONDS:
        word = "ahead of" if skew > 0 else "behind"
        remedy = "Set this machine's clock, best by a time service such as systemd-timesyncd."
        return Finding("clock", False, f"{abs(skew):.0f} s {word} the scheduler's", remedy)
    return "as the scheduler's"


async def _content(settings: WorkerSettings) -> Finding | str:
    async with ContentClient(settings.gateway_url, timeout=TIMEOUT) as content:
        try:
            # The empty file: who has it answers at once, and so does who has not.
            await content.fetch(file_cid(b""), 0)
        except IexecError as error:
            if error.code != "CONTENT_NOT_FOUND":
                return Finding("content", False, error.what, "Check gateway_url; without it no application is fetched.")
    return f"{settings.gateway_url} answers"


async def _disk(settings: WorkerSettings) -> Finding | str:
    def measure() -> tuple[int, int]:
        place = settings.data_dir
        while not place.exists():
            place = place.parent
        return used_bytes(settings.data_dir), shutil.disk_usage(place).free

    used, free = await anyio.to_thread.run_sync(measure)
    wanted = room_for(0) * settings.slots
    what = f"{used // _MEBIBYTE} MiB used, {free // _MEBIBYTE} MiB free"
    if free < wanted:
        remedy = f"Make room, or lend fewer slots: each task may write {room_for(0) // _MEBIBYTE} MiB."
        return Finding("disk", False, what, remedy)
    if settings.disk_bytes is not None and settings.disk_bytes < wanted:
        what = f"disk_bytes, {settings.disk_bytes // _MEBIBYTE} MiB, is less than {settings.slots} tasks may write"
        return Finding("disk", False, what, "Raise disk_bytes, or lend fewer slots.")
    return what


async def _runtimes(settings: WorkerSettings) -> str:
    found = []
    for runtime in load_runtimes(settings.data_dir / "runtimes", settings.runtimes):
        try:
            told = f" ({await runtime.examine()})" if isinstance(runtime, Examinable) else ""
        finally:
            await runtime.close()
        found.append(f"{runtime.name}{told}")
    return ", ".join(found)


async def _sandbox() -> str:
    runtime = WasmRuntime()
    try:
        check = await run_self_test(runtime)
    finally:
        await runtime.close()
    return f"computes what others do, {check.fuel_used / check.seconds / 1e6:.0f} million instructions a second"


async def _presence(settings: WorkerSettings, sensors: Sensors, clock: Clock) -> Finding | str:
    policy = settings.presence_policy()
    if policy.is_always:
        return "works at all times"
    seen = await anyio.to_thread.run_sync(sensors.observe, clock.now())
    if policy.input_idle_seconds and seen.input_idle is None:
        what = "input_idle_seconds: this machine does not tell when it was last used"
        return Finding("presence", False, what, "Use max_other_cpu or hours in its place.")
    found = obstacles(policy, seen)
    return " and ".join(f"would not work now: {EXPLANATIONS[obstacle]}" for obstacle in found) or "would work now"


async def _running(settings: WorkerSettings) -> Finding | str:
    try:
        status = await anyio.to_thread.run_sync(read_status, settings.data_dir)
    except IexecError as error:
        if error.code != "WORKER_STOPPED":
            raise
        return "no worker runs with these settings"
    if not status.connected:
        remedy = "Read the worker's log: it says why the scheduler does not let it in."
        return Finding("running", False, f"process {status.pid} runs, and is not connected to its scheduler", remedy)
    return f"process {status.pid} runs, connected, with {len(status.tasks)} open tasks"
