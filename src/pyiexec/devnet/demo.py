"""The main job, from nothing to a picture: start a network, buy a bag of tiles, have them proved, and check the money.

This module does it and tells what happens; `cli.demo` shows it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pyiexec.devnet import roles
from pyiexec.devnet.network import Network
from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.devnet.samples import sample
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.ledger import Line
from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.orders import AppOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.protocol.units import NRLC_PER_RLC
from pyiexec.sdk.client import AsyncClient, Execution
from pyiexec.sdk.deals import TaskUpdate
from pyiexec.sdk.ledgers import Audit
from pyiexec.sdk.tasks import TaskResult

COLUMNS, ROWS = 4, 3
WIDTH, HEIGHT = 640, 480
TILES = COLUMNS * ROWS
TRUST = 10

#: Prices per task in nRLC.
APP_PRICE = NRLC_PER_RLC // 100
POOL_PRICE = NRLC_PER_RLC // 10
#: Tasks that the pool offers in one order; its stake covers them.
POOL_VOLUME = 1_000


class Stopwatch:
    """Where the time went: seconds by stage, in the order of the stages."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self.stages: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """The time since the last lap belongs to `stage`."""
        now = self._clock()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._since
        self._since = now


class Market(msgspec.Struct, frozen=True):
    """What is on offer once app and pool have published."""

    app: Address
    scene_url: str


async def open_market(network: Network) -> Market:
    """Deploy the ray tracer, publish its order and the pool's, and store the scene."""
    provider, manager = roles.account(roles.APP_PROVIDER), roles.account(roles.POOL_MANAGER)
    async with AsyncClient(network.profile, provider) as client:
        deployed = await client.apps.deploy("raytracer", sample("raytracer/raytracer.wasm"))
        await client.orders.publish(
            client.orders.sign(AppOrder(app=deployed.address, appprice=APP_PRICE, volume=1_000_000))
        )
        scene_url = await client.store(sample("raytracer/scene.txt"))
    async with AsyncClient(network.profile, manager) as client:
        await publish_pool(client, network.provision.workerpool)
    return Market(deployed.address, scene_url)


async def publish_pool(client: AsyncClient, workerpool: Address, *, trust: int = 1_000_000) -> None:
    """Offer the local pool's capacity in the short category."""
    order = WorkerpoolOrder(
        workerpool=workerpool,
        workerpoolprice=POOL_PRICE,
        volume=POOL_VOLUME,
        category=SHORT_CATEGORY,
        trust=trust,
    )
    await client.orders.publish(client.orders.sign(order))


class Outcome(msgspec.Struct, kw_only=True):
    """How the demo ended.

    Attributes:
        picture: the file, when all tiles were proved.
        tasks: the bag, in its order.
        failed: tasks that ended without a result and were refunded.
        lines: the ledger.
        moments: seconds from the match to each event of each task.
    """

    execution: Execution
    price: int
    tasks: Sequence[TaskId]
    lines: Sequence[Line]
    audit: Audit
    stages: dict[str, float]
    moments: dict[str, list[float]]
    picture: Path | None = None
    failed: Sequence[TaskId] = ()

    @property
    def succeeded(self) -> bool:
        """Whether everything that was promised held."""
        return self.picture is not None and not self.failed and not self.audit.problems


def names_of(network: Network) -> dict[Address, str]:
    """What to call the accounts of a local network."""
    known = {roles.account(index).address: name for name, index in roles.NAMED.items()}
    known |= {
        signer.address: f"worker-{number}" + ("" if behaviour == "honest" else f" ({behaviour})")
        for number, (signer, behaviour) in enumerate(zip(network.workers, network.behaviours, strict=True), start=1)
    }
    return known | {KITTY_ADDRESS: "kitty", network.profile.hub: "hub"}


def assemble(results: Sequence[TaskResult], path: Path) -> None:
    """Put the tiles together.

    Raises:
        IexecError: ``RESULT_WRONG`` when a tile is no picture of the right size.
    """
    # Only the demo needs it, and only at its end.
    from PIL import Image

    picture = Image.new("RGB", (WIDTH, HEIGHT))
    size = (WIDTH // COLUMNS, HEIGHT // ROWS)
    for number, result in enumerate(results):
        try:
            tile = Image.open(io.BytesIO(result.files["tile.ppm"]))
            tile.load()
        except (KeyError, OSError) as error:
            raise IexecError("RESULT_WRONG", f"task {result.task_id} holds no picture: {error}") from error
        if tile.size != size:
            raise IexecError("RESULT_WRONG", f"task {result.task_id} is a picture of {tile.size}, not {size}")
        picture.paste(tile, (number % COLUMNS * size[0], number // COLUMNS * size[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}")
    picture.save(scratch, format="PNG")
    scratch.replace(path)


async def buy_picture(
    network: Network,
    market: Market,
    output: Path,
    *,
    on_quote: Callable[[int], None] = lambda _total: None,
    on_update: Callable[[TaskUpdate, int], None] = lambda _update, _final: None,
    stopwatch: Stopwatch | None = None,
) -> Outcome:
    """As the requester: deposit, buy the bag at trust 10, wait, download, check, draw, and audit the money.

    Tasks that find no consensus are claimed back after the final deadline.

    Args:
        on_quote: told the exact price, nRLC.
        on_update: told everything that happens to the tasks, and the chain time of the final deadline.

    Raises:
        IexecError: ``RESULT_WRONG`` when a stored result is not the one proved.
    """
    watch = stopwatch or Stopwatch()
    async with AsyncClient(network.profile, roles.account(roles.REQUESTER)) as client:
        arguments = f"--columns {COLUMNS} --rows {ROWS} --width {WIDTH} --height {HEIGHT}"
        quote = await client.purchases.quote(market.app, volume=TILES, trust=TRUST, category=SHORT_CATEGORY)
        on_quote(quote.total)
        await client.account.deposit(quote.total)
        watch.lap("deposit the price")
        execution = await client.buy(
            market.app,
            args=arguments,
            inputs=[market.scene_url],
            volume=TILES,
            trust=TRUST,
            category=SHORT_CATEGORY,
            max_price=quote.total,
        )
        watch.lap("sign and match")
        final = await client.deals.final_deadline(await client.deals.show(execution.deal_ids[0]))
        tasks = await client.task_ids(execution)
        matched = time.monotonic()
        moments: dict[str, list[float]] = {}
        statuses: dict[TaskId, TaskStatus] = {}
        async for update in client.watch(execution):
            statuses[update.task_id] = update.status
            moments.setdefault(update.event, []).append(time.monotonic() - matched)
            on_update(update, final)
        failed = [task for task, status in statuses.items() if status is not TaskStatus.COMPLETED]
        watch.lap("compute, prove and finalize")
        picture: Path | None = None
        if failed:
            for deal_id in execution.deal_ids:
                await client.tasks.claim_deal(deal_id)
            watch.lap("claim the refund")
        else:
            results = [await client.tasks.result(task) for task in tasks]
            picture = output / "picture.png"
            assemble(results, picture)
            watch.lap("download, check and draw")
        lines = await client.ledgers.of_deals(execution.deal_ids, execution.start_block)
        audit = await client.ledgers.audit()
        watch.lap("audit the money")
    return Outcome(
        execution=execution,
        price=quote.total,
        tasks=tasks,
        lines=lines,
        audit=audit,
        stages=watch.stages,
        moments=moments,
        picture=picture,
        failed=failed,
    )
