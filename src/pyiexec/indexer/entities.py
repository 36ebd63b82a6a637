"""What the index holds: the published schema of PoCo's index, from which tables and the GraphQL schema are both made.

Each entity is written down once, one field a line::

    name: Type!           a value, or an object of another entity; `!` when never null
    names: [Type!]!       a list that is stored with the entity, in a table of its own
    names: [Type!]! < f   not stored: the objects of `Type` whose field `f` is this entity, or holds it

Spellings such as ``FAILLED`` and ``bulkSliceice`` are what clients ask for.

Source: schema of the PoCo subgraph 2.1.2. Amounts are RLC with nine decimals on the wire, nRLC as integers in rows;
times are seconds; addresses and hashes lower-case hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pyiexec.indexer import published

#: Kinds of values. ``Int`` is a JSON number on the wire, all others are texts.
SCALARS = frozenset({"ID", "String", "Bytes", "BigInt", "BigDecimal", "Int"})

ENUMS: Mapping[str, tuple[str, ...]] = {
    "TaskStatus": ("UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED"),
    "ContributionStatus": ("UNSET", "CONTRIBUTED", "PROVED", "REJECTED"),
}

#: Numbers that 64 bits hold by the rules of the chain itself; any other number may be as long as 256 bits.
_SHORT_NUMBERS = frozenset({"timestamp", "blockNumber", "gasLimit", "gasUsed", "startTime", "lastUsageTimestamp"})

#: Of the table of a stored list: id of the entity, place in the list from 0, id of the member.
LIST_COLUMNS = ("parent", "position", "child")

_LINE = re.compile(r"(?P<name>\w+): (?:(?P<type>\w+)|\[(?P<member>\w+)!])(?P<required>!?)(?: < (?P<by>\w+))?")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an entity.

    Attributes:
        name: as clients spell it.
        type: a scalar, an enumeration, an entity or an interface.
        required: never null.
        many: a list.
        derived_by: when it is not stored, the field of `type` that points here.
        list_table: for a list that is stored, the table of its members (`LIST_COLUMNS`).
    """

    name: str
    type: str
    required: bool
    many: bool = False
    derived_by: str | None = None
    list_table: str | None = None

    @property
    def column(self) -> str:
        """Name of the column that holds it; for a relation, the id it points to."""
        return snake_case(self.name)

    @property
    def is_stored(self) -> bool:
        """Whether the table of the entity has a column for it."""
        return not self.many and self.derived_by is None

    @property
    def is_relation(self) -> bool:
        """Whether it leads to other entities."""
        return self.type not in SCALARS and self.type not in ENUMS

    @property
    def is_short(self) -> bool:
        """Whether a 64-bit integer holds it."""
        return self.name in _SHORT_NUMBERS


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """A type of objects.

    Attributes:
        name: of the GraphQL type.
        fields: by name, in published order.
        interface: the interface it implements.
        table: where its objects are rows. Events that share an interface share a table, whose column ``kind`` tells
            the type.
    """

    name: str
    fields: Mapping[str, Field]
    interface: str | None = None
    table: str

    @property
    def kind(self) -> str | None:
        """Its name in the column ``kind``, None where the table is its own."""
        return self.name if self.interface and INTERFACES[self.interface].table else None

    @property
    def singular(self) -> str:
        """Name of the query for one."""
        return _lower_first(self.name)

    @property
    def plural(self) -> str:
        """Name of the query for many."""
        return plural_of(self.name)

    @property
    def stored(self) -> tuple[Field, ...]:
        """The fields with a column."""
        return tuple(field for field in self.fields.values() if field.is_stored)


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """What several types have in common.

    Attributes:
        table: the table that its implementations share; None when each has one of its own.
    """

    name: str
    fields: Mapping[str, Field]
    table: str | None

    @property
    def implementations(self) -> tuple[Entity, ...]:
        """The types, in published order."""
        return tuple(entity for entity in ENTITIES.values() if entity.interface == self.name)

    @property
    def singular(self) -> str:
        """Name of the query for one."""
        return _lower_first(self.name)

    @property
    def plural(self) -> str:
        """Name of the query for many."""
        return plural_of(self.name)


def snake_case(name: str) -> str:
    """``appPrice`` as ``app_price``."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: "_" + match[0], name).lower()


def _lower_first(name: str) -> str:
    return name[0].lower() + name[1:]


#: Plurals that follow no rule one would guess.
_PLURALS = {
    "Category": "categories",
    "BulkSlice": "bulkSliceice",
    "TaskConsensus": "taskConsensuses",
}


def plural_of(name: str) -> str:
    """Name of the query for many objects of a type, as clients know it."""
    return _PLURALS.get(name, _lower_first(name) + "s")


def _table_of(name: str) -> str:
    return snake_case("Categorie" if name == "Category" else name) + "s"


def _read_fields(text: str, table: str) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"not a field: {line}")
        many, derived_by = bool(found["member"]), found["by"]
        fields[found["name"]] = Field(
            name=found["name"],
            type=found["member"] or found["type"],
            required=bool(found["required"]),
            many=many,
            derived_by=derived_by,
            list_table=f"{table}_{snake_case(found['name'])}" if many and derived_by is None else None,
        )
    return fields


def _read_interface(name: str, table: str | None, text: str) -> Interface:
    return Interface(name=name, fields=_read_fields(text, table or ""), table=table)


def _read_entity(name: str, interface: str | None, text: str) -> Entity:
    inherited = INTERFACES[interface] if interface else None
    table = inherited.table if inherited and inherited.table else _table_of(name)
    fields = (dict(inherited.fields) if inherited else {}) | _read_fields(text, table)
    return Entity(name=name, fields=fields, interface=interface, table=table)


INTERFACES: Mapping[str, Interface] = {
    name: _read_interface(name, table, text) for name, (table, text) in published.INTERFACES.items()
}
ENTITIES: Mapping[str, Entity] = {
    name: _read_entity(name, interface, text) for name, (interface, text) in published.TYPES.items()
}
