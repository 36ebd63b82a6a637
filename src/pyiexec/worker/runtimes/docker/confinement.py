"""What a container may do: the definitions of an application's container, its output volume and that volume's holder.

Everything an application can write to is in memory, of a fixed size, and counts as its memory: its output folder,
``/tmp``, ``/dev/shm`` and the volumes that its image declares. The image itself is read only. So no watch has to be
kept on the disk, and no limit is exceeded even for a moment.

Source: Docker Engine API, containers and volumes; tmpfs(5).
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.environment import INPUT_FOLDER, OUTPUT_FOLDER
from pyiexec.worker.runtimes.base import Limits, RunRequest
from pyiexec.worker.runtimes.docker.settings import DockerSettings

#: Names the worker whose container or volume it is.
LABEL = "pyiexec.worker"
#: Where a holder finds its program.
HOLDER_PROGRAM = "/pyiexec-holder"

#: An engine that is stopped itself need not wait for containers to take notice.
_STOP_SIGNAL = "SIGKILL"
#: An image may name a command that the engine executes now and then, in whatever container has the image.
_NO_HEALTH_CHECK = {"Test": ["NONE"]}
_SCRATCH = "/tmp"  # noqa: S108 - in the container, where it is nobody else's
_SHARED_MEMORY_BYTES = 64 << 20
_OPEN_FILES = 1024
#: Volumes of an image; each is scratch space of its own.
_MAX_VOLUMES = 16
_HOLDER_BYTES = 16 << 20


def output_volume(name: str, worker: str, limits: Limits) -> dict[str, Any]:
    """An output folder of exactly the size and number of files that a run may have."""
    # The folder itself is one of the inodes, and its content is not counted in blocks of less than a page.
    size, inodes = limits.output_bytes, limits.files + 1
    options = f"size={size},nr_inodes={inodes},mode=1777,nosuid,nodev"
    return {
        "Name": name,
        "Driver": "local",
        "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": options},
        "Labels": {LABEL: worker},
    }


def holder(image: Mapping[str, Any], volume: str, worker: str, program: Path) -> dict[str, Any]:
    """A container that does nothing but keep a volume mounted; of the application's image it executes nothing."""
    confined = _confined("none")
    return {
        "Image": image["Id"],
        "Entrypoint": [HOLDER_PROGRAM],
        "Cmd": [],
        "User": "65534:65534",
        "WorkingDir": "/",
        "StopSignal": _STOP_SIGNAL,
        "Healthcheck": _NO_HEALTH_CHECK,
        "Labels": {LABEL: worker},
        "NetworkDisabled": True,
        "HostConfig": confined
        | {
            "Mounts": [
                _bind(str(program), HOLDER_PROGRAM),
                _volume(volume),
                # Or else the engine makes volumes on its disk, and copies into them what the image has there.
                *(_scratch(path, _HOLDER_BYTES) for path in dict.fromkeys(declared_volumes(image))),
            ],
            "Memory": _HOLDER_BYTES,
            "MemorySwap": _HOLDER_BYTES,
            "PidsLimit": 1,
        },
    }


def application(
    request: RunRequest, image: Mapping[str, Any], volume: str, worker: str, settings: DockerSettings
) -> dict[str, Any]:
    """The container of one run.

    Args:
        image: as the engine describes it.
        volume: for its output.
        worker: what its label says.

    Raises:
        IexecError: ``APP_INVALID_IMAGE`` when what the image declares cannot be confined.
    """
    limits = request.limits
    memory = memory_limit(limits)
    scratch = [_SCRATCH, *declared_volumes(image)]
    seconds = math.ceil(limits.seconds * max(settings.cpus, 1.0)) + 1
    host = _confined(settings.network) | {
        "Mounts": [
            _bind(str(request.input_dir), INPUT_FOLDER),
            _volume(volume),
            *(_scratch(path, settings.scratch_bytes) for path in dict.fromkeys(scratch)),
        ],
        "Memory": memory,
        # The kernel spares the first process of a container from signals; the application is to feel them.
        "Init": True,
        # Memory and swap together: there is no swap.
        "MemorySwap": memory,
        "ShmSize": _SHARED_MEMORY_BYTES,
        "NanoCpus": round(settings.cpus * 1e9),
        "PidsLimit": settings.processes,
        "Ulimits": [
            # Seconds of processor time, which end what a worker that died cannot end any more.
            {"Name": "cpu", "Soft": seconds, "Hard": seconds},
            {"Name": "nofile", "Soft": _OPEN_FILES, "Hard": _OPEN_FILES},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
    }
    if settings.oci_runtime:
        host["Runtime"] = settings.oci_runtime
    if request.gpu:
        host["DeviceRequests"] = [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]
    return {
        "Image": image["Id"],
        # Without arguments an image's own are taken.
        **({"Cmd": list(request.args)} if request.args else {}),
        "Env": [f"{name}={value}" for name, value in request.environment.items()],
        "User": settings.user,
        "Hostname": "iexec",
        "StopSignal": _STOP_SIGNAL,
        "Healthcheck": _NO_HEALTH_CHECK,
        "Labels": {LABEL: worker},
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": False,
        "Tty": False,
        "NetworkDisabled": settings.network == "none",
        "HostConfig": host,
    }


def memory_limit(limits: Limits) -> int:
    """Bytes that an application may have in all: its memory and, which is in memory too, its output."""
    return limits.memory_bytes + limits.output_bytes


def declared_volumes(image: Mapping[str, Any]) -> list[str]:
    """Folders of an image that are to be written to.

    Raises:
        IexecError: ``APP_INVALID_IMAGE`` when one would hide the input or the output, or there are too many.
    """
    paths = [posixpath.normpath("/" + path.lstrip("/")) for path in _config(image).get("Volumes") or ()]
    if len(paths) > _MAX_VOLUMES:
        raise IexecError("APP_INVALID_IMAGE", f"the image declares {len(paths)} volumes; {_MAX_VOLUMES} are allowed")
    for path in paths:
        for folder in (INPUT_FOLDER, OUTPUT_FOLDER):
            if path == "/" or f"{path}/".startswith(f"{folder}/"):
                raise IexecError("APP_INVALID_IMAGE", f"the image declares a volume at {path[:100]!r}")
    return paths


def check_image(image: Mapping[str, Any], checksum: str, architecture: str, max_bytes: int) -> None:
    """Refuse an image that is not the one registered, or cannot be run here.

    Args:
        image: as the engine describes it.
        checksum: the digest that it was registered with.
        architecture: the machine's, in the words of images.
        max_bytes: of its unpacked content.

    Raises:
        IexecError: ``APP_CHECKSUM_MISMATCH``, ``APP_INVALID_IMAGE``, ``CONTENT_TOO_LARGE``.
    """
    digests = {name.rpartition("@sha256:")[2] for name in image.get("RepoDigests") or ()}
    if checksum.removeprefix("0x") not in digests:
        raise IexecError("APP_CHECKSUM_MISMATCH", f"the image does not have the digest {checksum} that the chain says")
    platform = f"{image.get('Os')}/{image.get('Architecture')}"
    if platform != f"linux/{architecture}":
        raise IexecError("APP_INVALID_IMAGE", f"the image is for {platform}, this machine is linux/{architecture}")
    if image["Size"] > max_bytes:
        raise IexecError("CONTENT_TOO_LARGE", f"the image has {image['Size']} bytes; {max_bytes} are allowed")
    config = _config(image)
    if not (config.get("Entrypoint") or config.get("Cmd")):
        raise IexecError("APP_INVALID_IMAGE", "the image has no command to start")
    declared_volumes(image)


def check_engine(info: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse an engine under which an application could harm its machine.

    Args:
        info: what the engine says of itself.
        known: processors that can be served.

    Raises:
        IexecError: ``ENGINE_UNSAFE`` naming all that is missing.
    """
    missing = [name for name in ("MemoryLimit", "PidsLimit", "CpuCfsQuota") if not info.get(name)]
    seccomp = [option for option in info.get("SecurityOptions") or () if option.startswith("name=seccomp")]
    if not seccomp or "unconfined" in seccomp[0]:
        missing.append("seccomp")
    if missing:
        raise IexecError("ENGINE_UNSAFE", f"the engine cannot confine applications: it lacks {', '.join(missing)}")
    if info.get("OSType") != "linux" or info.get("Architecture") not in set(known):
        machine = f"{info.get('OSType')} on {info.get('Architecture')}"
        raise IexecError("ENGINE_UNSAFE", f"the engine runs {machine}, for which there are no holders of volumes")


def _config(image: Mapping[str, Any]) -> Mapping[str, Any]:
    return image.get("Config") or {}


def _confined(network: str) -> dict[str, Any]:
    """What holds for every container."""
    return {
        "NetworkMode": network,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "IpcMode": "private",
        "RestartPolicy": {"Name": "no"},
        # Kept nowhere: it is read as it is printed, and cannot fill a disk.
        "LogConfig": {"Type": "none", "Config": {}},
    }


def _bind(source: str, target: str) -> dict[str, Any]:
    bind = {"Propagation": "rprivate"}
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True, "BindOptions": bind}


def _volume(name: str) -> dict[str, Any]:
    # What the image has in its place is not copied into it.
    return {"Type": "volume", "Source": name, "Target": OUTPUT_FOLDER, "VolumeOptions": {"NoCopy": True}}


def _scratch(target: str, size: int) -> dict[str, Any]:
    return {"Type": "tmpfs", "Target": target, "TmpfsOptions": {"SizeBytes": size, "Mode": 0o1777}}
