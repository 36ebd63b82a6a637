"""What a worker does, on one page."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from pyiexec.cli.dashboard import page, show, summary
from pyiexec.protocol.primitives import Address, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.worker.status import Cover, TaskLine, WorkerStatus

WORKER = Address("0x" + "11" * 20)


def status(tasks: int = 0, **fields: object) -> WorkerStatus:
    lines = [
        TaskLine(task_id=TaskId(bytes32(n)), status=ReplicateStatus.COMPUTED, contribution_deadline=86_399)
        for n in range(tasks)
    ]
    values = {
        "worker": WORKER,
        "workerpool": WORKER,
        "chain_id": 134,
        "pid": 77,
        "started_at": 0.0,
        "connected": True,
        "mode": "run",
        "because": "",
        "slots": 2,
        "tasks": lines,
        "ended": {"COMPLETED": 3, "FAILED": 1},
        "disk_used": 5 << 20,
        "disk_bytes": None,
    }
    return WorkerStatus(**values | fields)  # type: ignore[arg-type]


def shown(seen: WorkerStatus) -> str:
    screen = Console(file=StringIO(), width=120)
    screen.print(page(seen))
    return str(screen.file.getvalue())  # type: ignore[attr-defined]


def test_the_page_tells_what_the_summary_tells_and_each_open_task() -> None:
    seen = status(2, disk_bytes=512 << 20)
    text = shown(seen)
    for line in summary(seen).splitlines()[:9]:
        assert line.split(maxsplit=1)[1] in text
    assert "3 completed, 1 failed" in text
    assert "5 MiB of 512 MiB" in text
    assert all(task.task_id in text for task in seen.tasks)
    assert "23:59:59" in text


def test_a_worker_that_does_not_work_says_why() -> None:
    paused = status(mode="pause", because="somebody uses the machine", slots=0, connected=False)
    assert "stands still: somebody uses the machine" in shown(paused)
    assert "not connected" in summary(paused)


def test_many_tasks_are_counted_not_listed() -> None:
    text = shown(status(25))
    assert "25 open" in text
    assert "and 5 more" in text


def test_the_last_page_stays_when_the_worker_ends() -> None:
    screen = Console(file=StringIO(), width=120)
    show(iter([status(1), status(0, ended={"COMPLETED": 4})]), screen)
    assert "4 completed" in str(screen.file.getvalue())  # type: ignore[attr-defined]


def test_a_worker_with_too_little_stake_says_how_much_to_deposit() -> None:
    assert "none needed so far" in summary(status())
    enough = Cover(free=3 * 10**9, needed=2 * 10**9, tasks=2)
    assert "3 RLC free, votes to come lock 2 RLC\n" in summary(status(stake=enough)) + "\n"
    short = Cover(free=10**9, needed=2 * 10**9, tasks=2)
    assert "1 RLC free, votes to come lock 2 RLC: deposit 1 RLC more" in summary(status(stake=short))
