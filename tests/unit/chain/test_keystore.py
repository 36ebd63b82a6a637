"""Keystore files are exchanged with other wallets, and open with their password alone."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from pyiexec.chain.keystore import create_keyfile, decrypt, encrypt, find_keyfile, list_keyfiles, read_key_file, unlock
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError

SIGNER = Signer.from_key(b"\x2a" * 32)
CHEAP = 2
#: Test vectors of the Web3 Secret Storage definition, both with password "testpassword".
VECTOR_KEY = "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
SCRYPT_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
PBKDF2_VECTOR = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


class At:
    """A clock that stands still."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.mark.parametrize("vector", [SCRYPT_VECTOR, PBKDF2_VECTOR], ids=["scrypt", "pbkdf2"])
def test_published_vectors_open(vector: dict[str, Any]) -> None:
    assert decrypt(json.dumps(vector), "testpassword").secret.hex() == VECTOR_KEY[2:]


def test_ours_is_opened_by_eth_account() -> None:
    document = json.loads(encrypt(SIGNER, "correct horse", n=CHEAP))
    document["crypto"] = document.pop("Crypto")
    assert Account.decrypt(document, "correct horse") == SIGNER.secret


def test_that_of_eth_account_is_opened_by_us() -> None:
    document = Account.encrypt(SIGNER.secret, "correct horse", kdf="pbkdf2", iterations=1)
    assert decrypt(json.dumps(document), "correct horse").address == SIGNER.address


def test_it_has_the_form_that_the_reference_client_writes() -> None:
    document = json.loads(encrypt(SIGNER, "password"))
    assert document["address"] == SIGNER.address[2:].lower()
    assert document["version"] == 3
    assert document["Crypto"]["kdf"] == "scrypt"
    parameters = document["Crypto"]["kdfparams"]
    assert (parameters["n"], parameters["r"], parameters["p"], parameters["dklen"]) == (131072, 8, 1, 32)
    assert SIGNER.secret.hex() not in json.dumps(document)
    assert decrypt(json.dumps(document), "password").address == SIGNER.address


def test_a_wrong_password_is_told_as_such() -> None:
    with pytest.raises(IexecError) as refusal:
        decrypt(encrypt(SIGNER, "right", n=CHEAP), "wrong")
    assert refusal.value.code == "WRONG_PASSWORD"


def broken(change: Callable[[dict[str, Any]], Any]) -> str:
    document = json.loads(encrypt(SIGNER, "password", n=CHEAP))
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        broken(lambda d: d.update(version=1)),
        broken(lambda d: d.pop("Crypto")),
        broken(lambda d: d["Crypto"].pop("mac")),
        broken(lambda d: d["Crypto"].update(ciphertext="xyz")),
        broken(lambda d: d["Crypto"].update(cipher="none")),
        broken(lambda d: d["Crypto"].update(kdf="md5")),
        broken(lambda d: d["Crypto"]["kdfparams"].update(n=2**40)),
        broken(lambda d: d["Crypto"]["kdfparams"].update(n=-1)),
        broken(lambda d: d["Crypto"]["kdfparams"].update(n=1000)),
        broken(lambda d: d["Crypto"]["kdfparams"].update(dklen=10**9)),
        broken(lambda d: d.update(address="11" * 20)),
        broken(lambda d: d.update(address="nobody")),
    ],
)
def test_what_is_no_good_keystore_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refusal:
        decrypt(text, "password")
    assert refusal.value.code == "BAD_KEYSTORE"


def test_files_are_named_by_time_and_address_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keystore"
    path = create_keyfile(folder, SIGNER, "password", clock=At(1_700_000_000.25), n=CHEAP)
    assert path.name == f"UTC--2023-11-14T22-13-20.250Z--{SIGNER.address[2:].lower()}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [file.name for file in folder.iterdir()] == [path.name]
    assert unlock(path, "password").address == SIGNER.address


def test_the_newest_file_is_meant_of_all_and_of_one_address(tmp_path: Path) -> None:
    other = Signer.from_key(b"\x03" * 32)
    first = create_keyfile(tmp_path, SIGNER, "1", clock=At(1e9), n=CHEAP)
    second = create_keyfile(tmp_path, SIGNER, "2", clock=At(2e9), n=CHEAP)
    third = create_keyfile(tmp_path, other, "3", clock=At(3e9), n=CHEAP)
    (tmp_path / "UTC--notes--about keys").write_text("no keystore")
    assert [path for _, path in list_keyfiles(tmp_path)] == [third, second, first]
    assert find_keyfile(tmp_path) == third
    assert find_keyfile(tmp_path, SIGNER.address) == second
    assert find_keyfile(tmp_path, SIGNER.address[2:].lower()) == second
    assert find_keyfile(tmp_path, first.name) == first
    assert find_keyfile(tmp_path, str(first)) == first
    assert find_keyfile(tmp_path, "0x" + "99" * 20) is None
    assert find_keyfile(tmp_path / "nowhere") is None


def test_a_service_reads_a_plain_key_or_a_keystore(tmp_path: Path) -> None:
    plain, password = tmp_path / "key", tmp_path / "password"
    plain.write_text("0x" + SIGNER.secret.hex() + "\n")
    password.write_text("open sesame\n")
    keystore = create_keyfile(tmp_path, SIGNER, "open sesame", n=CHEAP)
    assert read_key_file(plain).address == SIGNER.address
    assert read_key_file(keystore, password).address == SIGNER.address
    for path, code in ((tmp_path / "none", "WALLET_MISSING"), (password, "BAD_KEY")):
        with pytest.raises(IexecError) as refusal:
            read_key_file(path)
        assert refusal.value.code == code
