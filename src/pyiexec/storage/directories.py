"""Folders: a block whose links have names.

Source: UnixFS specification, basic directories; names are sorted by their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, Cid
from pyiexec.storage.dag_pb import Link, decode, link, varint

#: Largest folder block; beyond it implementations spread a folder over several, which is not done here.
MAX_FOLDER_BYTES = 262_144
#: Longest name of an entry, bytes of UTF-8.
MAX_NAME_BYTES = 255

_TYPE_DIRECTORY = b"\x08\x01"


class Directory(NamedTuple):
    """A folder.

    Attributes:
        cid: its name.
        entries: what is in it, by name, in the order of the block.
        dag_bytes: encoded bytes of its block and everything below it.
        block: its encoding, whose SHA-256 names it.
    """

    cid: Cid
    entries: Mapping[str, Link]
    dag_bytes: int
    block: bytes


def directory_of(entries: Iterable[Link], cid_version: int = 0) -> Directory:
    """The folder that holds `entries`.

    Raises:
        IexecError: ``BAD_REQUEST`` when a name cannot stand in a folder, is there twice, or the folder is too large.
    """
    given = list(entries)
    for entry in given:
        check_name(entry.name)
    ordered = sorted(given, key=lambda entry: entry.name.encode())
    by_name = {entry.name: entry for entry in ordered}
    if len(by_name) != len(ordered):
        raise IexecError("BAD_REQUEST", "a name stands twice in one folder")
    links = b"".join(link(entry.cid, entry.name, entry.dag_bytes) for entry in ordered)
    block = links + b"\x0a" + varint(len(_TYPE_DIRECTORY)) + _TYPE_DIRECTORY
    if len(block) > MAX_FOLDER_BYTES:
        raise IexecError("BAD_REQUEST", f"a folder of more than {MAX_FOLDER_BYTES} bytes of names is not stored here")
    cid = Cid(cid_version, DAG_PB, hashlib.sha256(block).digest())
    return Directory(cid, by_name, len(block) + sum(entry.dag_bytes for entry in ordered), block)


def read_directory(cid: Cid, block: bytes) -> Directory:
    """The folder encoded as `block`, which must be known to have the digest of `cid`.

    Raises:
        IexecError: ``BAD_BLOCK`` when it is no folder.
    """
    links, data = decode(block)
    if data != _TYPE_DIRECTORY:
        raise IexecError("BAD_BLOCK", "the block is not a folder")
    by_name = {entry.name: entry for entry in links}
    if len(by_name) != len(links):
        raise IexecError("BAD_BLOCK", "the block is a folder in which a name stands twice")
    return Directory(cid, by_name, len(block) + sum(entry.dag_bytes for entry in links), block)


def check_name(name: str) -> None:
    """Refuse what could lead out of a folder, here or where somebody unpacks it.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise IexecError("BAD_REQUEST", "a file name cannot be written in UTF-8") from None
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise IexecError("BAD_REQUEST", f"the file name {name[:80]!r} cannot stand in a folder")
    if size > MAX_NAME_BYTES:
        raise IexecError("BAD_REQUEST", f"a file name has {size} bytes; {MAX_NAME_BYTES} are allowed")
