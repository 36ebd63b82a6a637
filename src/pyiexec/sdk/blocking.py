"""The same client for programs without an event loop: one runs in a thread of its own."""

from __future__ import annotations

import queue
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.signer import Signer
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.orders import Order
from pyiexec.protocol.primitives import NULL_BYTES32, Address, Bytes32, DealId, OrderHash, TaskId
from pyiexec.protocol.secrets import Secret
from pyiexec.protocol.tasks import Task
from pyiexec.sdk.accounts import Balance
from pyiexec.sdk.assets import App, Deployed, Workerpool
from pyiexec.sdk.client import AsyncClient, Execution
from pyiexec.sdk.deals import TaskUpdate
from pyiexec.sdk.explanations import Explanation
from pyiexec.sdk.orders import SomeOrder
from pyiexec.sdk.purchase import Quote
from pyiexec.sdk.secret_service import KnownSecret
from pyiexec.sdk.task_logs import LogPiece, ReplicateLogs
from pyiexec.sdk.tasks import TaskResult

T = TypeVar("T")


class Client:
    """A user of a network, for synchronous code; use as a context manager.

    Arguments and errors are those of `AsyncClient`, whose parts are named in the methods: ``client.deploy_app`` is
    ``await client.apps.deploy``.
    """

    def __init__(
        self, network: NetworkProfile | Path, signer: Signer | None = None, *, state: Path | None = None
    ) -> None:
        self._arguments = (network, signer, state)
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Client:
        network, signer, state = self._arguments
        self._portal = self._stack.enter_context(start_blocking_portal("asyncio"))

        async def make() -> AsyncClient:
            return AsyncClient(network, signer, state=state)

        self._client = self._portal.call(make)
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._client))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._portal = None
        return self._stack.__exit__(kind, error, trace)

    def _call(self, function: Callable[..., Awaitable[T]], *arguments: object) -> T:
        assert self._portal is not None, "use the client as a context manager"
        return self._portal.call(function, *arguments)

    def _iterate(self, start: Callable[[], AsyncGenerator[T, None]]) -> Iterator[T]:
        """What an asynchronous generator yields, as it yields it."""
        assert self._portal is not None, "use the client as a context manager"
        # One task iterates from beginning to end: what it holds open must be closed by the task that opened it.
        items: queue.SimpleQueue[T | None] = queue.SimpleQueue()

        async def pump() -> None:
            try:
                async with aclosing(start()) as found:
                    async for item in found:
                        items.put(item)
            finally:
                items.put(None)

        pumping = self._portal.start_task_soon(pump)
        try:
            while (item := items.get()) is not None:
                yield item
        except GeneratorExit:
            pumping.cancel()
            raise
        pumping.result()

    @property
    def address(self) -> Address:
        """The user's address."""
        return self._client.address

    def balance(self, address: Address | None = None) -> Balance:
        """RLC of an account, of the user when None."""
        return self._call(self._client.account.show, address)

    def deposit(self, amount: int) -> str:
        """Move `amount` nRLC from the wallet into the user's stake."""
        return self._call(self._client.account.deposit, amount)

    def withdraw(self, amount: int) -> str:
        """Pay `amount` nRLC of free stake out to the wallet."""
        return self._call(self._client.account.withdraw, amount)

    def deploy_app(self, name: str, module: bytes) -> Deployed:
        """Store a WebAssembly module and register it."""
        return self._call(self._client.apps.deploy, name, module)

    def deploy_app_image(self, name: str, image: str) -> Deployed:
        """Register a container image, named with its digest."""
        return self._call(self._client.apps.deploy_image, name, image)

    def app(self, address: Address) -> App:
        """What the chain knows of an application."""
        return self._call(self._client.apps.show, address)

    def deploy_workerpool(self, description: str) -> Deployed:
        """Register a workerpool."""
        return self._call(self._client.workerpools.deploy, description)

    def workerpool(self, address: Address) -> Workerpool:
        """What the chain knows of a workerpool."""
        return self._call(self._client.workerpools.show, address)

    def sign(self, order: SomeOrder) -> SomeOrder:
        """The order with a fresh salt and the user's signature."""
        return self._client.orders.sign(order)

    def publish(self, order: Order) -> OrderHash:
        """Put a signed order into the order book."""
        return self._call(self._client.orders.publish, order)

    def unpublish(self, kind: str, order_hash: OrderHash) -> None:
        """Take an order out of the order book; whoever has a copy can still match it."""

        async def unpublish() -> None:
            signer = self._client.connection.signer
            await self._client.orderbook.unpublish(kind, signer, order_hash=order_hash)

        self._call(unpublish)

    def cancel(self, order: Order) -> str:
        """Close an order on chain for good."""
        return self._call(self._client.orders.cancel, order)

    def store(self, content: bytes) -> str:
        """Put an input file into the content store; its URL."""
        return self._call(self._client.store, content)

    def quote(
        self, app: Address, *, volume: int = 1, category: int | None = None, trust: int = 1, tag: Bytes32 = NULL_BYTES32
    ) -> Quote:
        """The cheapest published orders that serve the request, with their exact price."""

        async def ask() -> Quote:
            return await self._client.purchases.quote(app, volume=volume, category=category, trust=trust, tag=tag)

        return self._call(ask)

    def buy(
        self,
        app: Address,
        *,
        args: str = "",
        inputs: Sequence[str] = (),
        volume: int = 1,
        category: int | None = None,
        trust: int = 1,
        workerpool: Address | None = None,
        max_price: int | None = None,
        approve: Callable[[Quote], bool] = lambda _quote: True,
    ) -> Execution:
        """Buy tasks of an app from the cheapest published orders; see `AsyncClient.buy`."""

        async def buy() -> Execution:
            return await self._client.buy(
                app,
                args=args,
                inputs=inputs,
                volume=volume,
                category=category,
                trust=trust,
                workerpool=workerpool,
                max_price=max_price,
                approve=approve,
            )

        return self._call(buy)

    def watch(self, execution: Execution) -> Iterator[TaskUpdate]:
        """What happens to the tasks bought, as it happens, until each has ended."""
        return self._iterate(lambda: self._client.watch(execution))

    def results(self, execution: Execution) -> list[TaskResult]:
        """Wait until every task has ended; their checked results in the order of the bag."""
        return self._call(self._client.results, execution)

    def deal(self, deal_id: DealId) -> Deal:
        """The deal on chain."""
        return self._call(self._client.deals.show, deal_id)

    def task(self, task_id: TaskId) -> Task:
        """The task on chain."""
        return self._call(self._client.tasks.show, task_id)

    def result(self, task_id: TaskId) -> TaskResult:
        """A completed task's result, checked against the digest on chain."""
        return self._call(self._client.tasks.result, task_id)

    def explain(self, task_id: TaskId) -> dict[str, Any] | None:
        """What the pool's scheduler says of the task; None when it does not know it."""
        return self._call(self._client.tasks.explain, task_id)

    def why(self, task_id: TaskId) -> Explanation:
        """Why the task is where it is, as its scheduler tells it or the chain."""
        return self._call(self._client.tasks.why, task_id)

    def logs(self, task_id: TaskId) -> list[ReplicateLogs]:
        """What the application of a task that the user ordered has printed on each worker."""
        return self._call(self._client.tasks.logs, task_id)

    def follow_logs(self, task_id: TaskId) -> Iterator[LogPiece]:
        """What the application has printed, and what it prints until the task is over."""
        return self._iterate(lambda: self._client.tasks.follow_logs(task_id))

    def claim(self, task_id: TaskId) -> str:
        """Take back the price of a task that was not completed in time."""
        return self._call(self._client.tasks.claim, task_id)

    def claim_deal(self, deal_id: DealId) -> list[str]:
        """Take back the price of every task of a deal that was not completed in time."""
        return self._call(self._client.tasks.claim_deal, deal_id)

    def push_secret(self, secret: Secret, value: str) -> None:
        """Leave a secret with the secret management service."""
        self._call(self._client.secrets.push, secret, value)

    def has_secret(self, secret: Secret) -> bool:
        """Whether a secret is set; anybody may ask."""
        return self._call(self._client.secrets.has, secret)

    def rotate_secret(self, secret: Secret, value: str) -> None:
        """Replace the value of a secret."""
        self._call(self._client.secrets.rotate, secret, value)

    def delete_secret(self, secret: Secret) -> None:
        """Delete a secret."""
        self._call(self._client.secrets.delete, secret)

    def secrets(self) -> list[KnownSecret]:
        """The user's secrets, by name."""
        return self._call(self._client.secrets.names)
