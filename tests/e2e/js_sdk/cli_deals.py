"""What people do with the `iexec` command once there is something to buy: orders, deals, tasks, results, refunds."""

from __future__ import annotations

import asyncio
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.protocol.primitives import DealId, keccak256, to_bytes, to_hex
from pyiexec.protocol.results import pack
from pyiexec.storage.encryption import encrypt_result
from tests.e2e.js_sdk.cli_flows import CliFlows
from tests.e2e.js_sdk.client import ClientError, Command
from tests.e2e.js_sdk.conftest import POOL_OWNER, PROVIDER, REQUESTER, WORKER, Client
from tests.e2e.js_sdk.enclave import RESULT, complete, result_files

#: Of the category that `CliFlows` makes, in seconds: deals of it are refunded ten times as late.
BLINK = 3


class DealFlows(CliFlows):
    """All flows, in this order."""

    @property
    def enclaves(self) -> bool:
        """Whether this release wants an enclave for every task."""
        return self.version.startswith("9")

    # --- orders -------------------------------------------------------------------------------------------------

    def test_orders_are_written_signed_published_and_shown(
        self, requester: Command, provider: Command, known: dict[str, Any]
    ) -> None:
        provider("order", "init", "--app")
        provider.change("iexec.json", order={"apporder": self._app_order(known)})
        provider("order", "sign", "--app", "--force")
        known["own apporder"] = provider("order", "publish", "--app", "--force")["apporder"]["orderHash"]
        assert provider("order", "show", "--app", known["own apporder"])["apporder"]["status"] == "open"
        requester("order", "init", "--request")
        requester.change("iexec.json", order={"requestorder": self._request_order(known, volume="3")})
        requester("order", "sign", "--request", "--force")
        published = requester("order", "publish", "--request", "--force")["requestorder"]["orderHash"]
        narrowed = ("--category", str(SHORT_CATEGORY), "--workerpool", known["pool"])
        book = requester("orderbook", "requester", REQUESTER.address, *narrowed)
        assert published in [entry["orderHash"] for entry in book["requestOrders"]]
        requester("order", "unpublish", "--request", published, "--force")
        with pytest.raises(ClientError, match=f"requestorder with orderHash {published} is not published"):
            requester("order", "unpublish", "--request", published, "--force")

    def test_an_execution_is_requested(self, requester: Command, known: dict[str, Any]) -> None:
        terms = ("--app-price", "5", "--workerpool-price", "1", "--category", str(SHORT_CATEGORY), "--volume", "2")
        asked = requester("app", "request-execution", known["app"], *terms, "--force")["orderHash"]
        shown = requester("order", "show", "--request", asked)["requestorder"]
        assert (shown["order"]["volume"], shown["status"]) == (2, "open")
        requester("order", "unpublish", "--request", asked, "--force")

    def test_a_bag_of_tasks_is_bought_and_watched_to_its_end(
        self, requester: Command, provider: Command, client: Client, known: dict[str, Any]
    ) -> None:
        offers = ("--app", known["apporder"], "--workerpool", known["workerpoolorder"])
        filled = requester("order", "fill", "--force", *offers)
        assert filled["volume"] == "3"
        shown = requester("order", "show", "--app", known["apporder"], "--deals")["apporder"]
        assert [each["dealid"] for each in shown["deals"]["lastDeals"]] == [filled["dealid"]]
        assert shown["remaining"] == shown["order"]["volume"] - 3
        if self.enclaves:
            asyncio.run(complete(client.network.profile, POOL_OWNER, WORKER, DealId(filled["dealid"])))
        deal = requester("deal", "show", filled["dealid"], "--watch")
        assert (len(deal["deal"]["tasks"]), deal["completedTasksCount"]) == (3, 3)
        provider("order", "cancel", "--app", "--force")
        assert provider("order", "show", "--app", known["own apporder"])["apporder"]["status"] == "canceled"

    def test_an_app_is_run_to_its_result(self, requester: Command, client: Client, known: dict[str, Any]) -> None:
        run = ("app", "run", known["app"], "--workerpool", known["pool"], "--category", str(SHORT_CATEGORY), "--force")
        if self.enclaves:
            deal = requester(*run, "--args", "to be")["deals"][0]["dealid"]
            asyncio.run(complete(client.network.profile, POOL_OWNER, WORKER, DealId(deal)))
            (task,) = requester("deal", "show", deal)["deal"]["tasks"]
        else:
            (ended,) = requester(*run, "--args", "to be", "--watch")["tasks"]
            assert ended["statusName"] == "COMPLETED"
            task = ended["taskid"]
        known["done"] = task
        requester("task", "show", task, "--download", "result")
        with zipfile.ZipFile(requester.folder / "result.zip") as archive:
            assert archive.read("result.txt") == (RESULT if self.enclaves else b"to\nbe\n")

    def test_an_encrypted_result_is_for_its_beneficiary(
        self, requester: Command, pool_owner: Command, client: Client, known: dict[str, Any], tmp_path: Path
    ) -> None:
        idle = known["idle pool"]
        pool_owner("workerpool", "publish", idle, "--category", str(SHORT_CATEGORY), "--force")
        run = ("app", "run", known["app"], "--workerpool", idle, "--category", str(SHORT_CATEGORY), "--force")
        deal = requester(*run, "--encrypt-result")["deals"][0]["dealid"]
        archive = self._encrypted(requester, tmp_path)
        asyncio.run(
            complete(client.network.profile, POOL_OWNER, WORKER, DealId(deal), archive, plain=not self.enclaves)
        )
        (task,) = requester("deal", "show", deal)["deal"]["tasks"]
        requester("task", "show", task, "--download", "sealed")
        requester("result", "decrypt", "sealed.zip", "--force")
        with zipfile.ZipFile(requester.folder / "results.zip") as opened:
            assert opened.read("result.txt") == RESULT
        requester("task", "show", task, "--download", "opened", "--decrypt")
        assert zipfile.is_zipfile(requester.folder / "opened.zip")

    def test_a_contract_is_told_the_result(
        self, requester: Command, provider: Command, pool_owner: Command, client: Client, known: dict[str, Any]
    ) -> None:
        answer, consumer = "0x" + "2a".rjust(64, "0"), client.network.deploy_consumer(WORKER)
        provider.change("iexec.json", app=self._app(client, "oracle"))
        app = provider("app", "deploy")["address"]
        provider("app", "publish", app, "--force")
        run = ("app", "run", app, "--workerpool", known["pool"], "--category", str(SHORT_CATEGORY), "--force")
        deal = requester(*run, "--args", answer, "--callback", consumer)["deals"][0]["dealid"]
        if self.enclaves:
            asyncio.run(complete(client.network.profile, POOL_OWNER, WORKER, DealId(deal), answer=answer))
        (task,) = requester("deal", "show", deal, "--watch")["deal"]["tasks"]
        assert requester("task", "show", task)["task"]["resultsCallback"] == answer
        assert client.network.told(consumer, task) == to_hex(keccak256(to_bytes(answer)))

    def test_a_task_is_debugged(self, requester: Command, known: dict[str, Any]) -> None:
        told = requester("task", "debug", known["done"], "--logs")
        assert told["onchainData"]["statusName"] == "COMPLETED"
        assert told["offchainData"]["task"]["status"]
        if not self.enclaves:
            assert told["offchainData"]["task"]["status"] == "COMPLETED"
            assert told["offchainData"]["replicates"][0]["exitCode"] == 0
            assert told["appLogs"]

    # --- what is not done ---------------------------------------------------------------------------------------

    def test_what_nobody_works_on_is_refunded(
        self, requester: Command, pool_owner: Command, client: Client, known: dict[str, Any]
    ) -> None:
        idle = ("workerpool", "publish", known["idle pool"])
        pool_owner(*idle, "--category", known["blink"], "--volume", "5", "--force")
        before = int(requester("account", "show")["balance"]["locked"])
        run = ("app", "run", known["app"], "--workerpool", known["idle pool"], "--category", known["blink"], "--force")
        bought = requester(*run)["deals"][0]["dealid"]
        with pytest.raises(ClientError, match="Cannot claim a deal before reaching"):
            requester("deal", "claim", bought)
        other = requester(*run)["deals"][0]["dealid"]
        (task,) = requester("deal", "show", other)["deal"]["tasks"]
        client.network.initialize(WORKER, other, 0)
        client.network.reach(time.time() + 10 * BLINK)
        assert len(requester("deal", "claim", bought)["claimed"]) == 1
        with pytest.raises(ClientError, match="Nothing to claim"):
            requester("deal", "claim", bought)
        requester("task", "claim", task)
        assert int(requester("account", "show")["balance"]["locked"]) == before

    # --- changing hands -----------------------------------------------------------------------------------------

    def test_what_is_sold_changes_hands_and_its_orders_leave_the_book(
        self,
        requester: Command,
        provider: Command,
        data_owner: Command,
        pool_owner: Command,
        known: dict[str, Any],
    ) -> None:
        assert provider("app", "unpublish", known["app"], "--all", "--force")["unpublished"]
        with pytest.raises(ClientError, match=f"no open apporder published by signer {PROVIDER.address}"):
            provider("app", "unpublish", known["app"], "--force")
        for command, kind, asset in (
            (provider, "app", known["app"]),
            (data_owner, "dataset", known["dataset"]),
            (pool_owner, "workerpool", known["idle pool"]),
        ):
            command(kind, "transfer", asset, "--to", REQUESTER.address, "--force")
            assert requester(kind, "show", asset)[kind]["owner"] == REQUESTER.address
        assert requester("orderbook", "dataset", known["dataset"])["datasetOrders"] == []

    # --- how orders are made ------------------------------------------------------------------------------------

    def _encrypted(self, requester: Command, folder: Path) -> bytes:
        """The result that an enclave would upload, for the beneficiary alone."""
        (folder / "inner.zip").write_bytes(pack(result_files()))
        (key,) = (requester.folder / ".secrets" / "beneficiary").glob("*_key.pub")
        encrypt_result(folder / "inner.zip", folder / "outer.zip", key.read_bytes(), os.urandom)
        return (folder / "outer.zip").read_bytes()

    def _app_order(self, known: dict[str, Any]) -> dict[str, Any]:
        null = "0x" + "0" * 40
        restrictions = {f"{kind}restrict": null for kind in ("dataset", "workerpool", "requester")}
        return {"app": known["app"], "appprice": "0", "volume": "7", "tag": self.tag, **restrictions}

    def _request_order(self, known: dict[str, Any], volume: str) -> dict[str, Any]:
        return {
            "app": known["app"],
            "appmaxprice": "5",
            "dataset": "0x" + "0" * 40,
            "datasetmaxprice": "0",
            "workerpool": known["pool"],
            "workerpoolmaxprice": str(10**8),
            "volume": volume,
            "category": str(SHORT_CATEGORY),
            "trust": "0",
            "tag": self.tag,
            "beneficiary": REQUESTER.address,
            "callback": "0x" + "0" * 40,
            "requester": REQUESTER.address,
            "params": {"iexec_args": "bag", "iexec_result_storage_provider": "ipfs"},
        }
