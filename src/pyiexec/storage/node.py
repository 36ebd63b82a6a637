"""What keeps content for a service: its own folder, or an IPFS node that runs elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import Cid
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import Directory
from pyiexec.storage.unixfs import DEFAULT_LAYOUT, Layout

#: What can be stored: bytes, a file, or a stream of pieces of any size.
Source = bytes | Path | AsyncIterable[bytes]


class Stored(NamedTuple):
    """A file that is kept.

    Attributes:
        cid: its name under the layout it was stored with, or the one it was asked by.
        size: bytes of its content.
        dag_bytes: bytes of its UnixFS blocks, what ``ipfs add`` reports as ``Size``.
    """

    cid: Cid
    size: int
    dag_bytes: int


class ContentNode(Protocol):
    """Keeps files and folders by their CIDs. `store.ContentStore` and `kubo.KuboNode` are two."""

    async def put(
        self, source: Source, *, layout: Layout = DEFAULT_LAYOUT, max_bytes: int | None = None, keep: bool = True
    ) -> Stored:
        """Keep a file; its name is told once it is durable."""

    async def adopt(self, path: Path, *, layout: Layout = DEFAULT_LAYOUT) -> Stored:
        """Keep a file that is whole, and take it away."""

    async def put_directory(self, entries: Sequence[Link], *, cid_version: int = 0, keep: bool = True) -> Directory:
        """Keep a folder."""

    async def find(self, cid: Cid | str) -> Stored | Directory:
        """The file or folder of that name."""

    def stream(self, cid: Cid | str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a file from `start` up to `end`, exclusive."""


async def resolve(node: ContentNode, cid: Cid, names: Sequence[str]) -> Stored | Directory:
    """What a path below a folder leads to.

    Raises:
        IexecError: ``CONTENT_NOT_FOUND`` when a name is not there, and as `ContentNode.find`.
    """
    found = await node.find(cid)
    for name in names:
        entry = found.entries.get(name) if isinstance(found, Directory) else None
        if entry is None:
            raise IexecError("CONTENT_NOT_FOUND", f"no {name[:80]!r} under {cid}")
        found = await node.find(entry.cid)
    return found


def missing(cid: Cid) -> IexecError:
    """The refusal of content that is not kept."""
    return IexecError("CONTENT_NOT_FOUND", f"{cid} is not in the store")


def too_large(max_bytes: int) -> IexecError:
    """The refusal of content beyond a limit in bytes."""
    return IexecError("CONTENT_TOO_LARGE", f"the content is larger than the {max_bytes} bytes allowed")


def unwritable(error: OSError) -> IexecError:
    """What a failing disk is reported as."""
    return IexecError("STORE_UNWRITABLE", f"the content store cannot write: {error.strerror}")
