"""Signatures are those that everybody else makes, and only good ones are accepted."""

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import (
    HALF_ORDER,
    Signer,
    Transaction,
    create2_address,
    create_address,
    recover,
    transaction_hash,
)
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, checksum, keccak256, to_bytes

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
keys = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
addresses = st.binary(min_size=20, max_size=20).map(checksum)


@given(keys)
@settings(max_examples=25)
def test_addresses_are_those_of_eth_account(key: bytes) -> None:
    assert Signer.from_key(key).address == Account.from_key(key).address


@given(keys, st.binary(min_size=32, max_size=32))
@settings(max_examples=25)
def test_digests_are_signed_as_by_eth_account(key: bytes, digest: bytes) -> None:
    signature = Signer.from_key(key).sign_digest(digest)
    assert signature == Account.unsafe_sign_hash(digest, key).signature
    assert recover(digest, signature) == Signer.from_key(key).address
    assert int.from_bytes(signature[32:64], "big") <= HALF_ORDER


@given(keys, st.binary(min_size=32, max_size=32))
@settings(max_examples=10)
def test_message_hashes_are_signed_as_personal_messages(key: bytes, digest: bytes) -> None:
    assert Signer.from_key(key).sign_message_hash(digest) == Account.sign_message(encode_defunct(digest), key).signature


@given(
    key=keys,
    nonce=st.integers(0, 2**32),
    tip=st.integers(0, 10**12),
    fee=st.integers(0, 10**13),
    gas=st.integers(21_000, 30_000_000),
    to=st.none() | addresses,
    data=st.binary(max_size=300),
    value=st.integers(0, 10**27),
)
@settings(max_examples=50)
def test_transactions_are_encoded_as_by_eth_account(
    key: bytes, nonce: int, tip: int, fee: int, gas: int, to: Address | None, data: bytes, value: int
) -> None:
    transaction = Transaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_per_gas=tip,
        max_fee_per_gas=tip + fee,
        gas=gas,
        to=to,
        data=data,
        value=value,
    )
    peer = {
        "type": 2,
        "chainId": 31337,
        "nonce": nonce,
        "maxPriorityFeePerGas": tip,
        "maxFeePerGas": tip + fee,
        "gas": gas,
        "data": data,
        "value": value,
    } | ({"to": to} if to else {})
    expected = Account.sign_transaction(peer, key)
    raw = Signer.from_key(key).sign_transaction(transaction)
    assert raw == expected.raw_transaction
    assert to_bytes(transaction_hash(raw)) == expected.hash


def test_compact_signatures_are_understood() -> None:
    for number in range(1, 9):
        signer, digest = Signer.from_key(number.to_bytes(32, "big")), keccak256(bytes([number]))
        signature = signer.sign_digest(digest)
        s_and_parity = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
        assert recover(digest, signature[:32] + s_and_parity.to_bytes(32, "big")) == signer.address


@pytest.mark.parametrize("change", ["short", "v", "high s", "zero", "beyond the curve"])
def test_bad_signatures_are_refused(change: str) -> None:
    digest = keccak256(b"")
    good = Signer.from_key(b"\x01" * 32).sign_digest(digest)
    s = int.from_bytes(good[32:64], "big")
    bad = {
        "short": good[:63],
        "v": good[:64] + b"\x1d",
        "high s": good[:32] + (ORDER - s).to_bytes(32, "big") + bytes([good[64] ^ 7]),
        "zero": bytes(64) + b"\x1b",
        "beyond the curve": b"\xff" * 32 + good[32:],
    }[change]
    with pytest.raises(IexecError) as refusal:
        recover(digest, bad)
    assert refusal.value.code == "BAD_SIGNATURE"


@pytest.mark.parametrize("key", ["", "0x", "0x12", "zz" * 32, "0x" + "00" * 32, "0x" + "ff" * 32, b"\x01" * 31])
def test_bad_keys_are_refused_and_not_repeated(key: str | bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        Signer.from_key(key)
    assert refusal.value.code == "BAD_KEY"
    assert len(key) < 4 or str(key) not in str(refusal.value)


def test_a_signer_does_not_show_its_key() -> None:
    signer = Signer.from_key(b"\x05" * 32)
    assert "05" * 8 not in repr(signer)
    assert repr(signer) == f"Signer({signer.address})"


def test_the_test_mnemonic_gives_the_well_known_accounts() -> None:
    assert derive(MNEMONIC, 0).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert derive(MNEMONIC, 1).address == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def test_created_contracts_have_the_addresses_of_the_rules() -> None:
    # The first is Ethereum's best known example, the second the first vector of EIP-1014.
    assert create_address(checksum("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"), 0) == checksum(
        "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    )
    assert create2_address(checksum("0x" + "00" * 20), bytes(32), keccak256(b"\x00")) == (
        "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"
    )
