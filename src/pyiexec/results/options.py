"""Options of the node's calls, read from the query; what cannot be honoured is refused, never ignored.

Source: kubo's HTTP RPC API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import Cid, parse_cid
from pyiexec.storage.directories import check_name
from pyiexec.storage.unixfs import CHUNK_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, WIDTH, Layout

_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": True}
_CHUNKER = re.compile(r"size-(\d{1,9})", re.ASCII)
#: Options of every call that say how to answer or for how long to search: nothing here depends on them.
EVERYWHERE = frozenset({"encoding", "stream", "stream-channels", "timeout", "offline"})
#: Options of ``add`` that change what is printed or how a program on the client's side reads files.
_WITHOUT_EFFECT = frozenset(
    {"quiet", "quieter", "silent", "recursive", "hidden", "pin", "progress", "dereference-args", "stdin-name", "stdin"}
)
#: Options of ``add`` whose one value served is what happens without them.
_ONLY: Mapping[str, tuple[str, ...]] = {
    "hash": ("sha2-256",),
    "trickle": ("false", "0"),
    "nocopy": ("false", "0"),
    "fscache": ("false", "0"),
    "inline": ("false", "0"),
    "preserve-mode": ("false", "0"),
    "preserve-mtime": ("false", "0"),
    "max-file-links": (str(WIDTH),),
}
#: Deepest path below a CID.
MAX_DEPTH = 64
_LONGEST = 1 << 53


class AddOptions(NamedTuple):
    """What ``add`` was told.

    Attributes:
        layout: how files become blocks.
        wrap: put everything into one more folder.
        keep: store; otherwise only find out the names.
        progress: say for every file how many bytes arrived.
    """

    layout: Layout
    wrap: bool
    keep: bool
    progress: bool


def read_add(query: Mapping[str, str]) -> AddOptions:
    """The options of ``add``.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the option that cannot be honoured.
    """
    served = {"cid-version", "raw-leaves", "chunker", "wrap-with-directory", "only-hash"}
    check_known(query, served | _WITHOUT_EFFECT | set(_ONLY))
    for name, values in _ONLY.items():
        if name in query and query[name] not in values:
            raise _bad(name, f"must be {values[0]} here", query[name])
    version = query.get("cid-version", "0")
    if version not in ("0", "1"):
        raise _bad("cid-version", "must be 0 or 1", version)
    raw = read_flag(query, "raw-leaves", default=version == "1")
    return AddOptions(
        Layout(int(version), raw, _chunk_bytes(query.get("chunker", ""))),
        wrap=read_flag(query, "wrap-with-directory"),
        keep=not read_flag(query, "only-hash"),
        progress=read_flag(query, "progress"),
    )


def read_path(text: str) -> tuple[Cid, list[str]]:
    """CID and names of ``<cid>/a/b``, with or without ``/ipfs/`` before it.

    Raises:
        IexecError: ``BAD_CID``, ``BAD_REQUEST``.
    """
    first, *names = text.removeprefix("/ipfs/").split("/")
    cid = parse_cid(first)
    if names and not names[-1]:
        names.pop()
    if len(names) > MAX_DEPTH:
        raise IexecError("BAD_REQUEST", f"a path has at most {MAX_DEPTH} names")
    for name in names:
        check_name(name)
    return cid, names


def read_argument(query: Mapping[str, str], served: Iterable[str] = ()) -> tuple[Cid, list[str]]:
    """The one argument of a call, a path; `served` are the options it has besides.

    Raises:
        IexecError: as `read_path`, and for what is not served.
    """
    check_known(query, {"arg", *served})
    if not query.get("arg"):
        raise IexecError("BAD_REQUEST", 'argument "ipfs-path" is required')
    return read_path(query["arg"])


def read_count(query: Mapping[str, str], name: str) -> int | None:
    """A number of bytes, None when it is not given.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    text = query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > _LONGEST:
        raise _bad(name, "must be a number of bytes", text)
    return int(text)


def read_flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A yes or no.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if name not in query:
        return default
    if query[name] not in _FLAGS:
        raise _bad(name, "must be true or false", query[name])
    return _FLAGS[query[name]]


def check_known(query: Mapping[str, str], served: Iterable[str]) -> None:
    """Refuse options that are not served.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    unknown = sorted(set(query) - EVERYWHERE - set(served))
    if unknown:
        raise IexecError("BAD_REQUEST", f"option {unknown[0][:40]!r} is not served here")


def _chunk_bytes(chunker: str) -> int:
    if chunker in ("", "default"):
        return CHUNK_BYTES
    match = _CHUNKER.fullmatch(chunker)
    if match is None or not MIN_CHUNK_BYTES <= int(match[1]) <= MAX_CHUNK_BYTES:
        raise _bad("chunker", f"must be size-N with N of {MIN_CHUNK_BYTES} to {MAX_CHUNK_BYTES} bytes", chunker)
    return int(match[1])


def _bad(name: str, what: str, value: str) -> IexecError:
    return IexecError("BAD_REQUEST", f"{name} {what}, not {value[:40]!r}")
