"""Pages of open orders, the question asked most: from the query of a URL to the bytes of the answer.

What is asked and what is answered are as everywhere in the book. Only the way is short: SQL is made once for all
filters of a shape, signed orders go from the database into the answer as they are stored, and an answer that is a plain
success does not go through the framework.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.glances import Glances, Run
from pyiexec.foundation.http import Application
from pyiexec.foundation.traffic import ROUTE
from pyiexec.market.filters import LENIENT_TAG_BITS, Filter, Window, read_chain, read_filter, read_window
from pyiexec.market.listing import BULK_VOLUME, timestamp
from pyiexec.market.queries import Counts, page_query
from pyiexec.market.sql_filters import clauses, tag_words
from pyiexec.market.tables import ORDERS, REVISIONS
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import ORDER_KINDS
from pyiexec.protocol.primitives import NULL_ADDRESS

#: Shapes of filters whose SQL is kept.
_SHAPES = 1024
_COLUMNS = (
    ORDERS.c.order_hash,
    ORDERS.c.document,
    ORDERS.c.signer,
    ORDERS.c.remaining,
    ORDERS.c.fillable,
    ORDERS.c.published_at,
    ORDERS.c.price,
    ORDERS.c.volume,
)
#: Of an answer that does not go through the framework.
HEADERS = ((b"content-type", b"application/json"), (b"access-control-allow-origin", b"*"))


class Lists:
    """Lists of orders as JSON, in the SQL of one database.

    Args:
        dialect: its language.
        counts: remembered numbers of orders.
        chain_id: whose orders they are.
    """

    def __init__(self, dialect: sa.Dialect, counts: Counts, chain_id: int) -> None:
        self._dialect = dialect
        self._counts = counts
        self._chain_id = chain_id
        self._statements: OrderedDict[Any, str] = OrderedDict()
        revision = sa.select(REVISIONS.c.number).where(REVISIONS.c.name == sa.bindparam("name"))
        self._revision = str(revision.compile(dialect=dialect))

    def answer(self, run: Run, wanted: Filter, window: Window) -> bytes:
        """A page of the open orders that a filter lets through, and how many there are in all."""
        total = self._total(run, wanted)
        values = [*bound(wanted), window.limit, window.offset]
        statement = self._statement(shape_of(wanted), lambda: _page_query(wanted, window), values)
        rows = run(statement, values)
        orders = ",".join([_item(wanted.kind, self._chain_id, row) for row in rows])
        more = f',"nextPage":{window.offset + window.limit}' if len(rows) == window.limit else ""
        return f'{{"ok":true,"count":{total},"orders":[{orders}]{more}}}'.encode()

    def _total(self, run: Run, wanted: Filter) -> int:
        """How many orders a filter lets through.

        Counted apart are those for everybody, about which many ask in the same words, and those reserved for somebody,
        who are few: what is asked for the first time costs little.
        """
        found = run(self._revision, [wanted.kind])
        revision = found[0][0] if found else 0
        total = 0
        for choice in itertools.product(*(dict.fromkeys(values) for values in wanted.allowed.values())):
            part = msgspec.structs.replace(
                wanted, allowed={name: (address,) for name, address in zip(wanted.allowed, choice, strict=True)}
            )
            total += self._counts.at(revision, wanted.kind, part, partial(self._count, run, part))
        return total

    def _count(self, run: Run, part: Filter) -> int:
        reserved = next((name for name, (address,) in part.allowed.items() if address != NULL_ADDRESS), None)
        values = bound(part)

        def query() -> sa.Select[Any]:
            conditions = clauses(part)
            if reserved is not None:
                # In the words of the index.
                conditions.append(sa.literal_column(f"{reserved} <> '{NULL_ADDRESS}'", sa.Boolean))
            return sa.select(sa.func.count()).select_from(ORDERS).where(*conditions)

        return int(run(self._statement((shape_of(part), reserved), query, values), values)[0][0])

    def _statement(self, shape: Any, query: Callable[[], sa.Select[Any]], values: Sequence[Any]) -> str:
        """The SQL of all queries of a shape, for this database's driver."""
        found = self._statements.get(shape)
        if found is None:
            options = {"render_postcompile": True}
            compiled = query().compile(dialect=self._dialect, compile_kwargs=options)
            made = [compiled.params[name] for name in compiled.positiontup or ()]
            assert made == list(values), "the values are not those of the query"
            found = self._statements[shape] = str(compiled)
            while len(self._statements) > _SHAPES:
                self._statements.popitem(last=False)
        return found


class Pages:
    """Answers requests for lists of orders.

    Args:
        glances: reads of the book.
        chain_id: the chain served; every request must name it.
    """

    def __init__(self, glances: Glances, chain_id: int) -> None:
        self._glances = glances
        self._chain_id = chain_id
        self._lists = Lists(glances.dialect, Counts(), chain_id)

    async def page(self, kind: str, query: Mapping[str, str]) -> bytes:
        """The answer to a list of `kind` with the parameters of a URL.

        Raises:
            IexecError: ``BAD_REQUEST`` naming the parameter; ``DATABASE_UNAVAILABLE``.
        """
        read_chain(query, self._chain_id)
        wanted, window = read_filter(kind, query), read_window(query)
        return await self._glances.read(lambda run: self._lists.answer(run, wanted, window))

    def before(self, app: Application) -> Application:
        """An application that answers lists itself, and leaves all else to `app`, refusals of lists too."""
        kinds = {f"/{kind}s": kind for kind in ORDER_KINDS}

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            kind = kinds.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
            if kind is None:
                await app(scope, receive, send)
                return
            try:
                body = await self.page(kind, parameters(scope["query_string"].decode("ascii")))
            except (IexecError, ValueError):
                await app(scope, receive, send)
                return
            scope[ROUTE] = scope["path"]
            headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return serve


def _page_query(wanted: Filter, window: Window) -> sa.Select[Any]:
    return page_query(wanted, window).with_only_columns(*_COLUMNS)


def parameters(query: str) -> dict[str, str]:
    """The parameters in the query of a URL, without those that have no value.

    Raises:
        ValueError: one is named twice, or nobody can read it.
    """
    if "%" in query or "+" in query:
        pairs = parse_qsl(query, errors="strict")
    else:
        pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&")) if value]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a parameter is named twice")
    return found


def shape_of(wanted: Filter) -> Any:
    """What filters have in common that differ in nothing but values."""
    return (
        wanted.kind,
        tuple(wanted.equal),
        tuple((name, len(values)) for name, values in wanted.allowed.items()),
        wanted.signer is None,
        tuple(map(bool, tag_words(wanted.min_tag))),
        None if wanted.max_tag is None else tuple(map(bool, tag_words(_forbidden(wanted.max_tag)))),
        wanted.category is None,
        wanted.min_volume > 0,
        wanted.min_trust > 1,
        wanted.max_trust is None,
        wanted.bulk_only,
        wanted.max_price is None,
    )


def bound(wanted: Filter) -> list[Any]:
    """The values in the SQL of a filter, in their order there."""
    values: list[Any] = list(wanted.equal.values())
    for addresses in wanted.allowed.values():
        values += addresses
    if wanted.signer is not None:
        values.append(wanted.signer)
    if wanted.min_tag:
        for word in filter(None, tag_words(wanted.min_tag)):
            values += [word, word]
    if wanted.max_tag is not None:
        for word in filter(None, tag_words(_forbidden(wanted.max_tag))):
            values += [word, 0]
    if wanted.category is not None:
        values.append(wanted.category)
    if wanted.min_volume:
        values.append(wanted.min_volume)
    if wanted.min_trust > 1:
        values.append(wanted.min_trust)
    if wanted.max_trust is not None:
        values.append(wanted.max_trust)
    if wanted.bulk_only:
        values += [0, BULK_VOLUME]
    if wanted.max_price is not None:
        values.append(wanted.max_price)
    return values


def _forbidden(max_tag: int) -> int:
    return ~(max_tag | LENIENT_TAG_BITS)


def _item(kind: str, chain_id: int, row: Any) -> str:
    """An open order as `listing_to_json` shows it, as JSON."""
    order_hash, document, signer, remaining, fillable, published_at, price, volume = row
    bulk = ""
    if kind == "datasetorder":
        bulk = ',"bulk":true' if price == 0 and volume >= BULK_VOLUME else ',"bulk":false'
    return (
        f'{{"orderHash":"{order_hash}","order":{str(document, "utf-8")},"chainId":{chain_id},"remaining":{remaining},'
        f'"fillable":{fillable},"status":"open","signer":"{signer}",'
        f'"publicationTimestamp":"{timestamp(published_at)}"{bulk}}}'
    )
