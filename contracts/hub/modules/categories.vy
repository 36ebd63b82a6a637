# pragma version 0.4.3
"""
@title Categories of tasks
@license Apache-2.0
@notice A category is a reference time from which all deadlines of a task follow. The list only grows.
@dev    One word per category: reference time in seconds, and a bit to say that it exists, for it may be zero. Its name
        and description are a label (see labels) under its number.
"""
from hub.modules import bounds
from hub.modules import labels
from hub.modules import ownership
from hub.modules import rules
from hub.modules import store

uses: store
uses: labels
uses: ownership

event CreateCategory:
    catid: uint256
    name: String[bounds.CATEGORY_NAME]
    description: String[bounds.CATEGORY_DESCRIPTION]
    workClockTimeRef: uint256

EXISTS: constant(uint256) = 2**255


@internal
@pure
def _exists(category: uint256) -> bool:
    return category & EXISTS != 0


@internal
@pure
def _timeref(category: uint256) -> uint256:
    """@return Seconds."""
    return category & rules.TIMEREF_MAX


@external
def createCategory(
    name: String[bounds.CATEGORY_NAME], description: String[bounds.CATEGORY_DESCRIPTION], workClockTimeRef: uint256
) -> uint256:
    """
    @notice The owner adds a category; none can be changed or removed.
    @param workClockTimeRef Seconds: contributions close after 7 times this, tasks end after 10 times.
    @return Its number, counting from 0.
    """
    ownership._check_owner()
    category: uint256 = store.category_count
    assert category <= rules.CATEGORY_MAX, "too many categories"
    assert workClockTimeRef <= rules.TIMEREF_MAX, "workClockTimeRef too long"
    store.category_count = category + 1
    store.categories[category] = workClockTimeRef | EXISTS
    labels._record(convert(category, bytes32), name, description)
    log CreateCategory(catid=category, name=name, description=description, workClockTimeRef=workClockTimeRef)
    return category
