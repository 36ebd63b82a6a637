"""The asynchronous client: everything a user of the market does, from order to payout."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType

import msgspec

from pyiexec.chain.networks import NetworkProfile, load_profile
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.params import DealParams, format_params, split_arguments
from pyiexec.protocol.primitives import NULL_BYTES32, Address, Bytes32, DealId, TaskId
from pyiexec.sdk.accounts import Accounts
from pyiexec.sdk.assets import Apps, Workerpools
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.deals import Deals, TaskUpdate
from pyiexec.sdk.endings import Endings
from pyiexec.sdk.ledgers import Ledgers
from pyiexec.sdk.orders import Match, Orders
from pyiexec.sdk.purchase import Purchases, Quote
from pyiexec.sdk.secrets import Secrets
from pyiexec.sdk.tasks import TaskResult, Tasks


class Execution(msgspec.Struct, frozen=True):
    """A purchase under way: its price, and the deals that were made of it."""

    quote: Quote
    matches: tuple[Match, ...]

    @property
    def deal_ids(self) -> list[DealId]:
        """The deals, in the order in which they were matched."""
        return [match.deal_id for match in self.matches]

    @property
    def start_block(self) -> int:
        """Block of the first match: nothing about these deals is older."""
        return min(match.block for match in self.matches)


class AsyncClient:
    """A user of a network; use as an async context manager.

    Args:
        network: the network's profile, or the file that holds it.
        signer: the user's account; without one the client only reads.
        state: folder in which transactions under way survive an interruption.
    """

    def __init__(
        self, network: NetworkProfile | Path, signer: Signer | None = None, *, state: Path | None = None
    ) -> None:
        profile = load_profile(network) if isinstance(network, Path) else network
        self.connection = Connection(profile, signer, state=state)
        self.account = Accounts(self.connection)
        self.apps = Apps(self.connection)
        self.workerpools = Workerpools(self.connection)
        self.orders = Orders(self.connection)
        self.orderbook = self.connection.orderbook
        self.purchases = Purchases(self.connection)
        self.deals = Deals(self.connection)
        self.tasks = Tasks(self.connection)
        self.ledgers = Ledgers(self.connection)
        self.secrets = Secrets(self.connection)

    @property
    def address(self) -> Address:
        """The user's address."""
        return self.connection.address

    async def __aenter__(self) -> AsyncClient:
        await self.connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self.connection.__aexit__(kind, error, trace)

    async def store(self, content: bytes) -> str:
        """Put an input file into the content store; its URL, for `buy`'s `inputs`."""
        cid = await self.connection.content.add(content)
        return f"{self.connection.profile.gateway_url}/ipfs/{cid}"

    async def buy(
        self,
        app: Address,
        *,
        args: str = "",
        inputs: Sequence[str] = (),
        volume: int = 1,
        category: int | None = None,
        trust: int = 1,
        tag: Bytes32 = NULL_BYTES32,
        workerpool: Address | None = None,
        max_price: int | None = None,
        approve: Callable[[Quote], bool] = lambda _quote: True,
        announce: Callable[[DealId], None] = lambda _deal: None,
    ) -> Execution:
        """Buy `volume` tasks of an app from the cheapest published orders.

        Args:
            args: the app's arguments, as on a command line.
            inputs: URLs of input files, as `store` returns them.
            category: class of tasks by duration; None takes that of the cheapest offer.
            trust: wrong results are at most one in `trust`; 0 and 1 take a single worker's word.
            max_price: most nRLC for the whole purchase.
            approve: shown the exact price before anything is signed; False stops.
            announce: told the id of each deal before it is made.

        Raises:
            IexecError: ``BAD_PARAMS``, ``APP_UNKNOWN``, ``APP_ORDER_MISSING``, ``WORKERPOOL_ORDER_MISSING``,
                ``PRICE_TOO_LOW``, ``STAKE_TOO_LOW``, ``CONFIRMATION_NEEDED`` when not approved.
        """
        params = DealParams(iexec_args=args, iexec_input_files=tuple(inputs))
        # What no worker could read must not be paid for.
        split_arguments(args)
        format_params(params)
        quote = await self.purchases.quote(
            app, volume=volume, category=category, trust=trust, tag=tag, workerpool=workerpool
        )
        self.purchases.check_price(quote, max_price)
        if not approve(quote):
            raise IexecError("CONFIRMATION_NEEDED", "the price was not approved, nothing was bought")
        matches = await self.purchases.buy(quote, params, max_price=max_price, announce=announce)
        return Execution(quote, tuple(matches))

    async def watch(self, execution: Execution) -> AsyncGenerator[TaskUpdate, None]:
        """What happens to the tasks bought, until each has ended."""
        async with aclosing(self.deals.watch(execution.deal_ids, start_block=execution.start_block)) as updates:
            async for update in updates:
                yield update

    async def wait(
        self, execution: Execution, on_update: Callable[[TaskUpdate], None] = lambda _update: None
    ) -> Endings:
        """Wait until every task has a result, or is certain to have none.

        A task that the pool's scheduler has given up is not waited for until its deadline.

        Args:
            on_update: told everything that happens meanwhile.
        """
        endings = Endings(await self.task_ids(execution))
        async with aclosing(self.watch(execution)) as updates:
            async for update in updates:
                endings.take(update)
                on_update(update)
                if endings.over:
                    break
        return endings

    async def results(self, execution: Execution) -> list[TaskResult]:
        """Wait until every task has ended; their checked results in the order of the bag.

        Raises:
            IexecError: why tasks ended without a result, as the pool's scheduler says (``APP_EXITED_NON_ZERO``,
                ``NO_CONSENSUS``, ``SCHEDULER_UNREACHABLE`` ...), with these tasks and the completed ones in its
                details; ``RESULT_WRONG``.
        """
        endings = await self.wait(execution)
        endings.raise_for_failures(execution.deal_ids, await self.final_deadline(execution))
        return [await self.tasks.result(task) for task in endings.completed]

    async def final_deadline(self, execution: Execution) -> int:
        """Chain time from which what failed tasks cost can be claimed back, seconds."""
        deals = await self.connection.hub.deals(execution.deal_ids)
        return max([await self.deals.final_deadline(deal) for deal in deals])

    async def task_ids(self, execution: Execution) -> list[TaskId]:
        """The tasks bought, in the order of the bag."""
        deals = await self.connection.hub.deals(execution.deal_ids)
        return [
            task for deal_id, deal in zip(execution.deal_ids, deals, strict=True) for task in deal.task_ids(deal_id)
        ]

    async def run(self, app: Address, **options: object) -> list[TaskResult]:
        """`buy`, wait, and download: from an app to its checked results."""
        execution = await self.buy(app, **options)  # type: ignore[arg-type]
        return await self.results(execution)
