"""The main job: a picture bought, proved, paid and drawn - or an honest refusal."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import select
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pyiexec.devnet.demo import HEIGHT, TILES, WIDTH, buy_picture, open_market
from pyiexec.devnet.network import Network, NetworkOptions
from pyiexec.sdk.deals import TaskUpdate
from tests.e2e.conftest import PYIEXEC, Cli

#: SHA-256 of the picture's pixels: whoever takes part, it is this picture or none.
PICTURE = (Path(__file__).parent / "picture.sha256").read_text().strip()


def pixels(path: Path) -> str:
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        return hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()


def sums(ledger: list[dict[str, Any]]) -> dict[str, int]:
    totals: defaultdict[str, int] = defaultdict(int)
    for line in ledger:
        totals[line["movement"]] += line["amount"]
    return totals


@pytest.mark.parametrize(
    ("workers", "bad"), [(6, 1), (8, 2)], ids=["one liar among six", "two liars who agree among eight"]
)
def test_liars_lose_their_stake_and_never_change_the_picture(
    make_cli: Callable[[], Cli], workers: int, bad: int
) -> None:
    cli = make_cli()
    done = cli.json("demo", "--workers", str(workers), "--bad", str(bad), "--seed", "7", timeout=170)
    assert pixels(cli.home / done["picture"]) == PICTURE
    assert done["problems"] == []
    totals = sums(done["ledger"])
    assert totals["paid"] == done["price"]
    # What was paid and what liars lost is what others earned, to the unit.
    assert totals["earned"] == totals["paid"] + totals["lost"]
    losers = {line["account"] for line in done["ledger"] if line["movement"] == "lost"}
    assert len(losers) == bad
    assert all(line["transaction"].startswith("0x") for line in done["ledger"])


def test_workers_that_cannot_agree_end_in_an_honest_refusal_and_refunds(make_cli: Callable[[], Cli]) -> None:
    cli = make_cli()
    ended = cli("demo", "--workers", "4", "--bad", "2", "--json", timeout=170)
    assert ended.code == 1
    answer = ended.json
    assert answer["picture"] is None
    assert len(answer["failedTasks"]) == TILES
    assert answer["problems"] == []
    assert "paid" not in sums(answer["ledger"])
    locked = sum(line["amount"] for line in answer["ledger"] if line["reason"] == "price or stake of a deal")
    back = sum(line["amount"] for line in answer["ledger"] if line["reason"] == "claimed back")
    worker_stakes = sum(line["amount"] for line in answer["ledger"] if line["reason"] == "stake on a contribution")
    scheduler_lost = sum(line["amount"] for line in answer["ledger"] if line["movement"] == "lost")
    assert back == locked + worker_stakes - scheduler_lost
    assert not (cli.home / "demo-out" / "picture.png").exists()


def test_copycats_cannot_reveal_and_lose_their_stake(make_cli: Callable[[], Cli]) -> None:
    cli = make_cli()
    done = cli.json("demo", "--workers", "5", "--bad", "0", "--copycats", "1", timeout=170)
    assert pixels(cli.home / done["picture"]) == PICTURE
    reasons = {line["reason"] for line in done["ledger"] if line["movement"] == "lost"}
    assert reasons <= {"did not reveal what it voted for"}


@pytest.mark.parametrize("victim", ["scheduler", "worker-2", "results"])
def test_a_part_killed_in_the_middle_of_the_bag_is_started_again_and_the_picture_is_drawn(
    tmp_path: Path, victim: str
) -> None:
    async def scenario() -> None:
        killed = 0

        async with Network(
            NetworkOptions(directory=tmp_path / "network", workers=6, bad=1, seed=7, category_seconds=8)
        ) as network:
            market = await open_market(network)
            before = network.pid(victim)

            def on_update(update: TaskUpdate, _final: int) -> None:
                nonlocal killed
                # In the middle of the bag: some tasks are agreed upon, others are being computed.
                if update.event == "TaskConsensus" and not killed:
                    network.kill(victim)
                    killed += 1

            outcome = await buy_picture(network, market, tmp_path, on_update=on_update)
            assert killed == 1
            assert network.pid(victim) != before
        assert outcome.succeeded
        assert pixels(tmp_path / "picture.png") == PICTURE

    asyncio.run(scenario())


def members_of_session(leader: int) -> list[int]:
    """Processes still in the session that `leader` opened."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(after_name[3]) == leader and after_name[0] != "Z":
            members.append(int(stat.parent.name))
    return members


def ends(pid: int, seconds: float) -> bool:
    """Whether a process, which need not be a child, ends in that time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("seconds", [0.7, 2.5, 7.0])
def test_ctrl_c_ends_everything_at_once_and_leaves_nothing(make_cli: Callable[[], Cli], seconds: float) -> None:
    cli = make_cli()
    process = subprocess.Popen(
        [str(PYIEXEC), "demo"],
        cwd=cli.home,
        env=cli.environment | {"TMPDIR": str(cli.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        # Whatever it is doing by then: importing, deploying, starting its services, computing.
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    assert not list(cli.home.glob("pyiexec-demo-*"))
    # The last to go closes its output, which ended the wait above, a moment before it is gone.
    assert [member for member in members_of_session(process.pid) if not ends(member, 2.0)] == []
