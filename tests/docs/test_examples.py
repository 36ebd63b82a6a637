"""What the pages tell readers to type works, and prints what they say."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyiexec.foundation.settings import load_settings
from pyiexec.scheduler.pool_policy import terms_of
from pyiexec.scheduler.settings import SchedulerSettings
from pyiexec.worker.settings import WorkerSettings
from tests.docs.pages import REPOSITORY, Command, blocks, commands, pages
from tests.docs.workshop import Workshop

#: The guide ends by taking the network down: it comes last.
GUIDE = REPOSITORY / "docs" / "guide.md"
WORKER_PAGE = REPOSITORY / "docs" / "running-a-worker.md"
POOL_PAGE = REPOSITORY / "docs" / "running-a-pool.md"


def with_examples() -> list[Path]:
    found = [page for page in pages() if any(block.language in ("console", "python") for block in blocks(page))]
    return sorted(found, key=lambda page: (page == GUIDE, page))


@pytest.mark.parametrize("page", [page for page in with_examples() if page != GUIDE], ids=lambda page: page.stem)
def test_every_example_of_the_page_works(workshop: Workshop, page: Path) -> None:
    workshop.run_page(page)


def test_every_example_of_a_test_passes(workshop: Workshop) -> None:
    examples = [block for page in pages() for block in blocks(page) if block.is_test]
    names = " ".join(workshop.write(block) for block in examples)
    workshop.run([Command(examples[0], f"python -m pytest -q -p no:cacheprovider {names}", ())])


def test_the_worker_of_its_page_joins_the_pool_and_leaves_in_order(workshop: Workshop) -> None:
    workshop.run_page(WORKER_PAGE)
    asking = next(block for block in blocks(WORKER_PAGE) if "worker status --config" in block.text)
    [status] = commands(asking)
    # On a terminal, the command says when the scheduler has let the worker in.
    terminal, side = pty.openpty()
    worker = subprocess.Popen(
        [Path(sys.executable).with_name("pyiexec"), "worker", "start", "--config", "worker.toml"],
        cwd=workshop.folder,
        env=workshop.environment,
        stdin=subprocess.DEVNULL,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    printed = b""
    try:
        while b"worker is ready 0x" not in printed:
            piece = os.read(terminal, 4096)
            assert piece, printed.decode()
            printed += piece
        workshop.run([status])
    finally:
        worker.send_signal(signal.SIGTERM)
        ended = worker.wait(20)
        os.close(terminal)
    assert ended == 0, printed.decode()


def test_the_schedulers_example_settings_are_good(tmp_path: Path) -> None:
    [example] = [block for block in blocks(WORKER_PAGE) if block.name == "scheduler.toml"]
    file = tmp_path / "scheduler.toml"
    file.write_text(example.text)
    assert load_settings(SchedulerSettings, file, {}).workers


def test_the_pools_example_settings_are_good(tmp_path: Path) -> None:
    [example] = [block for block in blocks(POOL_PAGE) if block.name == "pool.toml"]
    [needed] = [block for block in blocks(WORKER_PAGE) if block.name == "scheduler.toml"]
    file = tmp_path / "pool.toml"
    file.write_text(needed.text + example.text)
    settings = load_settings(SchedulerSettings, file, {})
    assert settings.sales is not None
    assert settings.admission is not None
    assert len(terms_of(settings.sales, settings.admission)) == len(settings.sales.offers)


def test_the_volunteers_example_settings_are_good(tmp_path: Path) -> None:
    [example] = [block for block in blocks(WORKER_PAGE) if block.name == "volunteer.toml"]
    required = dict.fromkeys(("key_file", "rpc_url", "scheduler_url", "gateway_url", "data_dir"), "x")
    required |= dict.fromkeys(("hub", "workerpool"), "0x" + "00" * 20)
    file = tmp_path / "volunteer.toml"
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in required.items()) + example.text)
    assert not load_settings(WorkerSettings, file, {}).presence_policy().is_always


def test_every_example_of_the_guide_works(workshop: Workshop) -> None:
    workshop.run_page(GUIDE)
