"""A pool of one worker played by the test, with a key that says it is an enclave's.

Release 9 of the client makes no deal without the tags of an enclave. What the contracts ask of one is a signature by
the key that the pool named; where no enclave runs, a test may hold that key, and the client sees its tasks end.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyiexec.chain import calls, escrow
from pyiexec.chain.hub import Hub
from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.protocol import ids
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import NO_DATASET, AppOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, TaskId, to_bytes
from pyiexec.protocol.results import ResultLink, format_link, pack, result_digest
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk import AsyncClient
from pyiexec.sdk.faucet import ask_faucet
from pyiexec.sdk.orders import SomeOrder

STAKE = 10**9
RESULT = b"proved by a key that the test holds\n"


def result_files(answer: str | None = None) -> dict[str, bytes]:
    """What the application is said to have written: a file, or the `answer` for a contract, in hexadecimal."""
    if answer is not None:
        return {"computed.json": f'{{"callback-data": "{answer}"}}'.encode()}
    return {"result.txt": RESULT, "computed.json": b'{"deterministic-output-path": "/iexec_out/result.txt"}'}


async def complete(
    profile: NetworkProfile,
    pool_owner: Signer,
    worker: Signer,
    deal_id: DealId,
    archive: bytes | None = None,
    *,
    answer: str | None = None,
    plain: bool = False,
) -> list[TaskId]:
    """Bring every task of a deal of trust 0 or 1 to its end; their ids.

    Args:
        archive: what is uploaded as the result, of `result_files` when None.
        answer: for the deal's callback, in hexadecimal.
        plain: without an enclave, as deals without its tags have it.
    """
    enclave = None if plain else Signer.from_key(b"\x07" * 32)
    named = enclave.address if enclave else NULL_ADDRESS
    files = result_files(answer)
    async with AsyncClient(profile, worker) as client, JsonRpc(profile.rpc_url) as rpc:
        hub = Hub(rpc, profile.hub)
        deal = await hub.deal(deal_id)
        cid = (await client.store(archive or pack(files))).rpartition("/")[2]
        link = format_link(ResultLink("ipfs", f"/ipfs/{cid}"))
        rlc = await hub.token()
        if await escrow.wallet_balance(rpc, rlc, worker.address) < STAKE:
            await ask_faucet(profile.faucet_url, worker.address)
        await send_all(rpc, worker, [escrow.deposit(profile.hub, rlc, STAKE)])
        tasks = deal.task_ids(deal_id)
        indexes: Sequence[int] = range(deal.bot_first, deal.bot_first + deal.bot_size)
        for index, task in zip(indexes, tasks, strict=True):
            if (await hub.task(task)).status is TaskStatus.UNSET:
                await _initialize(rpc, worker, profile, deal_id, index)
        made = []
        for task in tasks:
            digest = result_digest(files, callback=answer is not None)
            result, seal = ids.result_hash(task, digest), ids.result_seal(worker.address, task, digest)
            authorization = ids.authorization_hash(worker.address, task, named)
            data = calls.contribute_and_finalize(
                task,
                digest,
                link,
                pool_owner.sign_message_hash(authorization),
                results_callback=to_bytes(answer) if answer else b"",
                enclave_challenge=named,
                enclave_sign=enclave.sign_message_hash(ids.enclave_hash(result, seal)) if enclave else b"",
            )
            made.append(Call(profile.hub, data, gas=900_000, title="contribute and finalize"))
        await send_all(rpc, worker, made)
        return list(tasks)


async def buy_without_enclave(
    profile: NetworkProfile, provider: Signer, pool_owner: Signer, requester: Signer, app: Address, pool: Address
) -> DealId:
    """Buy one task without any tag, as release 9 cannot; the pool's own worker runs it."""

    async def signed(signer: Signer, order: SomeOrder) -> SomeOrder:
        async with AsyncClient(profile, signer) as client:
            return client.orders.sign(order)

    app_order = await signed(provider, AppOrder(app=app))
    pool_order = await signed(pool_owner, WorkerpoolOrder(workerpool=pool, category=SHORT_CATEGORY))
    terms = RequestOrder(app=app, workerpool=pool, requester=requester.address, category=SHORT_CATEGORY)
    async with AsyncClient(profile, requester) as client:
        match = await client.orders.match(app_order, NO_DATASET, pool_order, client.orders.sign(terms))
        return match.deal_id


async def _initialize(rpc: JsonRpc, worker: Signer, profile: NetworkProfile, deal_id: DealId, index: int) -> None:
    call = Call(profile.hub, calls.initialize(deal_id, index), title="initialize")
    try:
        await send_all(rpc, worker, [call])
    except IexecError as error:
        # The pool's own scheduler may have been faster: it initializes, and then finds no enclave.
        if error.code != "TRANSACTION_REVERTED":
            raise
