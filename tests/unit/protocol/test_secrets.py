"""What owners of secrets sign: the vectors of the JS SDK, and typed data that any wallet hashes as we do."""

from __future__ import annotations

import string

import msgspec
import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import recover
from pyiexec.protocol.eip712 import Domain, ethereum_message_digest
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, bytes32, checksum, to_bytes, to_hex
from pyiexec.protocol.secrets import (
    Action,
    BoundAuthorization,
    BoundSignature,
    LegacySignature,
    Secret,
    SecretKind,
    app_secret,
    bound_header,
    dataset_secret,
    legacy_message,
    read_authorization,
    read_value,
    requester_secret,
    stored_form,
    web2_secret,
)

A, B = derive(MNEMONIC, 1), derive(MNEMONIC, 2)
ONES = checksum("0x" + "11" * 20)
#: Captured from the JS SDK: secret, value, signer, message, signature.
CAPTURED = [
    (
        dataset_secret(checksum("0x9040193b97BBb24eab1f1387B151c3759AdC82BB")),
        "foTVFgb2JoLq/LoaDRqV4RVNi1FVQkPd4p24y7XvxXY=",
        A,
        "0xd38840d03f942c97f5f589d869035517ab21de98b003726f17505aaf2cebf854",
        "0x309ce38d8f590d058a0cc55e65ba69bd8f5485d390891dd808c36ed6c9564bdc"
        "46d737917debcb4f44c96db83448d208f19715f9d09170c171ef6d0bd73d8ab71b",
    ),
    (
        app_secret(checksum("0x43a112e717C318aA76777b01A307e59b115950A5")),
        "hello",
        A,
        "0xeefdd3d99cd472e08a61f090145793aaaf4bb57bad165870dd8a5a6b25821966",
        "0x569a9b1c725e0f70f7c7fbfbc58d17863f4ed7dff51d64dfeabf00c44e268e16"
        "3fe7c191a56702549cb210f961411e5374dc8d299c719cf1b6d3799f0df568371c",
    ),
    (
        requester_secret(B.address, "foo"),
        "bar",
        B,
        "0x2d5a74b6a00be6f371f6ac9a8538e90e37175e2b7521cb3dc24697aea8410d60",
        "0xaf6f353dc08052d02e85e8a62670ed92ef3acd64ab7aee920d3652db5842016b"
        "388245bf99d03bc92f1e9a7b8a382759631b4de07a3a69ece70a3c94bff94d801b",
    ),
    (
        web2_secret(B.address, "iexec-result-dropbox-token"),
        "tok2",
        B,
        "0x69db9f899823582572a33033adf554ad3402c382b00807f418395c33fa7fd983",
        "0x8abfe8cbb4daca0474da2480390e4e5a10404a4b5bb22f4648d527d4a5fc3257"
        "6f25fb9cf8f5bfc70dc83f999fb5f096d7384976f7d50aedd709689d57333ad51b",
    ),
]
#: Computed for the specification.
COMPUTED = [
    (dataset_secret(ONES), "0xd421e663edfd2dff915666a011e1de7c2935d7a10be4ffc7edc692193303fa61"),
    (web2_secret(ONES, "my-key"), "0x65a9dc7182630d1257e7b03bbe9e03dbfd332840e077f0a3a4c8e921cac2559f"),
    (app_secret(ONES), "0x27e1d44d4ced1c277922f7d4931b7855a0d3c5e39545824bc66ec1f324871f6a"),
    (requester_secret(ONES, "my-key"), "0x65a9dc7182630d1257e7b03bbe9e03dbfd332840e077f0a3a4c8e921cac2559f"),
]


@pytest.mark.parametrize(("secret", "value", "signer", "message", "signature"), CAPTURED)
def test_we_sign_what_the_javascript_client_signs(
    secret: Secret, value: str, signer: object, message: str, signature: str
) -> None:
    assert to_hex(legacy_message(secret, value)) == message
    digest = ethereum_message_digest(to_bytes(message))
    assert recover(digest, to_bytes(signature)) == signer.address  # type: ignore[attr-defined]
    assert to_hex(signer.sign_message_hash(to_bytes(message))) == signature  # type: ignore[attr-defined]


@pytest.mark.parametrize(("secret", "message"), COMPUTED)
def test_messages_are_those_of_the_specification(secret: Secret, message: str) -> None:
    assert to_hex(legacy_message(secret, "secret")) == message


# --- the bound form -----------------------------------------------------------------------------------------------

addresses = st.binary(min_size=20, max_size=20).map(checksum)
words = st.binary(min_size=32, max_size=32).map(bytes32)
#: Everything but lone surrogates, which are no text.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
domains = st.builds(Domain, st.integers(1, 2**53), addresses)
authorizations = st.builds(
    BoundAuthorization,
    action=st.sampled_from(Action),
    subject=addresses,
    kind=st.sampled_from(["", *SecretKind]),
    name=texts,
    value=texts,
    service=texts,
    nonce=words,
    deadline=st.integers(0, 2**64),
)


@given(authorizations, domains)
def test_a_wallet_hashes_our_typed_data_as_we_do(authorization: BoundAuthorization, domain: Domain) -> None:
    encoded = encode_typed_data(full_message=authorization.typed_data(domain))
    assert authorization.digest(domain) == _hash_eip191_message(encoded)


@given(authorizations, authorizations, domains, domains)
def test_nothing_can_be_changed_behind_a_signature(
    one: BoundAuthorization, other: BoundAuthorization, here: Domain, there: Domain
) -> None:
    digests = {one.digest(here)}
    different = 1
    for field in BoundAuthorization.__struct_fields__:
        changed = msgspec.structs.replace(one, **{field: getattr(other, field)})
        digests.add(changed.digest(here))
        different += changed != one
    if here != there:
        digests.add(one.digest(there))
        different += 1
    assert len(digests) == different


@given(words, st.integers(0, 10**12 - 1), st.binary(min_size=1, max_size=1024))
def test_headers_come_back_as_what_they_were(nonce: str, deadline: int, signature: bytes) -> None:
    bound = BoundSignature(bytes32(nonce), deadline, signature)
    assert read_authorization(bound_header(bytes32(nonce), deadline, signature)) == bound
    assert read_authorization("0x" + signature.hex()) == LegacySignature(signature)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "0x",
        "0x0",
        "0xzz",
        "0x" + "00" * 1025,
        "0x00\n",
        "EIP712",
        'EIP712 nonce="0x00", deadline="1", signature="0x00"',
        f'EIP712 nonce="0x{"0" * 64}", deadline="-1", signature="0x00"',
        f'EIP712 nonce="0x{"0" * 64}", deadline="{"9" * 13}", signature="0x00"',
        f'EIP712 nonce="0x{"0" * 64}", deadline="1", signature="0x"',
        f'EIP712 nonce="0x{"0" * 64}", deadline="٣", signature="0x00"',
        f'eip712 nonce="0x{"0" * 64}", deadline="1", signature="0x00"',
        f'EIP712 nonce="0x{"0" * 64}", deadline="1", signature="0x00" ',
    ],
)
def test_other_headers_are_refused(header: str | None) -> None:
    with pytest.raises(IexecError) as refusal:
        read_authorization(header)
    assert refusal.value.code == "SECRET_REFUSED"


@given(texts)
def test_a_value_shows_in_no_representation(name: str) -> None:
    authorization = BoundAuthorization(
        action=Action.CREATE, subject=ONES, name=name, value="FINDME", service="", nonce=bytes32(1), deadline=1
    )
    assert "FINDME" not in repr(authorization).replace(repr(name), "")


# --- names and values ---------------------------------------------------------------------------------------------


@given(st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=64))
def test_requesters_names_are_of_a_small_alphabet(name: str) -> None:
    assert requester_secret(ONES, name).name == name


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a/b", "é", "a\n", "٣", "a.b", "\x00", "<b>", "'"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(IexecError) as refusal:
        requester_secret(ONES, name)
    assert refusal.value.code == "BAD_SECRET"


@pytest.mark.parametrize("name", ["", "a" * 256, "a\nb", "\x00", "\ud800", "\u202e"])
def test_web2_names_have_characters_that_can_be_seen(name: str) -> None:
    with pytest.raises(IexecError):
        web2_secret(ONES, name)


@given(st.binary(max_size=5000))
def test_values_are_text_of_at_most_four_kibibytes_and_not_blank(body: bytes) -> None:
    try:
        value = read_value(body)
    except IexecError as refusal:
        assert refusal.code == ("SECRET_TOO_LARGE" if len(body) > 4096 else "BAD_SECRET")  # noqa: PT017
        return
    assert value.encode() == body
    assert stored_form(value)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_only_blanks_at_the_ends_are_dropped(value: str) -> None:
    kept = stored_form(f" \t\n{value}\r ")
    assert kept in value
    assert value.strip(" \t\n\r") in (kept, value.strip(" \t\n\r"))
    assert stored_form(kept) == kept
    assert stored_form("\u00a0x\u3000") == "\u00a0x\u3000"


def test_the_subject_is_part_of_every_message() -> None:
    other = Address(checksum("0x" + "22" * 20))
    for make in (dataset_secret, app_secret):
        assert legacy_message(make(ONES), "v") != legacy_message(make(other), "v")
