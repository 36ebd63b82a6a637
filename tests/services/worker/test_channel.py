"""The channel against a real WebSocket server: nothing is lost or done twice, whichever side falls over."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import (
    Capabilities,
    Challenge,
    Command,
    Complete,
    Message,
    Progress,
    Refused,
    Welcome,
    encode_message,
)
from pyiexec.protocol.primitives import Address, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.versions import SPEECH, Speech
from pyiexec.worker.channel import Channel
from pyiexec.worker.journal import MIGRATIONS, Journal, open_journal
from pyiexec.worker.printouts import Printouts

from .scripted import ScriptedScheduler, scripted

pytestmark = pytest.mark.anyio

POOL = Address("0x" + "11" * 20)
WORKER = Signer.from_key(bytes(31) + b"\7")
CHAIN = 31337


def task(number: int) -> TaskId:
    return TaskId(bytes32(number))


def progress(number: int) -> Progress:
    return Progress(task_id=task(number), status=ReplicateStatus.STARTED)


async def durable(change: asyncio.Task[None] | None) -> None:
    assert change is not None
    await change


class Life:
    """One life of a worker's channel: what a process holds between its start and its end."""

    def __init__(self, journal: Journal, channel: Channel) -> None:
        self.journal = journal
        self.channel = channel
        self.slots = 3
        self.done: list[TaskId] = []

    async def carry_out(self, commands: Sequence[tuple[int, Command]]) -> None:
        for seq, command in commands:
            assert isinstance(command, Complete)
            self.done.append(command.task_id)
            await durable(self.journal.change(None, (), received=seq))

    async def report(self, number: int) -> None:
        await durable(self.journal.change(None, (progress(number),)))


@asynccontextmanager
async def life(scheduler: ScriptedScheduler, folder: Path, identity: str = "me") -> AsyncIterator[Life]:
    clock = SystemClock()
    database = await Database.open(f"sqlite:///{folder / 'worker.db'}", [MIGRATIONS])
    try:
        journal = await open_journal(database, clock, identity)

        async def offer() -> Capabilities:
            return Capabilities(slots=this.slots, runtimes=["wasm"])

        channel = Channel(
            scheduler.url,
            signer=WORKER,
            chain_id=CHAIN,
            workerpool=POOL,
            journal=journal,
            printouts=Printouts(clock),
            capabilities=offer,
            clock=clock,
            randomness=random.Random(1),
        )
        journal.on_reports = channel.push
        this = Life(journal, channel)
        running = asyncio.create_task(channel.run(this.carry_out))
        try:
            yield this
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await journal.close()
    finally:
        await database.close()


@pytest.fixture
async def scheduler() -> AsyncIterator[ScriptedScheduler]:
    async with scripted(ScriptedScheduler(CHAIN, POOL)) as running:
        yield running


def numbers(scheduler: ScriptedScheduler) -> list[int]:
    return [int(report.task_id, 16) for _, report in scheduler.reports]


async def test_a_worker_logs_in_with_its_signature_and_tells_what_it_offers(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with life(scheduler, tmp_path):
        await scheduler.until(lambda: bool(scheduler.logins))
        assert scheduler.logins[0].worker == WORKER.address
        assert scheduler.logins[0].capabilities == Capabilities(slots=3, runtimes=["wasm"])


async def test_what_a_worker_offers_may_change_and_nothing_is_lost_or_done_twice_over_it(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with life(scheduler, tmp_path) as this:
        await scheduler.until(lambda: WORKER.address in scheduler.connections)
        for number in range(1, 11):
            this.slots = number % 2
            this.channel.offer_anew()
            await scheduler.command(WORKER.address, Complete(task_id=task(number)))
            await this.report(number)
            wanted = this.slots
            await scheduler.until(lambda wanted=wanted: scheduler.logins[-1].capabilities.slots == wanted)
        await scheduler.until(lambda: len(scheduler.reports) == 10 and not scheduler.outbox[WORKER.address])
        assert numbers(scheduler) == list(range(1, 11))
        assert this.done == [task(number) for number in range(1, 11)]


async def test_commands_are_carried_out_once_in_order_and_acknowledged(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    scheduler.repeat_commands = True
    async with life(scheduler, tmp_path) as worker:
        for number in range(1, 51):
            await scheduler.command(WORKER.address, Complete(task_id=task(number)))
        await scheduler.until(lambda: not scheduler.outbox[WORKER.address])
        assert worker.done == [task(number) for number in range(1, 51)]


async def test_reports_survive_the_scheduler(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with life(scheduler, tmp_path) as worker:
        await worker.report(1)
        await scheduler.until(lambda: numbers(scheduler) == [1])
        await scheduler.stop()
        for number in (2, 3):
            await worker.report(number)
        await scheduler.start()
        await worker.report(4)
        await scheduler.until(lambda: len(numbers(scheduler)) == 4)
        assert numbers(scheduler) == [1, 2, 3, 4]


async def test_reports_survive_the_worker(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    await scheduler.stop()
    async with life(scheduler, tmp_path) as worker:
        for number in (1, 2, 3):
            await worker.report(number)
    await scheduler.start()
    async with life(scheduler, tmp_path) as worker:
        await worker.report(4)
        await scheduler.until(lambda: len(numbers(scheduler)) == 4)
        assert numbers(scheduler) == [1, 2, 3, 4]


async def test_a_command_sent_while_the_worker_was_away_awaits_it(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with life(scheduler, tmp_path) as worker:
        await scheduler.command(WORKER.address, Complete(task_id=task(1)))
        await scheduler.until(lambda: not scheduler.outbox[WORKER.address])
    await scheduler.command(WORKER.address, Complete(task_id=task(2)))
    async with life(scheduler, tmp_path) as worker:
        await scheduler.until(lambda: not scheduler.outbox[WORKER.address])
        assert worker.done == [task(2)]
        assert scheduler.logins[-1].received == 1


async def test_a_report_lost_with_its_connection_is_sent_again(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with life(scheduler, tmp_path) as worker:
        for number in range(1, 21):
            if number % 5 == 0:
                scheduler.lose_reports = 1
            await worker.report(number)
        await scheduler.until(lambda: len(numbers(scheduler)) == 20)
        assert numbers(scheduler) == list(range(1, 21))


async def test_a_lost_command_is_asked_for_again(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with life(scheduler, tmp_path) as worker:
        await scheduler.until(lambda: bool(scheduler.connections))
        scheduler.lose_commands = {2, 5}
        for number in range(1, 8):
            await scheduler.command(WORKER.address, Complete(task_id=task(number)))
        await scheduler.until(lambda: not scheduler.outbox[WORKER.address])
        assert worker.done == [task(number) for number in range(1, 8)]


async def test_a_scheduler_that_lost_its_commands_does_not_block_the_worker(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    scheduler.sent[WORKER.address] = 40
    async with life(scheduler, tmp_path) as worker:
        await scheduler.command(WORKER.address, Complete(task_id=task(41)))
        await scheduler.until(lambda: not scheduler.outbox[WORKER.address])
        assert worker.done == [task(41)]


async def test_a_worker_that_lost_its_folder_numbers_its_reports_above_what_was_seen(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    scheduler.received[WORKER.address] = 10
    async with life(scheduler, tmp_path) as worker:
        await scheduler.until(lambda: bool(scheduler.connections))
        await asyncio.wait_for(worker.channel.connected.wait(), 5)
        await worker.report(1)
        await scheduler.until(lambda: numbers(scheduler) == [1])
        assert scheduler.received[WORKER.address] == 11


async def test_a_scheduler_that_lost_its_database_is_told_what_is_owed_from_where_it_stands(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    async with life(scheduler, tmp_path) as worker:
        for number in (1, 2, 3):
            await worker.report(number)
        await scheduler.until(lambda: numbers(scheduler) == [1, 2, 3])
    await scheduler.stop()
    async with life(scheduler, tmp_path) as worker:
        await worker.report(4)
    scheduler.received.clear()
    await scheduler.start()
    async with life(scheduler, tmp_path) as worker:
        await worker.report(5)
        await scheduler.until(lambda: numbers(scheduler) == [1, 2, 3, 4, 5])
        assert scheduler.received[WORKER.address] == 2
    async with life(scheduler, tmp_path) as worker:
        await worker.report(6)
        await scheduler.until(lambda: len(numbers(scheduler)) == 6)
        assert scheduler.received[WORKER.address] == 3


async def test_a_scheduler_from_before_negotiation_is_answered_with_what_it_knows(tmp_path: Path) -> None:
    """What it sends is recorded; of a greeting it refused every field that is not among these."""

    class Former(ScriptedScheduler):
        @staticmethod
        async def _say(socket: ServerConnection, message: Message) -> None:
            text = encode_message(message)
            if isinstance(message, Challenge):
                text = (
                    f'{{"type":"Challenge","nonce":"{message.nonce}","chain_id":31337,"workerpool":"{POOL}",'
                    '"protocol":2}'
                ).encode()
            elif isinstance(message, Welcome):
                text = b'{"type":"Welcome","received":0,"heartbeat_seconds":2.0}'
            await socket.send(text, text=True)

    async with scripted(Former(CHAIN, POOL)) as scheduler, life(scheduler, tmp_path) as worker:
        await asyncio.wait_for(worker.channel.connected.wait(), 10)
        assert set(json.loads(scheduler.texts[0])) == {"type", "worker", "signature", "capabilities", "received"}
        await worker.report(1)
        await scheduler.until(lambda: numbers(scheduler) == [1])


async def test_a_scheduler_that_takes_offers_is_made_one_without_a_new_login(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    scheduler.speech = SPEECH
    async with life(scheduler, tmp_path) as this:
        await scheduler.until(lambda: WORKER.address in scheduler.connections)
        assert scheduler.logins[0].speech == SPEECH
        for number in (1, 2, 3):
            this.slots = number % 2
            this.channel.offer_anew()
            await this.report(number)
            await scheduler.until(lambda number=number: len(scheduler.offers) == number)
        await scheduler.until(lambda: numbers(scheduler) == [1, 2, 3])
        assert [offer.slots for offer in scheduler.offers] == [1, 0, 1]
        assert len(scheduler.logins) == 1


async def test_with_a_scheduler_that_has_only_other_features_it_does_without(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    scheduler.speech = Speech(lowest=1, highest=99, features=("telepathy",))
    async with life(scheduler, tmp_path) as this:
        await scheduler.until(lambda: WORKER.address in scheduler.connections)
        this.slots = 0
        this.channel.offer_anew()
        await scheduler.until(lambda: len(scheduler.logins) == 2 and scheduler.logins[1].capabilities.slots == 0)
        assert not scheduler.offers


async def test_a_scheduler_with_no_version_in_common_is_left_and_the_log_names_both_ranges(
    scheduler: ScriptedScheduler, tmp_path: Path
) -> None:
    scheduler.speech = Speech(lowest=7, highest=9)
    with capture_logs() as entries:
        async with life(scheduler, tmp_path) as worker:

            def said() -> list[str]:
                return [entry["reason"] for entry in entries if entry["event"] == "no connection to the scheduler"]

            async with asyncio.timeout(10):
                while not said():  # noqa: ASYNC110 - nothing tells it
                    await asyncio.sleep(0.01)
            assert f"the scheduler speaks versions 7 to 9, the worker {SPEECH} [VERSION_MISMATCH]" in said()[0]
            assert not scheduler.logins
            scheduler.speech = SPEECH
            await asyncio.wait_for(worker.channel.connected.wait(), 10)


async def test_a_silent_scheduler_is_left_and_met_again(tmp_path: Path) -> None:
    async with scripted(ScriptedScheduler(CHAIN, POOL, heartbeat=0.05)) as scheduler:
        scheduler.silent = True
        async with life(scheduler, tmp_path) as worker:
            await scheduler.until(lambda: len(scheduler.logins) >= 2)
            scheduler.silent = False
            await worker.report(1)
            await scheduler.until(lambda: numbers(scheduler) == [1])


async def test_a_refused_worker_tries_again(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    scheduler.refusal = Refused(code="CHANNEL_REFUSED", message="not on the list")
    async with life(scheduler, tmp_path) as worker:
        await scheduler.until(lambda: bool(scheduler.logins))
        assert not worker.channel.connected.is_set()
        scheduler.refusal = None
        await asyncio.wait_for(worker.channel.connected.wait(), 10)


async def test_a_scheduler_of_another_pool_is_not_worked_for(tmp_path: Path) -> None:
    async with scripted(ScriptedScheduler(CHAIN + 1, POOL)) as scheduler, life(scheduler, tmp_path) as worker:
        with pytest.raises(AssertionError):
            await scheduler.report(task(1), ReplicateStatus.STARTED, timeout=0.3)
        assert not scheduler.logins
        assert not worker.channel.connected.is_set()


async def test_acknowledged_reports_leave_the_disk(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with life(scheduler, tmp_path) as worker:
        await worker.report(1)
        await scheduler.until(lambda: numbers(scheduler) == [1])
    async with life(scheduler, tmp_path) as worker:
        await asyncio.wait_for(worker.channel.connected.wait(), 5)
        assert not list(worker.journal.reports_after(0))


async def test_a_folder_serves_one_worker_only(scheduler: ScriptedScheduler, tmp_path: Path) -> None:
    async with life(scheduler, tmp_path):
        pass
    with pytest.raises(IexecError) as refusal:
        async with life(scheduler, tmp_path, identity="somebody else"):
            pass
    assert refusal.value.code == "BAD_SETTINGS"
