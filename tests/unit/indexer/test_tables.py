"""The published schema as it was read, and numbers that sort as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.indexer.entities import ENTITIES, ENUMS, INTERFACES, SCALARS
from pyiexec.indexer.tables import LIST_TABLES, TABLES, from_sortable, to_sortable
from pyiexec.indexer.working_set import MUTABLE

#: As clients of the published index spell them.
QUERIES = (
    "transactions accounts transfers accountEvents rewards seizes locks unlocks accurateContributions "
    "faultyContributions ressources apps datasets workerpools ressourceTransferEvents appTransfers "
    "datasetTransfers workerpoolTransfers workerpoolEvents schedulerNotices policyUpdates appOrders "
    "datasetOrders workerpoolOrders requestOrders categories deals bulks bulkSliceice tasks contributions "
    "dealEvents ordersMatcheds taskEvents taskInitializes taskContributes taskConsensuses taskReveals "
    "taskReopens taskFinalizes taskClaimeds protocols"
)

NUMBERS = st.integers(-(2**256), 2**256)


def test_queries_have_their_published_names() -> None:
    assert sorted(QUERIES.split()) == sorted(kind.plural for kind in (*ENTITIES.values(), *INTERFACES.values()))
    assert ENTITIES["OrdersMatched"].singular == "ordersMatched"
    assert "FAILLED" in ENUMS["TaskStatus"]


@pytest.mark.parametrize("name", list(ENTITIES))
def test_every_field_leads_somewhere(name: str) -> None:
    entity = ENTITIES[name]
    for field in entity.fields.values():
        if not field.is_relation:
            assert field.type in SCALARS | ENUMS.keys()
            assert field.column in TABLES[entity.table].c
            continue
        target = INTERFACES.get(field.type) or ENTITIES[field.type]
        if field.derived_by:
            backwards = target.fields[field.derived_by]
            assert backwards.type in {name, entity.interface}, field.name
        elif field.list_table:
            assert field.list_table in LIST_TABLES
        else:
            assert field.column in TABLES[entity.table].c


@pytest.mark.parametrize("name", [name for name, entity in ENTITIES.items() if entity.interface])
def test_types_have_what_their_interface_promises(name: str) -> None:
    entity = ENTITIES[name]
    assert entity.interface is not None
    for field in INTERFACES[entity.interface].fields.values():
        assert entity.fields[field.name] == field


def test_what_changes_are_columns() -> None:
    for table, columns in MUTABLE.items():
        assert set(columns) <= set(TABLES[table].c.keys())


@given(NUMBERS)
def test_a_number_comes_back(number: int) -> None:
    assert from_sortable(to_sortable(number)) == number


@given(NUMBERS | st.integers(-1000, 1000), NUMBERS | st.integers(-1000, 1000))
def test_texts_sort_as_their_numbers(one: int, other: int) -> None:
    assert (to_sortable(one) < to_sortable(other)) == (one < other)


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="99 digits"):
        to_sortable(10**99)
