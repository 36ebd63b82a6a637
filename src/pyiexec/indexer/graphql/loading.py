"""Reading what a query asks for: one statement for each list or relation in it, however many objects it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from graphql import GraphQLError

from pyiexec.indexer.entities import ENUMS, LIST_COLUMNS, Entity, Field
from pyiexec.indexer.graphql.conditions import Filter, Rows, is_storable, of_kind, tables_of
from pyiexec.indexer.graphql.limits import Limits
from pyiexec.indexer.graphql.schema import Kind, kind_of
from pyiexec.indexer.graphql.selection import Listing, Nodes, Selection, Wanted, entity_of, listing, members
from pyiexec.indexer.tables import LIST_TABLES

_PARENT, _, _CHILD = LIST_COLUMNS
#: Ids in one statement: databases bound how many values they take.
_MOST_IDS = 10_000


class Found:
    """An object that was read, with those that it leads to.

    Attributes:
        row: columns that were needed.
        links: under the key of the answer, one object, None, or a list of them.
    """

    __slots__ = ("entity", "links", "row")

    def __init__(self, entity: Entity, row: Mapping[str, Any]) -> None:
        self.entity = entity
        self.row = row
        self.links: dict[str, Found | list[Found] | None] = {}


class Loader:
    """Reads the objects of one query in one transaction.

    Args:
        selection: what is asked for.
        limits: on objects and filters.
        in_time: raises when the time for the query is over.
    """

    def __init__(
        self, connection: sa.Connection, selection: Selection, limits: Limits, in_time: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._filter = Filter(connection.dialect.name, limits)
        self._limits = limits
        self._in_time = in_time
        self._left = limits.objects

    def one(self, kind: Kind, object_id: str, nodes: Nodes) -> Found | None:
        """The object with that id, and what it leads to."""
        found = self._by_id(kind, [object_id], nodes)
        self._fill(found.values(), nodes)
        return found.get(object_id)

    def many(self, kind: Kind, wanted: Listing, nodes: Nodes) -> list[Found]:
        """The objects of a list, and what they lead to."""
        tables = tables_of(kind)
        if len(tables) == 1:
            rows: Rows = tables[0]
            statement = sa.select(*self._columns(kind, rows, nodes))
            statement, key = self._keyed(statement, rows, wanted)
            statement = statement.where(*self._filter.conditions(kind, rows, wanted.where))
            order = self._order(wanted, key, rows.c.id)
            found = self._read(statement.order_by(*order).limit(wanted.first).offset(wanted.skip), kind)
        else:
            found = self._across(kind, wanted, nodes)
        self._fill(found, nodes)
        return found

    # --- statements -----------------------------------------------------------------------------------------------

    def _read(self, statement: sa.Select[Any], kind: Kind) -> list[Found]:
        self._in_time()
        rows: Sequence[Any] = self._connection.execute(statement).mappings().all()
        self._left -= len(rows)
        if self._left < 0:
            raise GraphQLError(f"the query reads more than {self._limits.objects} objects")
        return [Found(entity_of(kind, row), row) for row in rows]

    def _columns(self, kind: Kind, rows: Rows, nodes: Nodes) -> list[sa.ColumnElement[Any]]:
        names = {"id"} | {name for entity in members(kind) for name in self._selection.columns(entity, nodes)}
        if not isinstance(kind, Entity):
            names.add("kind")
        return [rows.c[name] for name in sorted(names)]

    def _keyed(
        self, statement: sa.Select[Any], rows: Rows, wanted: Listing
    ) -> tuple[sa.Select[Any], sa.ColumnElement[Any] | None]:
        """The statement with what ordering needs, and what it is ordered by besides the id."""
        if wanted.order is None:
            return statement, None
        field, inner = wanted.order
        key: sa.ColumnElement[Any] = rows.c[field.column]
        if inner is not None:
            (table,) = tables_of(kind_of(field.type))
            other = table.alias()
            statement = statement.outerjoin(other, other.c.id == key)
            key, field = other.c[inner.column], inner
        if field.type in ENUMS:
            key = sa.case({name: place for place, name in enumerate(ENUMS[field.type])}, value=key)
        return statement, key

    @staticmethod
    def _order(
        wanted: Listing, key: sa.ColumnElement[Any] | None, last: sa.ColumnElement[Any]
    ) -> list[sa.ColumnElement[Any]]:
        """Ties are broken by the id, in the same direction."""
        ends: list[sa.ColumnElement[Any]] = [last.desc() if wanted.descending else last.asc()]
        if key is None or wanted.order is None:
            return ends
        first = key.desc() if wanted.descending else key.asc()
        field, inner = wanted.order
        if inner is not None or not field.required:
            # As PostgreSQL does unasked: nothing comes after everything.
            first = first.nulls_first() if wanted.descending else first.nulls_last()
        return [first, *ends]

    def _across(self, kind: Kind, wanted: Listing, nodes: Nodes) -> list[Found]:
        """A list of objects whose types have tables of their own: first which, then each type's."""
        parts = []
        for entity, table in zip(members(kind), tables_of(kind), strict=True):
            statement = sa.select(table.c.id, sa.literal(entity.name).label("kind"))
            statement, key = self._keyed(statement, table, wanted)
            statement = statement.add_columns((table.c.id if key is None else key).label("key"))
            parts.append(statement.where(*self._filter.conditions(kind, table, wanted.where)))
        union = sa.union_all(*parts).subquery()
        order = self._order(wanted, union.c.key, union.c.id)
        self._in_time()
        chosen = self._connection.execute(
            sa.select(union.c.id, union.c.kind).order_by(*order).limit(wanted.first).offset(wanted.skip)
        ).all()
        found: dict[str, Found] = {}
        for entity in members(kind):
            found |= self._by_id(entity, [row.id for row in chosen if row.kind == entity.name], nodes)
        return [found[row.id] for row in chosen]

    def _by_id(self, kind: Kind, ids: Iterable[str], nodes: Nodes) -> dict[str, Found]:
        found: dict[str, Found] = {}
        wanted = sorted(filter(is_storable, set(ids)))
        tables = tables_of(kind)
        if len(tables) > 1:
            for entity in members(kind):
                found |= self._by_id(entity, wanted, nodes)
            return found
        rows = tables[0]
        for start in range(0, len(wanted), _MOST_IDS):
            statement = sa.select(*self._columns(kind, rows, nodes)).where(
                rows.c.id.in_(wanted[start : start + _MOST_IDS]), *of_kind(kind, rows)
            )
            found |= {item.row["id"]: item for item in self._read(statement, kind)}
        return found

    # --- levels ---------------------------------------------------------------------------------------------------

    def _fill(self, found: Iterable[Found], nodes: Nodes) -> None:
        """Read what the objects lead to, all of them together, and so on."""
        by_entity: dict[str, list[Found]] = {}
        for item in found:
            by_entity.setdefault(item.entity.name, []).append(item)
        # Types of one interface mostly ask for the same: what they have in common is read in one go.
        alike: dict[tuple[str, tuple[int, ...]], tuple[Wanted, Entity, list[Found]]] = {}
        for items in by_entity.values():
            entity = items[0].entity
            for wanted in self._selection.of(entity, nodes):
                if wanted.field is not None and wanted.field.is_relation:
                    place = wanted.key, tuple(map(id, wanted.nodes))
                    alike.setdefault(place, (wanted, entity, []))[2].extend(items)
        for wanted, entity, parents in alike.values():
            assert wanted.field is not None, "a relation"
            self._follow(wanted, wanted.field, entity, parents)

    def _follow(self, wanted: Wanted, field: Field, entity: Entity, parents: Sequence[Found]) -> None:
        kind = kind_of(field.type)
        if field.many:
            which = listing(kind, self._selection.arguments(entity, wanted.nodes[0]))
            lists = self._lists(field, kind, which, parents, wanted.nodes)
            for parent in parents:
                parent.links[wanted.key] = lists.get(parent.row["id"], [])
            self._fill((item for items in lists.values() for item in items), wanted.nodes)
            return
        if field.derived_by:
            one = Listing(first=1, skip=0, order=None, descending=False, where={})
            lists = self._lists(field, kind, one, parents, wanted.nodes)
            targets = {parent_id: items[0] for parent_id, items in lists.items() if items}
            for parent in parents:
                parent.links[wanted.key] = targets.get(parent.row["id"])
        else:
            ids = [parent.row[field.column] for parent in parents]
            targets = self._by_id(kind, [target for target in ids if target is not None], wanted.nodes)
            for parent, target in zip(parents, ids, strict=True):
                parent.links[wanted.key] = targets.get(target)
        self._fill(targets.values(), wanted.nodes)

    def _lists(
        self, field: Field, kind: Kind, wanted: Listing, parents: Sequence[Found], nodes: Nodes
    ) -> dict[str, list[Found]]:
        """The list of each parent, by its id."""
        (table,) = tables_of(kind)
        rows: Rows = table
        statement = sa.select(*self._columns(kind, rows, nodes))
        owner, join = _owner(field, kind, rows)
        if join is not None:
            statement = join(statement)
        statement, key = self._keyed(statement, rows, wanted)
        order = self._order(wanted, key, rows.c.id)
        statement = statement.add_columns(owner.label("owner")).where(
            *self._filter.conditions(kind, rows, wanted.where)
        )
        ids = sorted({parent.row["id"] for parent in parents})
        lists: dict[str, list[Found]] = {}
        for start in range(0, len(ids), _MOST_IDS):
            part = ids[start : start + _MOST_IDS]
            if len(part) == 1:
                page = statement.where(owner == part[0]).order_by(*order).limit(wanted.first).offset(wanted.skip)
            else:
                place = sa.func.row_number().over(partition_by=owner, order_by=order).label("place")
                numbered = statement.where(owner.in_(part)).add_columns(place).subquery()
                page = (
                    sa.select(*(column for column in numbered.c if column.name != "place"))
                    .where(numbered.c.place > wanted.skip, numbered.c.place <= wanted.skip + wanted.first)
                    .order_by(numbered.c.owner, numbered.c.place)
                    .limit(self._left + 1)
                )
            for item in self._read(page, kind):
                lists.setdefault(item.row["owner"], []).append(item)
        return lists


def _owner(
    field: Field, kind: Kind, rows: Rows
) -> tuple[sa.ColumnElement[Any], Callable[[sa.Select[Any]], sa.Select[Any]] | None]:
    """What holds the id of the object whose list a row is in, and what has to be joined for it."""
    if field.list_table:
        parent, child, table = _PARENT, _CHILD, field.list_table
    else:
        assert field.derived_by is not None, "lists are stored or derived"
        by = kind.fields[field.derived_by]
        if by.list_table is None:
            return rows.c[by.column], None
        parent, child, table = _CHILD, _PARENT, by.list_table
    # Who is named twice is a member once.
    link = sa.select(LIST_TABLES[table].c[parent], LIST_TABLES[table].c[child]).distinct().subquery()
    return link.c[parent], lambda statement: statement.join(link, link.c[child] == rows.c.id)
