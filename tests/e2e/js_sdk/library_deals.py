"""What people do with the library once there is something to buy: orders, deals, tasks, results, refunds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from pyiexec.chain.signer import Signer
from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.devnet.samples import sample
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.ids import task_id
from pyiexec.protocol.orders import decode_order
from pyiexec.protocol.primitives import NULL_ADDRESS, DealId, keccak256, to_bytes, to_hex
from tests.e2e.js_sdk.client import ClientError, Library
from tests.e2e.js_sdk.conftest import DATA_OWNER, POOL_OWNER, PROVIDER, REQUESTER, WORKER, JsNetwork
from tests.e2e.js_sdk.enclave import RESULT, buy_without_enclave, complete
from tests.e2e.js_sdk.library_flows import BLINK, LibraryFlows

KINDS = ("App", "Dataset", "Workerpool", "Request")


class DealFlows(LibraryFlows):
    """All flows, in this order."""

    # --- orders -------------------------------------------------------------------------------------------------

    def test_orders_are_created_signed_and_hashed(
        self,
        acting: Callable[[Signer | None], Library],
        network: JsNetwork,
        known: dict[str, Any],
    ) -> None:
        templates = self._templates(known)
        domain = Domain(network.profile.chain_id, network.profile.hub)
        for kind in KINDS:
            library = acting(self._signer(kind))
            created = library(f"order.create{kind}order", templates[kind])
            signed = library(f"order.sign{kind}order", created)
            assert signed["tag"] == self.tag
            hashed = library(f"order.hash{kind}order", signed)
            assert hashed == order_hash(decode_order(f"{kind.lower()}order", signed), domain)
            known[kind] = signed

    def test_orders_are_published_found_and_withdrawn(
        self, acting: Callable[[Signer | None], Library], known: dict[str, Any]
    ) -> None:
        reader = acting(None)
        for kind in KINDS[:2]:
            # A request is published where app and dataset are on offer.
            self._sign_and_publish(acting(self._signer(kind)), kind, self._templates(known)[kind])
        for kind in KINDS[::-1]:
            library, name = acting(self._signer(kind)), f"{kind.lower()}order"
            published = library(f"order.publish{kind}order", known[kind])
            entry = reader(f"orderbook.fetch{kind}order", published)
            assert (entry["status"], entry["orderHash"]) == ("open", published)
            book = reader(f"orderbook.fetch{kind}Orderbook", self._question(kind, known))
            assert published in [listed["orderHash"] for listed in book["orders"]], kind
            assert library(f"order.unpublish{kind}order", published) == published
            with pytest.raises(ClientError, match=f"{name} with orderHash {published} is not published"):
                library(f"order.unpublish{kind}order", published)
            again = [self._sign_and_publish(library, kind, self._templates(known)[kind]) for _ in range(3)]
            resource = [] if kind == "Request" else [known[kind][kind.lower()]]
            assert library(f"order.unpublishLast{kind}order", *resource) == again[-1]
            assert set(library(f"order.unpublishAll{kind}orders", *resource)) >= set(again[:-1])
            with pytest.raises(ClientError, match=f"no open {name} published by signer"):
                library(f"order.unpublishLast{kind}order", *resource)

    def test_orders_are_cancelled_on_chain(
        self, acting: Callable[[Signer | None], Library], known: dict[str, Any]
    ) -> None:
        for kind in KINDS:
            library = acting(self._signer(kind))
            signed = library(f"order.sign{kind}order", self._created(library, kind, known))
            cancelled = library(f"order.cancel{kind}order", signed)
            assert cancelled["txHash"].startswith("0x")
            with pytest.raises(ClientError, match="already consumed"):
                library(f"order.publish{kind}order", signed)

    # --- deals --------------------------------------------------------------------------------------------------

    def test_orders_are_matched_and_the_task_ends(
        self, requester: Library, acting: Callable[[Signer | None], Library], network: JsNetwork, known: dict[str, Any]
    ) -> None:
        orders = self._orders(acting, known, {"iexec_args": "spoken aloud"})
        published = {kind: acting(self._signer(kind))(f"order.publish{kind}order", orders[kind]) for kind in KINDS[:3]}
        match = {f"{kind.lower()}order": orders[kind] for kind in KINDS}
        assert requester("order.estimateMatchOrders", match)["volume"] == "1"
        deal = requester("order.matchOrders", match)
        assert deal["volume"] == "1"
        known["deal"], known["published"] = deal["dealid"], published
        (task,) = requester("deal.show", deal["dealid"])["tasks"]
        assert task == task_id(DealId(deal["dealid"]), 0) == requester("deal.computeTaskId", deal["dealid"], 0)
        known["task"] = task
        if self.enclaves:
            asyncio.run(complete(network.profile, POOL_OWNER, WORKER, DealId(deal["dealid"])))
        told = requester("task.obsTask", task, {"dealid": deal["dealid"]})
        assert told[-1]["message"] == "TASK_COMPLETED"
        assert requester("deal.obsDeal", deal["dealid"])[-1]["message"] == "DEAL_COMPLETED"

    def test_results_are_fetched(self, requester: Library, known: dict[str, Any]) -> None:
        assert requester("task.show", known["task"])["statusName"] == "COMPLETED"
        with zipfile.ZipFile(BytesIO(requester("task.fetchResults", known["task"]))) as archive:
            assert archive.read("result.txt") == (RESULT if self.enclaves else b"spoken\naloud\n")

    def test_the_scheduler_tells_of_a_task(self, requester: Library, known: dict[str, Any]) -> None:
        told = requester("task.fetchOffchainInfo", known["task"])
        assert told["task"]["status"]
        if not self.enclaves:
            assert told["task"]["status"] == "COMPLETED"
            assert told["replicates"][0]["exitCode"] == 0

    def test_deals_are_found(self, requester: Library, known: dict[str, Any]) -> None:
        deals = requester("deal.fetchRequesterDeals", REQUESTER.address, {"appAddress": known["app"]})
        assert [deal["dealid"] for deal in deals["deals"]] == [known["deal"]]
        hashes = known["published"] | {"Request": deals["deals"][0]["requestHash"]}
        for kind in KINDS:
            found = requester(f"deal.fetchDealsBy{kind}order", hashes[kind])
            assert known["deal"] in [deal["dealid"] for deal in found["deals"]], kind

    def test_logs_of_a_task_are_fetched(self, requester: Library, network: JsNetwork, known: dict[str, Any]) -> None:
        task = known["task"]
        if self.enclaves:
            # Its own deals run in enclaves, which leave no logs; it reads those of any task of its account's.
            accounts = (PROVIDER, POOL_OWNER, REQUESTER)
            deal = asyncio.run(buy_without_enclave(network.profile, *accounts, known["app"], known["pool"]))
            task = task_id(deal, 0)
            assert requester("task.obsTask", task, {"dealid": deal})[-1]["message"] == "TASK_COMPLETED"
        (log,) = requester("task.fetchLogs", task)
        (replicate,) = requester("task.fetchOffchainInfo", task)["replicates"]
        assert log == {"worker": replicate["worker"], "stdout": "", "stderr": ""}

    def test_a_contract_is_told_the_result(
        self, requester: Library, acting: Callable[[Signer | None], Library], network: JsNetwork, known: dict[str, Any]
    ) -> None:
        answer, consumer = "0x" + "2a".rjust(64, "0"), network.deploy_consumer(WORKER)
        provider, module = acting(PROVIDER), sample("oracle/oracle.wasm")
        app = provider(
            "app.deployApp",
            {
                "owner": PROVIDER.address,
                "name": "oracle",
                "type": "DOCKER",
                "multiaddr": f"/ipfs/{network.store(module)}",
                "checksum": to_hex(hashlib.sha256(module).digest()),
            },
        )["address"]
        terms = {"app": app, "callback": consumer, "dataset": NULL_ADDRESS, "params": {"iexec_args": answer}}
        templates = self._templates(known)
        orders = {
            "apporder": self._signed(provider, "App", templates["App"] | {"app": app}),
            "workerpoolorder": self._signed(acting(POOL_OWNER), "Workerpool", templates["Workerpool"]),
            "requestorder": self._signed(requester, "Request", templates["Request"] | terms),
        }
        deal = requester("order.matchOrders", orders)["dealid"]
        if self.enclaves:
            asyncio.run(complete(network.profile, POOL_OWNER, WORKER, DealId(deal), answer=answer))
        (task,) = requester("deal.show", deal)["tasks"]
        assert requester("task.obsTask", task, {"dealid": deal})[-1]["message"] == "TASK_COMPLETED"
        assert requester("task.show", task)["resultsCallback"] == answer
        assert network.told(consumer, task) == to_hex(keccak256(to_bytes(answer)))

    # --- what is not done ---------------------------------------------------------------------------------------

    def test_what_nobody_works_on_is_refunded(
        self, requester: Library, acting: Callable[[Signer | None], Library], network: JsNetwork, known: dict[str, Any]
    ) -> None:
        deals = []
        for _ in range(2):
            orders = self._orders(acting, known, {"iexec_args": "in vain"}, pool="idle pool", category=known["blink"])
            match = {f"{kind.lower()}order": orders[kind] for kind in KINDS}
            deals.append(requester("order.matchOrders", match)["dealid"])
        ends = time.time() + 10 * BLINK
        (task,) = requester("deal.show", deals[1])["tasks"]
        network.initialize(WORKER, deals[1], 0)
        with pytest.raises(ClientError, match="Cannot claim a task before reaching"):
            requester("task.claim", task)
        told = requester("task.obsTask", task, {"dealid": deals[1]})
        assert told[-1]["message"] == "TASK_TIMEDOUT"
        network.reach(ends)
        assert len(requester("deal.claim", deals[0])["claimed"]) == 1
        requester("task.claim", task)
        assert requester("task.show", task)["statusName"] == "FAILED"

    # --- many datasets ------------------------------------------------------------------------------------------

    def test_datasets_are_prepared_in_bulk(
        self, data_owner: Library, requester: Library, network: JsNetwork, known: dict[str, Any]
    ) -> None:
        infinite = data_owner.constant("DATASET_INFINITE_VOLUME")
        signed = [
            data_owner(
                "order.signDatasetorder",
                data_owner("order.createDatasetorder", {"dataset": known["dataset"], "volume": infinite}),
                {"preflightCheck": False},
            )
            for _ in range(3)
        ]
        bulk = requester("order.prepareDatasetBulk", signed, {"maxDatasetPerTask": 2})
        assert bulk["volume"] == 2
        slices = json.loads(network.fetch(bulk["cid"]))
        assert [len(json.loads(network.fetch(cid))) for cid in slices] == [2, 1]

    # --- how orders are made ------------------------------------------------------------------------------------

    def _signer(self, kind: str) -> Signer:
        return dict(zip(KINDS, (PROVIDER, DATA_OWNER, POOL_OWNER, REQUESTER), strict=True))[kind]

    def _templates(
        self,
        known: dict[str, Any],
        params: dict[str, Any] | None = None,
        pool: str = "pool",
        category: int = SHORT_CATEGORY,
    ) -> dict[str, dict[str, Any]]:
        return {
            "App": {"app": known["app"], "appprice": 1, "volume": 5},
            "Dataset": {"dataset": known["dataset"], "datasetprice": 1, "volume": 5},
            "Workerpool": {"workerpool": known[pool], "workerpoolprice": 1, "volume": 5, "category": category},
            "Request": {
                "app": known["app"],
                "appmaxprice": 1,
                "dataset": known["dataset"],
                "datasetmaxprice": 1,
                "workerpool": known[pool],
                "workerpoolmaxprice": 1,
                "category": category,
                "volume": 1,
                "params": params or {"iexec_args": "x"},
            },
        }

    def _signed(self, library: Library, kind: str, template: dict[str, Any]) -> Any:
        return library(f"order.sign{kind}order", library(f"order.create{kind}order", template))

    def _created(self, library: Library, kind: str, known: dict[str, Any]) -> Any:
        return library(f"order.create{kind}order", self._templates(known)[kind])

    def _sign_and_publish(self, library: Library, kind: str, template: dict[str, Any]) -> Any:
        return library(f"order.publish{kind}order", self._signed(library, kind, template))

    def _orders(
        self,
        acting: Callable[[Signer | None], Library],
        known: dict[str, Any],
        params: dict[str, Any],
        **terms: Any,
    ) -> dict[str, Any]:
        """Signed orders that fit together."""
        templates = self._templates(known, params, **terms)
        return {kind: self._signed(acting(self._signer(kind)), kind, templates[kind]) for kind in KINDS}

    def _question(self, kind: str, known: dict[str, Any]) -> dict[str, Any]:
        """A request for the orders of a kind, with every filter that fits the ones published here."""
        everyone = {"app": "any", "dataset": "any", "workerpool": "any", "requester": "any"}
        resource = {kind.lower(): known[kind].get(kind.lower(), REQUESTER.address)}
        terms: dict[str, Any] = {"minVolume": 1, "minTag": self.tag, "maxTag": self.tag, "page": 0, "pageSize": 20}
        if kind == "Request":
            parties = {"requester": REQUESTER.address, "app": known["app"], "workerpool": known["pool"]}
            return {**parties, "category": SHORT_CATEGORY, **terms}
        if kind == "Workerpool":
            terms |= {"category": SHORT_CATEGORY, "minTrust": 0}
        return everyone | resource | terms
