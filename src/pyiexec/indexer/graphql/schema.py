"""The GraphQL schema, written from the entities.

Types, roots, filters and orderings are those that hosts of subgraphs generate, so that queries made for one of them
mean the same here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema, build_schema
from graphql.language import FloatValueNode, IntValueNode, StringValueNode, ValueNode

from pyiexec.indexer.entities import ENTITIES, ENUMS, INTERFACES, Entity, Field, Interface

#: What can be asked for by name.
Kind: TypeAlias = Entity | Interface

#: Objects in a list when nothing is said, and at most; how many can be skipped.
FIRST_DEFAULT, FIRST_MOST, SKIP_MOST = 100, 1000, 5000
#: Digits of a number in a filter; the longest that the chain knows has 78.
_MOST_DIGITS = 80

_ORDERED = ("", "_not", "_gt", "_lt", "_gte", "_lte")
_LISTS = ("_in", "_not_in")
_WITHIN = ("_contains", "_not_contains")
_TEXT = tuple(
    f"{negation}{place}{case}"
    for place in ("contains", "starts_with", "ends_with")
    for negation in ("_", "_not_")
    for case in ("", "_nocase")
)
#: How values of a kind are compared: suffixes that take one value, suffixes that take several.
_OPERATORS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ID": (_ORDERED, _LISTS),
    "Int": (_ORDERED, _LISTS),
    "BigInt": (_ORDERED, _LISTS),
    "BigDecimal": (_ORDERED, _LISTS),
    "Bytes": ((*_ORDERED, *_WITHIN), _LISTS),
    "String": ((*_ORDERED, *_TEXT), _LISTS),
}
_STORED_LIST = ("", "_not", "_contains", "_not_contains", "_contains_nocase", "_not_contains_nocase")


class Operator(NamedTuple):
    """What an entry of a filter means.

    Attributes:
        suffix: what follows the field's name, "" for equality; ``_`` for a filter on what the field leads to.
    """

    field: Field
    suffix: str


def kind_of(name: str) -> Kind:
    """The entity or interface of that name."""
    return ENTITIES[name] if name in ENTITIES else INTERFACES[name]


@cache
def kinds() -> Mapping[str, Kind]:
    """Everything that can be asked for, by the name of its type, in published order."""
    return {**ENTITIES, **INTERFACES}


@cache
def operators(kind: str) -> Mapping[str, Operator]:
    """The entries of a kind's filter by name, apart from ``and`` and ``or``."""
    return {name: operator for field in kind_of(kind).fields.values() for name, operator, _ in _entries(field)}


def _entries(field: Field) -> Iterator[tuple[str, Operator, str]]:
    """Name, meaning and GraphQL type of what a filter may say of a field."""
    if field.list_table:
        for suffix in _STORED_LIST:
            yield field.name + suffix, Operator(field, suffix), "[String!]"
    elif field.is_stored:
        scalar = "String" if field.is_relation else field.type
        single, several = (("", "_not"), _LISTS) if scalar in ENUMS else _OPERATORS[scalar]
        for suffix in single:
            yield field.name + suffix, Operator(field, suffix), scalar
        for suffix in several:
            yield field.name + suffix, Operator(field, suffix), f"[{scalar}!]"
    if field.is_relation:
        yield f"{field.name}_", Operator(field, "_"), f"{field.type}_filter"


@cache
def orderings(kind: str) -> Mapping[str, tuple[Field, Field | None]]:
    """What a list can be ordered by: a field, or a field of what it leads to."""
    found: dict[str, tuple[Field, Field | None]] = {}
    for field in kind_of(kind).fields.values():
        if not field.is_stored:
            continue
        found[field.name] = (field, None)
        if field.is_relation:
            for inner in kind_of(field.type).fields.values():
                if inner.is_stored and not inner.is_relation:
                    found[f"{field.name}__{inner.name}"] = (field, inner)
    return found


# --- the language -------------------------------------------------------------------------------------------------

_PRELUDE = """
"An integer of any size, as text."
scalar BigInt
"A decimal number, as text."
scalar BigDecimal
"Bytes in hexadecimal, as text that begins with 0x."
scalar Bytes

enum OrderDirection { asc desc }
enum _SubgraphErrorPolicy_ { allow deny }

"The state to be read. This index keeps that of its newest block alone."
input Block_height { hash: Bytes number: Int number_gte: Int }
input BlockChangedFilter { number_gte: Int! }

type _Block_ { hash: Bytes number: Int! timestamp: Int parentHash: Bytes }
type _Meta_ { block: _Block_! deployment: String! hasIndexingErrors: Boolean! }
"""
_AT = "block: Block_height, subgraphError: _SubgraphErrorPolicy_! = deny"


def language() -> str:
    """The schema in GraphQL's own definition language."""
    parts = [_PRELUDE]
    parts += [f"enum {name} {{ {' '.join(values)} }}" for name, values in ENUMS.items()]
    roots = []
    for name, kind in kinds().items():
        parts += [_type(kind), _filter(name), f"enum {name}_orderBy {{ {' '.join(orderings(name))} }}"]
        roots.append(f"{kind.singular}(id: ID!, {_AT}): {name}")
        roots.append(f"{kind.plural}({_arguments(name)}, {_AT}): [{name}!]!")
    roots.append("_meta(block: Block_height): _Meta_")
    parts.append("type Query {\n" + "\n".join(roots) + "\n}")
    return "\n".join(parts)


def _type(kind: Kind) -> str:
    lines = []
    for field in kind.fields.values():
        required = "!" if field.required else ""
        if field.many:
            lines.append(f"{field.name}({_arguments(field.type)}): [{field.type}!]!")
        else:
            lines.append(f"{field.name}: {field.type}{required}")
    head = f"interface {kind.name}"
    if isinstance(kind, Entity):
        head = f"type {kind.name}" + (f" implements {kind.interface}" if kind.interface else "")
    return head + " {\n" + "\n".join(lines) + "\n}"


def _arguments(name: str) -> str:
    paging = f"skip: Int = 0, first: Int = {FIRST_DEFAULT}"
    return f"{paging}, orderBy: {name}_orderBy, orderDirection: OrderDirection, where: {name}_filter"


def _filter(name: str) -> str:
    lines = [f"{entry}: {type_}" for field in kind_of(name).fields.values() for entry, _, type_ in _entries(field)]
    lines += ["_change_block: BlockChangedFilter", f"and: [{name}_filter]", f"or: [{name}_filter]"]
    return f"input {name}_filter {{\n" + "\n".join(lines) + "\n}"


# --- values -------------------------------------------------------------------------------------------------------

_HEXADECIMAL = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})*)")


def _big_integer(value: Any) -> int:
    text = str(value)
    if isinstance(value, (int, str)) and not isinstance(value, bool) and len(text) <= _MOST_DIGITS:
        try:
            return int(text)
        except ValueError:
            pass
    raise GraphQLError(f"not an integer of at most {_MOST_DIGITS} digits")


def _decimal(value: Any) -> Decimal:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = Decimal(str(value)) if len(str(value)) <= _MOST_DIGITS else Decimal("nan")
        except InvalidOperation:
            number = Decimal("nan")
        if number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS:
            return number
    raise GraphQLError(f"not a decimal number of at most {_MOST_DIGITS} digits")


def _bytes(value: Any) -> str:
    found = _HEXADECIMAL.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise GraphQLError("not bytes in hexadecimal")
    return "0x" + found[1].lower()


_PARSERS = {"BigInt": _big_integer, "BigDecimal": _decimal, "Bytes": _bytes}


def _teach(scalar: GraphQLScalarType) -> None:
    parse = _PARSERS[scalar.name]

    def parse_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> Any:
        if not isinstance(node, (StringValueNode, IntValueNode, FloatValueNode)):
            raise GraphQLError(f"not a {scalar.name}", node)
        return parse(node.value)

    # graphql-core builds the scalars from the schema's text, and takes what they mean this way.
    scalar.parse_value = parse  # type: ignore[method-assign]
    scalar.parse_literal = parse_literal  # type: ignore[assignment, method-assign]


@cache
def schema() -> GraphQLSchema:
    """The schema, made once."""
    made = build_schema(language(), assume_valid=True, assume_valid_sdl=True, no_location=True)
    for name in _PARSERS:
        scalar = made.type_map[name]
        assert isinstance(scalar, GraphQLScalarType), "the prelude says so"
        _teach(scalar)
    return made
