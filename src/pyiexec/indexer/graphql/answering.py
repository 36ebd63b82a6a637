"""Answering a GraphQL request: read and checked by graphql-core, loaded level by level, shaped here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import msgspec
import sqlalchemy as sa
from graphql import ExecutionResult, GraphQLError, GraphQLResolveInfo, execute_sync, parse, specified_rules, validate
from graphql.execution.values import get_variable_values
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from pyiexec.chain.heads import Head
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.indexer import queries
from pyiexec.indexer.graphql.limits import DEFAULT, Limits, check_document
from pyiexec.indexer.graphql.loading import Found, Loader
from pyiexec.indexer.graphql.schema import Kind, kinds, schema
from pyiexec.indexer.graphql.selection import Selection, listing
from pyiexec.indexer.graphql.shaping import HoleError, Shaper

#: Queries that are kept read and checked, unless they are long: clients send the same ones with other variables.
_DOCUMENTS_KEPT, _LENGTH_KEPT = 256, 4096
#: Threads that check queries and make answers: more would not be faster, and keep the event loop waiting.
_THREADS = 2
#: SQLite looks at the clock after so many of its instructions.
_INSTRUCTIONS = 20_000
#: PostgreSQL's code for a statement that was stopped.
_CANCELLED = "57014"

#: An answer as it goes on the wire.
Answer = dict[str, Any]


class Question(msgspec.Struct, frozen=True):
    """A GraphQL request.

    Attributes:
        query: one or more operations.
        variables: values for those that the operation declares.
        operation: which one is meant, where there are several.
    """

    query: str
    variables: Mapping[str, Any] = {}
    operation: str | None = None


class _Checked(NamedTuple):
    document: DocumentNode
    errors: tuple[GraphQLError, ...]


class _Root(NamedTuple):
    """A query for one object or, with a listing, for many, and what was found."""

    kind: Kind
    nodes: list[FieldNode]
    found: Found | list[Found] | None


class Answerer:
    """Answers requests about one index.

    Args:
        deployment: name of the index, told by ``_meta``.
        clock: bounds the time that a query may take.
        reached: a block whose state the index is known to hold, though it is not stored as the place reached.
    """

    def __init__(
        self,
        database: Database,
        deployment: str,
        clock: Clock,
        limits: Limits = DEFAULT,
        reached: Callable[[], Head | None] = lambda: None,
    ) -> None:
        self._database = database
        self._reached = reached
        self._deployment = deployment
        self._clock = clock
        self.limits = limits
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._kept = lru_cache(_DOCUMENTS_KEPT)(self._checked)

    async def answer(self, question: Question) -> Answer:
        """The answer, with errors instead of data when there is something wrong with the request."""
        try:
            # Off the event loop: a large query takes its time to be checked, and a large answer to be made.
            execution = await anyio.to_thread.run_sync(self._prepare, question, limiter=self._threads)
            # Asked before the transaction begins, which then holds all that happened up to it.
            reached = self._reached()
            await self._database.read(lambda connection: self._load(connection, execution, reached))
            return await anyio.to_thread.run_sync(execution.shaped, limiter=self._threads)
        except _RefusedError as refused:
            return {"errors": [error.formatted for error in refused.errors]}
        except GraphQLError as error:
            return {"errors": [error.formatted]}
        except RecursionError:
            return {"errors": [{"message": "the query, or one of its variables, is too deep"}]}

    # --- before ---------------------------------------------------------------------------------------------------

    def _prepare(self, question: Question) -> Execution:
        read = self._kept if len(question.query) <= _LENGTH_KEPT else self._checked
        document, errors = read(question.query)
        if errors:
            raise _RefusedError(errors)
        operation = _operation(document, question.operation)
        declared = operation.variable_definitions or ()
        variables = get_variable_values(schema(), declared, dict(question.variables), max_errors=20)
        if isinstance(variables, list):
            raise _RefusedError(tuple(variables))
        return Execution(document, operation, variables, dict(question.variables), self.limits)

    def _checked(self, query: str) -> _Checked:
        document = parse(query, max_tokens=self.limits.tokens)
        check_document(document, self.limits)
        return _Checked(document, tuple(validate(schema(), document, specified_rules, max_errors=20)))

    # --- meanwhile ------------------------------------------------------------------------------------------------

    def _load(self, connection: sa.Connection, execution: Execution, reached: Head | None) -> None:
        """Read all that is asked for, in the transaction that also tells which block's state it is."""
        with self._bounded(connection) as in_time:
            execution.load(connection, queries.place_at(connection, reached), self._deployment, in_time)

    @contextmanager
    def _bounded(self, connection: sa.Connection) -> Iterator[Callable[[], None]]:
        """Stop a statement that takes too long where it runs; what is given raises between statements."""
        seconds = self.limits.seconds
        late = GraphQLError(f"the query takes more than {seconds:g} s")
        end = self._clock.monotonic() + seconds

        def in_time() -> None:
            if self._clock.monotonic() > end:
                raise late

        is_postgresql = connection.dialect.name == "postgresql"
        driver: Any = connection.connection.dbapi_connection
        if is_postgresql:
            connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
        else:
            driver.set_progress_handler(lambda: self._clock.monotonic() > end, _INSTRUCTIONS)
        try:
            yield in_time
        except sa.exc.DBAPIError as error:
            if str(error.orig) == "interrupted" or getattr(error.orig, "sqlstate", None) == _CANCELLED:
                raise late from None
            raise
        finally:
            if not is_postgresql:
                driver.set_progress_handler(None, 0)


class _TooMuch(BaseException):
    """Ends graphql-core's executor, which notes any `Exception` as the error of one field and goes on."""


class _RefusedError(Exception):
    def __init__(self, errors: tuple[GraphQLError, ...]) -> None:
        super().__init__(errors)
        self.errors = errors


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name and node.name.value == name]
    if len(operations) != 1:
        raise GraphQLError(
            "the query has several operations: name one of them" if operations else "there is no such operation"
        )
    if operations[0].operation is not OperationType.QUERY:
        raise GraphQLError("the index can only be queried")
    return operations[0]


class Execution:
    """One operation on its way to an answer: first loaded from a database, then shaped away from it."""

    def __init__(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: dict[str, Any],
        given: dict[str, Any],
        limits: Limits,
    ) -> None:
        self._document = document
        self._operation = operation
        self._given = given
        self._limits = limits
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        self._fragments = fragments
        self._selection = Selection(schema(), fragments, variables)
        self._roots = self._selection.roots(operation)
        self._loaded: dict[str, _Root] = {}
        self._meta: dict[str, Any] | None = None

    def load(
        self,
        connection: sa.Connection,
        place: queries.Place | None,
        deployment: str,
        in_time: Callable[[], None],
    ) -> None:
        """Read everything from one state of the index.

        Raises:
            GraphQLError: an argument cannot be answered, or too much is asked for.
        """
        self._loaded.clear()
        loader = Loader(connection, self._selection, self._limits, in_time)
        if place is not None:
            block = {"number": place.number, "hash": place.hash, "timestamp": place.timestamp, "parentHash": None}
            self._meta = {"block": block, "deployment": deployment, "hasIndexingErrors": False}
        for key, nodes in self._roots.items():
            name = nodes[0].name.value
            if name.startswith("__"):
                continue
            arguments = self._selection.root_arguments(nodes[0])
            _check_block(arguments.get("block"), place)
            if name == "_meta":
                continue
            kind, is_list = _ROOTS[name]
            found = (
                loader.many(kind, listing(kind, arguments), nodes)
                if is_list
                else loader.one(kind, arguments["id"], nodes)
            )
            self._loaded[key] = _Root(kind, nodes, found)

    def shaped(self) -> Answer:
        """The answer."""
        shaper = Shaper(self._selection, self._limits)
        about = self._about()
        data: dict[str, Any] = {}
        is_void = False
        errors: list[GraphQLError] = list(about.errors or ())
        for key, nodes in self._roots.items():
            if key not in self._loaded:
                data[key] = (about.data or {}).get(key)
                continue
            found, holes = self._loaded[key].found, list[HoleError]()
            try:
                if isinstance(found, list):
                    data[key] = shaper.many(found, nodes, holes)
                else:
                    data[key] = None if found is None else shaper.one(found, nodes, holes)
            except HoleError as hole:
                holes.append(hole)
                errors += [each.as_error(key) for each in holes]
                if isinstance(found, list):
                    # A list of objects is never null, so what is null is the whole.
                    is_void = True
                data[key] = None
            else:
                errors += [each.as_error(key) for each in holes]
        answer: Answer = {"data": None if is_void else data}
        return answer | ({"errors": [error.formatted for error in errors]} if errors else {})

    def _about(self) -> ExecutionResult:
        """What is asked about the index and its schema, which takes no database."""
        nodes = tuple(node for key, nodes in self._roots.items() if key not in self._loaded for node in nodes)
        if not nodes:
            return ExecutionResult({}, None)
        operation = OperationDefinitionNode(
            operation=OperationType.QUERY,
            variable_definitions=self._operation.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(selections=nodes),
        )
        left = self._limits.introspected

        def count(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _TooMuch
            return resolve(source, info, **arguments)

        try:
            return execute_sync(
                schema(),
                DocumentNode(definitions=(operation, *self._fragments.values())),
                root_value={"_meta": self._meta},
                variable_values=self._given,
                middleware=[count],
            )
        except _TooMuch:
            raise GraphQLError(
                f"the query shows more than {self._limits.introspected} fields of the schema's description"
            ) from None


#: Queries by name: what for, and whether for many.
_ROOTS: Mapping[str, tuple[Kind, bool]] = {
    name: (kind, is_list)
    for kind in kinds().values()
    for name, is_list in ((kind.singular, False), (kind.plural, True))
}


def _check_block(wanted: Mapping[str, Any] | None, place: queries.Place | None) -> None:
    """Refuse a state that is not the present one."""
    if not wanted:
        return
    if len(wanted) != 1:
        raise GraphQLError('"block" takes one of number, hash and number_gte')
    ((name, value),) = wanted.items()
    if place is None:
        raise GraphQLError("the index has not read a block yet")
    if name == "number_gte":
        if value is not None and value > place.number:
            raise GraphQLError(f"the index has come to block {place.number}, and not yet to {value}")
        return
    if value not in (place.number, place.hash):
        raise GraphQLError(f"the index holds the state of its newest block alone, which is {place.number}")
