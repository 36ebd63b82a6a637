"""Datasets and results in the encrypted formats of the JS SDK, with OpenSSL as the judge."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.encryption import (
    KeyPair,
    decrypt_dataset,
    decrypt_result,
    encrypt_dataset,
    encrypt_result,
    new_dataset_key,
    new_result_key_pair,
)


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return new_result_key_pair()


@pytest.fixture(scope="module")
def small_pair() -> KeyPair:
    """Quick to make."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return KeyPair(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


@given(content=st.binary(max_size=100) | st.integers(262_100, 262_200).map(os.urandom))
def test_what_was_encrypted_comes_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    plain, sealed, opened = (folder / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(content)
    key = new_dataset_key(os.urandom)
    checksum = encrypt_dataset(plain, sealed, key, os.urandom)
    assert checksum == "0x" + hashlib.sha256(sealed.read_bytes()).hexdigest()
    assert sealed.stat().st_size == 16 + (len(content) // 16 + 1) * 16
    decrypt_dataset(sealed, opened, key)
    assert opened.read_bytes() == content
    assert sorted(path.name for path in folder.iterdir()) == ["opened", "plain", "sealed"]


@pytest.mark.parametrize("size", [0, 15, 16, 1000, 300_000])
def test_openssl_reads_our_datasets_and_we_read_its(tmp_path: Path, size: int) -> None:
    content, key = os.urandom(size), new_dataset_key(os.urandom)
    (tmp_path / "plain").write_bytes(content)
    encrypt_dataset(tmp_path / "plain", tmp_path / "sealed", key, os.urandom)
    sealed = (tmp_path / "sealed").read_bytes()
    digits = ("-K", base64.b64decode(key).hex(), "-iv", sealed[:16].hex())
    assert openssl("enc", "-d", "-aes-256-cbc", *digits, stdin=sealed[16:]) == content
    (tmp_path / "theirs").write_bytes(sealed[:16] + openssl("enc", "-aes-256-cbc", *digits, stdin=content))
    decrypt_dataset(tmp_path / "theirs", tmp_path / "opened", key)
    assert (tmp_path / "opened").read_bytes() == content


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:16], lambda data: data[:7]])
def test_a_damaged_dataset_is_not_written(tmp_path: Path, damage: object) -> None:
    (tmp_path / "plain").write_bytes(b"content")
    key = new_dataset_key(os.urandom)
    encrypt_dataset(tmp_path / "plain", tmp_path / "sealed", key, os.urandom)
    (tmp_path / "sealed").write_bytes(damage((tmp_path / "sealed").read_bytes()))  # type: ignore[operator]
    with pytest.raises(IexecError) as refusal:
        decrypt_dataset(tmp_path / "sealed", tmp_path / "opened", key)
    assert refusal.value.code == "DECRYPTION_FAILED"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "sealed"]


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 16).decode(), "é" * 44])
def test_keys_of_another_form_are_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "plain").write_bytes(b"content")
    with pytest.raises(IexecError) as refusal:
        encrypt_dataset(tmp_path / "plain", tmp_path / "sealed", key, os.urandom)
    assert refusal.value.code == "DECRYPTION_FAILED"
    assert not key or key not in str(refusal.value)


def test_openssl_opens_a_result_with_the_beneficiarys_key(tmp_path: Path, pair: KeyPair) -> None:
    content = os.urandom(300_001)
    (tmp_path / "inner.zip").write_bytes(content)
    encrypt_result(tmp_path / "inner.zip", tmp_path / "result.zip", pair.public, os.urandom)
    (tmp_path / "key.pem").write_bytes(pair.private)
    with zipfile.ZipFile(tmp_path / "result.zip") as packed:
        sealed_key, sealed = packed.read("aes-key.rsa"), packed.read("iexec_out.zip.aes")
        assert packed.namelist() == ["aes-key.rsa", "iexec_out.zip.aes"]
    assert len(sealed_key) == 512
    decrypt = ("pkeyutl", "-decrypt", "-inkey", str(tmp_path / "key.pem"), "-pkeyopt", "rsa_padding_mode:pkcs1")
    key = openssl(*decrypt, stdin=sealed_key)
    assert len(key) == 32
    opened = openssl("enc", "-d", "-aes-256-cbc", "-K", key.hex(), "-iv", sealed[:16].hex(), stdin=sealed[16:])
    assert opened == content
    decrypt_result(tmp_path / "result.zip", tmp_path / "opened.zip", pair.private)
    assert (tmp_path / "opened.zip").read_bytes() == content
    assert pair.private.decode() not in repr(pair)


def packed(members: dict[str, bytes], path: Path) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())
    return path


def sealed_by_openssl(folder: Path, pair: KeyPair, text: bytes) -> bytes:
    (folder / "public.pem").write_bytes(pair.public)
    wrap = ("pkeyutl", "-encrypt", "-pubin", "-inkey", str(folder / "public.pem"), "-pkeyopt", "rsa_padding_mode:pkcs1")
    return openssl(*wrap, stdin=text)


@pytest.mark.parametrize("key_bytes", [16, 32])
def test_results_of_old_enclaves_still_open(tmp_path: Path, small_pair: KeyPair, key_bytes: int) -> None:
    key, iv, content = os.urandom(key_bytes), os.urandom(16), os.urandom(1000)
    if key_bytes == 16:
        sealed = base64.b64encode(openssl("enc", "-aes-128-ecb", "-K", key.hex(), stdin=content))
    else:
        sealed = iv + openssl("enc", "-aes-256-cbc", "-K", key.hex(), "-iv", iv.hex(), stdin=content)
    wrapped = base64.b64encode(sealed_by_openssl(tmp_path, small_pair, base64.b64encode(key)))
    archive = packed({"aes-key.rsa": wrapped, "iexec_out.zip.aes": sealed}, tmp_path / "result.zip")
    decrypt_result(archive, tmp_path / "opened", small_pair.private)
    assert (tmp_path / "opened").read_bytes() == content


def test_what_is_no_encrypted_result_is_refused(tmp_path: Path, small_pair: KeyPair, pair: KeyPair) -> None:
    (tmp_path / "inner").write_bytes(b"content")
    encrypt_result(tmp_path / "inner", tmp_path / "good.zip", small_pair.public, os.urandom)
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        good = {name: archive.read(name) for name in archive.namelist()}
    cases = {
        "no zip": b"content",
        "no key": {"iexec_out.zip.aes": good["iexec_out.zip.aes"]},
        "no content": {"aes-key.rsa": good["aes-key.rsa"]},
        "cut": good | {"iexec_out.zip.aes": good["iexec_out.zip.aes"][:-1]},
        "no IV": good | {"iexec_out.zip.aes": b"short"},
        "short key": good | {"aes-key.rsa": sealed_by_openssl(tmp_path, small_pair, b"short")},
        "not base64": good | {"aes-key.rsa": b"?" * 10},
    }
    for members in cases.values():
        bad = tmp_path / "bad.zip"
        if isinstance(members, bytes):
            bad.write_bytes(members)
        else:
            packed(members, bad)
        with pytest.raises(IexecError) as refusal:
            decrypt_result(bad, tmp_path / "opened", small_pair.private)
        assert refusal.value.code == "DECRYPTION_FAILED"
    with pytest.raises(IexecError) as refusal:
        decrypt_result(tmp_path / "good.zip", tmp_path / "opened", pair.private)
    assert refusal.value.code == "DECRYPTION_FAILED"
    packed(good | {"aes-key.rsa": b"0" * 1001}, tmp_path / "bad.zip")
    with pytest.raises(IexecError) as refusal:
        decrypt_result(tmp_path / "bad.zip", tmp_path / "opened", small_pair.private)
    assert refusal.value.code == "CONTENT_TOO_LARGE"
    for key in (b"", small_pair.public, b"-----BEGIN PRIVATE KEY-----"):
        with pytest.raises(IexecError) as refusal:
            decrypt_result(tmp_path / "good.zip", tmp_path / "opened", key)
        assert refusal.value.code == "BAD_KEY"
    assert not (tmp_path / "opened").exists()
