"""A whole network on this machine: chain, contracts, order book, result store, one workerpool and its workers."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

import anyio
import anyio.abc
import msgspec

from pyiexec.chain.anvil import Anvil, AnvilOptions, free_port
from pyiexec.chain.chain_json import chain_json, javascript_releases
from pyiexec.chain.networks import LOCAL, NetworkKind, NetworkProfile
from pyiexec.chain.rpc import JsonRpc
from pyiexec.devnet import roles
from pyiexec.devnet.hosting import EmbeddedHost, ProcessHost
from pyiexec.devnet.parts import Kind, Part
from pyiexec.devnet.provision import Provision, provision
from pyiexec.devnet.scraping import PROMETHEUS_FILE, scrape_config
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.settings import from_json, save_settings
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

log = get_logger(__name__)

#: Where a network's directory says what it holds.
STATE_FILE = "network.json"
#: Seconds after which a crashed part is started again.
RESTART_DELAY = 0.2


class Ports(msgspec.Struct, frozen=True):
    """TCP ports of the network on the loopback interface; 0 takes a free one."""

    chain: int = 0
    market: int = 0
    gateway: int = 0
    scheduler: int = 0
    sms: int = 0
    compass: int = 0
    indexer: int = 0
    faucet: int = 0


#: Ports of `pyiexec up`, so that configuration files stay valid between runs.
FIXED_PORTS = Ports(
    chain=8545, market=8541, gateway=8542, scheduler=8543, sms=8544, compass=8546, indexer=8547, faucet=8548
)


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a local network is made.

    Attributes:
        directory: everything it writes.
        workers: how many workers, liars included.
        bad: how many of them lie, all the same plausible lie.
        copycats: workers added that copy what others committed to.
        seed: decides which workers lie.
        block_time: seconds between blocks.
        mixed: also mine a block for every transaction.
        embedded: all services in this event loop instead of a process each.
        category_seconds: unit of time of the short category.
        native: the hub holds the chain's own coin instead of RLC the token.
        sell_at: price of a task, nRLC, at which the scheduler sells the workers' free slots by itself; None for one
            large order that whoever starts the network publishes.
        restart: start parts again that end unexpectedly.
        trace_chain: log every request to the chain, in ``chain.log``.
        metrics: workers answer Prometheus as well, and ``prometheus.yml`` says where all parts do.
    """

    directory: Path
    workers: int = 4
    bad: int = 0
    copycats: int = 0
    seed: int = 1
    block_time: float = 1.0
    mixed: bool = True
    embedded: bool = False
    category_seconds: int = 5
    native: bool = False
    sell_at: int | None = None
    ports: Ports = Ports()
    restart: bool = True
    trace_chain: bool = False
    metrics: bool = False


class NetworkState(msgspec.Struct, kw_only=True, rename="camel"):
    """What has to be remembered of a network between runs."""

    options: NetworkOptions
    provision: Provision
    ports: Ports


def check(options: NetworkOptions) -> None:
    """Refuse a network that cannot be.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    count = options.workers + options.copycats
    if options.workers < 1 or count > roles.MAX_WORKERS or not 0 <= options.bad <= options.workers:
        raise IexecError(
            "BAD_REQUEST", f"a local network has 1 to {roles.MAX_WORKERS} workers, and no more liars than workers"
        )


def made_with(directory: Path) -> NetworkOptions | None:
    """The options of the network that a directory holds, None when it holds none."""
    state_file = directory / STATE_FILE
    if not state_file.exists():
        return None
    known = from_json(state_file.read_bytes(), NetworkState)
    return msgspec.structs.replace(known.options, directory=directory)


def behaviours(options: NetworkOptions) -> list[str]:
    """How each worker behaves, copycats last; which ones lie depends on the seed alone."""
    liars = set(random.Random(options.seed).sample(range(options.workers), options.bad))  # noqa: S311 - a choice of roles
    honest_or_not = ["liar" if number in liars else "honest" for number in range(options.workers)]
    return honest_or_not + ["copycat"] * options.copycats


class Network:
    """A local network; use as an async context manager.

    Attributes:
        profile: what a client needs to use it, once entered.
    """

    profile: NetworkProfile
    provision: Provision

    def __init__(self, options: NetworkOptions, *, progress: Callable[[str], None] = lambda _what: None) -> None:
        check(options)
        count = options.workers + options.copycats
        self.options = options
        self.progress = progress
        self.workers = [roles.worker_account(number) for number in range(1, count + 1)]
        self.behaviours = behaviours(options)
        self._stack = AsyncExitStack()
        self._parts: dict[str, Part] = {}
        self._pool_address: Address | None = None

    @property
    def directory(self) -> Path:
        """Where the network keeps its files."""
        return self.options.directory

    @property
    def part_names(self) -> list[str]:
        """The running services by name."""
        return list(self._parts)

    async def __aenter__(self) -> Network:
        await self._stack.__aenter__()
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        try:
            await self._start()
        except BaseException as error:
            await self._leave(type(error), error, error.__traceback__)
            raise
        else:
            return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._leave(kind, error, trace)

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        await self._stop_parts()
        self._group.cancel_scope.cancel()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            # Perhaps because a part failed, which is then the error to tell.
            return await self._stack.__aexit__(kind, error, trace)
        # The user's own error leaves as it came, not inside an exception group.
        await self._stack.__aexit__(None, None, None)
        return None

    async def _stop_parts(self) -> None:
        with anyio.CancelScope(shield=True):
            while self._parts:
                name, _ = self._parts.popitem()
                await self._host.stop(name)

    async def _start(self) -> None:
        directory = self.options.directory
        directory.mkdir(parents=True, exist_ok=True)
        state_file = directory / STATE_FILE
        known = from_json(state_file.read_bytes(), NetworkState) if state_file.exists() else None
        ports = known.ports if known else self.options.ports
        ports = Ports(*(getattr(ports, name) or free_port() for name in Ports.__struct_fields__))

        self._host = (
            EmbeddedHost(self._group) if self.options.embedded else ProcessHost(directory, self._group, self._ended)
        )
        self._host.warm_up()
        await self._start_chain(known, ports)
        self._write_chain_json()
        self.progress("starting the services")
        await self._start_parts(ports)

    async def _start_chain(self, known: NetworkState | None, ports: Ports) -> None:
        directory = self.options.directory
        self.progress("starting the chain")
        self.anvil = Anvil(
            AnvilOptions(
                port=ports.chain,
                block_time=self.options.block_time,
                mixed=self.options.mixed,
                state=directory / "chain.json",
                log=directory / "chain.log",
                trace=self.options.trace_chain,
            )
        )
        await self._stack.enter_async_context(self.anvil)
        async with JsonRpc(self.anvil.url) as rpc:
            if known:
                self.provision = known.provision
                if await rpc.call("eth_getCode", self.provision.manifest.hub, "latest") == "0x":
                    raise IexecError(
                        "NETWORK_STOPPED",
                        f"the chain in {directory} has lost the contracts",
                        remedy="Start afresh with `pyiexec reset`.",
                    )
            else:
                self.progress("deploying the contracts")
                self.provision = await provision(
                    rpc,
                    self.workers,
                    category_seconds=self.options.category_seconds,
                    native=self.options.native,
                )
                state = NetworkState(options=self.options, provision=self.provision, ports=ports)
                save_settings(state, directory / STATE_FILE)
        manifest = self.provision.manifest
        self.profile = NetworkProfile(
            name=LOCAL,
            kind=NetworkKind.LOCAL,
            chain_id=manifest.chain_id,
            rpc_url=self.anvil.url,
            hub=manifest.hub,
            market_url=f"http://127.0.0.1:{ports.market}",
            gateway_url=f"http://127.0.0.1:{ports.gateway}",
            scheduler_url=f"http://127.0.0.1:{ports.scheduler}",
            sms_url=f"http://127.0.0.1:{ports.sms}",
            compass_url=f"http://127.0.0.1:{ports.compass}",
            indexer_url=f"http://127.0.0.1:{ports.indexer}",
            faucet_url=f"http://127.0.0.1:{ports.faucet}",
            native=self.options.native,
            start_block=manifest.deployed_at,
        )
        save_settings(self.profile, directory / "profile.json")

    def _write_chain_json(self) -> None:
        """The JavaScript client's configuration, a folder for each release that can use the network."""
        for release in javascript_releases(self.profile):
            folder = self.directory / f"js-sdk-{release}"
            folder.mkdir(exist_ok=True)
            content = msgspec.json.format(msgspec.json.encode(chain_json(self.profile, release)))
            (folder / "chain.json").write_bytes(content + b"\n")

    async def _start_parts(self, ports: Ports) -> None:
        from pyiexec.devnet.settings import (
            compass_part,
            faucet_part,
            indexer_part,
            market_part,
            results_part,
            scheduler_part,
            sms_part,
            worker_part,
        )

        folder = self.options.directory
        metrics_ports = [free_port() if self.options.metrics else None for _ in self.behaviours]
        servers = [
            market_part(folder, self.profile, ports.market),
            results_part(folder, self.profile, ports.gateway),
            scheduler_part(
                folder, self.profile, self.provision.workerpool, ports.scheduler, sell_at=self.options.sell_at
            ),
            sms_part(folder, self.profile, ports.sms),
            compass_part(folder, self.profile, self.provision.workerpool, ports.compass),
            indexer_part(folder, self.profile, ports.indexer),
            faucet_part(folder, self.profile, ports.faucet),
        ]
        workers = [
            worker_part(folder, self.profile, self.provision.workerpool, number, behaviour, port)
            for number, (behaviour, port) in enumerate(zip(self.behaviours, metrics_ports, strict=True), start=1)
        ]
        if self.options.metrics:
            scraped = [
                (Kind.MARKET, ports.market),
                (Kind.RESULTS, ports.gateway),
                (Kind.SCHEDULER, ports.scheduler),
                (Kind.SMS, ports.sms),
                (Kind.COMPASS, ports.compass),
                (Kind.INDEXER, ports.indexer),
                (Kind.FAUCET, ports.faucet),
                *((Kind.WORKER, port) for port in metrics_ports if port),
            ]
            (folder / PROMETHEUS_FILE).write_bytes(scrape_config(scraped))
        for parts in (servers, workers):
            async with anyio.create_task_group() as group:
                for part in parts:
                    self._parts[part.name] = part
                    group.start_soon(self._host.start, part)

    def _ended(self, name: str, _exit_code: int | None) -> None:
        if self.options.restart and name in self._parts:
            self._group.start_soon(self._start_again, name)

    async def _start_again(self, name: str) -> None:
        await anyio.sleep(RESTART_DELAY)
        if name not in self._parts:
            return
        log.info("starting a part again", part_name=name)
        try:
            await self._host.start(self._parts[name])
        except IexecError as error:
            # It is tried again by the same way: its exit is reported like any other.
            log.error("a part did not start again", part_name=name, cause=error.what)

    def kill(self, name: str) -> None:
        """End a part as a crash would: SIGKILL. It is started again if the options say so."""
        if not isinstance(self._host, ProcessHost):
            raise IexecError("BAD_REQUEST", "parts of an embedded network cannot be killed")
        self._host.kill(name)

    async def restart(self, name: str) -> None:
        """Start a part that ended, with the settings it had."""
        await self._host.start(self._parts[name])

    def pid(self, name: str) -> int:
        """Process id of a part."""
        assert isinstance(self._host, ProcessHost), "only processes have ids of their own"
        return self._host.pid(name)

    async def stop(self, name: str) -> None:
        """End a part in order and leave it stopped."""
        del self._parts[name]
        await self._host.stop(name)
