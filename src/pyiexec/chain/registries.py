"""The three registries: applications, datasets and workerpools are ERC-721 tokens that deploy their asset.

Source: registry ABI of PoCo 6.2; EIP-721, EIP-1014 (the address of an asset depends on everything it says).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.reading import Reading
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32, bytes32, checksum

_APP_FIELDS = (
    "(address _appOwner, string _appName, string _appType, bytes _appMultiaddr, bytes32 _appChecksum,"
    " bytes _appMREnclave)"
)
_DATASET_FIELDS = "(address _datasetOwner, string _datasetName, bytes _datasetMultiaddr, bytes32 _datasetChecksum)"
_WORKERPOOL_FIELDS = "(address _workerpoolOwner, string _workerpoolDescription)"

#: Functions of the registries by name.
FUNCTIONS = {
    signature.partition("(")[0]: Function.parse(signature)
    for signature in (
        f"createApp{_APP_FIELDS} returns (address)",
        f"predictApp{_APP_FIELDS} view returns (address)",
        f"createDataset{_DATASET_FIELDS} returns (address)",
        f"predictDataset{_DATASET_FIELDS} view returns (address)",
        f"createWorkerpool{_WORKERPOOL_FIELDS} returns (address)",
        f"predictWorkerpool{_WORKERPOOL_FIELDS} view returns (address)",
        "initialize(address _previous)",
        "isRegistered(address _entry) view returns (bool)",
        "ownerOf(uint256 tokenId) view returns (address)",
        "balanceOf(address owner) view returns (uint256)",
        "tokenOfOwnerByIndex(address owner, uint256 index) view returns (uint256)",
        "tokenByIndex(uint256 index) view returns (uint256)",
        "totalSupply() view returns (uint256)",
        "transferFrom(address from, address to, uint256 tokenId)",
        "safeTransferFrom(address from, address to, uint256 tokenId)",
        "setBaseURI(string _baseURI)",
        "transferOwnership(address newOwner)",
        "owner() view returns (address)",
        "changePolicy(uint256 _newWorkerStakeRatioPolicy, uint256 _newSchedulerRewardRatioPolicy)",
    )
}

#: Creation code of every asset, `proxyCode()` of every registry: it asks the registry what to become.
PROXY_CODE = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")

#: ERC-721: what creating or selling an asset emits.
TRANSFER = Event.parse("Transfer(address indexed from, address indexed to, uint256 indexed tokenId)")
#: Emitted by a workerpool.
POLICY_UPDATE = Event.parse(
    "PolicyUpdate(uint256 oldWorkerStakeRatioPolicy, uint256 newWorkerStakeRatioPolicy,"
    " uint256 oldSchedulerRewardRatioPolicy, uint256 newSchedulerRewardRatioPolicy)"
)


class AppAsset(msgspec.Struct, frozen=True):
    """A registered application.

    Attributes:
        checksum: SHA-256 of what is run.
        multiaddr: where it is, as stored on chain; `protocol.multiaddr` reads it.
    """

    owner: Address
    name: str
    type: str
    multiaddr: bytes
    checksum: Bytes32
    mrenclave: bytes


class DatasetAsset(msgspec.Struct, frozen=True):
    """A registered dataset; attributes as in `AppAsset`."""

    owner: Address
    name: str
    multiaddr: bytes
    checksum: Bytes32


class WorkerpoolAsset(msgspec.Struct, frozen=True):
    """A registered workerpool: ratios in percent, of the price as worker's stake and of the reward to the scheduler."""

    owner: Address
    description: str
    worker_stake_ratio: int
    scheduler_reward_ratio: int


# --- call data ----------------------------------------------------------------------------------------------------


def create_app(
    owner: Address, name: str, type_: str, multiaddr: bytes, checksum_: Bytes32, mrenclave: bytes = b""
) -> bytes:
    """Register an application for `owner`; the same content can be registered once."""
    return FUNCTIONS["createApp"].encode(owner, name, type_, multiaddr, checksum_, mrenclave)


def create_dataset(owner: Address, name: str, multiaddr: bytes, checksum_: Bytes32) -> bytes:
    """Register a dataset for `owner`."""
    return FUNCTIONS["createDataset"].encode(owner, name, multiaddr, checksum_)


def create_workerpool(owner: Address, description: str) -> bytes:
    """Register a workerpool for `owner`."""
    return FUNCTIONS["createWorkerpool"].encode(owner, description)


def change_policy(worker_stake_ratio: int, scheduler_reward_ratio: int) -> bytes:
    """Change a workerpool's ratios, in percent; sent to the workerpool by its owner."""
    return FUNCTIONS["changePolicy"].encode(worker_stake_ratio, scheduler_reward_ratio)


def transfer_asset(owner: Address, new_owner: Address, asset: Address) -> bytes:
    """Give an asset away; sent to its registry by its owner."""
    return FUNCTIONS["transferFrom"].encode(owner, new_owner, int(asset, 16))


def asset_of(topic_or_id: str | int) -> Address:
    """The asset's address of an ERC-721 token id or of the topic that carries it."""
    number = int(topic_or_id, 16) if isinstance(topic_or_id, str) else topic_or_id
    return checksum("0x" + bytes32(number)[-40:])


def created_asset(receipt: Any, registry: Address) -> Address:
    """The asset that a creating transaction deployed, from its receipt (JSON-RPC form or a `Receipt`).

    Raises:
        IexecError: ``CHAIN_REFUSED`` when the receipt shows no creation by this registry.
    """
    logs = receipt["logs"] if isinstance(receipt, dict) else receipt.logs
    for log in logs:
        topics = log["topics"]
        minted = topics[0] == TRANSFER.topic and len(topics) == 4 and int(topics[1], 16) == 0
        if minted and log["address"].lower() == registry.lower():
            return asset_of(topics[3])
    raise IexecError("CHAIN_REFUSED", f"the transaction created nothing in the registry {registry}")


class Registry:
    """A reader of one registry; each method returns a `Reading`.

    Attributes:
        address: where the registry stands.
    """

    def __init__(self, rpc: JsonRpc, address: Address) -> None:
        self.rpc = rpc
        self.address = address

    def _value(self, name: str, *arguments: Any) -> Reading[Any]:
        function = FUNCTIONS[name]
        return Reading(self.rpc, self.address, function.encode(*arguments), lambda data: function.decode(data)[0])

    def predict_app(
        self, owner: Address, name: str, type_: str, multiaddr: bytes, checksum_: Bytes32, mrenclave: bytes = b""
    ) -> Reading[Address]:
        """Where `create_app` with the same arguments puts the application."""
        return self._value("predictApp", owner, name, type_, multiaddr, checksum_, mrenclave)

    def predict_dataset(self, owner: Address, name: str, multiaddr: bytes, checksum_: Bytes32) -> Reading[Address]:
        """Where `create_dataset` with the same arguments puts the dataset."""
        return self._value("predictDataset", owner, name, multiaddr, checksum_)

    def predict_workerpool(self, owner: Address, description: str) -> Reading[Address]:
        """Where `create_workerpool` with the same arguments puts the workerpool."""
        return self._value("predictWorkerpool", owner, description)

    def is_registered(self, asset: Address) -> Reading[bool]:
        """Whether this registry, or an older one it continues, made the asset."""
        return self._value("isRegistered", asset)

    def owner_of(self, asset: Address) -> Reading[Address]:
        """Who owns the asset now; reverts for one that this registry did not make."""
        return self._value("ownerOf", int(asset, 16))

    def count(self) -> Reading[int]:
        """How many assets are registered here."""
        return self._value("totalSupply")

    def asset_at(self, index: int) -> Reading[Address]:
        """The asset by order of creation."""
        function = FUNCTIONS["tokenByIndex"]
        return Reading(self.rpc, self.address, function.encode(index), lambda data: asset_of(function.decode(data)[0]))

    def count_of(self, owner: Address) -> Reading[int]:
        """How many assets `owner` holds."""
        return self._value("balanceOf", owner)

    def asset_of_owner(self, owner: Address, index: int) -> Reading[Address]:
        """An asset of `owner` by index."""
        function = FUNCTIONS["tokenOfOwnerByIndex"]
        data = function.encode(owner, index)
        return Reading(self.rpc, self.address, data, lambda answer: asset_of(function.decode(answer)[0]))


def asset_owner(rpc: JsonRpc, asset: Address) -> Reading[Address]:
    """Who owns an asset, asked of the asset itself.

    Raises:
        IexecError: ``ASSET_UNKNOWN`` when awaited and nothing that has an owner stands there.
    """
    function = FUNCTIONS["owner"]
    missing = ("ASSET_UNKNOWN", f"nothing that has an owner stands at {asset}")

    def decode(data: bytes) -> Address:
        # An account without code answers every call, with nothing.
        if not data:
            raise IexecError(*missing)
        owner: Address = function.decode(data)[0]
        return owner

    return Reading(rpc, asset, function.encode(), decode, missing=missing)
