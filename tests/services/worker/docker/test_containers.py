"""Applications in containers: what they are given, what is made of their end, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_BYTES32, Bytes32
from pyiexec.worker.runtimes.base import Image, RunOutcome, RunStatus

from .conftest import LIMITS, RESULT, Bench
from .engine import DockerEngine, busybox_layer, layer

Run = Callable[..., Any]


def ended(outcome: RunOutcome) -> tuple[str | None, int | None]:
    return outcome.cause, outcome.exit_code


def test_a_container_computes_a_result_from_its_inputs_and_its_environment(bench: Bench, run: Run) -> None:
    (bench.inputs / "data").write_bytes(b"some input\n")
    (bench.inputs / "data").chmod(0o600)
    bench.inputs.chmod(0o700)
    printed: list[tuple[str, bytes]] = []
    script = (
        "(cat /iexec_in/data; echo $IEXEC_TASK_ID; id -u) > /iexec_out/result;"
        "cd /iexec_out; mkdir more; echo x > more/y; ln more/y z; echo told; echo worry >&2"
    )
    outcome = asyncio.run(
        run(
            script + RESULT,
            environment={"IEXEC_TASK_ID": "0x77"},
            on_output=lambda stream, content: printed.append((stream, content)),
        )
    )
    assert outcome.status is RunStatus.SUCCEEDED, outcome
    assert bench.result() == "some input\n0x77\n65534\n"
    assert bench.result("more/y") == bench.result("z") == "x\n"
    assert (outcome.stdout, outcome.stderr) == (b"told\n", b"worry\n")
    assert sorted(printed) == [("stderr", b"worry\n"), ("stdout", b"told\n")]
    assert 0 < outcome.seconds < LIMITS.seconds


def test_what_an_application_could_do_harm_with_is_taken_from_it(bench: Bench, run: Run) -> None:
    script = (
        "(grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ls /sys/class/net;"
        " touch /anything 2>&1; touch /iexec_in/anything 2>&1; mount -t tmpfs none /tmp 2>&1;"
        " ls /dev | sort | tr '\\n' ' ') > /iexec_out/result"
    )
    assert ended(asyncio.run(run(script + RESULT))) == (None, 0)
    report = bench.result()
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "\nlo\n"):
        assert line in report, report
    assert report.count("Read-only file system") == 2
    assert "ermission denied" in report or "not permitted" in report
    assert not {"vda", "sda", "mem", "kmsg", "fuse"} & set(report.splitlines()[-1].split())
    assert "eth0" not in report


@pytest.mark.parametrize(
    ("script", "cause", "exit_code"),
    [
        ("exit 3", "APP_EXITED_NON_ZERO", 3),
        ("kill -SEGV $$", "APP_TRAPPED", 139),
        ("echo nothing", "APP_NO_RESULT", 0),
        ("echo '{}' > /iexec_out/computed.json", "APP_NO_RESULT", 0),
    ],
)
def test_an_application_that_fails_is_told_why(bench: Bench, run: Run, script: str, cause: str, exit_code: int) -> None:
    assert ended(asyncio.run(run(script))) == (cause, exit_code)
    assert not bench.outputs.exists()


def test_what_takes_too_long_is_stopped(run: Run) -> None:
    limits = type(LIMITS)(seconds=0.5, fuel=1)
    outcome = asyncio.run(run("trap '' TERM; echo begun; while :; do :; done", limits=limits))
    assert outcome.cause == "APP_TIMEOUT"
    assert outcome.stdout == b"begun\n"
    assert 0.5 <= outcome.seconds < 10


def test_of_a_long_log_the_beginning_is_kept(run: Run) -> None:
    outcome = asyncio.run(run("i=0; while [ $i -lt 12000 ]; do echo 123456789; i=$((i+1)); done" + RESULT))
    assert outcome.stdout.startswith(b"123456789\n" * 6_000)
    assert outcome.stdout.endswith(f"\n[{120_000 - LIMITS.log_bytes} more bytes were not kept]\n".encode())


def test_an_image_for_several_processors_gives_the_one_of_this_machine(bench: Bench, engine: DockerEngine) -> None:
    here = layer({"which": (b"for here\n", 0o644)})
    there = layer({"which": (b"for there\n", 0o644)})
    config = {"Entrypoint": ["/bin/sh", "-c"]}
    shell = busybox_layer()
    image = engine.registry.index("several", {"arm64": ([shell, there], config), "amd64": ([shell, here], config)})
    outcome = asyncio.run(bench.run(image, "cp /which /iexec_out/result" + RESULT))
    assert outcome.cause is None, outcome
    assert bench.result() == "for here\n"


def test_without_arguments_an_image_has_its_own(bench: Bench, engine: DockerEngine) -> None:
    own = "cp /etc/hostname /iexec_out/result; echo $HELLO >> /iexec_out/result"
    image = engine.registry.shell("own", Cmd=[own + RESULT], Env=["HELLO=from the image", "IEXEC_OUT=/elsewhere"])
    assert asyncio.run(bench.run(image)).cause is None
    assert bench.result() == "iexec\nfrom the image\n"


async def refusal(bench: Bench, image: Image, **settings: Any) -> str:
    runtime = bench.runtime(**settings)
    try:
        await runtime.open()
        with pytest.raises(IexecError) as refused:
            await runtime.prepare(image)
        return refused.value.code
    finally:
        await runtime.close()


def test_an_image_that_is_not_what_the_chain_says_is_refused(bench: Bench, shell: Image) -> None:
    other = Bytes32("0x" + hashlib.sha256(b"another image").hexdigest())
    digest = shell.checksum.removeprefix("0x")

    async def cases() -> dict[str, str]:
        return {
            "another digest in the name": await refusal(bench, Image(f"{shell.name}:1@sha256:{digest}", other)),
            "another digest on chain": await refusal(bench, Image(shell.name, other)),
            "no digest on chain": await refusal(bench, Image(f"{shell.name}@sha256:{digest}", NULL_BYTES32)),
            "a registry that is not allowed": await refusal(bench, shell, registries=["registry.example"]),
            "no image": await refusal(bench, Image("/ipfs/QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u", other)),
        }

    assert asyncio.run(cases()) == {
        "another digest in the name": "APP_CHECKSUM_MISMATCH",
        "another digest on chain": "APP_IMAGE_UNAVAILABLE",
        "no digest on chain": "APP_NOT_HASHED",
        "a registry that is not allowed": "APP_UNSUPPORTED",
        "no image": "BAD_IMAGE",
    }


def test_an_image_that_cannot_be_run_is_refused_and_not_kept(bench: Bench, engine: DockerEngine) -> None:
    registry, shell = engine.registry, [busybox_layer()]
    start = {"Entrypoint": ["/bin/sh", "-c"]}
    before = engine.images()

    async def cases() -> list[str]:
        return [
            await refusal(bench, registry.image("foreign", shell, start, architecture="arm64")),
            await refusal(bench, registry.image("idle", shell, {})),
            await refusal(bench, registry.shell("hiding", Volumes={"/iexec_out/": {}})),
            await refusal(bench, registry.shell("hiding", Volumes={"/iexec_in/../iexec_in/deep": {}})),
            await refusal(bench, registry.shell("hiding", Volumes={f"/{number}": {} for number in range(17)})),
            await refusal(bench, registry.shell("large", Cmd=["large"]), max_image_bytes=1_000_000),
        ]

    assert asyncio.run(cases()) == [*["APP_INVALID_IMAGE"] * 5, "CONTENT_TOO_LARGE"]
    assert engine.images() == before


def test_an_image_whose_command_is_missing_is_explained(bench: Bench, engine: DockerEngine) -> None:
    image = engine.registry.image("missing", [busybox_layer()], {"Entrypoint": ["/no/such/program"]})
    outcome = asyncio.run(bench.run(image))
    assert ended(outcome) == ("APP_EXITED_NON_ZERO", 127)
    assert b"/no/such/program" in outcome.stderr


def test_images_longest_not_used_make_room(bench: Bench, engine: DockerEngine) -> None:
    images = [
        engine.registry.image(f"room-{n}", [layer({"x": (os.urandom(2 << 20), 0o644)})], {"Cmd": ["/x"]})
        for n in range(3)
    ]
    before = set(engine.images())

    async def fetch() -> None:
        for order in ((0, 1), (0, 2)):
            # A life after the other: what was fetched is remembered.
            runtime = bench.runtime(images_bytes=5 << 20)
            await runtime.open()
            for number in order:
                await runtime.prepare(images[number])
            await runtime.close()

    asyncio.run(fetch())
    known = set(engine.docker("images", "--digests", "--format", "{{.Digest}}").stdout.split())
    kept = [f"sha256:{image.checksum.removeprefix('0x')}" in known for image in images]
    assert kept == [True, False, True]
    assert len(set(engine.images()) - before) == 2


def test_a_run_that_is_cancelled_leaves_nothing(bench: Bench, engine: DockerEngine, shell: Image) -> None:
    async def cancel() -> None:
        begun = asyncio.Event()
        script = "echo begun; sleep 1000"
        task = asyncio.create_task(bench.run(shell, script, on_output=lambda stream, content: begun.set()))
        async with asyncio.timeout(30):
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    assert engine.containers() == []
    assert not bench.outputs.exists()


_VICTIM = """
import asyncio, sys
from pathlib import Path
from pyiexec.worker.runtimes.base import Image, Limits, RunRequest
from pyiexec.worker.runtimes.docker import DockerRuntime, DockerSettings

async def main():
    runtime = DockerRuntime(Path(sys.argv[1]) / "runtime", DockerSettings(engine=sys.argv[2]))
    await runtime.open()
    await runtime.run(RunRequest(
        app=Image(sys.argv[3], sys.argv[4]), args=["echo begun; sleep 1000"], environment={},
        input_dir=Path(sys.argv[1]) / "in", output_dir=Path(sys.argv[1]) / "out",
        limits=Limits(seconds=1000, fuel=1), seed=bytes(32),
        on_output=lambda stream, content: print("begun", flush=True),
    ))

asyncio.run(main())
"""


def test_what_a_killed_worker_left_is_removed_by_its_next_life_and_nothing_else(
    bench: Bench, engine: DockerEngine, shell: Image, tmp_path: Path
) -> None:
    async def die() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _VICTIM, str(bench.inputs.parent), engine.url, shell.name, shell.checksum),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"begun\n"
            process.send_signal(signal.SIGKILL)
            await process.wait()

    async def live_again(folder: Path) -> None:
        runtime = Bench(engine, folder).runtime()
        await runtime.open()
        await runtime.close()

    asyncio.run(die())
    assert len(engine.containers()) == 2
    other = tmp_path / "another worker"
    other.mkdir()
    asyncio.run(live_again(other))
    assert len(engine.containers()) == 2
    asyncio.run(live_again(bench.folder))
    assert engine.containers() == []
    assert engine.volumes() == []


def test_an_engine_killed_in_the_middle_of_a_run_is_told_and_cleared_when_it_is_back(
    bench: Bench, engine: DockerEngine, shell: Image
) -> None:
    async def lose() -> IexecError:
        begun = asyncio.Event()
        task = asyncio.create_task(
            bench.run(shell, "echo begun; sleep 1000", on_output=lambda stream, content: begun.set())
        )
        async with asyncio.timeout(30):
            await begun.wait()
            await asyncio.to_thread(engine.kill)
            with pytest.raises(IexecError) as lost:
                await task
        return lost.value

    async def live_again() -> None:
        runtime = bench.runtime()
        await runtime.open()
        await runtime.close()

    lost = asyncio.run(lose())
    assert lost.code == "ENGINE_UNAVAILABLE"
    assert lost.retry
    engine.restart()
    assert len(engine.containers()) == 2
    asyncio.run(live_again())
    assert engine.containers() == []
    assert engine.volumes() == []


def test_an_engine_that_is_not_there_is_named(bench: Bench) -> None:
    async def fail() -> None:
        runtime = bench.runtime(engine="unix:///nowhere/docker.sock")
        try:
            with pytest.raises(IexecError, match="at /nowhere/docker") as failed:
                await runtime.open()
            assert failed.value.code == "ENGINE_UNAVAILABLE"
            assert failed.value.retry
        finally:
            await runtime.close()

    asyncio.run(fail())


def test_a_gpu_is_not_promised_by_a_worker_that_lends_none(bench: Bench, shell: Image) -> None:
    with pytest.raises(IexecError, match="GPU") as refused:
        asyncio.run(bench.run(shell, "true", gpu=True))
    assert refused.value.code == "APP_UNSUPPORTED"


def test_an_engine_is_examined_without_touching_what_runs_there(bench: Bench, shell: Image) -> None:
    async def scene() -> str:
        runtime, visitor = bench.runtime(), bench.runtime()
        begun = asyncio.Event()
        await runtime.open()
        request = bench.request(shell, "echo begun; sleep 600", on_output=lambda _stream, _content: begun.set())
        run = asyncio.create_task(runtime.run(request))
        try:
            async with asyncio.timeout(60):
                await begun.wait()
            told = await visitor.examine()
            assert len(bench.engine.containers()) == 2
            assert not run.done()
        finally:
            run.cancel()
            await asyncio.wait({run})
            await runtime.close()
            await visitor.close()
        return told

    assert asyncio.run(scene()).startswith("engine ")
