# pragma version 0.4.3
"""
@title Registry of datasets
@license Apache-2.0
@notice Anyone creates a dataset for anyone; the dataset's token says who owns it. See README.md.
"""

from modules import clones
from modules import collection
from modules import ownership
from modules import registry

initializes: clones
initializes: collection
initializes: ownership
initializes: registry[collection := collection, ownership := ownership]

exports: clones.__interface__
exports: collection.__interface__
exports: ownership.__interface__
exports: registry.__interface__

MAX_NAME: constant(uint256) = 2048
MAX_MULTIADDR: constant(uint256) = 2048
# Fields as call data: three words of head, two sizes, contents padded to words, selector.
MAX_ARGUMENTS: constant(uint256) = 4 + 5 * 32 + MAX_NAME + MAX_MULTIADDR

name: public(constant(String[32])) = "iExec Dataset Registry (V5)"
symbol: public(constant(String[32])) = "iExecDatasetsV5"


@deploy
def __init__(dataset_code: Bytes[12_288]):
    clones.__init__(dataset_code)
    ownership.__init__()


@internal
@pure
def _salt(
    dataset_owner: address, dataset_name: String[MAX_NAME], multiaddr: Bytes[MAX_MULTIADDR], checksum: bytes32
) -> bytes32:
    """@dev keccak256(call data of the dataset's `initialize` ‖ owner), as the registries in service have it."""
    arguments: Bytes[MAX_ARGUMENTS] = abi_encode(
        dataset_name, multiaddr, checksum, method_id=method_id("initialize(string,bytes,bytes32)")
    )
    return keccak256(concat(arguments, convert(dataset_owner, bytes20)))


@external
def createDataset(
    _datasetOwner: address,
    _datasetName: String[MAX_NAME],
    _datasetMultiaddr: Bytes[MAX_MULTIADDR],
    _datasetChecksum: bytes32,
) -> address:
    """
    @notice Create a dataset.
    @return its address, which depends on owner and fields alone.
    @custom:reverts `Create2: Failed on deploy` when the owner has this very dataset.
    """
    dataset: address = clones._create(
        self._salt(_datasetOwner, _datasetName, _datasetMultiaddr, _datasetChecksum),
        concat(
            convert(self, bytes20),
            convert(convert(len(_datasetName), uint16), bytes2),
            _datasetChecksum,
            convert(_datasetName, Bytes[MAX_NAME]),
            _datasetMultiaddr,
        ),
    )
    collection._mint(_datasetOwner, convert(dataset, uint256), 0)
    return dataset


@external
@view
def predictDataset(
    _datasetOwner: address,
    _datasetName: String[MAX_NAME],
    _datasetMultiaddr: Bytes[MAX_MULTIADDR],
    _datasetChecksum: bytes32,
) -> address:
    """@return the address `createDataset` would give, or gave."""
    return clones._predict(self._salt(_datasetOwner, _datasetName, _datasetMultiaddr, _datasetChecksum))
