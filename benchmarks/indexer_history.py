"""A market's life on a chain of its own, played fast: what the indexers of `bench-indexer` have to read.

Everything is a real transaction to our contracts: assets made and sold, policies changed, money moved, deals of one
task and of many, agreed and disputed votes, tasks reopened, claimed and never begun. Lives go on side by side, a step
of each in a block, and all choices come from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, NamedTuple

import msgspec

from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import CHAIN_ID, MNEMONIC, AnvilOptions
from pyiexec.chain.deployment import STANDARD_CATEGORIES, Manifest, deploy
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.ids import authorization_hash, deal_id, result_hash, result_seal, task_id
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    Address,
    Bytes32,
    DealId,
    ResultDigest,
    TaskId,
    bytes32,
    keccak256,
    to_bytes,
    to_hex,
)

ADMIN = derive(MNEMONIC, 0)
REQUESTERS, APP_OWNERS, DATASET_OWNERS, MANAGERS = (
    tuple(derive(MNEMONIC, index) for index in range(first, first + 4)) for first in (1, 5, 9, 13)
)
#: Teams that vote together. A vote weighs 2 up to the twelfth success, so a team is good for a known number of tasks.
TEAMS = tuple(tuple(derive(MNEMONIC, 17 + 4 * team + index) for index in range(4)) for team in range(7))
WORKERS = tuple(worker for team in TEAMS for worker in team)
EVERYBODY = (*REQUESTERS, *APP_OWNERS, *DATASET_OWNERS, *MANAGERS, *WORKERS)
TASKS_OF_A_TEAM = 10

#: Once the contracts stand the node mines when told to: blocks of many transactions, and all their states in memory.
OPTIONS = AnvilOptions(block_time=10**6, accounts=1 + len(EVERYBODY), block_gas_limit=10**9)
GAS_LIMIT = 5_000_000
WALLET, STAKE = 1_000_000 * 10**9, 500_000 * 10**9
CATEGORY = 0
TIME_REF = STANDARD_CATEGORIES[CATEGORY].work_clock_time_ref
#: Four votes of weight 2 stand at trust 10; at trust 3 it takes three of them against one.
AGREED_TRUST, DISPUTED_TRUST = 10, 3
LIVES_AT_A_TIME, LIVES_IN_A_ROUND = 30, 120


class Call(NamedTuple):
    """A transaction to be sent."""

    sender: Signer
    to: Address
    data: bytes


#: A course of events: what is yielded together may share a block, what comes next must not.
Life = Generator[list[Call], None, None]


class History(NamedTuple):
    """A chain that was played.

    Attributes:
        manifest: the contracts on it.
        events: how many logs the hub has emitted.
        head: the newest block.
    """

    manifest: Manifest
    events: int
    head: int


class Player:
    """Plays lives on a node whose accounts are unlocked.

    Args:
        rpc: the node, made with `OPTIONS`.
        manifest: our contracts.
        random: all choices.
    """

    def __init__(self, rpc: JsonRpc, manifest: Manifest, random: Random) -> None:
        self.rpc = rpc
        self.manifest = manifest
        self.random = random
        self.domain = Domain(CHAIN_ID, manifest.hub)
        self.assets: dict[str, list[tuple[Address, Signer]]] = {"app": [], "dataset": [], "workerpool": []}
        self._orders: dict[Address, Order] = {}
        self._salt = 0
        self._team_tasks = [0] * len(TEAMS)
        #: Deals to be claimed once their time is over: id, how many tasks, how many of them were begun.
        self.abandoned: list[tuple[DealId, int, int]] = []
        #: Tasks that nobody revealed, and who may reopen them.
        self.unrevealed: list[tuple[TaskId, Signer]] = []

    # --- blocks ---------------------------------------------------------------------------------------------------

    async def mine(self, block: Sequence[Call]) -> list[dict[str, Any]]:
        """Receipts of transactions mined in one block.

        Raises:
            SystemExit: one of them reverts, and so the benchmark is wrong.
        """
        senders = {call.sender.address for call in block}
        counts = await self.rpc.batch([("eth_getTransactionCount", [sender, "latest"]) for sender in senders])
        nonces = {sender: int(count, 16) for sender, count in zip(senders, counts, strict=True)}
        requests = []
        for call in block:
            sender = call.sender.address
            fields = {"from": sender, "to": call.to, "data": to_hex(call.data), "gas": hex(GAS_LIMIT)}
            requests.append(("eth_sendTransaction", [fields | {"nonce": hex(nonces[sender])}]))
            nonces[sender] += 1
        hashes = await self.rpc.batch(requests)
        await self.rpc.call("evm_mine")
        receipts = await self.rpc.batch([("eth_getTransactionReceipt", [hash_]) for hash_ in hashes])
        for call, receipt in zip(block, receipts, strict=True):
            if receipt is None or receipt["status"] != "0x1":
                raise SystemExit(f"a transaction of the history failed: {to_hex(call.data[:4])} to {call.to}")
        return receipts

    async def live(self, lives: Iterator[Life]) -> None:
        """Live all of them, `LIVES_AT_A_TIME` side by side."""
        running = list(islice(lives, LIVES_AT_A_TIME))
        while running:
            block: list[Call] = []
            for life in list(running):
                step = next(life, None)
                if step is None:
                    running.remove(life)
                    running.extend(islice(lives, 1))
                else:
                    block += step
            if block:
                await self.mine(block)

    async def wait(self, seconds: int) -> None:
        """Let chain time pass."""
        await self.rpc.call("evm_increaseTime", seconds)
        await self.rpc.call("evm_mine")

    # --- beginnings -----------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Money, stakes and the first assets."""
        hub, coin = self.manifest.hub, self.manifest.token
        await self.mine([Call(ADMIN, coin, token.transfer(person.address, WALLET)) for person in EVERYBODY])
        await self.mine([Call(person, coin, token.approve_and_call(hub, STAKE)) for person in EVERYBODY])
        for _ in range(2):
            await self.create()

    async def create(self) -> None:
        """One more app, dataset and workerpool of everyone who has such."""
        kinds = self.manifest.registries
        made: list[tuple[str, Signer, Call]] = []
        for number, owner in enumerate(APP_OWNERS):
            name = f"app {number} of round {len(self.assets['app'])}"
            image = f"registry.example.org/{name.replace(' ', '-')}:1.0".encode()
            data = registries.create_app(owner.address, name, "DOCKER", image, self._word(), b"")
            made.append(("app", owner, Call(owner, kinds.app, data)))
        for number, owner in enumerate(DATASET_OWNERS):
            name = f"dataset {number} of round {len(self.assets['dataset'])}"
            data = registries.create_dataset(owner.address, name, to_bytes(self._word()), self._word())
            made.append(("dataset", owner, Call(owner, kinds.dataset, data)))
        for number, owner in enumerate(MANAGERS):
            name = f"workerpool {number} of round {len(self.assets['workerpool'])}"
            made.append(
                ("workerpool", owner, Call(owner, kinds.workerpool, registries.create_workerpool(owner.address, name)))
            )
        receipts = await self.mine([call for _, _, call in made])
        for (kind, owner, call), receipt in zip(made, receipts, strict=True):
            self.assets[kind].append((registries.created_asset(receipt, call.to), owner))

    def _word(self) -> Bytes32:
        return bytes32(self.random.randbytes(32))

    # --- orders ---------------------------------------------------------------------------------------------------

    def _signed(self, order: Any, signer: Signer) -> Any:
        signature = signer.sign_digest(to_bytes(order_hash(order, self.domain)))
        return msgspec.structs.replace(order, sign=to_hex(signature))

    def _offer(self, kind: str, trust: int) -> tuple[Any, Signer]:
        """An asset's order, the same for all its deals."""
        asset, owner = self.random.choice(self.assets[kind])
        key = Address(f"{asset}{trust if kind == 'workerpool' else ''}")
        if key not in self._orders:
            price = self.random.choice((0, 1, 1_000, 10**6, 10**9))
            order: Order
            if kind == "app":
                order = AppOrder(app=asset, appprice=price, volume=10**9, salt=self._word())
            elif kind == "dataset":
                order = DatasetOrder(dataset=asset, datasetprice=price, volume=10**9, salt=self._word())
            else:
                order = WorkerpoolOrder(
                    workerpool=asset,
                    workerpoolprice=price,
                    volume=10**9,
                    category=CATEGORY,
                    trust=trust,
                    salt=self._word(),
                )
            self._orders[key] = self._signed(order, owner)
        return self._orders[key], owner

    def _match(self, volume: int, trust: int) -> tuple[DealId, Signer, Call]:
        """A deal, the manager of its pool, and the transaction that makes it."""
        (app, _), (pool, manager) = self._offer("app", trust), self._offer("workerpool", trust)
        dataset = self._offer("dataset", trust)[0] if self.random.random() < 0.5 else NO_DATASET
        requester, beneficiary = self.random.choices(REQUESTERS, k=2)
        words = " ".join(str(self.random.randrange(10**6)) for _ in range(self.random.randrange(20)))
        request = RequestOrder(
            app=app.app,
            appmaxprice=app.appprice,
            dataset=dataset.dataset,
            datasetmaxprice=dataset.datasetprice,
            workerpool=pool.workerpool if self.random.random() < 0.5 else NULL_ADDRESS,
            workerpoolmaxprice=pool.workerpoolprice,
            requester=requester.address,
            volume=volume,
            category=CATEGORY,
            trust=trust,
            beneficiary=beneficiary.address,
            params=f'{{"iexec_args":"{words}","iexec_result_storage_provider":"ipfs"}}',
            salt=self._word(),
        )
        deal = deal_id(order_hash(request, self.domain), 0)
        data = calls.match_orders(app, dataset, pool, self._signed(request, requester))
        return deal, manager, Call(requester, self.manifest.hub, data)

    # --- lives ----------------------------------------------------------------------------------------------------

    def lives(self, count: int) -> Iterator[Life]:
        """So many lives of all sorts."""
        sorts: list[Callable[[], Life]] = [self._plain, self._voted, self._bag, self._abandoned, self._money]
        for _ in range(count):
            yield self.random.choices(sorts, weights=(55, 15, 10, 10, 10))[0]()

    def _plain(self) -> Life:
        deal, manager, match = self._match(1, 1)
        yield [match]
        yield from self._task(deal, 0, manager, [self.random.choice(WORKERS)])

    def _bag(self) -> Life:
        volume = self.random.randrange(2, 12)
        deal, manager, match = self._match(volume, 1)
        yield [match]
        for index in range(volume):
            yield from self._task(deal, index, manager, [self.random.choice(WORKERS)])

    def _voted(self) -> Life:
        team = min(range(len(TEAMS)), key=lambda number: self._team_tasks[number])
        if self._team_tasks[team] == TASKS_OF_A_TEAM:
            yield from self._plain()
            return
        self._team_tasks[team] += 1
        disputed = self.random.random() < 0.4
        deal, manager, match = self._match(1, DISPUTED_TRUST if disputed else AGREED_TRUST)
        yield [match]
        workers = self.random.sample(TEAMS[team], 4)
        yield from self._task(deal, 0, manager, workers, liars=workers[:1] if disputed else [])

    def _task(
        self, deal: DealId, index: int, manager: Signer, workers: Sequence[Signer], liars: Sequence[Signer] = ()
    ) -> Life:
        """From initialize to finalize, or to a consensus that nobody reveals."""
        hub, task = self.manifest.hub, task_id(deal, index)
        digests = {worker: ResultDigest(bytes32(keccak256(to_bytes(task)))) for worker in workers}
        digests |= {liar: ResultDigest(bytes32(keccak256(b"a lie"))) for liar in liars}
        yield [Call(manager, hub, calls.initialize(deal, index))]
        for worker in workers:
            yield [Call(worker, hub, self._contribution(task, worker, digests[worker], manager))]
        honest = [worker for worker in workers if worker not in liars]
        if len(workers) == 1 and self.random.random() < 0.03:
            self.unrevealed.append((task, manager))
            return
        yield [Call(worker, hub, calls.reveal(task, digests[worker])) for worker in honest]
        results = f'{{"storage":"ipfs","location":"/ipfs/{self.random.randbytes(16).hex()}"}}'.encode()
        yield [Call(manager, hub, calls.finalize(task, results))]

    @staticmethod
    def _contribution(task: TaskId, worker: Signer, digest: ResultDigest, manager: Signer) -> bytes:
        authorization = manager.sign_message_hash(authorization_hash(worker.address, task, NULL_ADDRESS))
        return calls.contribute(
            task, result_hash(task, digest), result_seal(worker.address, task, digest), authorization
        )

    def _abandoned(self) -> Life:
        volume = self.random.randrange(1, 6)
        deal, manager, match = self._match(volume, 1)
        yield [match]
        begun = self.random.randrange(volume + 1)
        if begun:
            yield [Call(manager, self.manifest.hub, calls.initialize_array([deal] * begun, range(begun)))]
        self.abandoned.append((deal, volume, begun))

    def _money(self) -> Life:
        hub = self.manifest.hub
        one, other = self.random.sample(EVERYBODY, 2)
        amount = self.random.randrange(1, 10**12)
        yield [Call(one, self.manifest.token, token.approve_and_call(hub, amount))]
        yield [Call(one, hub, calls.transfer(other.address, amount // 2))]
        yield [Call(other, hub, calls.withdraw(amount // 3))]

    # --- endings --------------------------------------------------------------------------------------------------

    async def trade(self) -> None:
        """Pools change their policies; what was made for it changes hands."""
        pool, manager = self.random.choice(self.assets["workerpool"])
        kinds = self.manifest.registries
        block = [
            Call(manager, pool, registries.change_policy(self.random.randrange(30, 99), self.random.randrange(99)))
        ]
        for kind, registry in (("app", kinds.app), ("dataset", kinds.dataset)):
            # An order of the former owner would no longer match: only what has none is sold.
            unsold = [(asset, owner) for asset, owner in self.assets[kind] if asset not in self._orders]
            if unsold:
                asset, owner = self.random.choice(unsold)
                self.assets[kind].remove((asset, owner))
                buyer = self.random.choice(REQUESTERS)
                block.append(Call(owner, registry, registries.transfer_asset(owner.address, buyer.address, asset)))
        await self.mine(block)

    async def settle(self) -> None:
        """Time passes: what was not revealed is reopened and given up, what was abandoned is claimed."""
        hub = self.manifest.hub
        await self.wait(2 * TIME_REF)
        await self.mine([Call(manager, hub, calls.reopen(task)) for task, manager in self.unrevealed])
        await self.wait(10 * TIME_REF)
        block = [Call(ADMIN, hub, calls.claim(task)) for task, _ in self.unrevealed]
        for deal, volume, begun in self.abandoned:
            if begun:
                block.append(Call(ADMIN, hub, calls.claim_array([task_id(deal, index) for index in range(begun)])))
            if begun < volume:
                left = range(begun, volume)
                block.append(Call(ADMIN, hub, calls.initialize_and_claim_array([deal] * len(left), left)))
        self.unrevealed.clear()
        self.abandoned.clear()
        await self.mine(block)


async def play(rpc: JsonRpc, events: int, seed: int, lives: int = LIVES_IN_A_ROUND) -> tuple[History, Player]:
    """A market that lived until its hub had emitted so many logs, and who can let it live on.

    Args:
        lives: in each of its rounds, after which new assets come, and what was left open ends.
    """
    manifest = await deploy(rpc, ADMIN, categories=STANDARD_CATEGORIES)
    await rpc.call("evm_setIntervalMining", 0)
    await rpc.call("evm_setAutomine", False)
    player = Player(rpc, manifest, Random(seed))
    await player.begin()
    seen = 0
    while seen < events:
        await player.live(player.lives(lives))
        await player.create()
        await player.trade()
        await player.settle()
        seen = await count_events(rpc, manifest)
    return History(manifest, seen, int(await rpc.call("eth_blockNumber"), 16)), player


async def count_events(rpc: JsonRpc, manifest: Manifest) -> int:
    """How many logs the hub has emitted."""
    query = {"address": manifest.hub, "fromBlock": "0x0", "toBlock": "latest"}
    return len(await rpc.call("eth_getLogs", query))
