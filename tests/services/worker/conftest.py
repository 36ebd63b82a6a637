"""A chain with a marketplace, a content store and a workerpool for the session; a scripted scheduler for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from pyiexec.worker.sensors import Sensors
from pyiexec.worker.service import serve
from pyiexec.worker.settings import Behaviour, WorkerSettings

from .network import Network, running_network
from .scripted import ScriptedScheduler, scripted

#: Starts worker number `n` of the network, and ends it with the block.
StartWorker = Callable[..., AbstractAsyncContextManager[WorkerSettings]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Network]:
    async with running_network(tmp_path_factory.mktemp("network")) as network:
        yield network


@pytest.fixture
async def scheduler(network: Network) -> AsyncIterator[ScriptedScheduler]:
    async with scripted(ScriptedScheduler(network.manifest.chain_id, network.workerpool)) as scheduler:
        yield scheduler


@pytest.fixture
def settings_of(network: Network, scheduler: ScriptedScheduler, tmp_path: Path) -> Callable[..., WorkerSettings]:
    def make(number: int = 0, **fields: object) -> WorkerSettings:
        key_file = tmp_path / f"key-{number}"
        key_file.write_text("0x" + network.workers[number].secret.hex() + "\n")
        values = {
            "name": f"worker-{number}",
            "key_file": key_file,
            "rpc_url": network.anvil.url,
            "hub": network.hub.address,
            "workerpool": network.workerpool,
            "scheduler_url": scheduler.url,
            "gateway_url": network.gateway,
            "data_dir": tmp_path / f"worker-{number}",
        }
        return WorkerSettings(**values | fields)  # type: ignore[arg-type]

    return make


@pytest.fixture
def start_worker(settings_of: Callable[..., WorkerSettings]) -> StartWorker:
    @asynccontextmanager
    async def start(
        number: int = 0, behaviour: Behaviour = "honest", sensors: Sensors | None = None, **fields: object
    ) -> AsyncIterator[WorkerSettings]:
        settings = settings_of(number, behaviour=behaviour, **fields)
        stop, ready = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(serve, settings, lambda _address: ready.set(), stop, sensors=sensors))
            with anyio.fail_after(20):
                await ready.wait()
            yield settings
            stop.set()

    return start
