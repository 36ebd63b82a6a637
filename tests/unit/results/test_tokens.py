"""A token says whose wallet it is, to whoever has the key, until it expires."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.results.tokens import Tokens, load_keys

WALLET = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OLD, NEW = b"\x01" * 32, b"\x02" * 32
TOKENS = Tokens([OLD], 100)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_is_good_until_it_expires() -> None:
    token = TOKENS.issue(WALLET, 1000, b"n")
    assert TOKENS.wallet(token, 1099) == WALLET
    with pytest.raises(IexecError, match="TOKEN_INVALID"):
        TOKENS.wallet(token, 1100)


def test_tokens_have_the_form_that_others_read() -> None:
    header, claims, _ = TOKENS.issue(WALLET, 1000, b"n").split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "HS256"
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == WALLET


def test_an_old_key_is_believed_beside_the_new_one_and_no_longer_without_it() -> None:
    token = TOKENS.issue(WALLET, 0, b"n")
    assert Tokens([NEW, OLD], 100).wallet(token, 1) == WALLET
    with pytest.raises(IexecError, match="TOKEN_INVALID"):
        Tokens([NEW], 100).wallet(token, 1)


@given(st.data())
def test_no_changed_token_is_believed(data: st.DataObject) -> None:
    token = TOKENS.issue(WALLET, 0, b"n")
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != token[at]))
    with pytest.raises(IexecError, match="TOKEN_INVALID"):
        TOKENS.wallet(token[:at] + other + token[at + 1 :], 1)


@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(IexecError, match="TOKEN_INVALID"):
        TOKENS.wallet(text, 0)


@pytest.mark.parametrize("alg", ["none", "None", "HS512", "RS256"])
def test_no_other_algorithm_is_spoken(alg: str) -> None:
    header, claims, mac = TOKENS.issue(WALLET, 0, b"n").split(".")
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    for signature in (mac, ""):
        with pytest.raises(IexecError, match="TOKEN_INVALID"):
            TOKENS.wallet(f"{encoded({'alg': alg, 'kid': kid})}.{claims}.{signature}", 1)


def test_keys_are_made_once_for_their_owner_alone_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "token.key"
    [key] = load_keys(path, lambda count: b"\x07" * count)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_keys(path, lambda _: b"") == [key]
    assert key.hex() not in repr(Tokens([key], 1))


@pytest.mark.parametrize("text", ["", "secret", "ab" * 31, "ab" * 32 + "\ncd"])
def test_a_file_of_something_else_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token.key"
    path.write_text(text)
    with pytest.raises(IexecError, match="BAD_SETTINGS") as refusal:
        load_keys(path, lambda count: bytes(count))
    assert not text or text not in str(refusal.value)
