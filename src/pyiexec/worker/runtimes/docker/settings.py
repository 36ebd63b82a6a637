"""Settings of container applications: the table ``runtimes.docker`` of a worker's settings."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MEBIBYTE = 1 << 20


class DockerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker lends to containers. What a run may use is said by its `Limits`; this is about the machine.

    Attributes:
        engine: socket of the engine's API; the engine must see the worker's files under the same paths.
        network: the engine's network that applications are in; ``none`` has no other host in it.
        cpus: processors one application may keep busy.
        processes: processes and threads of one application.
        scratch_bytes: of ``/tmp``, and of each volume that an image declares.
        user: number of the user, and of the group, as whom applications run, whatever their images say.
        oci_runtime: the engine's runtime, such as ``runsc``; its default one when empty.
        gpus: hand all GPUs to applications whose deals ask for them.
        registries: hosts from which images are taken; any when empty.
        max_image_bytes: largest image, unpacked.
        images_bytes: kept of the images fetched.
        pull_seconds: for which an image may take to arrive.
    """

    engine: str
    network: Annotated[str, Meta(min_length=1)] = "none"
    cpus: Annotated[float, Meta(gt=0, le=1024)] = 1.0
    processes: Annotated[int, Meta(ge=1)] = 256
    scratch_bytes: Annotated[int, Meta(ge=MEBIBYTE)] = 64 * MEBIBYTE
    user: Annotated[str, Meta(pattern=r"^[0-9]{1,9}:[0-9]{1,9}$")] = "65534:65534"
    oci_runtime: str = ""
    gpus: bool = False
    registries: list[str] = msgspec.field(default_factory=list)
    max_image_bytes: Annotated[int, Meta(ge=1)] = 4096 * MEBIBYTE
    images_bytes: Annotated[int, Meta(ge=0)] = 16384 * MEBIBYTE
    pull_seconds: Annotated[float, Meta(gt=0)] = 1800.0
