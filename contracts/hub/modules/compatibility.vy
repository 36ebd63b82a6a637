# pragma version 0.4.3
"""
@title Datasets for deals made without one
@license Apache-2.0
@notice Bulk processing: a deal without a dataset may name dataset orders in its params, one set per task. Before a
        secret of such a dataset is given out, this is asked.
"""
from hub.modules import authenticity
from hub.modules import blobs
from hub.modules import deals
from hub.modules import order_marks
from hub.modules import orders
from hub.modules import registrations
from hub.modules import restrictions
from hub.modules import rules
from hub.modules import signatures
from hub.modules import store

uses: store
uses: deals


@internal
@pure
def _require(condition: bool, reason: String[64]):
    """@custom:reverts IncompatibleDatasetOrder(string)."""
    if not condition:
        raw_revert(abi_encode(reason, method_id=method_id("IncompatibleDatasetOrder(string)")))


@internal
@view
def _well_signed(dataset_owner: address, order_hash: bytes32, order: orders.DatasetOrder, mark: uint256) -> bool:
    """@return As authenticity._authorized, but a signature of a wrong length is only a wrong signature."""
    if (
        order_marks._presigner(mark) != dataset_owner
        and dataset_owner.codesize == 0
        and not signatures._has_key_length(order.sign)
    ):
        return False
    return authenticity._authorized(dataset_owner, order_hash, order.sign, mark)


@external
@view
def assertDatasetDealCompatibility(datasetOrder: orders.DatasetOrder, dealId: bytes32):
    """
    @notice Return if a task of the deal may use the dataset under this order, else revert with the reason.
    @dev Neither the price nor the deal's progress is looked at, and nothing is consumed.
    @custom:reverts IncompatibleDatasetOrder(string), and nothing else.
    """
    order_hash: bytes32 = orders._typed(orders._domain_separator(), orders._dataset_struct(datasetOrder))
    mark: uint256 = store.order_marks[order_hash]
    self._require(
        order_marks._remaining(datasetOrder.volume, mark) != 0, "Dataset order is revoked or fully consumed"
    )
    dataset_owner: address = registrations._owner(
        registrations._entry(store.dataset_registry, datasetOrder.dataset)
    )
    self._require(dataset_owner != empty(address), "Dataset not registered")
    self._require(
        self._well_signed(dataset_owner, order_hash, datasetOrder, mark), "Invalid dataset order signature"
    )
    self._require(deals._exists(dealId), "Deal not found")
    location: address = blobs._location(dealId)
    terms: deals.Terms = deals._terms(location)
    self._require(terms.flags & deals.DATASET == 0, "Deal already has a dataset")
    self._require(restrictions._allows(datasetOrder.apprestrict, terms.app), "App restriction not satisfied")
    self._require(
        restrictions._allows(datasetOrder.workerpoolrestrict, terms.workerpool),
        "Workerpool restriction not satisfied",
    )
    self._require(
        restrictions._allows(datasetOrder.requesterrestrict, terms.requester), "Requester restriction not satisfied"
    )
    tag: uint256 = convert(datasetOrder.tag, uint256) & rules.TAG_DATASET_MASK
    self._require(deals._extras(location, terms).tag & tag == tag, "Tag compatibility not satisfied")
