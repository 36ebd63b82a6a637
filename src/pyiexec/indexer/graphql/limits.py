"""What a query may cost: how large, how deep, how many fields, how much of a filter, how many objects, how long."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from graphql import GraphQLError
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may cost.

    Attributes:
        body_bytes: of the whole request.
        tokens: of the query.
        depth: fields within fields.
        fields: that are asked for, each as often as fragments repeat it.
        conditions: in all filters of a query, and `condition_depth` within one another.
        objects: that are read from the database, and that are shown, at all levels together.
        characters: of the answer, about: a field may be asked for under many names, and be long.
        seconds: for reading them.
        introspected: fields of the schema's description that are shown; all of it, as clients read it, is a third.
    """

    body_bytes: int = 256 * 1024
    tokens: int = 8_000
    depth: int = 16
    fields: int = 600
    conditions: int = 300
    condition_depth: int = 10
    objects: int = 50_000
    characters: int = 32_000_000
    seconds: float = 5.0
    introspected: int = 150_000


DEFAULT = Limits()


class _Size(msgspec.Struct, frozen=True):
    fields: int = 0
    depth: int = 0


def check_document(document: DocumentNode, limits: Limits) -> None:
    """Refuse a query that asks for too much, before any time is spent on it.

    Fragments are measured once each and counted as often as they are used: one that doubles another, which doubles the
    next, is found out without following it.

    Raises:
        GraphQLError: which limit it exceeds.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    measured: dict[str, _Size | None] = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            _check(_measure(node.selection_set, fragments, measured, limits), limits)
    for name in fragments:
        # Those that nothing uses too: validation looks at them all.
        _check(_measure_fragment(name, fragments, measured, limits), limits)


def _check(size: _Size, limits: Limits) -> None:
    if size.depth > limits.depth:
        raise GraphQLError(f"the query is more than {limits.depth} levels deep")
    if size.fields > limits.fields:
        raise GraphQLError(f"the query asks for more than {limits.fields} fields")


def _measure(
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    measured: dict[str, _Size | None],
    limits: Limits,
) -> _Size:
    fields = depth = 0
    for node in selections.selections:
        if isinstance(node, FieldNode):
            inner = _measure(node.selection_set, fragments, measured, limits) if node.selection_set else _Size()
            size = _Size(1 + inner.fields, 1 + inner.depth)
        elif isinstance(node, InlineFragmentNode):
            size = _measure(node.selection_set, fragments, measured, limits)
        elif isinstance(node, FragmentSpreadNode):
            size = _measure_fragment(node.name.value, fragments, measured, limits)
        fields, depth = fields + size.fields, max(depth, size.depth)
    total = _Size(fields, depth)
    _check(total, limits)
    return total


def _measure_fragment(
    name: str,
    fragments: Mapping[str, FragmentDefinitionNode],
    measured: dict[str, _Size | None],
    limits: Limits,
) -> _Size:
    if name not in fragments:
        # Validation says so in better words.
        return _Size()
    if name not in measured:
        measured[name] = None
        measured[name] = _measure(fragments[name].selection_set, fragments, measured, limits)
    size = measured[name]
    if size is None:
        raise GraphQLError(f'the fragment "{name}" contains itself')
    return size
