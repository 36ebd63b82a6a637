"""Container images as applications: what the address of one says.

A container application is registered under the name of its image, and its checksum is the image's digest: the SHA-256
of the manifest, or of the index of manifests for several kinds of machine, that a registry keeps under that name.

Source: the reference grammar and the content digests of the OCI distribution specification.
"""

from __future__ import annotations

import re

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Bytes32

#: The registry of names that name none.
DEFAULT_REGISTRY = "docker.io"
#: The longest name, without tag and digest.
_MAX_NAME = 255
#: The longest name with both.
_MAX_TEXT = _MAX_NAME + 1 + 128 + len("@sha256:") + 64

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
#: What tells a host from the first part of a path: a dot, a port, brackets, or that it is this one.
_HOST = (
    rf"(?:{_LABEL}(?:\.{_LABEL})+(?::[0-9]{{1,5}})?|{_LABEL}:[0-9]{{1,5}}|localhost"
    r"|\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?)"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@sha256:(?P<digest>[0-9a-f]{64}))?",
    re.ASCII,
)


class ImageName(msgspec.Struct, frozen=True):
    """The parts of an image's name.

    Attributes:
        repository: registry and path, as written.
        tag: what its owner calls this version today; empty when not said.
        checksum: the digest said, as a checksum is written on chain; None when not said.
    """

    repository: str
    tag: str
    checksum: Bytes32 | None

    @property
    def registry(self) -> str:
        """The host that keeps it."""
        host, slash, _ = self.repository.partition("/")
        return host if slash and (host == "localhost" or set(".:") & set(host)) else DEFAULT_REGISTRY

    def pinned(self, checksum: Bytes32) -> str:
        """The name under which a registry gives out the content of this checksum and no other."""
        return f"{self.repository}@sha256:{checksum.removeprefix('0x')}"


def parse_image(text: str) -> ImageName:
    """The image named by the address of an application, such as ``registry.example/team/app:1.2@sha256:...``.

    Raises:
        IexecError: ``BAD_IMAGE`` when it is no image's name.
    """
    match = _REFERENCE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None or len(match["name"]) > _MAX_NAME:
        raise IexecError("BAD_IMAGE", f"{text[:200]!r} is not the name of a container image")
    checksum = Bytes32(f"0x{match['digest']}") if match["digest"] else None
    return ImageName(match["name"], match["tag"] or "", checksum)


def is_image(text: str) -> bool:
    """Whether an address can be that of a container image: it is no URL, and no path of a content store."""
    try:
        parse_image(text)
    except IexecError:
        return False
    return True
