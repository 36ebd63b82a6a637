"""What a query asks of objects of a kind, read from its document: fragments merged, conditions of directives obeyed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from graphql import GraphQLError, GraphQLObjectType, GraphQLSchema
from graphql.execution.collect_fields import collect_fields, collect_sub_fields
from graphql.execution.values import get_argument_values
from graphql.language import FieldNode, FragmentDefinitionNode, OperationDefinitionNode

from pyiexec.indexer.entities import ENTITIES, Entity, Field
from pyiexec.indexer.graphql.schema import FIRST_DEFAULT, FIRST_MOST, SKIP_MOST, Kind, orderings

#: The places in a query where one field of one kind is asked for.
Nodes = Sequence[FieldNode]


class Wanted(msgspec.Struct, frozen=True):
    """A field that is asked for.

    Attributes:
        key: under which it is answered.
        field: None for ``__typename``.
        nodes: where it is asked for.
    """

    key: str
    field: Field | None
    nodes: tuple[FieldNode, ...]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Which objects of a list are asked for, and in what order.

    Attributes:
        order: a field, or a field of what that leads to; None for the id.
    """

    first: int
    skip: int
    order: tuple[Field, Field | None] | None
    descending: bool
    where: Mapping[str, Any]


class Selection:
    """Reads one operation of a document that was found valid.

    Args:
        variables: already of the types that the operation declares.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: dict[str, FragmentDefinitionNode],
        variables: dict[str, Any],
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._known: dict[tuple[str, tuple[int, ...]], tuple[Wanted, ...]] = {}

    def roots(self, operation: OperationDefinitionNode) -> dict[str, list[FieldNode]]:
        """The queries of an operation by the key of their answers."""
        query = self._schema.query_type
        assert query is not None, "the schema has queries"
        found: dict[str, list[FieldNode]] = collect_fields(
            self._schema, self._fragments, self._variables, query, operation.selection_set
        )
        return found

    def of(self, entity: Entity, nodes: Nodes) -> tuple[Wanted, ...]:
        """What `nodes`, which all lead to one object, ask of it when it is an `entity`."""
        place = entity.name, tuple(map(id, nodes))
        if place not in self._known:
            type_ = self._schema.type_map[entity.name]
            assert isinstance(type_, GraphQLObjectType), "entities are"
            found = collect_sub_fields(self._schema, self._fragments, self._variables, type_, list(nodes))
            self._known[place] = tuple(
                Wanted(key, entity.fields.get(inner[0].name.value), tuple(inner)) for key, inner in found.items()
            )
        return self._known[place]

    def columns(self, entity: Entity, nodes: Nodes) -> set[str]:
        """The columns needed to answer what `nodes` ask of an `entity`."""
        return {wanted.field.column for wanted in self.of(entity, nodes) if wanted.field and wanted.field.is_stored}

    def root_arguments(self, node: FieldNode) -> dict[str, Any]:
        """Arguments of a query."""
        assert self._schema.query_type is not None, "the schema has queries"
        return get_argument_values(self._schema.query_type.fields[node.name.value], node, self._variables)

    def arguments(self, entity: Entity, node: FieldNode) -> dict[str, Any]:
        """Arguments of a field of an entity."""
        type_ = self._schema.type_map[entity.name]
        assert isinstance(type_, GraphQLObjectType), "entities are"
        return get_argument_values(type_.fields[node.name.value], node, self._variables)


def listing(kind: Kind, arguments: Mapping[str, Any]) -> Listing:
    """The arguments of a list.

    Raises:
        GraphQLError: `first` or `skip` is out of bounds.
    """
    # Null is what a variable holds that the client left empty: as good as nothing.
    first, skip = arguments.get("first"), arguments.get("skip")
    first, skip = FIRST_DEFAULT if first is None else first, skip or 0
    if not 0 <= first <= FIRST_MOST:
        raise GraphQLError(f'"first" must be between 0 and {FIRST_MOST}, and is {first}')
    if not 0 <= skip <= SKIP_MOST:
        raise GraphQLError(f'"skip" must be between 0 and {SKIP_MOST}, and is {skip}')
    order = arguments.get("orderBy")
    return Listing(
        first=first,
        skip=skip,
        order=None if order is None else orderings(kind.name)[order],
        descending=arguments.get("orderDirection") == "desc",
        where=arguments.get("where") or {},
    )


def members(kind: Kind) -> tuple[Entity, ...]:
    """The types that an object of a kind can have."""
    return (kind,) if isinstance(kind, Entity) else kind.implementations


def entity_of(kind: Kind, row: Mapping[str, Any]) -> Entity:
    """The type of a row's object."""
    return kind if isinstance(kind, Entity) else ENTITIES[row["kind"]]
