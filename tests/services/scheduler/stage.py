"""A task being run by one worker that prints as a test tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
from tests.services.scheduler.asking import ask, log_token
from tests.services.scheduler.conftest import Net, until_shown
from tests.services.scheduler.scripted import S, ScriptedWorker

from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.printed import Printed

REQUESTER, STRANGER = roles.account(roles.REQUESTER), roles.account(roles.DATASET_PROVIDER)


class Stage:
    """A task being run by one worker that prints as it is told."""

    def __init__(self, net: Net, url: str, worker: ScriptedWorker, task_id: TaskId) -> None:
        self.net, self.url, self.worker, self.task_id = net, url, worker, task_id

    async def token(self, signer: Signer = REQUESTER) -> str:
        return await log_token(self.url, signer, self.net.manifest.chain_id)

    async def logs(self, token: str | None = None) -> Any:
        answer = await ask(self.url, f"/tasks/{self.task_id}/logs", token or await self.token())
        assert answer.status == 200, answer
        assert answer.headers["cache-control"] == "no-store"
        return answer.json

    async def until_logged(self, stdout: str) -> None:
        with anyio.fail_after(10):
            while True:
                answer = await ask(self.url, f"/tasks/{self.task_id}/logs", await self.token())
                if answer.status == 200 and answer.json["computeLogsList"][0]["stdout"] == stdout:
                    return
                await anyio.sleep(0.02)

    async def end(self, printed: Printed | None, status: S = S.COMPUTED, **fields: Any) -> None:
        """Make the run's last report."""
        await self.worker.report(self.task_id, status, printed=printed, exit_code=0, **fields)
        await self.worker.until(lambda: self.worker.acknowledged == len(self.worker.sent))


@asynccontextmanager
async def stage(net: Net, contract: Address | None = None, **settings: Any) -> AsyncIterator[Stage]:
    worker = net.workers[0]

    async def start(assign: Assign) -> None:
        await worker.report(assign.task_id, S.STARTED)

    worker.on_assign = start
    async with net.scheduler(**settings) as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        deal = await net.buy(trust=2, contract=contract)
        assign = await worker.command(Assign)
        assert isinstance(assign, Assign)
        await until_shown(
            url, f"/tasks/{assign.task_id}", lambda task: task["replicates"][0]["currentStatus"] == S.STARTED
        )
        assert [assign.task_id] == await net.tasks_of(deal)
        yield Stage(net, url, worker, assign.task_id)
        group.cancel_scope.cancel()
