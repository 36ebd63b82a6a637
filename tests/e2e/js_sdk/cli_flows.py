"""What people do with the `iexec` command, told once and played by every edition of it."""

from __future__ import annotations

import hashlib
import re
import secrets
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.devnet.samples import sample
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import decode_order
from pyiexec.protocol.primitives import to_hex
from tests.e2e.js_sdk.client import ClientError, Command
from tests.e2e.js_sdk.compatibility import EDITIONS, Entry
from tests.e2e.js_sdk.conftest import ADMINISTRATOR, DATA_OWNER, POOL_OWNER, PROVIDER, REQUESTER, Client, JsNetwork

TEE_TDX = "0x" + "0" * 63 + "9"
NO_TAG = "0x" + "0" * 64
NULL = "0x" + "0" * 40


class CliFlows:
    """The flows; a subclass says which edition of the client plays them. They build on one another, in this order."""

    #: Each call of the command starts Node twice, and a second passes until its transaction is mined.
    pytestmark = pytest.mark.timeout(600)

    version: str
    native = False

    @property
    def edition(self) -> str:
        """Column of the table of compatibility."""
        found = f"{self.version} {'native' if self.native else 'token'}"
        assert found in EDITIONS
        return found

    @property
    def tag(self) -> str:
        """Of every order that this release signs when nobody asks for anything else."""
        return TEE_TDX if self.version.startswith("9") else NO_TAG

    # --- who is there -------------------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls, start: Callable[..., JsNetwork]) -> JsNetwork:
        return start(*(["--native"] if cls.native else []))

    @pytest.fixture
    def client(self, network: JsNetwork, projects: Path, record: Callable[[str, Entry], None]) -> Client:
        def used(face: str, name: str) -> None:
            record("works", Entry(self.edition, face, name))

        return Client(self.version, network, self.native, projects, used)

    @pytest.fixture(scope="class")
    @classmethod
    def projects(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Where everybody's project folders are."""
        return tmp_path_factory.mktemp("projects")

    @pytest.fixture(scope="class")
    @classmethod
    def known(cls) -> dict[str, Any]:
        """What earlier flows have made, for later ones."""
        return {}

    @pytest.fixture
    def provider(self, client: Client) -> Command:
        return client.command(PROVIDER)

    @pytest.fixture
    def requester(self, client: Client) -> Command:
        return client.command(REQUESTER)

    @pytest.fixture
    def data_owner(self, client: Client) -> Command:
        return client.command(DATA_OWNER)

    @pytest.fixture
    def pool_owner(self, client: Client) -> Command:
        return client.command(POOL_OWNER)

    @pytest.fixture
    def administrator(self, client: Client) -> Command:
        return client.command(ADMINISTRATOR)

    # --- projects and wallets -----------------------------------------------------------------------------------

    def test_every_command_there_is(self, client: Client, record: Callable[[str, Entry], None]) -> None:
        command = client.command(REQUESTER)
        groups = _listed(command.run("--help"))
        assert {"app", "order", "info"} <= set(groups)
        inner = [group for group in groups if group not in ("init", "info")]
        with ThreadPoolExecutor(2) as both_cores:
            leaves = both_cores.map(lambda group: _listed(command.run(group, "--help")), inner)
            found = dict(zip(inner, leaves, strict=True))
        for group in groups:
            for name in [f"{group} {leaf}" for leaf in found.get(group, ())] or [group]:
                # The client itself refuses to send ether where RLC is the coin.
                if not (self.native and name == "wallet send-ether"):
                    record("exists", Entry(self.edition, "cli", name))

    def test_a_project_begins(self, client: Client) -> None:
        newcomer = client.command(REQUESTER, "newcomer")
        made = newcomer("init", "--force", "--skip-wallet")
        assert (made["configFile"], made["chainConfigFile"]) == ("iexec.json", "chain.json")
        assert newcomer.read("iexec.json")["license"]

    def test_wallets_are_made_and_move_money(self, client: Client, requester: Command) -> None:
        newcomer = client.command(PROVIDER, "wallets")
        newcomer("wallet", "import", to_hex(secrets.token_bytes(32)), "--unencrypted", "--force")
        address = newcomer("wallet", "create", "--unencrypted", "--force")["address"]
        assert newcomer("wallet", "show")["wallet"]["address"] == address != PROVIDER.address
        if self.native:
            requester("wallet", "send-RLC", "2", "RLC", "--to", address, "--force")
            assert newcomer("wallet", "show")["balance"]["nRLC"] == str(2 * 10**9)
        else:
            requester("wallet", "send-ether", "1", "--to", address, "--force")
            requester("wallet", "send-RLC", "2", "RLC", "--to", address, "--force")
            assert newcomer("wallet", "show")["balance"] == {
                "ether": "1.0",
                "RLC": "2.0",
                "nRLC": str(2 * 10**9),
                "wei": str(10**18),
            }
        if self.version.startswith("8"):
            # Its older name, which counts in nRLC.
            requester("wallet", "sendRLC", "1", "--to", PROVIDER.address, "--force")
        newcomer("wallet", "sweep", "--to", REQUESTER.address, "--force")
        left = requester("wallet", "show", address)["balance"]
        assert int(left["nRLC"]) < 10**6

    def test_the_network_introduces_itself(self, requester: Command, client: Client) -> None:
        info = requester("info")
        assert info["hubAddress"] == client.network.profile.hub
        assert ("rlcAddress" in info) is not self.native
        assert all(info[f"{kind}RegistryAddress"] != NULL for kind in ("app", "dataset", "workerpool"))

    def test_categories_are_shown_and_made_by_the_hubs_owner(
        self, requester: Command, administrator: Command, known: dict[str, Any]
    ) -> None:
        count = int(requester("category", "count")["count"])
        assert requester("category", "show", str(SHORT_CATEGORY))["category"]["name"] == "XXS"
        with pytest.raises(ClientError):
            requester("category", "show", "999")
        administrator("category", "init")
        administrator.change("iexec.json", category={"name": "blink", "description": '"3 s"', "workClockTimeRef": 3})
        made = administrator("category", "create")
        assert int(made["catid"]) == count
        known["blink"] = made["catid"]
        requester.change("iexec.json", category={"name": "no", "description": '"no"', "workClockTimeRef": 2})
        with pytest.raises(ClientError):
            requester("category", "create")

    # --- the account in the hub ---------------------------------------------------------------------------------

    def test_accounts_take_and_give_back(
        self, requester: Command, provider: Command, pool_owner: Command, data_owner: Command
    ) -> None:
        before = int(requester("account", "show")["balance"]["stake"])
        requester("account", "deposit", "20", "RLC")
        requester("account", "withdraw", "1", "RLC")
        assert int(requester("account", "show")["balance"]["stake"]) == before + 19 * 10**9
        assert requester("account", "show", POOL_OWNER.address)["balance"]["stake"] != "0"
        for command in (provider, data_owner, pool_owner):
            command("account", "deposit", "10", "RLC")
        requester("account", "approve", "5", PROVIDER.address)
        assert int(requester("account", "allowance", PROVIDER.address)["amount"], 16) == 5
        requester("account", "revoke", PROVIDER.address)
        assert int(requester("account", "allowance", PROVIDER.address)["amount"], 16) == 0
        with pytest.raises(ClientError, match=r"(?i)exceed|insufficient|balance|stake"):
            requester("account", "withdraw", "1000000", "RLC")

    # --- what is sold -------------------------------------------------------------------------------------------

    def test_an_app_is_deployed_once(self, provider: Command, client: Client, known: dict[str, Any]) -> None:
        provider("app", "init")
        provider.change("iexec.json", app=self._app(client, "noop"))
        deployed = provider("app", "deploy")["address"]
        shown = provider("app", "show")
        assert shown["address"] == deployed
        assert shown["app"]["owner"] == PROVIDER.address
        assert provider("app", "show", "0")["address"]
        assert int(provider("app", "count")["count"]) >= 1
        with pytest.raises(ClientError, match=f"App already deployed at address {deployed}"):
            provider("app", "deploy")
        known["app"] = deployed

    def test_an_apps_secret_is_pushed_by_its_owner_once(
        self, provider: Command, requester: Command, known: dict[str, Any]
    ) -> None:
        app = known["app"]
        assert provider("app", "check-secret", app, *self._framework)["isSecretSet"] is False
        with pytest.raises(ClientError, match="is not allowed to set secret"):
            requester("app", "push-secret", app, "--secret-value", "mine", *self._framework)
        provider("app", "push-secret", app, "--secret-value", "s", *self._framework)
        assert provider("app", "check-secret", app, *self._framework)["isSecretSet"] is True
        with pytest.raises(ClientError, match=f"Secret already exists for {app} and can't be updated"):
            provider("app", "push-secret", app, "--secret-value", "other", *self._framework)

    def test_an_app_is_published_and_found(
        self, provider: Command, requester: Command, client: Client, known: dict[str, Any]
    ) -> None:
        published = provider("app", "publish", known["app"], "--price", "5", "nRLC", "--force")["orderHash"]
        book = requester("orderbook", "app", known["app"])
        (listed,) = [entry for entry in book["appOrders"] if entry["orderHash"] == published]
        assert (listed["price"], listed.get("tag", NO_TAG)) == (5, self.tag)
        shown = requester("order", "show", "--app", published)["apporder"]["order"]
        domain = Domain(client.network.profile.chain_id, client.network.profile.hub)
        assert order_hash(decode_order("apporder", shown), domain) == published
        known["apporder"] = published

    def test_a_dataset_is_encrypted_deployed_and_published(
        self, data_owner: Command, requester: Command, client: Client, known: dict[str, Any]
    ) -> None:
        data_owner("dataset", "init", "--encrypted")
        original = data_owner.folder / "datasets" / "original"
        (original / "figures.txt").write_text("1 2 3\n")
        data_owner("dataset", "encrypt", "--force")
        encrypted = (data_owner.folder / "datasets" / "encrypted" / "figures.txt.enc").read_bytes()
        data_owner.change(
            "iexec.json",
            dataset={
                "owner": DATA_OWNER.address,
                "name": "figures",
                "multiaddr": f"/ipfs/{client.network.store(encrypted)}",
                "checksum": to_hex(hashlib.sha256(encrypted).digest()),
            },
        )
        dataset = known["dataset"] = data_owner("dataset", "deploy")["address"]
        assert data_owner("dataset", "show")["dataset"]["datasetName"] == "figures"
        assert int(data_owner("dataset", "count")["count"]) == 1
        assert data_owner("dataset", "check-secret", dataset, *self._framework)["isSecretSet"] is False
        tagged = ["--tag", "tee,tdx"] if self.version.startswith("8") else []
        with pytest.raises(ClientError, match=f"Dataset encryption key is not set for dataset {dataset} in the SMS"):
            data_owner("dataset", "publish", dataset, "--force", *tagged)
        data_owner("dataset", "push-secret", dataset, *self._framework)
        assert data_owner("dataset", "check-secret", dataset, *self._framework)["isSecretSet"] is True
        known["datasetorder"] = data_owner("dataset", "publish", dataset, "--force", *tagged)["orderHash"]
        restricted = data_owner(
            "dataset", "publish", dataset, "--price", "1", "--app-restrict", known["app"], "--force", *tagged
        )["orderHash"]
        everyones = requester("orderbook", "dataset", dataset)["datasetOrders"]
        assert [entry["orderHash"] for entry in everyones] == [known["datasetorder"]]
        the_apps = requester("orderbook", "dataset", dataset, "--app", known["app"])["datasetOrders"]
        assert [entry["orderHash"] for entry in the_apps] == [known["datasetorder"], restricted]
        assert data_owner("dataset", "unpublish", dataset, "--force")["unpublished"] == restricted

    def test_a_workerpool_is_deployed_shown_with_its_url_and_published(
        self, pool_owner: Command, requester: Command, client: Client, known: dict[str, Any]
    ) -> None:
        pool_owner("workerpool", "init")
        pool_owner.change("iexec.json", workerpool={"owner": POOL_OWNER.address, "description": "without workers"})
        idle = known["idle pool"] = pool_owner("workerpool", "deploy")["address"]
        # The first of this owner is the network's own, which has a scheduler.
        running = known["pool"] = pool_owner("workerpool", "show", "0")["address"]
        assert pool_owner("workerpool", "show", running)["apiUrl"] == client.network.profile.scheduler_url
        assert pool_owner("workerpool", "show", idle)["workerpool"]["workerpoolDescription"] == "without workers"
        assert int(pool_owner("workerpool", "count")["count"]) == 2
        offer = ("--price", "0.1", "RLC", "--volume", "10", "--category", str(SHORT_CATEGORY), "--force")
        order = known["workerpoolorder"] = pool_owner("workerpool", "publish", running, *offer)["orderHash"]
        book = requester("orderbook", "workerpool", running, "--category", str(SHORT_CATEGORY), "--tag", self.tag)
        assert order in [entry["orderHash"] for entry in book["workerpoolOrders"]]
        assert {entry.get("tag", NO_TAG) for entry in book["workerpoolOrders"]} == {self.tag}
        with pytest.raises(ClientError, match="stake is too low"):
            pool_owner("workerpool", "publish", idle, "--price", "9000", "RLC", "--volume", "10", "--force")
        published = pool_owner("workerpool", "publish", idle, *offer)["orderHash"]
        assert pool_owner("workerpool", "unpublish", idle, "--all", "--force")["unpublished"] == [published]

    # --- secrets ------------------------------------------------------------------------------------------------

    def test_requesters_keep_secrets(self, requester: Command) -> None:
        name = f"s{secrets.token_hex(4)}"
        assert requester("requester", "check-secret", name, *self._framework)["isSet"] is False
        requester("requester", "push-secret", name, "--secret-value", "bar", *self._framework)
        assert requester("requester", "check-secret", name, *self._framework)["isSet"] is True
        with pytest.raises(ClientError, match="already exists"):
            requester("requester", "push-secret", name, "--secret-value", "baz", *self._framework)

    def test_beneficiaries_have_a_key_for_results(self, requester: Command) -> None:
        requester("result", "generate-encryption-keypair", "--force")
        assert requester("result", "check-encryption-key", *self._framework)["isEncryptionKeySet"] is False
        requester("result", "push-encryption-key", *self._framework)
        assert requester("result", "check-encryption-key", *self._framework)["isEncryptionKeySet"] is True
        with pytest.raises(ClientError, match="already exists"):
            requester("result", "push-encryption-key", *self._framework)
        requester("result", "push-encryption-key", "--force-update", *self._framework)

    def test_storage_is_initialised(self, requester: Command) -> None:
        assert requester("storage", "check", "dropbox", *self._framework)["isInitialized"] is False
        requester("storage", "init", "dropbox", "--token", "t0ken", *self._framework)
        assert requester("storage", "check", "dropbox", *self._framework)["isInitialized"] is True
        requester("storage", "init", "dropbox", "--token", "t1ken", "--force-update", *self._framework)
        if self.version.startswith("8"):
            # Its default is the result proxy, which logs it in.
            assert requester("storage", "check", *self._framework)["isInitialized"] is False
            requester("storage", "init", *self._framework)
            assert requester("storage", "check", *self._framework)["isInitialized"] is True

    @property
    def _framework(self) -> list[str]:
        """Release 8 asks for the kind of enclave when an app does not name one."""
        return ["--tee-framework", "tdx"] if self.version.startswith("8") else []

    def _app(self, client: Client, name: str) -> dict[str, Any]:
        """An app for `iexec.json` that our workers run: a WebAssembly module, named by its hash."""
        module = sample(f"{name}/{name}.wasm")
        return {
            "owner": PROVIDER.address,
            "name": f"{name} {secrets.token_hex(4)}",
            "type": "DOCKER",
            "multiaddr": f"/ipfs/{client.network.store(module)}",
            "checksum": to_hex(hashlib.sha256(module).digest()),
        }


def _listed(help_: subprocess.CompletedProcess[str]) -> list[str]:
    """The commands that a help text lists, by their first names."""
    text = help_.stdout.partition("Commands:")[2].partition("Links:")[0]
    found = re.findall(r"^  ([a-z][A-Za-z|-]*)", text, re.MULTILINE)
    return [name.partition("|")[0] for name in found if name not in ("help", "doc", "bugs")]
