# pragma version 0.4.3
"""
@title Settings, categories and constants as clients see them
@license Apache-2.0
"""
from hub.modules import bounds
from hub.modules import categories
from hub.modules import labels
from hub.modules import orders
from hub.modules import rules
from hub.modules import store

uses: store

struct Category:
    name: String[bounds.CATEGORY_NAME]
    description: String[bounds.CATEGORY_DESCRIPTION]
    workClockTimeRef: uint256

INDEX_OUT_OF_RANGE: constant(uint256) = 50


@internal
@view
def _category(index: uint256) -> Category:
    name: String[bounds.CATEGORY_NAME] = ""
    description: String[bounds.CATEGORY_DESCRIPTION] = ""
    name, description = labels._of(convert(index, bytes32))
    return Category(
        name=name, description=description, workClockTimeRef=categories._timeref(store.categories[index])
    )


@external
@view
def viewCategory(_catid: uint256) -> Category:
    """@dev Reverts without a reason for one that does not exist."""
    assert categories._exists(store.categories[_catid])
    return self._category(_catid)


@external
@view
def viewCategoryABILegacy(
    _catid: uint256,
) -> (String[bounds.CATEGORY_NAME], String[bounds.CATEGORY_DESCRIPTION], uint256):
    """@custom:reverts Panic(0x32) for one that does not exist."""
    if not categories._exists(store.categories[_catid]):
        raw_revert(abi_encode(INDEX_OUT_OF_RANGE, method_id=method_id("Panic(uint256)")))
    category: Category = self._category(_catid)
    return category.name, category.description, category.workClockTimeRef


@external
@view
def countCategory() -> uint256:
    return store.category_count


@external
@view
def appregistry() -> address:
    return store.app_registry


@external
@view
def datasetregistry() -> address:
    return store.dataset_registry


@external
@view
def workerpoolregistry() -> address:
    return store.workerpool_registry


@external
@view
def teebroker() -> address:
    return store.tee_broker


@external
@view
def callbackgas() -> uint256:
    return store.callback_gas


@external
@view
def eip712domain_separator() -> bytes32:
    """@return The domain separator, or zero before `configure`."""
    if not store.configured:
        return empty(bytes32)
    return orders._domain_separator()


@external
@pure
def contribution_deadline_ratio() -> uint256:
    return rules.CONTRIBUTION_DEADLINE_RATIO


@external
@pure
def reveal_deadline_ratio() -> uint256:
    return rules.REVEAL_DEADLINE_RATIO


@external
@pure
def final_deadline_ratio() -> uint256:
    return rules.FINAL_DEADLINE_RATIO


@external
@pure
def workerpool_stake_ratio() -> uint256:
    return rules.WORKERPOOL_STAKE_RATIO


@external
@pure
def kitty_ratio() -> uint256:
    return rules.KITTY_RATIO


@external
@pure
def kitty_min() -> uint256:
    return rules.KITTY_MIN


@external
@pure
def kitty_address() -> address:
    return rules.KITTY_ADDRESS


@external
@pure
def groupmember_purpose() -> uint256:
    return rules.GROUP_MEMBER_PURPOSE
