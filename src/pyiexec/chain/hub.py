"""The hub, PoCo's contract: its functions and events by name, and a typed reader of its state.

Every method of `Hub` returns a `Reading`: ``await hub.deal(id)`` reads it alone, ``read_all(hub.deal(id),
hub.task(task))`` in one round trip. Call data for its transactions is made in `calls`.

Source: ABI of PoCo 6.2; names of arguments and events are the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.reading import Reading, read_each
from pyiexec.chain.registries import AppAsset, DatasetAsset, WorkerpoolAsset
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.deals import BoostDeal, Deal
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder, order_to_abi
from pyiexec.protocol.primitives import Address, Bytes32, DealId, OrderHash, TaskId
from pyiexec.protocol.tasks import Contribution, Task

T = TypeVar("T")

_APP_ORDER = (
    "(address app, uint256 appprice, uint256 volume, bytes32 tag, address datasetrestrict,"
    " address workerpoolrestrict, address requesterrestrict, bytes32 salt, bytes sign)"
)
_DATASET_ORDER = (
    "(address dataset, uint256 datasetprice, uint256 volume, bytes32 tag, address apprestrict,"
    " address workerpoolrestrict, address requesterrestrict, bytes32 salt, bytes sign)"
)
_WORKERPOOL_ORDER = (
    "(address workerpool, uint256 workerpoolprice, uint256 volume, bytes32 tag, uint256 category, uint256 trust,"
    " address apprestrict, address datasetrestrict, address requesterrestrict, bytes32 salt, bytes sign)"
)
_REQUEST_ORDER = (
    "(address app, uint256 appmaxprice, address dataset, uint256 datasetmaxprice, address workerpool,"
    " uint256 workerpoolmaxprice, address requester, uint256 volume, bytes32 tag, uint256 category, uint256 trust,"
    " address beneficiary, address callback, string params, bytes32 salt, bytes sign)"
)
_FOUR_ORDERS = (
    f"{_APP_ORDER} _apporder, {_DATASET_ORDER} _datasetorder,"
    f" {_WORKERPOOL_ORDER} _workerpoolorder, {_REQUEST_ORDER} _requestorder"
)
_FOUR_BOOST_ORDERS = (
    f"{_APP_ORDER} appOrder, {_DATASET_ORDER} datasetOrder,"
    f" {_WORKERPOOL_ORDER} workerpoolOrder, {_REQUEST_ORDER} requestOrder"
)
_RESOURCE = "(address pointer, address owner, uint256 price)"
_DEAL = (
    f"({_RESOURCE} app, {_RESOURCE} dataset, {_RESOURCE} workerpool, uint256 trust, uint256 category, bytes32 tag,"
    " address requester, address beneficiary, address callback, string params, uint256 startTime, uint256 botFirst,"
    " uint256 botSize, uint256 workerStake, uint256 schedulerRewardRatio, address sponsor)"
)
_DEAL_BOOST = (
    "(address appOwner, uint96 appPrice, address datasetOwner, uint96 datasetPrice, address workerpoolOwner,"
    " uint96 workerpoolPrice, address requester, uint96 workerReward, address callback, uint40 deadline,"
    " uint16 botFirst, uint16 botSize, bytes3 shortTag, address sponsor)"
)
_TASK = (
    "(uint8 status, bytes32 dealid, uint256 idx, uint256 timeref, uint256 contributionDeadline, uint256 revealDeadline,"
    " uint256 finalDeadline, bytes32 consensusValue, uint256 revealCounter, uint256 winnerCounter,"
    " address[] contributors, bytes32 resultDigest, bytes results, uint256 resultsTimestamp, bytes resultsCallback)"
)
_CONTRIBUTION = "(uint8 status, bytes32 resultHash, bytes32 resultSeal, address enclaveChallenge, uint256 weight)"
_APP = (
    "(address owner, string m_appName, string m_appType, bytes m_appMultiaddr, bytes32 m_appChecksum,"
    " bytes m_appMREnclave)"
)
_DATASET = "(address owner, string m_datasetName, bytes m_datasetMultiaddr, bytes32 m_datasetChecksum)"
_WORKERPOOL = (
    "(address owner, string m_workerpoolDescription, uint256 m_workerStakeRatioPolicy,"
    " uint256 m_schedulerRewardRatioPolicy)"
)


def _by_name(parse: Callable[[str], T], signatures: Sequence[str]) -> dict[str, T]:
    return {signature.partition("(")[0]: parse(signature) for signature in signatures}


#: Functions of a hub with a token by name.
FUNCTIONS: Mapping[str, Function] = _by_name(
    Function.parse,
    (
        # Escrow, with its ERC-20 face.
        "deposit(uint256 amount) returns (bool)",
        "depositFor(uint256 amount, address target) returns (bool)",
        "depositForArray(uint256[] amounts, address[] targets) returns (bool)",
        "withdraw(uint256 amount) returns (bool)",
        "withdrawTo(uint256 amount, address target) returns (bool)",
        "recover() returns (uint256)",
        "receiveApproval(address sender, uint256 amount, address token, bytes data) returns (bool)",
        "transfer(address recipient, uint256 amount) returns (bool)",
        "approve(address spender, uint256 value) returns (bool)",
        "approveAndCall(address spender, uint256 value, bytes extraData) returns (bool)",
        "transferFrom(address sender, address recipient, uint256 amount) returns (bool)",
        "increaseAllowance(address spender, uint256 addedValue) returns (bool)",
        "decreaseAllowance(address spender, uint256 subtractedValue) returns (bool)",
        "name() view returns (string)",
        "symbol() view returns (string)",
        "decimals() view returns (uint8)",
        "totalSupply() view returns (uint256)",
        "balanceOf(address account) view returns (uint256)",
        "frozenOf(address account) view returns (uint256)",
        "allowance(address account, address spender) view returns (uint256)",
        # Orders.
        f"manageAppOrder(({_APP_ORDER} order, uint8 operation, bytes sign) _apporderoperation)",
        f"manageDatasetOrder(({_DATASET_ORDER} order, uint8 operation, bytes sign) _datasetorderoperation)",
        f"manageWorkerpoolOrder(({_WORKERPOOL_ORDER} order, uint8 operation, bytes sign) _workerpoolorderoperation)",
        f"manageRequestOrder(({_REQUEST_ORDER} order, uint8 operation, bytes sign) _requestorderoperation)",
        "verifySignature(address _identity, bytes32 _hash, bytes _signature) view returns (bool)",
        "verifyPresignature(address _identity, bytes32 _hash) view returns (bool)",
        "verifyPresignatureOrSignature(address _identity, bytes32 _hash, bytes _signature) view returns (bool)",
        f"matchOrders({_FOUR_ORDERS}) returns (bytes32)",
        f"sponsorMatchOrders({_FOUR_ORDERS}) returns (bytes32)",
        f"computeDealVolume({_FOUR_ORDERS}) view returns (uint256)",
        f"assertDatasetDealCompatibility({_DATASET_ORDER} datasetOrder, bytes32 dealId) view",
        f"broadcastAppOrder({_APP_ORDER} _apporder)",
        f"broadcastDatasetOrder({_DATASET_ORDER} _datasetorder)",
        f"broadcastWorkerpoolOrder({_WORKERPOOL_ORDER} _workerpoolorder)",
        f"broadcastRequestOrder({_REQUEST_ORDER} _requestorder)",
        # Tasks.
        "initialize(bytes32 _dealid, uint256 idx) returns (bytes32)",
        "initializeArray(bytes32[] _dealid, uint256[] _idx) returns (bool)",
        "contribute(bytes32 _taskid, bytes32 _resultHash, bytes32 _resultSeal, address _enclaveChallenge,"
        " bytes _enclaveSign, bytes _authorizationSign)",
        "contributeAndFinalize(bytes32 _taskid, bytes32 _resultDigest, bytes _results, bytes _resultsCallback,"
        " address _enclaveChallenge, bytes _enclaveSign, bytes _authorizationSign)",
        "reveal(bytes32 _taskid, bytes32 _resultDigest)",
        "reopen(bytes32 _taskid)",
        "finalize(bytes32 _taskid, bytes _results, bytes _resultsCallback)",
        "claim(bytes32 _taskid)",
        "claimArray(bytes32[] _taskid) returns (bool)",
        "initializeAndClaimArray(bytes32[] _dealid, uint256[] _idx) returns (bool)",
        # Boost: tasks of one transaction.
        f"matchOrdersBoost({_FOUR_BOOST_ORDERS}) returns (bytes32)",
        f"sponsorMatchOrdersBoost({_FOUR_BOOST_ORDERS}) returns (bytes32)",
        "pushResultBoost(bytes32 dealId, uint256 index, bytes results, bytes resultsCallback, bytes authorizationSign,"
        " address enclaveChallenge, bytes enclaveSign)",
        "claimBoost(bytes32 dealId, uint256 index)",
        f"viewDealBoost(bytes32 id) view returns ({_DEAL_BOOST} deal)",
        # Views.
        f"viewDeal(bytes32 _id) view returns ({_DEAL})",
        f"viewTask(bytes32 _taskid) view returns ({_TASK})",
        f"viewContribution(bytes32 _taskid, address _worker) view returns ({_CONTRIBUTION})",
        "viewConsumed(bytes32 _id) view returns (uint256)",
        "viewPresigned(bytes32 _id) view returns (address)",
        "viewScore(address _worker) view returns (uint256)",
        "viewAccount(address account) view returns ((uint256 stake, uint256 locked))",
        "viewCategory(uint256 _catid) view returns ((string name, string description, uint256 workClockTimeRef))",
        "countCategory() view returns (uint256)",
        f"viewApp(address _app) view returns ({_APP})",
        f"viewDataset(address _dataset) view returns ({_DATASET})",
        f"viewWorkerpool(address _workerpool) view returns ({_WORKERPOOL})",
        "resultFor(bytes32 id) view returns (bytes)",
        "token() view returns (address)",
        "appregistry() view returns (address)",
        "datasetregistry() view returns (address)",
        "workerpoolregistry() view returns (address)",
        "teebroker() view returns (address)",
        "callbackgas() view returns (uint256)",
        "contribution_deadline_ratio() view returns (uint256)",
        "reveal_deadline_ratio() view returns (uint256)",
        "final_deadline_ratio() view returns (uint256)",
        "workerpool_stake_ratio() view returns (uint256)",
        "kitty_ratio() view returns (uint256)",
        "kitty_min() view returns (uint256)",
        "kitty_address() view returns (address)",
        "groupmember_purpose() view returns (uint256)",
        "eip712domain_separator() view returns (bytes32)",
        "domain() view returns ((string name, string version, uint256 chainId, address verifyingContract))",
        # Administration.
        "configure(address _token, string _name, string _symbol, uint8 _decimal, address _appregistryAddress,"
        " address _datasetregistryAddress, address _workerpoolregistryAddress, address _v3_iexecHubAddress)",
        "updateDomainSeparator()",
        "importScore(address _worker)",
        "setTeeBroker(address _teebroker)",
        "setCallbackGas(uint256 _callbackgas)",
        "changeRegistries(address _appregistryAddress, address _datasetregistryAddress,"
        " address _workerpoolregistryAddress)",
        "createCategory(string name, string description, uint256 workClockTimeRef) returns (uint256)",
        "owner() view returns (address)",
        "transferOwnership(address _newOwner)",
        # The diamond.
        "diamondCut((address facetAddress, uint8 action, bytes4[] functionSelectors)[] _diamondCut, address _init,"
        " bytes _calldata)",
        "facets() view returns ((address facetAddress, bytes4[] functionSelectors)[])",
        "facetAddress(bytes4 _functionSelector) view returns (address)",
        "facetAddresses() view returns (address[])",
        "facetFunctionSelectors(address _facet) view returns (bytes4[])",
        "supportsInterface(bytes4 _interfaceId) view returns (bool)",
    ),
)

#: What a hub that holds the chain's own coin has instead of those of the same name: its deposits carry value.
NATIVE_FUNCTIONS: Mapping[str, Function] = _by_name(
    Function.parse,
    (
        "deposit() payable returns (bool)",
        "depositFor(address target) payable returns (bool)",
        "depositForArray(uint256[] amounts, address[] targets) payable returns (bool)",
    ),
)

#: Events of the hub by name.
EVENTS: Mapping[str, Event] = _by_name(
    Event.parse,
    (
        "Transfer(address indexed from, address indexed to, uint256 value)",
        "Approval(address indexed owner, address indexed spender, uint256 value)",
        "Lock(address owner, uint256 amount)",
        "Unlock(address owner, uint256 amount)",
        "Reward(address owner, uint256 amount, bytes32 ref)",
        "Seize(address owner, uint256 amount, bytes32 ref)",
        f"BroadcastAppOrder({_APP_ORDER} apporder)",
        f"BroadcastDatasetOrder({_DATASET_ORDER} datasetorder)",
        f"BroadcastWorkerpoolOrder({_WORKERPOOL_ORDER} workerpoolorder)",
        f"BroadcastRequestOrder({_REQUEST_ORDER} requestorder)",
        "SignedAppOrder(bytes32 appHash)",
        "SignedDatasetOrder(bytes32 datasetHash)",
        "SignedWorkerpoolOrder(bytes32 workerpoolHash)",
        "SignedRequestOrder(bytes32 requestHash)",
        "ClosedAppOrder(bytes32 appHash)",
        "ClosedDatasetOrder(bytes32 datasetHash)",
        "ClosedWorkerpoolOrder(bytes32 workerpoolHash)",
        "ClosedRequestOrder(bytes32 requestHash)",
        "OrdersMatched(bytes32 dealid, bytes32 appHash, bytes32 datasetHash, bytes32 workerpoolHash,"
        " bytes32 requestHash, uint256 volume)",
        "SchedulerNotice(address indexed workerpool, bytes32 dealid)",
        "DealSponsored(bytes32 dealId, address sponsor)",
        "SchedulerNoticeBoost(address indexed workerpool, bytes32 dealId, address app, address dataset,"
        " uint256 category, bytes32 tag, string params, address beneficiary)",
        "DealSponsoredBoost(bytes32 dealId, address sponsor)",
        "ResultPushedBoost(bytes32 dealId, uint256 index, bytes results)",
        "TaskInitialize(bytes32 indexed taskid, address indexed workerpool)",
        "TaskContribute(bytes32 indexed taskid, address indexed worker, bytes32 hash)",
        "TaskConsensus(bytes32 indexed taskid, bytes32 consensus)",
        "TaskReveal(bytes32 indexed taskid, address indexed worker, bytes32 digest)",
        "TaskReopen(bytes32 indexed taskid)",
        "TaskFinalize(bytes32 indexed taskid, bytes results)",
        "TaskClaimed(bytes32 indexed taskid)",
        "AccurateContribution(address indexed worker, bytes32 indexed taskid)",
        "FaultyContribution(address indexed worker, bytes32 indexed taskid)",
        "CreateCategory(uint256 catid, string name, string description, uint256 workClockTimeRef)",
        "OwnershipTransferred(address indexed previousOwner, address indexed newOwner)",
        "DiamondCut((address facetAddress, uint8 action, bytes4[] functionSelectors)[] _diamondCut, address _init,"
        " bytes _calldata)",
    ),
)

#: The same events by their first topic, for decoding logs.
EVENTS_BY_TOPIC: Mapping[str, Event] = {event.topic: event for event in EVENTS.values()}


class Account(msgspec.Struct, frozen=True):
    """An escrow account in nRLC: what is free to use, and what running deals hold."""

    stake: int
    locked: int


class Category(msgspec.Struct, frozen=True):
    """A class of tasks by duration; `work_clock_time_ref` in seconds is the unit of every deadline."""

    name: str
    description: str
    work_clock_time_ref: int


def decode_deal(data: bytes) -> Deal:
    """The deal of a ``viewDeal`` answer; its `exists` is false when the id is not that of a deal."""
    return Deal.from_abi(FUNCTIONS["viewDeal"].decode(data)[0])


def decode_boost_deal(data: bytes) -> BoostDeal:
    """The deal of a ``viewDealBoost`` answer; its `exists` is false when the id is not that of a Boost deal."""
    return BoostDeal.from_abi(FUNCTIONS["viewDealBoost"].decode(data)[0])


def decode_task(data: bytes) -> Task:
    """The task of a ``viewTask`` answer, with status UNSET when nobody initialized it."""
    return Task.from_abi(FUNCTIONS["viewTask"].decode(data)[0])


def decode_contribution(data: bytes) -> Contribution:
    """The contribution of a ``viewContribution`` answer, with status UNSET when there is none."""
    return Contribution.from_abi(FUNCTIONS["viewContribution"].decode(data)[0])


class Hub:
    """A reader of one hub; each method returns a `Reading` to be awaited.

    Attributes:
        address: where the hub stands.
    """

    def __init__(self, rpc: JsonRpc, address: Address) -> None:
        self.rpc = rpc
        self.address = address

    def _read(
        self, name: str, *arguments: Any, decode: Callable[[bytes], T], missing: tuple[str, str] | None = None
    ) -> Reading[T]:
        return Reading(self.rpc, self.address, FUNCTIONS[name].encode(*arguments), decode, missing=missing)

    def _value(self, name: str, *arguments: Any) -> Reading[Any]:
        function = FUNCTIONS[name]
        return self._read(name, *arguments, decode=lambda data: function.decode(data)[0])

    # --- deals and tasks ------------------------------------------------------------------------------------------

    def deal(self, deal_id: DealId) -> Reading[Deal]:
        """The deal.

        Raises:
            IexecError: ``DEAL_UNKNOWN`` when awaited.
        """

        def decode(data: bytes) -> Deal:
            deal = decode_deal(data)
            if not deal.exists:
                raise IexecError("DEAL_UNKNOWN", f"there is no deal {deal_id} on this hub", deal=deal_id)
            return deal

        return self._read("viewDeal", deal_id, decode=decode)

    def find_deal(self, deal_id: DealId) -> Reading[Deal]:
        """The deal, whose `exists` is false when there is none with this id."""
        return self._read("viewDeal", deal_id, decode=decode_deal)

    def find_boost_deal(self, deal_id: DealId) -> Reading[BoostDeal]:
        """The deal, whose `exists` is false when there is no Boost deal with this id; hubs on Arbitrum have none."""
        return self._read("viewDealBoost", deal_id, decode=decode_boost_deal)

    async def deals(self, deal_ids: Sequence[DealId]) -> list[Deal]:
        """Many deals in one round trip; see `deal`."""
        return await read_each([self.deal(deal_id) for deal_id in deal_ids])

    def task(self, task_id: TaskId) -> Reading[Task]:
        """The task; its status is UNSET when nobody initialized it."""
        return self._read("viewTask", task_id, decode=decode_task)

    async def tasks(self, task_ids: Sequence[TaskId]) -> list[Task]:
        """Many tasks in one round trip."""
        return await read_each([self.task(task_id) for task_id in task_ids])

    def contribution(self, task_id: TaskId, worker: Address) -> Reading[Contribution]:
        """What `worker` committed to for the task; status UNSET when nothing."""
        return self._read("viewContribution", task_id, worker, decode=decode_contribution)

    async def contributions(self, task_id: TaskId, workers: Sequence[Address]) -> list[Contribution]:
        """The contributions of many workers to one task in one round trip."""
        return await read_each([self.contribution(task_id, worker) for worker in workers])

    def result_for(self, task_id: TaskId) -> Reading[bytes]:
        """ERC-1154: the callback result of a completed task."""
        return self._value("resultFor", task_id)

    # --- accounts -------------------------------------------------------------------------------------------------

    def account(self, account: Address) -> Reading[Account]:
        """Free and locked nRLC of an account."""
        return self._read(
            "viewAccount", account, decode=lambda data: Account(*FUNCTIONS["viewAccount"].decode(data)[0])
        )

    def balance_of(self, account: Address) -> Reading[int]:
        """Free nRLC of an account in the hub."""
        return self._value("balanceOf", account)

    def frozen_of(self, account: Address) -> Reading[int]:
        """Locked nRLC of an account in the hub."""
        return self._value("frozenOf", account)

    def total_supply(self) -> Reading[int]:
        """All nRLC deposited in the hub, free and locked."""
        return self._value("totalSupply")

    def score(self, worker: Address) -> Reading[int]:
        """Reputation: replicated successes since the last halving failures."""
        return self._value("viewScore", worker)

    async def scores(self, workers: Sequence[Address]) -> list[int]:
        """Reputations of many workers in one round trip."""
        return await read_each([self.score(worker) for worker in workers])

    # --- orders ---------------------------------------------------------------------------------------------------

    def consumed(self, order_hash: OrderHash) -> Reading[int]:
        """How much of the order's volume is used up; closing an order consumes all of it."""
        return self._value("viewConsumed", order_hash)

    async def consumed_of(self, order_hashes: Sequence[OrderHash]) -> list[int]:
        """`consumed` of many orders in one round trip."""
        return await read_each([self.consumed(order_hash) for order_hash in order_hashes])

    def presigned(self, order_hash: OrderHash) -> Reading[Address]:
        """Who signed the order by a transaction; the null address when nobody did."""
        return self._value("viewPresigned", order_hash)

    def verify_signature(self, identity: Address, digest: Bytes32, signature: bytes) -> Reading[bool]:
        """Whether `signature` over `digest` counts as signed by `identity`, a key or an ERC-1271 contract."""
        return self._value("verifySignature", identity, digest, signature)

    def verify_presignature_or_signature(self, identity: Address, digest: Bytes32, signature: bytes) -> Reading[bool]:
        """Whether `identity` presigned `digest` or `signature` is valid; this is what matching asks."""
        return self._value("verifyPresignatureOrSignature", identity, digest, signature)

    def compute_deal_volume(
        self, app: AppOrder, dataset: DatasetOrder, workerpool: WorkerpoolOrder, request: RequestOrder
    ) -> Reading[int]:
        """How many tasks a match of the four orders would create; reverts with the reason when they do not match."""
        orders: tuple[Order, ...] = (app, dataset, workerpool, request)
        return self._value("computeDealVolume", *map(order_to_abi, orders))

    # --- assets ---------------------------------------------------------------------------------------------------

    def app(self, app: Address) -> Reading[AppAsset]:
        """What is registered about an application.

        Raises:
            IexecError: ``APP_UNKNOWN`` when awaited and no application stands at the address.
        """
        return self._asset("viewApp", app, "APP_UNKNOWN", AppAsset)

    def dataset(self, dataset: Address) -> Reading[DatasetAsset]:
        """What is registered about a dataset, or ``DATASET_UNKNOWN``."""
        return self._asset("viewDataset", dataset, "DATASET_UNKNOWN", DatasetAsset)

    def workerpool(self, workerpool: Address) -> Reading[WorkerpoolAsset]:
        """What is registered about a workerpool, or ``WORKERPOOL_UNKNOWN``."""
        return self._asset("viewWorkerpool", workerpool, "WORKERPOOL_UNKNOWN", WorkerpoolAsset)

    def _asset(self, view: str, address: Address, code: str, kind: Callable[..., T]) -> Reading[T]:
        missing = (code, f"no {view.removeprefix('view').lower()} stands at {address}")
        return self._read(view, address, decode=lambda data: kind(*FUNCTIONS[view].decode(data)[0]), missing=missing)

    # --- configuration --------------------------------------------------------------------------------------------

    def category(self, category: int) -> Reading[Category]:
        """A category of tasks.

        Raises:
            IexecError: ``CATEGORY_UNKNOWN`` when awaited.
        """
        missing = ("CATEGORY_UNKNOWN", f"there is no category {category} on this hub")
        function = FUNCTIONS["viewCategory"]
        return self._read(
            "viewCategory", category, decode=lambda data: Category(*function.decode(data)[0]), missing=missing
        )

    def count_category(self) -> Reading[int]:
        """How many categories there are."""
        return self._value("countCategory")

    async def categories(self) -> list[Category]:
        """All categories in order, in two round trips."""
        return await read_each([self.category(number) for number in range(await self.count_category())])

    def owner(self) -> Reading[Address]:
        """Administrator of the hub."""
        return self._value("owner")

    def token(self) -> Reading[Address]:
        """The RLC contract."""
        return self._value("token")

    def app_registry(self) -> Reading[Address]:
        """Registry of applications."""
        return self._value("appregistry")

    def dataset_registry(self) -> Reading[Address]:
        """Registry of datasets."""
        return self._value("datasetregistry")

    def workerpool_registry(self) -> Reading[Address]:
        """Registry of workerpools."""
        return self._value("workerpoolregistry")

    def callback_gas(self) -> Reading[int]:
        """Gas that ``finalize`` keeps for the callback of a task."""
        return self._value("callbackgas")

    def domain_separator(self) -> Reading[Bytes32]:
        """EIP-712 domain separator the hub verifies orders with."""
        return self._value("eip712domain_separator")

    def domain(self) -> Reading[Domain]:
        """EIP-712 domain of orders signed for this hub."""

        def decode(data: bytes) -> Domain:
            _, _, chain_id, verifying_contract = FUNCTIONS["domain"].decode(data)[0]
            return Domain(chain_id, verifying_contract)

        return self._read("domain", decode=decode)

    # --- logs -----------------------------------------------------------------------------------------------------

    async def logs(
        self, *names: str, from_block: int | str = 0, to_block: int | str = "latest", topics: Sequence[Any] = ()
    ) -> list[Mapping[str, Any]]:
        """Raw logs of the named events, oldest first; `topics` are those after the event's own.

        For looking back; to follow the chain use `follower.LogFollower`.
        """
        first, last = (hex(block) if isinstance(block, int) else block for block in (from_block, to_block))
        selection = [[EVENTS[name].topic for name in names], *topics] if names else list(topics)
        query = {"address": self.address, "fromBlock": first, "toBlock": last, "topics": selection}
        logs: list[Mapping[str, Any]] = await self.rpc.call("eth_getLogs", query)
        return logs


def decode_log(log: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Name and fields of a hub event; None when the log is none of them."""
    event = EVENTS_BY_TOPIC.get(log["topics"][0]) if log["topics"] else None
    return (event.name, event.decode(log)) if event else None
