"""The objects that were read, as the JSON that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from pyiexec.indexer.entities import Field
from pyiexec.indexer.graphql.limits import Limits
from pyiexec.indexer.graphql.loading import Found
from pyiexec.indexer.graphql.selection import Nodes, Selection
from pyiexec.protocol.units import NRLC_PER_RLC


class HoleError(Exception):
    """Something is missing that must not be.

    Attributes:
        path: keys and places of the answer that lead to it, the last one first.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.path: list[str | int] = []

    def as_error(self, root: str) -> GraphQLError:
        """For the list of errors; `root` is the key of the query."""
        return GraphQLError(str(self), path=[root, *reversed(self.path)])


def decimal_text(nrlc: int) -> str:
    """An amount of nRLC as RLC, without needless zeros."""
    whole, rest = divmod(abs(nrlc), NRLC_PER_RLC)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if nrlc < 0 else ''}{whole}{fraction}"


#: Characters of a number, about, and around any key and value.
_NUMBER, _AROUND = 8, 6
_SERIALIZERS: dict[str, Callable[[Any], Any]] = {"BigInt": str, "BigDecimal": decimal_text}


class Shaper:
    """Makes the answer of one query; the same object may be in it many times, and each time counts."""

    def __init__(self, selection: Selection, limits: Limits) -> None:
        self._selection = selection
        self._limits = limits
        self._left = limits.objects
        self._characters = limits.characters

    def one(self, found: Found, nodes: Nodes, holes: list[HoleError]) -> dict[str, Any]:
        """An object; what is null for want of something that must not be missing is noted in `holes`.

        Raises:
            HoleError: the object itself is null for it.
            GraphQLError: there are too many objects.
        """
        self._left -= 1
        if self._left < 0:
            raise GraphQLError(f"the answer has more than {self._limits.objects} objects")
        made: dict[str, Any] = {}
        length = 0
        for wanted in self._selection.of(found.entity, nodes):
            key, field = wanted.key, wanted.field
            length += len(key) + _AROUND
            if field is None:
                made[key] = found.entity.name
            elif not field.is_relation:
                value = found.row[field.column]
                serialize = _SERIALIZERS.get(field.type)
                made[key] = value if value is None or serialize is None else serialize(value)
                length += len(value) if isinstance(value, str) else _NUMBER
            else:
                try:
                    made[key] = self._relation(field, found.links[key], wanted.nodes, holes)
                except HoleError as hole:
                    hole.path.append(key)
                    if field.required:
                        raise
                    made[key] = None
                    holes.append(hole)
        self._characters -= length
        if self._characters < 0:
            raise GraphQLError(f"the answer has more than about {self._limits.characters} characters")
        return made

    def many(self, found: list[Found], nodes: Nodes, holes: list[HoleError]) -> list[dict[str, Any]]:
        """The objects of a list; see `one`."""
        made = []
        for place, item in enumerate(found):
            try:
                made.append(self.one(item, nodes, holes))
            except HoleError as hole:
                hole.path.append(place)
                raise
        return made

    def _relation(self, field: Field, link: Found | list[Found] | None, nodes: Nodes, holes: list[HoleError]) -> Any:
        if isinstance(link, list):
            return self.many(link, nodes, holes)
        if link is not None:
            return self.one(link, nodes, holes)
        if field.required:
            raise HoleError(f'there is no {field.type} where "{field.name}" leads')
        return None
