"""Who looks at the machine has runs stand still and go on, gives tasks back, and changes what is offered."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import anyio
import pytest

from pyiexec.foundation.clock import SystemClock
from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, DealId, TaskId, bytes32
from pyiexec.worker.computation import room_for
from pyiexec.worker.disk import Disk
from pyiexec.worker.governor import Governor
from pyiexec.worker.presence import Mode, Observation
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.runtimes.suspension import Suspension
from pyiexec.worker.settings import WorkerSettings

pytestmark = pytest.mark.anyio
WORKER = Address("0x" + "11" * 20)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Owner:
    """Decides what is seen of the machine."""

    def __init__(self) -> None:
        self.input_idle: float | None = 10_000.0

    def observe(self, now: float, elsewhere: float | None = 0.0) -> Observation:
        return Observation(local=datetime.fromtimestamp(now), input_idle=self.input_idle)


class Work:
    """A single task being computed."""

    def __init__(self, deadline: float) -> None:
        deal = DealId(bytes32(7))
        authorization = WorkerpoolAuthorization(worker=WORKER, task_id=ids.task_id(deal, 0), deal_id=deal, index=0)
        self.record = TaskRecord(authorization=authorization, mode="contribute", contribution_deadline=int(deadline))
        self.given_back: list[tuple[TaskId, str, str]] = []
        self.gone = anyio.Event()

    def computing(self) -> list[tuple[TaskRecord, float]]:
        return [] if self.given_back else [(self.record, 60.0)]

    def give_back(self, task_id: TaskId, cause: str, message: str) -> None:
        self.given_back.append((task_id, cause, message))
        self.gone.set()


class Workplace:
    """A governor and all that it governs."""

    def __init__(self, folder: Path, **fields: object) -> None:
        values = {
            "key_file": folder / "key",
            "rpc_url": "",
            "hub": WORKER,
            "workerpool": WORKER,
            "scheduler_url": "",
            "gateway_url": "",
            "data_dir": folder,
            "slots": 2,
            "check_seconds": 0.01,
            "calm_seconds": 0.0,
            "input_idle_seconds": 180.0,
        }
        self.owner, self.suspension, self.offers = Owner(), Suspension(), list[int]()
        self.offered = anyio.Event()
        self.disk = Disk(folder, None)
        self.clock = SystemClock()
        settings = WorkerSettings(**values | fields)  # type: ignore[arg-type]
        self.governor = Governor(settings, self.owner, self.suspension, self.disk, self.clock, self._offer)

    def _offer(self) -> None:
        self.offers.append(self.governor.slots)
        self.offered.set()

    async def next_offer(self) -> int:
        with anyio.fail_after(10):
            await self.offered.wait()
        self.offered = anyio.Event()
        return self.offers[-1]


async def test_while_the_owner_is_there_runs_stand_still_and_nothing_is_offered(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    work = Work(place.clock.now() + 10_000)
    await place.governor.begin()
    assert place.governor.slots == 2
    async with anyio.create_task_group() as group:
        group.start_soon(place.governor.run, work)
        place.owner.input_idle = 1.0
        assert await place.next_offer() == 0
        assert place.suspension.in_force
        with pytest.raises(IexecError, match="somebody uses the machine") as refusal:
            place.governor.admit()
        assert refusal.value.code == "WORKER_SUSPENDED"
        place.owner.input_idle = 10_000.0
        assert await place.next_offer() == 2
        assert not place.suspension.in_force
        place.governor.admit()
        group.cancel_scope.cancel()
    assert not work.given_back


async def test_an_owner_may_let_running_tasks_end(tmp_path: Path) -> None:
    place = Workplace(tmp_path, owner_returns="finish")
    place.owner.input_idle = 0.0
    await place.governor.begin()
    assert place.governor.presence.mode is Mode.FINISH
    assert place.governor.slots == 0
    assert not place.suspension.in_force


@pytest.mark.parametrize(("longest_pause", "time_left"), [(0.05, 10_000), (10_000.0, 30)])
async def test_a_task_that_would_come_too_late_is_given_back(
    tmp_path: Path, longest_pause: float, time_left: float
) -> None:
    place = Workplace(tmp_path, longest_pause_seconds=longest_pause)
    work = Work(place.clock.now() + time_left)
    place.owner.input_idle = 0.0
    await place.governor.begin()
    async with anyio.create_task_group() as group:
        group.start_soon(place.governor.run, work)
        with anyio.fail_after(10):
            await work.gone.wait()
        group.cancel_scope.cancel()
    [(task_id, cause, message)] = work.given_back
    assert (task_id, cause) == (work.record.task_id, "WORKER_SUSPENDED")
    assert "somebody uses the machine" in message


async def test_a_wish_that_the_machine_cannot_tell_about_is_refused_at_the_start(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    place.owner.input_idle = None
    with pytest.raises(IexecError, match="input_idle_seconds") as refusal:
        await place.governor.begin()
    assert refusal.value.code == "BAD_SETTINGS"


async def test_hours_that_make_no_sense_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(IexecError, match="hours"):
        Workplace(tmp_path, hours=("always",))


async def test_a_full_disk_offers_nothing_until_there_is_room(tmp_path: Path) -> None:
    place = Workplace(tmp_path, input_idle_seconds=0.0)
    place.disk = Disk(tmp_path, room_for(0) + (1 << 20))
    settings, owner = place.governor._settings, place.owner
    place.governor = Governor(settings, owner, place.suspension, place.disk, place.clock, place._offer)
    filler = tmp_path / "filler"
    filler.write_bytes(bytes(2 << 20))
    await place.governor.begin()
    async with anyio.create_task_group() as group:
        group.start_soon(place.governor.run, Work(place.clock.now()))
        with pytest.raises(IexecError):
            async with place.disk.room(room_for(0)):
                pass
        assert await place.next_offer() == 0
        filler.unlink()
        assert await place.next_offer() == 2
        group.cancel_scope.cancel()
