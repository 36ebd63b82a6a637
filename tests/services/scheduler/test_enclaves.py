"""Tasks that ask for enclaves, on a real chain, with a secret management service that answers as a test tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import web
from tests.services.scheduler.asking import ask
from tests.services.scheduler.conftest import SHORT, Net, until_shown
from tests.services.scheduler.scripted import S
from tests.services.serving import served

from pyiexec.chain.signer import recover
from pyiexec.devnet import roles
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.ids import authorization_hash
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import Address, TaskId, checksum, keccak256, to_bytes
from pyiexec.protocol.tags import encode_tag
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sms.service import serve as serve_sms
from pyiexec.sms.settings import SmsSettings

pytestmark = pytest.mark.anyio

TDX = encode_tag(["tee", "tdx"])
OWNER = roles.account(roles.POOL_MANAGER)
ENCLAVE = checksum("0x" + "ab" * 20)


class Sms:
    """Counts what it is asked, and answers with what is next."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[TaskId, Address]] = []
        self.url = ""

    async def challenge(self, request: web.Request) -> web.Response:
        task_id = TaskId(request.match_info["task"])  # type: ignore[arg-type]
        digest = ethereum_message_digest(keccak256(to_bytes(task_id)))
        self.asked.append((task_id, recover(digest, to_bytes(request.headers["Authorization"]))))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, text=body, content_type="application/json")


@asynccontextmanager
async def sms(*answers: tuple[int, str]) -> AsyncIterator[Sms]:
    made = Sms(*answers)
    app = web.Application()
    app.router.add_post("/tee/challenges/{task}", made.challenge)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = site.name
        yield made
    finally:
        await runner.cleanup()


@asynccontextmanager
async def real_sms(net: Net) -> AsyncIterator[str]:
    """The secret management service itself, which has no enclaves."""
    settings = SmsSettings(
        database_url=f"sqlite:///{net.path / 'sms.db'}",
        key_file=str(net.path / "ring"),
        rpc_url=net.url,
        chain_id=net.manifest.chain_id,
        hub=net.hub.address,
    )
    async with served(serve_sms, settings) as url:
        yield url


REFUSAL = '{"ok":false,"error":"no enclaves run here","code":"TEE_UNAVAILABLE"}'


async def test_without_enclaves_the_task_fails_at_once_with_its_cause_and_is_refunded_after_its_deadline(
    net: Net,
) -> None:
    async with (
        real_sms(net) as sms_url,
        net.scheduler(sms_url=sms_url) as url,
        anyio.create_task_group() as group,
    ):
        worker = net.workers[0]
        group.start_soon(worker.run, url)
        await worker.until(lambda: worker.welcome is not None)
        deal = await net.buy(tag=TDX, category=SHORT)
        (task_id,) = await net.tasks_of(deal)
        failed = await until_shown(url, f"/tasks/{task_id}", lambda task: task.get("currentStatus") == "FAILED")
        assert failed["cause"]["code"] == "TEE_UNAVAILABLE"
        assert "needs an enclave" in failed["cause"]["what"]
        assert failed["cause"]["remedy"]
        assert failed["tag"] == TDX
        assert failed["replicates"] == []
        assert (await net.hub.task(task_id)).status is TaskStatus.ACTIVE
        # Nothing else is held up by it.
        assert await net.settled(await net.buy()) == [TaskStatus.COMPLETED]
        assert await net.settled(deal) == [TaskStatus.FAILED]
        claimed = (await ask(url, f"/tasks/{task_id}")).json
        assert claimed["cause"]["code"] == "TEE_UNAVAILABLE"
        group.cancel_scope.cancel()


async def test_a_pool_without_an_sms_says_so(net: Net) -> None:
    async with net.scheduler() as url:
        (task_id,) = await net.tasks_of(await net.buy(tag=TDX))
        failed = await until_shown(url, f"/tasks/{task_id}", lambda task: task.get("currentStatus") == "FAILED")
        assert failed["cause"]["code"] == "TEE_UNAVAILABLE"
        assert "secret management service" in failed["cause"]["what"]


async def test_workers_are_asked_once_the_account_is_named_and_it_is_in_their_authorization(net: Net) -> None:
    worker = net.workers[0]

    async def refuse(assign: Assign) -> None:
        message = "the deal asks for an enclave, which this worker does not have"
        await worker.report(assign.task_id, S.FAILED, cause="TEE_NOT_SUPPORTED", message=message)

    worker.on_assign = refuse
    worker.lends = {"enclaves": ["tdx"]}
    answers = ((503, "{}"), (404, '{"error":"the task is not active"}'), (200, f'"{ENCLAVE}"'))
    async with (
        sms(*answers) as service,
        net.scheduler(sms_url=service.url, failures=1) as url,
        anyio.create_task_group() as group,
    ):
        group.start_soon(worker.run, url)
        (task_id,) = await net.tasks_of(await net.buy(tag=TDX))
        assign = await worker.command(Assign)
        assert isinstance(assign, Assign)
        assert service.asked == [(task_id, OWNER.address)] * 3
        assert assign.mode == "contribute"
        assert assign.authorization.enclave_challenge == ENCLAVE
        digest = ethereum_message_digest(authorization_hash(worker.address, task_id, ENCLAVE))
        assert recover(digest, to_bytes(assign.authorization.signature)) == OWNER.address
        failed = await until_shown(url, f"/tasks/{task_id}", lambda task: task["currentStatus"] == "FAILED")
        assert failed["cause"]["code"] == "TEE_NOT_SUPPORTED"
        (update,) = failed["replicates"][0]["statusUpdateList"][1:]
        assert (update["status"], update["cause"]) == ("FAILED", "TEE_NOT_SUPPORTED")
        group.cancel_scope.cancel()


async def test_a_service_that_is_away_holds_the_task_up_and_is_asked_again_by_the_next_life(net: Net) -> None:
    async with sms((503, "{}")) as service:
        async with net.scheduler(sms_url=service.url) as url:
            (task_id,) = await net.tasks_of(await net.buy(tag=TDX))
            waiting = await until_shown(url, f"/tasks/{task_id}", lambda task: task.get("cause"))
            assert (waiting["currentStatus"], waiting["cause"]["code"]) == ("RUNNING", "SMS_UNREACHABLE")
            assert waiting["cause"]["retry"] is True
        service.answers = [(501, REFUSAL)]
        async with net.scheduler(sms_url=service.url) as url:
            failed = await until_shown(url, f"/tasks/{task_id}", lambda task: task["currentStatus"] == "FAILED")
            assert failed["cause"]["code"] == "TEE_UNAVAILABLE"
