"""A task from deployment to payment through the typed calls and readings, and what the hub says of it at each step."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import msgspec
import pytest

from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.follower import LogFollower
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import EVENTS, Account, Hub, decode_log
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.reading import read_all
from pyiexec.chain.registries import Registry, asset_owner, created_asset
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import TransactionManager
from pyiexec.foundation.database import Database
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import order_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import NO_DATASET, AppOrder, Order, OrderOperation, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, DealId, ResultDigest, bytes32, to_bytes, to_hex
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus

from .conftest import CHAIN_ID

pytestmark = pytest.mark.anyio

LINK = b'{ "storage": "ipfs", "location": "/ipfs/QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o" }'
DIGEST = ResultDigest(bytes32(b"\x77" * 32))
DEPOSIT = 1_000_000
GAS = 3_000_000


@pytest.fixture
async def manifest(rpc: JsonRpc, signer: Signer) -> Manifest:
    return await deploy(rpc, signer)


@pytest.fixture
async def manager(
    rpc: JsonRpc, signer: Signer, database: Database, feed: HeadFeed, manifest: Manifest
) -> AsyncIterator[TransactionManager]:
    async with TransactionManager(rpc, signer, database, feed, chain_id=CHAIN_ID) as manager:
        yield manager


async def test_what_does_not_exist_is_told_by_its_own_code(rpc: JsonRpc, manifest: Manifest) -> None:
    hub = Hub(rpc, manifest.hub)
    nowhere = Signer.from_key(b"\x09" * 32).address
    for reading, code in (
        (hub.deal(DealId(NULL_BYTES32)), "DEAL_UNKNOWN"),
        (hub.app(nowhere), "APP_UNKNOWN"),
        (hub.dataset(nowhere), "DATASET_UNKNOWN"),
        (hub.workerpool(nowhere), "WORKERPOOL_UNKNOWN"),
        (hub.category(99), "CATEGORY_UNKNOWN"),
        (asset_owner(rpc, nowhere), "ASSET_UNKNOWN"),
    ):
        with pytest.raises(IexecError) as refusal:
            await reading
        assert refusal.value.code == code
    assert not (await hub.find_deal(DealId(NULL_BYTES32))).exists


async def test_a_task_goes_from_order_to_payment(
    rpc: JsonRpc, signer: Signer, feed: HeadFeed, manager: TransactionManager, manifest: Manifest
) -> None:
    hub, address = Hub(rpc, manifest.hub), signer.address
    domain, owner, rlc = await read_all(hub.domain(), hub.owner(), hub.token())
    assert (domain.chain_id, domain.verifying_contract, owner, rlc) == (CHAIN_ID, hub.address, address, manifest.token)
    apps = Registry(rpc, await hub.app_registry())
    pools = Registry(rpc, await hub.workerpool_registry())
    category = next(n for n, found in enumerate(await hub.categories()) if found.work_clock_time_ref >= 300)

    fields = (address, "tracer", "DOCKER", b"/ipfs/Qm", bytes32(b"\x01" * 32))
    app = await apps.predict_app(*fields)
    created = await manager.execute("app", "create", apps.address, registries.create_app(*fields), gas=GAS)
    assert created_asset(created, apps.address) == app
    created = await manager.execute(
        "pool", "create", pools.address, registries.create_workerpool(address, "pool"), gas=GAS
    )
    pool = created_asset(created, pools.address)
    described, registered, app_owner = await read_all(hub.app(app), apps.is_registered(app), asset_owner(rpc, app))
    assert (described.name, described.type, described.checksum, registered) == ("tracer", "DOCKER", fields[4], True)
    assert described.owner == app_owner == address
    assert (await hub.workerpool(pool)).worker_stake_ratio == 30

    def sign(order: Order) -> Order:
        return msgspec.structs.replace(order, sign=to_hex(signer.sign_digest(to_bytes(order_hash(order, domain)))))

    app_order = sign(AppOrder(app=app, appprice=10, volume=5))
    pool_order = sign(WorkerpoolOrder(workerpool=pool, workerpoolprice=100, volume=5, category=category, trust=1))
    request = sign(
        RequestOrder(
            app=app,
            appmaxprice=10,
            workerpoolmaxprice=100,
            requester=address,
            volume=2,
            category=category,
            trust=1,
            beneficiary=address,
            params="{}",
        )
    )
    assert isinstance(app_order, AppOrder)
    assert isinstance(pool_order, WorkerpoolOrder)
    assert isinstance(request, RequestOrder)
    request_hash = order_hash(request, domain)
    assert await hub.verify_signature(address, bytes32(request_hash), to_bytes(request.sign))
    assert await hub.compute_deal_volume(app_order, NO_DATASET, pool_order, request) == 2

    await manager.execute("account", "deposit", rlc, token.approve_and_call(hub.address, DEPOSIT), gas=GAS)
    assert await hub.account(address) == Account(DEPOSIT, 0)
    deal_id, task_ids = ids.deal_id(request_hash, 0), []
    follower = LogFollower(rpc, feed, [hub.address], [[EVENTS["SchedulerNotice"].topic, EVENTS["TaskFinalize"].topic]])
    async with aclosing(follower.batches()) as news:
        data = calls.match_orders(app_order, NO_DATASET, pool_order, request)
        await manager.execute(request_hash, "match", hub.address, data, gas=GAS)
        with anyio.fail_after(10):
            notice = await anext(news)
        assert decode_log(notice.logs[0]) == ("SchedulerNotice", {"workerpool": pool, "dealid": deal_id})
        deal, consumed, account = await read_all(hub.deal(deal_id), hub.consumed(request_hash), hub.account(address))
        assert (deal.app.pointer, deal.workerpool.pointer, deal.requester, deal.bot_size) == (app, pool, address, 2)
        assert (consumed, account.locked) == (2, 2 * (deal.task_cost + deal.scheduler_stake))

        task_ids = deal.task_ids(deal_id)
        await manager.execute(
            deal_id, "initialize", hub.address, calls.initialize_array([deal_id] * 2, [0, 1]), gas=GAS
        )
        assert [task.status for task in await hub.tasks(task_ids)] == [TaskStatus.ACTIVE] * 2
        task = task_ids[0]
        permission = signer.sign_message_hash(ids.authorization_hash(address, task))
        seal = ids.result_seal(address, task, DIGEST)
        data = calls.contribute(task, ids.result_hash(task, DIGEST), seal, permission)
        await manager.execute(task, "contribute", hub.address, data, gas=GAS)
        contribution = await hub.contribution(task, address)
        assert (contribution.status, contribution.result_seal) == (ContributionStatus.CONTRIBUTED, seal)
        await manager.execute(task, "reveal", hub.address, calls.reveal(task, DIGEST), gas=GAS)
        assert (await hub.task(task)).reveal_counter == 1
        await manager.execute(task, "finalize", hub.address, calls.finalize(task, LINK), gas=GAS)
        permission = signer.sign_message_hash(ids.authorization_hash(address, task_ids[1]))
        data = calls.contribute_and_finalize(task_ids[1], DIGEST, LINK, permission)
        await manager.execute(task_ids[1], "finalize", hub.address, data, gas=GAS)
        finalized: list[str] = []
        with anyio.fail_after(10):
            while len(finalized) < 2:
                for log in (await anext(news)).logs:
                    decoded = decode_log(log)
                    assert decoded is not None
                    assert decoded[1]["results"] == LINK
                    finalized.append(decoded[1]["taskid"])
    assert finalized == task_ids
    for found in await hub.tasks(task_ids):
        assert (found.status, found.results, found.result_digest) == (TaskStatus.COMPLETED, LINK, DIGEST)
    # Requester, provider, pool and worker are one account here, so all money comes home.
    account, score, supply = await read_all(hub.account(address), hub.score(address), hub.total_supply())
    assert (account, supply) == (Account(DEPOSIT, 0), DEPOSIT)
    assert score == (await hub.scores([address]))[0]
    assert len(await hub.logs("TaskFinalize", "OrdersMatched")) == 3

    await manager.execute("account", "withdraw", hub.address, calls.withdraw(DEPOSIT), gas=GAS)
    assert await hub.balance_of(address) == 0


async def test_orders_are_signed_and_closed_on_chain(
    rpc: JsonRpc, signer: Signer, manager: TransactionManager, manifest: Manifest
) -> None:
    hub = Hub(rpc, manifest.hub)
    domain = await hub.domain()
    order = RequestOrder(app=hub.address, requester=signer.address, volume=7)
    name = order_hash(order, domain)
    assert await read_all(hub.presigned(name), hub.consumed(name)) == (NULL_ADDRESS, 0)
    for operation in OrderOperation:
        data = calls.manage_order(order, operation)
        await manager.execute(name, operation.name, hub.address, data, gas=GAS)
    assert await read_all(hub.presigned(name), hub.consumed(name)) == (signer.address, 7)
    assert await hub.verify_presignature_or_signature(signer.address, bytes32(name), b"")


async def test_the_owner_administers_the_hub(rpc: JsonRpc, manager: TransactionManager, manifest: Manifest) -> None:
    hub, heir = Hub(rpc, manifest.hub), derive(MNEMONIC, 3).address
    count = await hub.count_category()
    await manager.execute("hub", "category", hub.address, calls.create_category("XXS", "quick", 3), gas=GAS)
    await manager.execute("hub", "callback gas", hub.address, calls.set_callback_gas(123_456), gas=GAS)
    await manager.execute("hub", "heir", hub.address, calls.transfer_ownership(heir), gas=GAS)
    category, gas, owner = await read_all(hub.category(count), hub.callback_gas(), hub.owner())
    assert (category.name, category.description, category.work_clock_time_ref) == ("XXS", "quick", 3)
    assert (gas, owner) == (123_456, heir)
    with pytest.raises(IexecError, match="wner") as refusal:
        await manager.execute("hub", "too late", hub.address, calls.set_callback_gas(1))
    assert refusal.value.code == "CONTRACT_REVERTED"
