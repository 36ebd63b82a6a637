"""A container engine and a registry of images, both real, installed (Debian's packages) and started by the test run."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyiexec.foundation.lifetime import tie_to_parent
from pyiexec.protocol.primitives import Bytes32
from pyiexec.worker.runtimes.base import Image

PACKAGES = {
    "docker.io": Path("/usr/sbin/dockerd"),
    "docker-registry": Path("/usr/bin/docker-registry"),
    "busybox-static": Path("/bin/busybox"),
}
_PREFIX = "pyiexec-test-docker-"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_START_SECONDS = 60


class DockerEngine:
    """An engine with a folder of its own, and a registry beside it; gone with the process that started them."""

    def __init__(self) -> None:
        _install()
        with _one_at_a_time():
            _remove_left_over()
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = (self.folder / "in-use").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.socket = self.folder / "docker.sock"
        self._log = (self.folder / "log").open("ab")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._command = (
            *("/usr/sbin/dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec"),
            *("--host", self.url, "--pidfile", self.folder / "pid", "--bridge=none", "--iptables=false"),
            *("--ip6tables=false", "--ip-masq=false", "--ip-forward=false", "--shutdown-timeout=1"),
        )
        self._dockerd = self._start(*self._command)
        self.registry = Registry(self._start, self.folder)
        self._wait(lambda: self.docker("version", check=False).returncode == 0)
        self._wait(self.registry.is_up)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Asks the engine by its own client, to see what the runtime left there."""
        command = ["/usr/bin/docker", "--host", self.url, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)

    def containers(self) -> list[str]:
        return self.docker("ps", "--all", "--format", "{{.Names}}").stdout.split()

    def volumes(self) -> list[str]:
        return self.docker("volume", "ls", "--quiet").stdout.split()

    def images(self) -> list[str]:
        return sorted(self.docker("images", "--all", "--quiet", "--no-trunc").stdout.split())

    def kill(self) -> None:
        """End the engine, not what runs in it."""
        containerd = int((self.folder / "exec/containerd/containerd.pid").read_text())
        self._dockerd.kill()
        self._dockerd.wait(30)
        self._processes.remove(self._dockerd)
        # It goes with its parent, in its own time; an engine that found it still there would wait for it.
        while Path(f"/proc/{containerd}").exists():
            time.sleep(0.01)

    def restart(self) -> None:
        """Start the engine after it was killed."""
        (self.folder / "pid").unlink(missing_ok=True)
        self._dockerd = self._start(*self._command)
        self._wait(lambda: self.docker("version", check=False).returncode == 0)

    def remove(self) -> None:
        """Stop both and delete their folder."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)
        self._log.close()
        _delete(self.folder)
        self._lock.close()

    def _start(self, *command: str | Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self.folder,
            preexec_fn=tie_to_parent(signal.SIGTERM),
        )
        self._processes.append(process)
        return process

    def _wait(self, is_up: Any) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not is_up():
            dead = [process for process in self._processes if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"the engine did not start:\n{(self.folder / 'log').read_text()[-8000:]}")
            time.sleep(0.05)


class Registry:
    """A registry, and images made for it byte by byte."""

    def __init__(self, start: Any, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        configuration = folder / "registry.json"
        configuration.write_text(
            json.dumps(
                {
                    "version": "0.1",
                    "log": {"level": "error"},
                    "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
                    "http": {"addr": self.host},
                }
            )
        )
        start("/usr/bin/docker-registry", "serve", configuration)
        self._busybox = busybox_layer()

    def is_up(self) -> bool:
        try:
            self._ask("GET", "/v2/")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def shell(self, name: str = "shell", **config: Any) -> Image:
        """An image that gives its first argument to a shell."""
        return self.image(name, [self._busybox], {"Entrypoint": ["/bin/sh", "-c"]} | config)

    def image(
        self, name: str, layers: Sequence[bytes], config: Mapping[str, Any], *, architecture: str = "amd64"
    ) -> Image:
        """Store an image of compressed layers."""
        digest, _ = self.manifest(name, layers, config, architecture)
        return self.named(name, digest)

    def index(self, name: str, layers: Mapping[str, tuple[Sequence[bytes], Mapping[str, Any]]]) -> Image:
        """Store an image for several processors."""
        manifests = []
        for architecture, (its_layers, config) in layers.items():
            digest, size = self.manifest(name, its_layers, config, architecture)
            platform = {"architecture": architecture, "os": "linux"}
            manifests.append({"mediaType": _MANIFEST, "digest": digest, "size": size, "platform": platform})
        index = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}).encode()
        return self.named(name, self._put_manifest(name, index, _INDEX))

    def named(self, name: str, digest: str) -> Image:
        return Image(f"{self.host}/{name}", Bytes32("0x" + digest.removeprefix("sha256:")))

    def manifest(
        self, name: str, layers: Sequence[bytes], config: Mapping[str, Any], architecture: str
    ) -> tuple[str, int]:
        differences = [f"sha256:{hashlib.sha256(_unpacked(layer)).hexdigest()}" for layer in layers]
        configuration = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": dict(config),
                "rootfs": {"type": "layers", "diff_ids": differences},
                "history": [{"created_by": "a test"} for _ in layers],
            }
        ).encode()
        parts = [("application/vnd.docker.container.image.v1+json", configuration)]
        parts += [("application/vnd.docker.image.rootfs.diff.tar.gzip", layer) for layer in layers]
        first, *others = [
            {"mediaType": kind, "size": len(content), "digest": self._put_blob(name, content)}
            for kind, content in parts
        ]
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": first, "layers": others}
        content = json.dumps(manifest).encode()
        return self._put_manifest(name, content, _MANIFEST), len(content)

    def _put_blob(self, name: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        started = self._ask("POST", f"/v2/{name}/blobs/uploads/", b"")
        place = started["Location"]
        self._ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content, "application/octet-stream")
        return digest

    def _put_manifest(self, name: str, content: bytes, kind: str) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._ask("PUT", f"/v2/{name}/manifests/{digest}", content, kind)
        return digest

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        headers = {"Content-Type": kind} if kind else {}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.headers


def layer(files: Mapping[str, tuple[bytes, int]], links: Mapping[str, str] | None = None) -> bytes:
    """A compressed layer of files with their modes, and of links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (content, mode) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
        for path, target in (links or {}).items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)


def busybox_layer() -> bytes:
    """A shell and the usual commands, static."""
    busybox = PACKAGES["busybox-static"]
    commands = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"bin/{command}": "busybox" for command in commands if command != "busybox"}
    return layer({"bin/busybox": (busybox.read_bytes(), 0o755)}, links)


def _unpacked(content: bytes) -> bytes:
    return gzip.decompress(content)


def _install() -> None:
    if all(path.exists() for path in PACKAGES.values()):
        return
    if os.geteuid() != 0:
        raise RuntimeError(f"Debian's packages {', '.join(PACKAGES)} are not installed")
    with _one_at_a_time():
        # The engine of the tests is started by them, and no other.
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
        # A bare machine has no lists of packages, or old ones.
        if subprocess.run(command, env=environment, capture_output=True, check=False).returncode:
            subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=True)
            subprocess.run(command, env=environment, capture_output=True, check=True)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (Path(tempfile.gettempdir()) / f"{_PREFIX}preparation").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_left_over() -> None:
    """Delete the folders of test runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/"):
        try:
            with (folder / "in-use").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _delete(folder)
        except OSError:
            continue  # in use, or another run is deleting it


def _delete(folder: Path) -> None:
    """Delete a folder in which there may be mounts, the innermost first."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if place.startswith(str(folder))), key=len, reverse=True):
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "--lazy", place], check=True, capture_output=True)
    shutil.rmtree(folder)
