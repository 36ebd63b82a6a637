"""What containers may do, how their streams are read, and how their ends are explained: all of it without an engine."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes import load_runtimes, runtime_for
from pyiexec.worker.runtimes.base import Image, Limits, RunRequest
from pyiexec.worker.runtimes.docker import DockerRuntime, DockerSettings, confinement, docker_runtime, holder
from pyiexec.worker.runtimes.docker.explanation import end_of, explain
from pyiexec.worker.runtimes.docker.frames import Frames
from pyiexec.worker.runtimes.docker.outputs import Outputs, archive_limit, read_archive
from pyiexec.worker.runtimes.docker.processes import refusals, refusals_file
from pyiexec.worker.runtimes.endings import Stop

LIMITS = Limits(seconds=10, fuel=1, memory_bytes=1 << 20, output_bytes=1 << 16, files=8)
DIGEST = "0x" + "ab" * 32
FOUND: dict[str, Any] = {
    "Id": "sha256:" + "cd" * 32,
    "RepoDigests": ["registry.example/app@sha256:" + "ab" * 32],
    "Os": "linux",
    "Architecture": "amd64",
    "Size": 1000,
    "Config": {"Entrypoint": ["/app"]},
}


def request(**fields: Any) -> RunRequest:
    values: dict[str, Any] = {
        "app": Image("registry.example/app", DIGEST),  # type: ignore[arg-type]
        "args": [],
        "environment": {"IEXEC_IN": "/iexec_in"},
        "input_dir": Path("/in"),
        "output_dir": Path("/out"),
        "limits": LIMITS,
        "seed": bytes(32),
    }
    return RunRequest(**values | fields)


def container(settings: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    lent = DockerSettings(engine="unix:///engine", **settings or {})
    return confinement.application(request(**fields), FOUND, "volume", "worker", lent)


# --- what it may do -----------------------------------------------------------------------------------------------


def test_nothing_is_allowed_that_was_not_asked_for() -> None:
    host = container()["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["ReadonlyRootfs"] is True
    assert host["NetworkMode"] == "none"
    assert host["Memory"] == host["MemorySwap"] == LIMITS.memory_bytes + LIMITS.output_bytes
    assert {"Privileged", "Devices", "DeviceRequests", "Binds", "CapAdd", "Runtime"}.isdisjoint(host)
    writable = [mount for mount in host["Mounts"] if not mount.get("ReadOnly")]
    assert [(mount["Type"], mount["Target"]) for mount in writable] == [("volume", "/iexec_out"), ("tmpfs", "/tmp")]
    assert all(mount["TmpfsOptions"]["SizeBytes"] == 64 << 20 for mount in writable[1:])


def test_what_the_pool_allows_is_allowed() -> None:
    made = container(
        {"network": "pool", "cpus": 2.5, "oci_runtime": "runsc", "gpus": True, "processes": 9, "user": "1:2"},
        gpu=True,
        args=["a", "b c"],
    )
    host = made["HostConfig"]
    assert host["NetworkMode"] == "pool"
    assert not made["NetworkDisabled"]
    assert host["NanoCpus"] == 2_500_000_000
    assert host["Runtime"] == "runsc"
    assert host["PidsLimit"] == 9
    assert host["DeviceRequests"] == [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]
    assert made["User"] == "1:2"
    assert made["Cmd"] == ["a", "b c"]


def test_a_gpu_is_handed_over_only_when_the_deal_asks_for_it() -> None:
    assert "DeviceRequests" not in container({"gpus": True})["HostConfig"]


def test_an_image_must_be_the_one_registered_and_for_this_machine() -> None:
    def refusal(**changes: Any) -> str:
        with pytest.raises(IexecError) as refused:
            confinement.check_image(FOUND | changes, DIGEST, "amd64", 1000)
        return refused.value.code

    confinement.check_image(FOUND, DIGEST, "amd64", 1000)
    assert refusal(RepoDigests=["registry.example/app@sha256:" + "ac" * 32]) == "APP_CHECKSUM_MISMATCH"
    assert refusal(RepoDigests=None) == "APP_CHECKSUM_MISMATCH"
    assert refusal(Architecture="arm64") == "APP_INVALID_IMAGE"
    assert refusal(Os="windows") == "APP_INVALID_IMAGE"
    assert refusal(Config={}) == "APP_INVALID_IMAGE"
    assert refusal(Size=1001) == "CONTENT_TOO_LARGE"


@pytest.mark.parametrize("path", ["/", "//", "/iexec_in", "/iexec_out/", "/iexec_out/deep", "/x/../iexec_out", ".."])
def test_no_volume_hides_the_input_or_the_output(path: str) -> None:
    with pytest.raises(IexecError, match="volume"):
        confinement.declared_volumes({"Config": {"Volumes": {path: {}}}})


def test_an_engine_that_cannot_confine_is_refused_with_all_that_it_lacks() -> None:
    able = {
        "MemoryLimit": True,
        "PidsLimit": True,
        "CpuCfsQuota": True,
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
        "OSType": "linux",
        "Architecture": "x86_64",
    }
    confinement.check_engine(able, holder.ARCHITECTURES)
    for lacking, told in (
        ({"PidsLimit": False, "MemoryLimit": False}, "MemoryLimit, PidsLimit"),
        ({"SecurityOptions": ["name=apparmor"]}, "seccomp"),
        ({"SecurityOptions": ["name=seccomp,profile=unconfined"]}, "seccomp"),
        ({"SecurityOptions": None}, "seccomp"),
        ({"Architecture": "riscv64"}, "riscv64"),
    ):
        with pytest.raises(IexecError, match=told) as refused:
            confinement.check_engine(able | lacking, holder.ARCHITECTURES)
        assert refused.value.code == "ENGINE_UNSAFE"


# --- the program of holders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", sorted(holder.ARCHITECTURES))
def test_the_holder_is_an_executable_whose_file_is_what_is_loaded(architecture: str) -> None:
    content = holder.executable(architecture)
    assert content[:6] == b"\x7fELF\x02\x01"
    assert int.from_bytes(content[96:104], "little") == len(content)
    assert int.from_bytes(content[24:32], "little") == 0x400000 + 120


def test_the_holder_waits_without_using_the_processor(tmp_path: Path) -> None:
    program = tmp_path / "holder"
    program.write_bytes(holder.executable("x86_64"))
    program.chmod(0o755)
    process = subprocess.Popen([program])
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        assert fields[0] == "S"
        assert int(fields[11]) + int(fields[12]) <= 1
    finally:
        process.kill()
        process.wait()


# --- streams ------------------------------------------------------------------------------------------------------


def framed(stream: int, content: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12),
    cuts=st.lists(st.integers(0, 600), max_size=20),
)
def test_streams_are_told_apart_however_they_are_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    sent = b"".join(framed(stream, content) for stream, content in frames)
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    reader = Frames()
    heard = {"stdout": b"", "stderr": b""}
    for start, end in itertools.pairwise(places):
        for stream, content in reader.feed(sent[start:end]):
            heard[stream] += content
    assert heard == {
        name: b"".join(content for stream, content in frames if stream == number)
        for number, name in ((1, "stdout"), (2, "stderr"))
    }


def test_what_is_no_stream_is_not_taken_for_one() -> None:
    with pytest.raises(ValueError, match="no stream 7"):
        list(Frames().feed(framed(7, b"x")))


# --- outputs ------------------------------------------------------------------------------------------------------


def archive(*members: tuple[str, bytes | None, bytes, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, kind, target in (("", None, tarfile.DIRTYPE, ""), *members):
            member = tarfile.TarInfo(f"iexec_out/{name}")
            member.type, member.linkname, member.size = kind, target, len(content or b"")
            tar.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def test_files_folders_and_hard_links_are_read() -> None:
    found = read_archive(
        archive(
            ("a", b"one", tarfile.REGTYPE, ""),
            ("b", None, tarfile.DIRTYPE, ""),
            ("b/c", None, tarfile.LNKTYPE, "iexec_out/a"),
        ),
        LIMITS,
    )
    assert found == Outputs({"a": b"one", "b": None, "b/c": b"one"}, False, None)


@pytest.mark.parametrize(
    ("kind", "target", "told"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "a link to '/etc/passwd'"),
        (tarfile.FIFOTYPE, "", "no plain file"),
        (tarfile.CHRTYPE, "", "no plain file"),
        (tarfile.BLKTYPE, "", "no plain file"),
        (tarfile.LNKTYPE, "iexec_out/elsewhere", "no plain file"),
    ],
)
def test_what_is_no_plain_file_is_refused_by_name(kind: bytes, target: str, told: str) -> None:
    found = read_archive(archive(("thing", None, kind, target)), LIMITS)
    assert found.fault is not None
    assert found.fault.cause == "APP_BAD_OUTPUT"
    assert "'thing'" in found.fault.message
    assert told in found.fault.message
    assert not found.files


def test_hard_links_do_not_multiply_what_may_be_written() -> None:
    large = b"x" * (LIMITS.output_bytes // 2)
    links = [(f"link{n}", None, tarfile.LNKTYPE, "iexec_out/a") for n in range(3)]
    found = read_archive(archive(("a", large, tarfile.REGTYPE, ""), *links), LIMITS)
    assert found.fault is not None
    assert found.fault.cause == "APP_OUTPUT_TOO_LARGE"


def test_the_longest_archive_of_what_may_be_written_is_read() -> None:
    size = LIMITS.output_bytes // LIMITS.files
    long = [(f"{n}{'n' * 200}/{'m' * 200}", b"x" * size, tarfile.REGTYPE, "") for n in range(LIMITS.files)]
    assert len(archive(*long)) <= archive_limit(LIMITS)
    found = read_archive(archive(*long), LIMITS)
    assert found.fault is None
    assert found.is_full


def test_an_archive_without_end_is_too_large() -> None:
    assert read_archive(None, LIMITS).fault is not None


# --- ends ---------------------------------------------------------------------------------------------------------

NOTHING = Outputs({}, False, None)
FULL = Outputs({}, True, None)


@pytest.mark.parametrize(
    ("exit_code", "out_of_memory", "outputs", "cause"),
    [
        (0, False, NOTHING, None),
        (0, True, FULL, None),
        (1, False, NOTHING, "APP_EXITED_NON_ZERO"),
        (255, False, NOTHING, "APP_EXITED_NON_ZERO"),
        (139, False, NOTHING, "APP_TRAPPED"),
        (137, True, NOTHING, "APP_OUT_OF_MEMORY"),
        (1, True, FULL, "APP_OUT_OF_MEMORY"),
        (1, False, FULL, "APP_OUTPUT_TOO_LARGE"),
        (152, False, FULL, "APP_TIMEOUT"),
    ],
)
def test_an_end_is_put_down_to_the_limit_that_was_met(
    exit_code: int, out_of_memory: bool, outputs: Outputs, cause: str | None
) -> None:
    end = explain(end_of(exit_code), out_of_memory, outputs, LIMITS)
    assert end.cause == cause
    assert end.exit_code == exit_code


def test_a_missing_result_is_put_down_to_memory_too() -> None:
    assert explain(Stop("APP_NO_RESULT", "none", 0), True, NOTHING, LIMITS).cause == "APP_OUT_OF_MEMORY"


@pytest.mark.parametrize(
    ("groups", "place"),
    [
        ("9:name=systemd:/\n8:pids:/docker/x\n0::/\n", "pids/docker/x"),
        ("0::/system.slice/docker-x.scope\n", "system.slice/docker-x.scope"),
    ],
)
def test_refused_processes_are_counted_in_either_kind_of_control_group(tmp_path: Path, groups: str, place: str) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(groups)
    folder = tmp_path / "cgroup" / place
    folder.mkdir(parents=True)
    (folder / "pids.events").write_text("max 3\n")
    file = refusals_file(7, tmp_path / "cgroup", tmp_path / "proc")
    assert file is not None
    assert refusals(file) == 3
    shutil.rmtree(folder)
    assert refusals(file) == 0
    assert refusals_file(7, tmp_path / "cgroup", tmp_path / "proc") is None
    assert refusals_file(8, tmp_path / "cgroup", tmp_path / "proc") is None


# --- settings -----------------------------------------------------------------------------------------------------


def test_an_engine_is_used_only_when_asked_for(tmp_path: Path) -> None:
    assert [runtime.name for runtime in load_runtimes(tmp_path)] == ["wasm"]
    loaded = load_runtimes(tmp_path, {"docker": {"engine": "unix:///run/docker.sock"}})
    assert [runtime.name for runtime in loaded] == ["docker", "wasm"]
    assert runtime_for(loaded, "registry.example:5000/team/app:1").name == "docker"
    assert runtime_for(loaded, "/ipfs/QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u").name == "wasm"
    assert runtime_for(loaded, "team/app", b"\0asm").name == "wasm"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"docker": {"engine": "tcp://127.0.0.1:2375"}}, "runtimes.docker.engine"),
        ({"docker": {"engine": "unix:///x", "netwrok": "none"}}, "netwrok"),
        ({"docker": {"engine": "unix:///x", "cpus": 0}}, "cpus"),
        ({"docker": {"cpus": 1}}, "engine"),
        ({"doker": {"engine": "unix:///x"}}, "doker"),
        ({"wasm": {"speed": 1}}, "runtimes.wasm.*speed"),
    ],
)
def test_settings_that_are_not_known_are_named(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(IexecError, match=told) as refused:
        load_runtimes(tmp_path, options)
    assert refused.value.code == "BAD_SETTINGS"


def test_without_a_folder_there_are_no_containers() -> None:
    assert docker_runtime(None, engine="unix:///x") is None


def test_containers_are_known_by_the_folder_of_their_worker(tmp_path: Path) -> None:
    def mark(folder: Path) -> str:
        runtime = docker_runtime(folder, engine="unix:///x")
        assert isinstance(runtime, DockerRuntime)
        return runtime._worker

    assert mark(tmp_path / "a") == mark(tmp_path / "a") != mark(tmp_path / "b")
