"""A filter as SQL; it says what `rules.wanted` says."""

from __future__ import annotations

import sqlalchemy as sa

from pyiexec.market.filters import LENIENT_TAG_BITS, Filter
from pyiexec.market.listing import BULK_VOLUME, Status, resource_name
from pyiexec.market.tables import ORDERS, TAG_WORDS

_WORD_BITS = 64
_WORD_MASK = (1 << _WORD_BITS) - 1


def clauses(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """The conditions on open orders."""
    columns = ORDERS.c
    found = [columns.kind == constant(wanted.kind), columns.status == constant(Status.OPEN)]
    sold = resource_name(wanted.kind)
    found += [columns["resource" if name == sold else name] == value for name, value in wanted.equal.items()]
    for name, addresses in wanted.allowed.items():
        # One value as an equation: databases plan a list of one worse.
        found.append(columns[name] == addresses[0] if len(addresses) == 1 else columns[name].in_(addresses))
    if wanted.signer is not None:
        found.append(columns.signer == wanted.signer)
    for name, word in zip(TAG_WORDS, tag_words(wanted.min_tag), strict=True):
        if word:
            found.append(columns[name].bitwise_and(word) == word)
    if wanted.max_tag is not None:
        forbidden = ~(wanted.max_tag | LENIENT_TAG_BITS)
        for name, word in zip(TAG_WORDS, tag_words(forbidden), strict=True):
            if word:
                found.append(columns[name].bitwise_and(word) == 0)
    if wanted.category is not None:
        found.append(columns.category == wanted.category)
    if wanted.min_volume:
        found.append(columns.remaining >= wanted.min_volume)
    if wanted.min_trust > 1:
        found.append(columns.trust >= wanted.min_trust)
    if wanted.max_trust is not None:
        found.append(columns.trust <= wanted.max_trust)
    if wanted.bulk_only:
        found += [columns.price == 0, columns.volume >= BULK_VOLUME]
    if wanted.max_price is not None:
        found.append(columns.price <= wanted.max_price)
    return found


def constant(word: str) -> sa.ColumnElement[str]:
    """A word of ours written into the query itself, where databases choose indexes by it.

    Args:
        word: a kind or status of orders: letters, nothing that anybody sent.
    """
    assert word.isalpha(), "not a word of ours"
    return sa.literal_column(f"'{word}'", sa.String)


def tag_words(tag: int) -> list[int]:
    """A 256-bit tag as signed 64-bit words, lowest first."""
    words = [tag >> shift & _WORD_MASK for shift in range(0, 256, _WORD_BITS)]
    return [word - (1 << _WORD_BITS) if word >> (_WORD_BITS - 1) else word for word in words]
