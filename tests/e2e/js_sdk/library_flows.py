"""What people do with the library, told once and played by every edition of it."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.signer import Signer
from pyiexec.devnet.samples import sample
from pyiexec.protocol.primitives import to_hex
from pyiexec.storage.encryption import decrypt_dataset, encrypt_result
from tests.e2e.js_sdk.client import ClientError, Library
from tests.e2e.js_sdk.compatibility import Entry
from tests.e2e.js_sdk.conftest import ADMINISTRATOR, DATA_OWNER, POOL_OWNER, PROVIDER, REQUESTER, Client, JsNetwork

NULL = "0x" + "0" * 40
TEE_TDX = "0x" + "0" * 63 + "9"
NO_TAG = "0x" + "0" * 64
#: Seconds of the category in which nobody works; its deals are refunded ten times as late.
BLINK = 3


class LibraryFlows:
    """The flows; a subclass says which edition of the client plays them. They build on one another, in this order."""

    pytestmark = pytest.mark.timeout(600)

    version: str
    native = False

    @property
    def edition(self) -> str:
        """Column of the table of compatibility."""
        return f"{self.version} {'native' if self.native else 'token'}"

    @property
    def enclaves(self) -> bool:
        """Whether this release wants an enclave for every task."""
        return self.version.startswith("9")

    @property
    def tag(self) -> str:
        """Of every order that this release makes when nobody asks for anything else."""
        return TEE_TDX if self.enclaves else NO_TAG

    # --- who is there -------------------------------------------------------------------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls, start: Callable[..., JsNetwork]) -> JsNetwork:
        return start(*(["--native"] if cls.native else []))

    @pytest.fixture(scope="class")
    @classmethod
    def libraries(cls) -> Iterator[dict[str, Library]]:
        """The Node processes, one for each account."""
        made: dict[str, Library] = {}
        yield made
        for library in made.values():
            library.close()

    @pytest.fixture(scope="class")
    @classmethod
    def known(cls) -> dict[str, Any]:
        """What earlier flows have made, for later ones."""
        return {}

    @pytest.fixture
    def acting(
        self,
        network: JsNetwork,
        libraries: dict[str, Library],
        tmp_path_factory: pytest.TempPathFactory,
        record: Callable[[str, Entry], None],
    ) -> Callable[[Signer | None], Library]:
        """The library acting for an account."""

        def used(face: str, name: str) -> None:
            record("works", Entry(self.edition, face, name))

        client = Client(self.version, network, self.native, tmp_path_factory.getbasetemp(), used)

        def act(account: Signer | None) -> Library:
            key = account.address if account else ""
            if key not in libraries:
                libraries[key] = client.library(account)
            libraries[key].used = used
            return libraries[key]

        return act

    @pytest.fixture
    def requester(self, acting: Callable[[Signer | None], Library]) -> Library:
        return acting(REQUESTER)

    @pytest.fixture
    def provider(self, acting: Callable[[Signer | None], Library]) -> Library:
        return acting(PROVIDER)

    @pytest.fixture
    def data_owner(self, acting: Callable[[Signer | None], Library]) -> Library:
        return acting(DATA_OWNER)

    @pytest.fixture
    def pool_owner(self, acting: Callable[[Signer | None], Library]) -> Library:
        return acting(POOL_OWNER)

    @pytest.fixture
    def administrator(self, acting: Callable[[Signer | None], Library]) -> Library:
        return acting(ADMINISTRATOR)

    # --- the network --------------------------------------------------------------------------------------------

    def test_every_method_there_is(self, requester: Library, record: Callable[[str, Entry], None]) -> None:
        names = requester.inventory()
        assert {"app.deployApp", "order.matchOrders", "utils.parseRLC"} <= set(names)
        for name in names:
            if self.native and name == "wallet.sendETH":
                # The client itself refuses where RLC is the coin.
                continue
            record("exists", Entry(self.edition, "library", name))

    def test_the_configuration_is_resolved(self, requester: Library, network: JsNetwork) -> None:
        profile = network.profile
        assert str(requester("config.resolveChainId")) == str(profile.chain_id)
        assert requester("config.resolveContractsClient") is True
        expected = {
            "Sms": profile.sms_url,
            "IexecGateway": profile.market_url,
            "IpfsGateway": profile.gateway_url,
            "IpfsNode": profile.gateway_url,
            "Compass": profile.compass_url,
            "PocoSubgraph": f"{profile.indexer_url}/graphql/{profile.chain_id}",
        }
        if not self.enclaves:
            expected["ResultProxy"] = profile.gateway_url
        assert {name: requester(f"config.resolve{name}URL") for name in expected} == expected
        assert str(requester("network.getNetwork")["chainId"]) == str(profile.chain_id)

    def test_helpers_help(self, requester: Library) -> None:
        assert requester("utils.parseRLC", "1.5 RLC") == str(1_500_000_000)
        assert requester("utils.formatRLC", "1500000000") == "1.5"
        assert requester("utils.parseEth", "1 gwei") == str(10**9)
        assert requester("utils.formatEth", "1000000000000000000") == "1.0"
        assert requester("utils.encodeTag", ["tee", "tdx"]) == TEE_TDX
        assert requester("utils.decodeTag", TEE_TDX) == ["tee", "tdx"]
        assert requester("utils.sumTags", [TEE_TDX, "0x" + "0" * 61 + "100"]) == "0x" + "0" * 61 + "109"

    def test_results_are_decrypted(self, requester: Library, tmp_path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (tmp_path / "inner.zip").write_bytes(b"the inner archive")
        encrypt_result(tmp_path / "inner.zip", tmp_path / "outer.zip", public, os.urandom)
        outer = (tmp_path / "outer.zip").read_bytes()
        assert requester("utils.decryptResult", outer, private.decode()) == b"the inner archive"

    # --- wallet and account -------------------------------------------------------------------------------------

    def test_wallets_show_and_move_money(self, requester: Library, acting: Callable[[Signer | None], Library]) -> None:
        assert requester("wallet.getAddress") == REQUESTER.address
        newcomer = Signer.from_key(secrets.token_bytes(32))
        if not self.native:
            requester("wallet.sendETH", 10**17, newcomer.address)
        requester("wallet.sendRLC", 10**9, newcomer.address)
        assert requester("wallet.checkBalances", newcomer.address)["nRLC"] == str(10**9)
        acting(newcomer)("wallet.sweep", REQUESTER.address)
        assert int(requester("wallet.checkBalances", newcomer.address)["nRLC"]) < 10**7

    def test_accounts_take_and_give_back(self, requester: Library, provider: Library, pool_owner: Library) -> None:
        before = int(requester("account.checkBalance", REQUESTER.address)["stake"])
        requester("account.deposit", "20 RLC")
        requester("account.withdraw", "1 RLC")
        assert int(requester("account.checkBalance", REQUESTER.address)["stake"]) == before + 19 * 10**9
        provider("account.deposit", "10 RLC")
        pool_owner("account.deposit", "10 RLC")
        requester("account.approve", 5, PROVIDER.address)
        assert requester("account.checkAllowance", REQUESTER.address, PROVIDER.address) == "5"
        requester("account.revokeApproval", PROVIDER.address)
        assert requester("account.checkAllowance", REQUESTER.address, PROVIDER.address) == "0"

    def test_the_hub_tells_of_categories(
        self, requester: Library, administrator: Library, known: dict[str, Any]
    ) -> None:
        count = int(requester("hub.countCategory"))
        made = administrator("hub.createCategory", {"name": "blink", "description": '"3 s"', "workClockTimeRef": BLINK})
        known["blink"] = int(made["catid"])
        assert known["blink"] == count
        assert requester("hub.showCategory", count)["name"] == "blink"
        assert requester("hub.getTimeoutRatio") == "10"
        with pytest.raises(ClientError):
            requester("hub.showCategory", 999)

    # --- what is sold -------------------------------------------------------------------------------------------

    def test_apps(self, provider: Library, requester: Library, network: JsNetwork, known: dict[str, Any]) -> None:
        module = sample("noop/noop.wasm")
        app = {
            "owner": PROVIDER.address,
            "name": f"noop {secrets.token_hex(4)}",
            "type": "DOCKER",
            "multiaddr": f"/ipfs/{network.store(module)}",
            "checksum": to_hex(hashlib.sha256(module).digest()),
        }
        predicted = provider("app.predictAppAddress", app)
        assert requester("app.checkDeployedApp", predicted) is False
        known["app"] = provider("app.deployApp", app)["address"]
        assert known["app"] == predicted
        assert requester("app.checkDeployedApp", predicted) is True
        assert requester("app.showApp", predicted)["app"]["appName"] == app["name"]
        last = int(requester("app.countUserApps", PROVIDER.address)) - 1
        assert requester("app.showUserApp", last, PROVIDER.address)["objAddress"] == predicted
        with pytest.raises(ClientError, match="App already deployed at address"):
            provider("app.deployApp", app)
        assert requester("app.checkAppSecretExists", predicted, *self._framework) is False
        provider("app.pushAppSecret", predicted, "s", *self._framework_option)
        assert requester("app.checkAppSecretExists", predicted, *self._framework) is True
        other = provider("app.deployApp", app | {"name": f"given away {secrets.token_hex(4)}"})["address"]
        provider("app.transferApp", other, REQUESTER.address)
        assert requester("app.showApp", other)["app"]["owner"] == REQUESTER.address

    def test_datasets(
        self, data_owner: Library, requester: Library, network: JsNetwork, known: dict[str, Any], tmp_path: Path
    ) -> None:
        key = data_owner("dataset.generateEncryptionKey")
        encrypted = data_owner("dataset.encrypt", b"1 2 3\n", key)
        (tmp_path / "encrypted").write_bytes(encrypted)
        decrypt_dataset(tmp_path / "encrypted", tmp_path / "plain", key)
        assert (tmp_path / "plain").read_bytes() == b"1 2 3\n"
        checksum = data_owner("dataset.computeEncryptedFileChecksum", encrypted)
        assert checksum == to_hex(hashlib.sha256(encrypted).digest())
        dataset = {
            "owner": DATA_OWNER.address,
            "name": "figures",
            "multiaddr": f"/ipfs/{network.store(encrypted)}",
            "checksum": checksum,
        }
        predicted = data_owner("dataset.predictDatasetAddress", dataset)
        assert requester("dataset.checkDeployedDataset", predicted) is False
        known["dataset"] = data_owner("dataset.deployDataset", dataset)["address"]
        assert known["dataset"] == predicted
        assert requester("dataset.checkDeployedDataset", predicted) is True
        assert requester("dataset.showDataset", predicted)["dataset"]["datasetName"] == "figures"
        assert requester("dataset.countUserDatasets", DATA_OWNER.address) == "1"
        assert requester("dataset.showUserDataset", 0, DATA_OWNER.address)["objAddress"] == predicted
        assert requester("dataset.checkDatasetSecretExists", predicted, *self._framework) is False
        data_owner("dataset.pushDatasetSecret", predicted, key, *self._framework_option)
        assert requester("dataset.checkDatasetSecretExists", predicted, *self._framework) is True
        with pytest.raises(ClientError, match="already exists"):
            data_owner("dataset.pushDatasetSecret", predicted, key, *self._framework_option)
        given = data_owner("dataset.deployDataset", dataset | {"name": "given away"})["address"]
        data_owner("dataset.transferDataset", given, REQUESTER.address)
        assert requester("dataset.showDataset", given)["dataset"]["owner"] == REQUESTER.address

    def test_workerpools(
        self, pool_owner: Library, requester: Library, network: JsNetwork, known: dict[str, Any]
    ) -> None:
        described = {"owner": POOL_OWNER.address, "description": "without workers"}
        predicted = pool_owner("workerpool.predictWorkerpoolAddress", described)
        assert requester("workerpool.checkDeployedWorkerpool", predicted) is False
        known["idle pool"] = pool_owner("workerpool.deployWorkerpool", described)["address"]
        assert known["idle pool"] == predicted
        assert requester("workerpool.checkDeployedWorkerpool", predicted) is True
        shown = requester("workerpool.showWorkerpool", predicted)
        assert shown["workerpool"]["workerpoolDescription"] == "without workers"
        assert requester("workerpool.countUserWorkerpools", POOL_OWNER.address) == "2"
        known["pool"] = requester("workerpool.showUserWorkerpool", 0, POOL_OWNER.address)["objAddress"]
        assert requester("workerpool.getWorkerpoolApiUrl", known["pool"]) == network.profile.scheduler_url
        assert requester("workerpool.getWorkerpoolApiUrl", predicted) is None
        given = pool_owner("workerpool.deployWorkerpool", described | {"description": "given away"})["address"]
        pool_owner("workerpool.transferWorkerpool", given, REQUESTER.address)
        assert requester("workerpool.showWorkerpool", given)["workerpool"]["owner"] == REQUESTER.address

    # --- secrets ------------------------------------------------------------------------------------------------

    def test_secrets(self, requester: Library) -> None:
        assert requester("secrets.checkRequesterSecretExists", REQUESTER.address, "foo", *self._framework) is False
        requester("secrets.pushRequesterSecret", "foo", "bar", *self._framework_option)
        assert requester("secrets.checkRequesterSecretExists", REQUESTER.address, "foo", *self._framework) is True
        pem = _public_key()
        assert requester("result.checkResultEncryptionKeyExists", REQUESTER.address, *self._framework) is False
        requester("result.pushResultEncryptionKey", pem, *self._framework_option)
        assert requester("result.checkResultEncryptionKeyExists", REQUESTER.address, *self._framework) is True
        with pytest.raises(ClientError, match="already exists"):
            requester("result.pushResultEncryptionKey", pem, *self._framework_option)
        requester("result.pushResultEncryptionKey", pem, {"forceUpdate": True} | self._framework_named)
        # Release 8 takes a name among its options.
        storage = ["dropbox"] if self.enclaves else [{"provider": "dropbox"} | self._framework_named]
        assert requester("storage.checkStorageTokenExists", REQUESTER.address, *storage) is False
        requester("storage.pushStorageToken", "t0ken", *storage)
        assert requester("storage.checkStorageTokenExists", REQUESTER.address, *storage) is True
        if not self.enclaves:
            token = requester("storage.defaultStorageLogin")
            assert token.count(".") == 2
            requester("storage.pushStorageToken", token, self._framework_named)

    @property
    def _framework_named(self) -> dict[str, str]:
        """Release 8 asks for the kind of enclave that a secret is meant for."""
        return {} if self.enclaves else {"teeFramework": "tdx"}

    @property
    def _framework_option(self) -> list[dict[str, str]]:
        return [self._framework_named] if self._framework_named else []

    @property
    def _framework(self) -> list[dict[str, str]]:
        return self._framework_option


def _public_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=4096).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
