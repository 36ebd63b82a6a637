"""What a task needs of a worker's machine, what a worker lends to tasks, and whether the one meets the other; pure.

What is needed follows from the deal: its tag names GPUs and enclaves, the address of its application tells container
images from other content, and what a task may use of memory and disk is the same for all (`protocol.limits`). What kind
of content an application is only shows when it is fetched, so runtimes are told apart by images and content alone; a
runtime that is not known here may take either.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pyiexec.protocol import limits, tags
from pyiexec.protocol.images import is_image
from pyiexec.protocol.messages import Capabilities
from pyiexec.protocol.primitives import Bytes32

#: Runtimes that take no images, and those that take nothing else.
_CONTENT_ONLY, _IMAGES_ONLY = frozenset({"wasm"}), frozenset({"docker"})
_ENCLAVES = tags.TEE | tags.TEE_FRAMEWORK_MASK


class Needs(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a task needs; tasks with the same needs can be given to the same workers.

    Attributes:
        image: a runtime for container images, instead of one for other content.
        gpu: a GPU.
        enclave: bits of its tag that speak of enclaves; 0 for none.
    """

    image: bool = False
    gpu: bool = False
    enclave: int = 0

    @property
    def memory_bytes(self) -> int:
        """Memory that the task may take."""
        return limits.CONTAINER_BYTES if self.image else limits.MEMORY_BYTES


class Lent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a worker lends to all its tasks together.

    Attributes:
        images: whether one of its runtimes may take container images.
        content: whether one of them may take other content.
        gpus: how many.
        enclaves: bits of tags for the frameworks that it has.
        memory_bytes: None, as for the disk, of a worker that does not tell: as much as its slots may take.
        disk_bytes: free for tasks.
    """

    images: bool = True
    content: bool = True
    gpus: int = 0
    enclaves: int = 0
    memory_bytes: int | None = None
    disk_bytes: int | None = None


#: What is known of a worker that has not said what it lends.
NOT_SAID = Lent()


class Use(msgspec.Struct, frozen=True, gc=False):
    """What a worker's tasks occupy: how much memory, how many of them GPUs, how many tasks they are."""

    tasks: int = 0
    gpus: int = 0
    memory_bytes: int = 0

    def plus(self, needs: Needs, count: int = 1) -> Use:
        """With so many more tasks that need this; fewer, if it is negative."""
        return Use(self.tasks + count, self.gpus + count * needs.gpu, self.memory_bytes + count * needs.memory_bytes)


NOTHING_USED = Use()


def needs_of(tag: Bytes32, app_location: str) -> Needs:
    """What the tasks of a deal with this tag need, whose application is at this address."""
    bits = int(tag, 16)
    enclave = bits & _ENCLAVES if bits & tags.TEE else 0
    return Needs(image=is_image(app_location), gpu=bool(bits & tags.GPU), enclave=enclave)


def lent_by(capabilities: Capabilities) -> Lent:
    """What a worker lends that says this of itself."""
    runtimes = set(capabilities.runtimes)
    enclaves = 0
    for name in capabilities.enclaves:
        enclaves |= _FRAMEWORKS.get(name, 0)
    return Lent(
        # Who names no runtime has not said which it has.
        images=not runtimes or bool(runtimes - _CONTENT_ONLY),
        content=not runtimes or bool(runtimes - _IMAGES_ONLY),
        gpus=capabilities.gpus,
        enclaves=enclaves | tags.TEE if enclaves else 0,
        memory_bytes=capabilities.memory_bytes,
        disk_bytes=capabilities.disk_bytes,
    )


_FRAMEWORKS = {"scone": tags.SCONE, "gramine": tags.GRAMINE, "tdx": tags.TDX}


def meets(lent: Lent, needs: Needs, used: Use = NOTHING_USED) -> bool:
    """Whether a worker can take a task beside those that occupy `used`."""
    return (
        (lent.images if needs.image else lent.content)
        and not needs.enclave & ~lent.enclaves
        and (not needs.gpu or used.gpus < lent.gpus)
        and (lent.memory_bytes is None or used.memory_bytes + needs.memory_bytes <= lent.memory_bytes)
        and (lent.disk_bytes is None or (used.tasks + 1) * limits.DISK_BYTES <= lent.disk_bytes)
    )


def describe(needs: Needs) -> str:
    """What a task needs, in words."""
    return ", ".join(_described(needs))


def _described(needs: Needs) -> Iterator[str]:
    yield "a runtime for container images" if needs.image else "a runtime for applications that are no image"
    if needs.gpu:
        yield "a GPU"
    if needs.enclave:
        frameworks = [name for name, bit in _FRAMEWORKS.items() if needs.enclave & bit]
        yield f"an enclave ({' and '.join(frameworks)})" if frameworks else "an enclave"
    yield f"{needs.memory_bytes // limits.MEBIBYTE} MiB of memory"
    yield f"{limits.DISK_BYTES // limits.MEBIBYTE} MiB of disk"
