"""What is measured: the life of a marketplace, call by call, the same on both hubs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pyiexec.chain import calls, registries, token
from pyiexec.chain.abi import Function
from pyiexec.chain.anvil import CHAIN_ID, MNEMONIC
from pyiexec.chain.deployment import STANDARD_CATEGORIES
from pyiexec.chain.hub import FUNCTIONS, NATIVE_FUNCTIONS
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.ids import authorization_hash, deal_id, enclave_hash, result_hash, result_seal, task_id
from pyiexec.protocol.orders import (
    NO_DATASET,
    AppOrder,
    DatasetOrder,
    Order,
    RequestOrder,
    WorkerpoolOrder,
    order_to_abi,
)
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    Bytes32,
    ResultDigest,
    bytes32,
    keccak256,
    to_bytes,
    to_hex,
)
from reference.ledger import Ledger
from reference.markets import Market, diamond_creation

NAMES = ("admin", "requester", "app owner", "dataset owner", "scheduler", "enclave", "friend", "agent")
ADMIN, REQUESTER, APP_OWNER, DATASET_OWNER, SCHEDULER, ENCLAVE, FRIEND, AGENT = (
    derive(MNEMONIC, index) for index in range(len(NAMES))
)
WORKERS = tuple(derive(MNEMONIC, 10 + index) for index in range(4))
WORKER = WORKERS[0]
EVERYBODY = (ADMIN, REQUESTER, APP_OWNER, DATASET_OWNER, SCHEDULER, FRIEND, AGENT, *WORKERS)

APP_PRICE, DATASET_PRICE, WORKERPOOL_PRICE = 1_000, 1_000_000, 1_000_000_000
DEPOSIT = 1_000 * 10**9
CHECKSUM = Bytes32("0x" + "5a" * 32)
APP_FIELDS = ("vanityeth", "DOCKER", b"registry.hub.docker.com/iexechub/vanityeth:1.1.1", CHECKSUM, b"")
DATASET_FIELDS = ("weights", b"/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", CHECKSUM)
PARAMS = '{"iexec_args":"--tile 11 --of 12 --scene scene.txt","iexec_input_files":["https://example.org/scene.txt"],'
PARAMS += '"iexec_result_storage_provider":"ipfs"}'
RESULTS = b'{"storage":"ipfs","location":"/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"}'
PAYLOAD = bytes(range(64))
TEE = 1
BAG = 100
#: 2 to the fourth is more than 9: four fresh workers of one mind settle it, three do not.
HIGH_TRUST = 10
CATEGORY = 0
CLAIM_AFTER = 10 * STANDARD_CATEGORIES[CATEGORY].work_clock_time_ref
REVEAL_AFTER = 2 * STANDARD_CATEGORIES[CATEGORY].work_clock_time_ref

#: Groups of what is measured, each with a bar of its own.
TASK, CREATION, BOOST, CALL, VIEW = "task", "creation", "Boost", "call", "view"

REGISTRY = {
    signature.partition("(")[0]: Function.parse(signature)
    for signature in (
        "approve(address, uint256)",
        "setApprovalForAll(address, bool)",
        "transferFrom(address, address, uint256)",
        "safeTransferFrom(address, address, uint256, bytes)",
        "setBaseURI(string)",
        "initialize(address)",
        "transferOwnership(address)",
        "renounceOwnership()",
        "balanceOf(address)",
        "baseURI()",
        "getApproved(uint256)",
        "initialized()",
        "isApprovedForAll(address, address)",
        "isRegistered(address)",
        "master()",
        "name()",
        "owner()",
        "ownerOf(uint256)",
        "previous()",
        "proxyCode()",
        "proxyCodeHash()",
        "supportsInterface(bytes4)",
        "symbol()",
        "tokenByIndex(uint256)",
        "tokenOfOwnerByIndex(address, uint256)",
        "tokenURI(uint256)",
        "totalSupply()",
    )
}
ASSET = {
    "app": ("m_appName", "m_appType", "m_appMultiaddr", "m_appChecksum", "m_appMREnclave"),
    "dataset": ("m_datasetName", "m_datasetMultiaddr", "m_datasetChecksum"),
    "workerpool": ("m_workerpoolDescription", "m_workerStakeRatioPolicy", "m_schedulerRewardRatioPolicy"),
}
PLAIN_VIEWS = (
    *("name", "symbol", "decimals", "totalSupply", "token", "countCategory", "domain", "eip712domain_separator"),
    *("appregistry", "datasetregistry", "workerpoolregistry", "teebroker", "callbackgas", "owner"),
    *("contribution_deadline_ratio", "reveal_deadline_ratio", "final_deadline_ratio", "workerpool_stake_ratio"),
    *("kitty_ratio", "kitty_min", "kitty_address", "groupmember_purpose"),
)
LEGACY = {
    "viewAccountABILegacy": "address",
    "viewDealABILegacy_pt1": "bytes32",
    "viewDealABILegacy_pt2": "bytes32",
    "viewConfigABILegacy": "bytes32",
    "viewTaskABILegacy": "bytes32",
    "viewContributionABILegacy": "bytes32,address",
    "viewCategoryABILegacy": "uint256",
}


class Deal(msgspec.Struct, frozen=True):
    """A deal and its orders."""

    id: Any
    orders: tuple[AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder]
    hashes: tuple[str, ...]


class Scenario:
    """The same life, on one market."""

    def __init__(self, ledger: Ledger, market: Market, helpers: dict[str, Address], selectors: list[bytes]) -> None:
        self.ledger = ledger
        self.selectors = selectors
        self.market = market
        self.helpers = helpers
        self.domain = Domain(CHAIN_ID, market.hub)
        self.assets: dict[str, Address] = {}
        self.salt = 0

    async def run(self) -> None:
        """Everything that is compared."""
        await self._assets()
        await self._escrow()
        await self._tasks()
        await self._bag()
        await self._boost()
        await self._orders()
        await self._endings()
        await self._administration()
        await self._registries()

    # --- sending --------------------------------------------------------------------------------------------------

    async def _send(self, sender: Signer, name: str, *arguments: Any, group: str = CALL, note: str = "") -> Any:
        data = FUNCTIONS[name].encode(*arguments)
        return await self.ledger.send(sender.address, self.market.hub, data, note=f"{group}: {note or name}")

    async def _quietly(self, sender: Signer, name: str, *arguments: Any) -> Any:
        return await self.ledger.send(sender.address, self.market.hub, FUNCTIONS[name].encode(*arguments))

    async def _view(self, name: str, *arguments: Any, note: str = "") -> None:
        await self._send(AGENT, name, *arguments, group=VIEW, note=note)

    async def _other(self, sender: Signer, to: Address, data: bytes, note: str, group: str = CALL) -> Any:
        return await self.ledger.send(sender.address, to, data, note=f"{group}: {note}")

    async def _pass(self, seconds: int) -> None:
        await self.ledger.rpc.call("evm_increaseTime", seconds)
        await self.ledger.rpc.call("evm_mine")

    # --- money and assets -----------------------------------------------------------------------------------------

    async def _assets(self) -> None:
        """Two of each kind: the second finds its owner's list begun."""
        owners = {"app": APP_OWNER, "dataset": DATASET_OWNER, "workerpool": SCHEDULER}
        fields: dict[str, tuple[Any, ...]] = {"app": APP_FIELDS, "dataset": DATASET_FIELDS, "workerpool": ("a pool",)}
        for (kind, owner), registry in zip(owners.items(), self.market.registries, strict=True):
            create = f"create{kind.capitalize()}"
            for number in ("", ", the owner's second"):
                name, *rest = fields[kind]
                data = registries.FUNCTIONS[create].encode(owner.address, name + number, *rest)
                receipt = await self._other(owner, registry, data, create + number, CREATION)
                self.assets.setdefault(kind, registries.created_asset(receipt, registry))

    async def _escrow(self) -> None:
        market, hub = self.market, self.market.hub
        for account in EVERYBODY:
            if account is not ADMIN:
                await self.ledger.send(ADMIN.address, market.token, token.transfer(account.address, 2 * DEPOSIT))
            await self.ledger.send(account.address, market.token, token.approve(hub, DEPOSIT * DEPOSIT))
        await self._send(REQUESTER, "deposit", DEPOSIT)
        await self._send(REQUESTER, "deposit", 5, note="deposit, once more")
        await self._send(ADMIN, "depositFor", DEPOSIT, SCHEDULER.address)
        targets = [account.address for account in WORKERS]
        await self._send(ADMIN, "depositForArray", [DEPOSIT] * len(targets), targets)
        data = token.approve_and_call(hub, DEPOSIT)
        await self._other(FRIEND, market.token, data, "approveAndCall of the token, a deposit")
        await self._send(REQUESTER, "withdraw", 10**9)
        await self._send(REQUESTER, "withdrawTo", 10**9, AGENT.address)
        await self.ledger.send(ADMIN.address, market.token, token.transfer(hub, 7))
        await self._send(ADMIN, "recover")
        await self._send(FRIEND, "transfer", AGENT.address, 5)
        await self._send(FRIEND, "transfer", AGENT.address, 5, note="transfer, once more")
        await self._send(FRIEND, "approve", AGENT.address, 100)
        await self._send(FRIEND, "increaseAllowance", AGENT.address, 5)
        await self._send(FRIEND, "decreaseAllowance", AGENT.address, 5)
        await self._send(AGENT, "transferFrom", FRIEND.address, REQUESTER.address, 50)
        await self._send(FRIEND, "approveAndCall", self.helpers["spender"], 5, b"data")
        for name in ("balanceOf", "frozenOf", "viewAccount", "viewScore"):
            await self._view(name, FRIEND.address)
        await self._view("allowance", FRIEND.address, AGENT.address)

    # --- orders ---------------------------------------------------------------------------------------------------

    def _signed(self, order: Order, signer: Signer) -> Any:
        signature = signer.sign_digest(to_bytes(order_hash(order, self.domain)))
        return msgspec.structs.replace(order, sign=to_hex(signature))

    def deal_of(
        self,
        *,
        dataset: bool = True,
        params: str = PARAMS,
        trust: int = 1,
        volume: int = 1,
        tag: int = 0,
        callback: Address = NULL_ADDRESS,
    ) -> Deal:
        """Four fresh orders."""
        self.salt += 1
        rest: dict[str, Any] = {
            "volume": volume,
            "tag": bytes32(tag) if tag else NULL_BYTES32,
            "salt": bytes32(keccak256(self.salt.to_bytes(2, "big"))),
        }
        free: dict[str, Any] = {"workerpoolrestrict": NULL_ADDRESS, "requesterrestrict": NULL_ADDRESS}
        app = AppOrder(app=self.assets["app"], appprice=APP_PRICE, datasetrestrict=NULL_ADDRESS, **rest, **free)
        dataset_order: DatasetOrder = NO_DATASET
        if dataset:
            dataset_order = self._signed(
                DatasetOrder(
                    dataset=self.assets["dataset"],
                    datasetprice=DATASET_PRICE,
                    apprestrict=NULL_ADDRESS,
                    **rest,
                    **free,
                ),
                DATASET_OWNER,
            )
        workerpool = WorkerpoolOrder(
            workerpool=self.assets["workerpool"],
            workerpoolprice=WORKERPOOL_PRICE,
            category=CATEGORY,
            trust=trust,
            apprestrict=NULL_ADDRESS,
            datasetrestrict=NULL_ADDRESS,
            requesterrestrict=NULL_ADDRESS,
            **rest,
        )
        request = RequestOrder(
            app=self.assets["app"],
            appmaxprice=APP_PRICE,
            dataset=self.assets["dataset"] if dataset else NULL_ADDRESS,
            datasetmaxprice=DATASET_PRICE if dataset else 0,
            workerpool=self.assets["workerpool"],
            workerpoolmaxprice=WORKERPOOL_PRICE,
            requester=REQUESTER.address,
            category=CATEGORY,
            trust=trust,
            beneficiary=REQUESTER.address,
            callback=callback,
            params=params,
            **rest,
        )
        orders = (
            self._signed(app, APP_OWNER),
            dataset_order,
            self._signed(workerpool, SCHEDULER),
            self._signed(request, REQUESTER),
        )
        hashes = tuple(order_hash(order, self.domain) for order in orders)
        return Deal(deal_id(order_hash(request, self.domain), 0), orders, hashes)

    async def _match(self, label: str = "", *, name: str = "matchOrders", group: str = CALL, **orders: Any) -> Deal:
        deal = self.deal_of(**orders)
        tuples = [order_to_abi(order) for order in deal.orders]
        note = f"{name}{label}" if label.startswith(",") else f"{label} {name}".strip()
        await self._send(REQUESTER, name, *tuples, group=group, note=note)
        return deal

    async def _orders(self) -> None:
        """Orders signed, closed and announced by transactions; and what can be asked about them."""
        fresh = self.deal_of()
        names = ("App", "Dataset", "Workerpool", "Request")
        owners = (APP_OWNER, DATASET_OWNER, SCHEDULER, REQUESTER)
        for kind, owner, order in zip(names, owners, fresh.orders, strict=True):
            for operation, label in ((0, "sign"), (1, "close")):
                argument = (order_to_abi(order), operation, b"")
                await self._send(owner, f"manage{kind}Order", argument, note=f"manage{kind}Order, {label}")
            await self._send(AGENT, f"broadcast{kind}Order", order_to_abi(order))
        hash_, signature = fresh.hashes[0], to_bytes(fresh.orders[0].sign)
        await self._view("viewConsumed", hash_)
        await self._view("viewPresigned", hash_)
        await self._view("verifySignature", APP_OWNER.address, hash_, signature)
        await self._view("verifyPresignature", APP_OWNER.address, hash_)
        await self._view("verifyPresignatureOrSignature", APP_OWNER.address, hash_, signature)
        await self._view("computeDealVolume", *(order_to_abi(order) for order in self.deal_of().orders))
        bulk = await self._match(", without dataset", dataset=False)
        await self._view("assertDatasetDealCompatibility", order_to_abi(self.deal_of().orders[1]), bulk.id)

    # --- tasks ----------------------------------------------------------------------------------------------------

    def _authorization(self, worker: Signer, task: Any, enclave: Address = NULL_ADDRESS) -> bytes:
        return SCHEDULER.sign_message_hash(authorization_hash(worker.address, task, enclave))

    async def _steps(
        self, label: str, deal: Deal, index: int, workers: Sequence[Signer], *, group: str = TASK, payload: bytes = b""
    ) -> None:
        """Initialize to finalize; every call has a note of its own."""
        task = task_id(deal.id, index)
        digest = ResultDigest(bytes32(keccak256(payload or b"a result")))
        await self._send(SCHEDULER, "initialize", deal.id, index, group=group, note=f"{label} initialize")
        for number, worker in enumerate(workers):
            data = calls.contribute(
                task,
                result_hash(task, digest),
                result_seal(worker.address, task, digest),
                self._authorization(worker, task),
            )
            await self._other(worker, self.market.hub, data, f"{label} contribute {number + 1}", group)
        for number, worker in enumerate(workers):
            await self._send(worker, "reveal", task, digest, group=group, note=f"{label} reveal {number + 1}")
        await self._send(SCHEDULER, "finalize", task, RESULTS, payload, group=group, note=f"{label} finalize")

    async def _tasks(self) -> None:
        first = await self._match("[trust 1]", group=TASK)
        await self._steps("[trust 1]", first, 0, [WORKER])
        await self._task_views(first)
        bare = await self._match("[trust 1, bare]", group=TASK, dataset=False, params="")
        await self._steps("[trust 1, bare]", bare, 0, [WORKER])
        voted = await self._match("[trust 10]", group=TASK, trust=HIGH_TRUST)
        await self._steps("[trust 10]", voted, 0, WORKERS)
        told = await self._match("[callback]", group=TASK, callback=self.helpers["consumer"])
        await self._steps("[callback]", told, 0, [WORKER], payload=PAYLOAD)

        secret = await self._match("[enclave]", group=TASK, tag=TEE)
        task = task_id(secret.id, 0)
        await self._send(SCHEDULER, "initialize", secret.id, 0, group=TASK, note="[enclave] initialize")
        digest = ResultDigest(bytes32(keccak256(b"a result")))
        hash_, seal = result_hash(task, digest), result_seal(WORKER.address, task, digest)
        data = FUNCTIONS["contributeAndFinalize"].encode(
            task,
            digest,
            RESULTS,
            b"",
            ENCLAVE.address,
            ENCLAVE.sign_message_hash(enclave_hash(hash_, seal)),
            self._authorization(WORKER, task, ENCLAVE.address),
        )
        await self._other(WORKER, self.market.hub, data, "[enclave] contributeAndFinalize", TASK)

    async def _task_views(self, deal: Deal) -> None:
        task = task_id(deal.id, 0)
        await self._view("viewDeal", deal.id)
        await self._view("viewTask", task)
        await self._view("viewContribution", task, WORKER.address)
        await self._view("resultFor", task)
        arguments: dict[str, tuple[Any, ...]] = {
            "viewAccountABILegacy": (REQUESTER.address,),
            "viewTaskABILegacy": (task,),
            "viewContributionABILegacy": (task, WORKER.address),
            "viewCategoryABILegacy": (CATEGORY,),
        }
        for name, types in LEGACY.items():
            data = Function.parse(f"{name}({types})").encode(*arguments.get(name, (deal.id,)))
            await self._other(AGENT, self.market.hub, data, name, VIEW)

    async def _bag(self) -> None:
        """All steps of all tasks of one deal."""
        deal = await self._match("[bag]", group=TASK, volume=BAG)
        for index in range(BAG):
            await self._steps(f"[bag] {index}", deal, index, [WORKER])

    async def _boost(self) -> None:
        deal = await self._match("", name="matchOrdersBoost", group=BOOST, callback=self.helpers["consumer"])
        authorization = self._authorization(WORKER, task_id(deal.id, 0))
        push = (deal.id, 0, RESULTS, PAYLOAD, authorization, NULL_ADDRESS, b"")
        await self._send(WORKER, "pushResultBoost", *push, group=BOOST)
        await self._view("viewDealBoost", deal.id)
        await self._match("", name="sponsorMatchOrdersBoost")
        late = await self._match(", to be claimed", name="matchOrdersBoost")
        await self._pass(CLAIM_AFTER)
        await self._send(AGENT, "claimBoost", late.id, 0)

    async def _endings(self) -> None:
        """Deals that do not go well."""
        await self._match("", name="sponsorMatchOrders")
        reopened = await self._match(", to be reopened")
        task = task_id(reopened.id, 0)
        await self._quietly(SCHEDULER, "initialize", reopened.id, 0)
        digest = ResultDigest(bytes32(keccak256(b"a result")))
        papers = result_hash(task, digest), result_seal(WORKER.address, task, digest), self._authorization(WORKER, task)
        await self.ledger.send(WORKER.address, self.market.hub, calls.contribute(task, *papers))
        await self._pass(REVEAL_AFTER)
        await self._send(SCHEDULER, "reopen", task)
        bag = await self._match(", of 7", volume=7)
        await self._send(AGENT, "initializeArray", [bag.id] * 4, [0, 1, 2, 3], note="initializeArray, of 4")
        await self._pass(CLAIM_AFTER)
        await self._send(AGENT, "claim", task_id(bag.id, 0))
        await self._send(AGENT, "claim", task, note="claim, with a contribution")
        three = [task_id(bag.id, index) for index in (1, 2, 3)]
        await self._send(AGENT, "claimArray", three, note="claimArray, of 3")
        await self._send(
            AGENT, "initializeAndClaimArray", [bag.id] * 3, [4, 5, 6], note="initializeAndClaimArray, of 3"
        )

    # --- settings -------------------------------------------------------------------------------------------------

    async def _administration(self) -> None:
        market = self.market
        await self._send(ADMIN, "setTeeBroker", AGENT.address)
        await self._send(ADMIN, "setCallbackGas", 150_000)
        await self._send(ADMIN, "changeRegistries", *market.registries)
        await self._send(ADMIN, "createCategory", "a category", '""', 60)
        await self._send(AGENT, "updateDomainSeparator")
        for name in PLAIN_VIEWS:
            await self._view(name)
        await self._view("viewCategory", CATEGORY)
        for kind, asset in self.assets.items():
            await self._view(f"view{kind.capitalize()}", asset)
        # a hub of its own, for what can be done once
        creation = diamond_creation(market.diamond, market.cuts, ADMIN.address)
        hub = await self.ledger.create(creation)
        names = ("Staked RLC", "SRLC", 9)
        data = FUNCTIONS["configure"].encode(market.token, *names, *market.registries, self.helpers["spender"])
        await self._other(ADMIN, hub, data, "configure")
        await self._other(AGENT, hub, FUNCTIONS["importScore"].encode(WORKER.address), "importScore")
        # cuts can be compared in a constructor alone: the published package lacks the facet
        selectors = self.selectors
        for count in (1, len(selectors)):
            cuts = [(self.helpers["spender"], 0, selectors[:count])]
            data = diamond_creation(market.diamond, cuts, ADMIN.address)
            receipt = await self.ledger.send(ADMIN.address, None, data)
            self.ledger.gas[f"cut {count}"] = int(receipt["gasUsed"], 16)
        gas = self.ledger.gas
        whole = gas.pop(f"cut {len(selectors)}") - gas.pop("cut 1")
        gas[f"{CALL}: diamondCut, each further function"] = whole // (len(selectors) - 1)

    async def _registries(self) -> None:
        owners = {"app": APP_OWNER, "dataset": DATASET_OWNER, "workerpool": SCHEDULER}
        for (kind, owner), registry in zip(owners.items(), self.market.registries, strict=True):
            asset = self.assets[kind]
            number = int(asset, 16)
            views: dict[str, tuple[Any, ...]] = {
                "balanceOf": (owner.address,),
                "getApproved": (number,),
                "isApprovedForAll": (owner.address, AGENT.address),
                "isRegistered": (asset,),
                "ownerOf": (number,),
                "supportsInterface": (b"\x80\xac\x58\xcd",),
                "tokenByIndex": (0,),
                "tokenOfOwnerByIndex": (owner.address, 0),
                "tokenURI": (number,),
            }
            writes = (
                (ADMIN, "setBaseURI", ("https://nfts-metadata.iex.ec/",)),
                (owner, "approve", (AGENT.address, number)),
                (owner, "setApprovalForAll", (AGENT.address, True)),
                (owner, "transferFrom", (owner.address, FRIEND.address, number)),
                (FRIEND, "safeTransferFrom", (FRIEND.address, self.helpers["spender"], number, b"data")),
            )
            title = f"{kind.capitalize()}Registry"
            for sender, name, arguments in writes:
                await self._other(sender, registry, REGISTRY[name].encode(*arguments), f"{title}.{name}")
            for name in REGISTRY:
                if name in views or (not REGISTRY[name].inputs and name != "renounceOwnership"):
                    data = REGISTRY[name].encode(*views.get(name, ()))
                    await self._other(AGENT, registry, data, f"{title}.{name}", VIEW)
            for name in (*ASSET[kind], "owner", "registry"):
                data = Function.parse(f"{name}()").encode()
                await self._other(AGENT, asset, data, f"{kind.capitalize()}.{name}", VIEW)
            await self._other(
                ADMIN, registry, REGISTRY["transferOwnership"].encode(AGENT.address), f"{title}.transferOwnership"
            )
            await self._other(AGENT, registry, REGISTRY["renounceOwnership"].encode(), f"{title}.renounceOwnership")


#: What one nRLC is on a chain whose own coin is RLC, in wei.
UNIT = 10**9


class NativeScenario:
    """What a hub that holds the chain's own coin does otherwise."""

    def __init__(self, ledger: Ledger, market: Market) -> None:
        self.ledger = ledger
        self.hub = market.hub

    async def run(self) -> None:
        """Every function of its escrow."""
        deposit, deposit_for, deposit_array = (
            NATIVE_FUNCTIONS[name] for name in ("deposit", "depositFor", "depositForArray")
        )
        targets = [worker.address for worker in WORKERS]
        coins = 10**6
        await self._send(REQUESTER, deposit.encode(), "deposit", coins * UNIT)
        await self._send(REQUESTER, deposit.encode(), "deposit, with dust", coins * UNIT + 5)
        await self._send(REQUESTER, deposit_for.encode(FRIEND.address), "depositFor", coins * UNIT)
        data = deposit_array.encode([coins] * len(targets), targets)
        await self._send(REQUESTER, data, "depositForArray", len(targets) * coins * UNIT)
        await self._send(AGENT, b"", "a plain transfer", coins * UNIT)
        await self._send(AGENT, Function.parse("nowhere()").encode(), "an unknown function", coins * UNIT)
        await self._send(REQUESTER, FUNCTIONS["withdraw"].encode(5), "withdraw")
        await self._send(REQUESTER, FUNCTIONS["withdrawTo"].encode(5, AGENT.address), "withdrawTo")
        await self._send(REQUESTER, FUNCTIONS["transfer"].encode(AGENT.address, 5), "transfer")
        await self._send(REQUESTER, FUNCTIONS["approve"].encode(AGENT.address, 5), "approve")
        await self._send(ADMIN, FUNCTIONS["recover"].encode(), "recover")

    async def _send(self, sender: Signer, data: bytes, note: str, value: int = 0) -> None:
        await self.ledger.send(sender.address, self.hub, data, value=value, note=f"{CALL}: native hub: {note}")
