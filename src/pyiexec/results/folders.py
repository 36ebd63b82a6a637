"""The folders that the paths of an upload spell out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pyiexec.protocol.errors import IexecError
from pyiexec.results.options import MAX_DEPTH
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import check_name
from pyiexec.storage.node import ContentNode

#: A folder: its files and folders by name.
_Tree = dict[str, "Link | _Tree"]


class Folders:
    """Collects what was added under which path.

    Args:
        wrap: everything stands in one more folder, also what has no folder of its own.
    """

    def __init__(self, *, wrap: bool) -> None:
        self._wrap = wrap
        self._root: _Tree = {}

    def check(self, path: str) -> list[str]:
        """The names in a path.

        Raises:
            IexecError: ``BAD_REQUEST`` when it cannot be one.
        """
        names = path.removeprefix("/").split("/")
        if len(names) > MAX_DEPTH:
            raise IexecError("BAD_REQUEST", f"a path has at most {MAX_DEPTH} names")
        for name in names:
            check_name(name)
        return names

    def add_file(self, names: list[str], link: Link) -> None:
        """A file, whose link has no name yet.

        Raises:
            IexecError: ``BAD_REQUEST`` when something else has that path.
        """
        folder = self._folder(names[:-1])
        known = folder.setdefault(names[-1], link)
        if known is not link:
            raise IexecError("BAD_REQUEST", f"{'/'.join(names)[:80]!r} is there twice")

    def add_folder(self, names: list[str]) -> None:
        """A folder, which may stay empty.

        Raises:
            IexecError: ``BAD_REQUEST`` when a file has that path.
        """
        self._folder(names)

    def _folder(self, names: list[str]) -> _Tree:
        folder = self._root
        for name in names:
            inner = folder.setdefault(name, {})
            if isinstance(inner, Link):
                raise IexecError("BAD_REQUEST", f"{'/'.join(names)[:80]!r} is both a file and a folder")
            folder = inner
        return folder

    async def store(self, node: ContentNode, *, cid_version: int, keep: bool) -> AsyncIterator[Link]:
        """Store the folders, the inner ones first; each with its path as the name, the wrapping one with none.

        Raises:
            IexecError: as `ContentNode.put_directory`.
        """

        async def put(tree: _Tree, path: str, made: list[Link]) -> Link:
            entries = []
            for name, inner in tree.items():
                if not isinstance(inner, Link):
                    inner = await put(inner, f"{path}/{name}" if path else name, made)
                entries.append(inner._replace(name=name))
            folder = await node.put_directory(entries, cid_version=cid_version, keep=keep)
            made.append(Link(path, folder.cid, folder.dag_bytes))
            return made[-1]

        made: list[Link] = []
        if self._wrap:
            await put(self._root, "", made)
        else:
            for name, inner in self._root.items():
                if not isinstance(inner, Link):
                    await put(inner, name, made)
        for link in made:
            yield link
