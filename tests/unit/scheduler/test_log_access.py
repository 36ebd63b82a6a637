"""Who may read logs: the requester who signed a challenge of this scheduler, for a while."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.authentication import signed_by_key
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.logins import Login
from pyiexec.protocol.primitives import Address, bytes32, to_bytes, to_hex
from pyiexec.scheduler.log_access import PERIOD_SECONDS, LogAccess, read_token

CHAIN = 65535
REQUESTER, STRANGER = derive(MNEMONIC, 1), derive(MNEMONIC, 2)
START = 1_800_000_000.0


class Wristwatch:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, _seconds: float) -> None:
        raise AssertionError("nothing waits here")


async def is_signed(identity: Address, digest: bytes, signature: bytes) -> bool:
    return signed_by_key(identity, digest, signature)


class Door:
    def __init__(self, chain_id: int = CHAIN, secret: bytes = b"s" * 32) -> None:
        self.clock = Wristwatch()
        self.access = LogAccess(chain_id, is_signed, self.clock, lambda size: secret[:size])

    def knock(self, header: str | None, requester: Address = REQUESTER.address) -> str | None:
        """The code of the refusal; None when the door opens."""
        try:
            asyncio.run(self.access.check(read_token(header), requester))
        except IexecError as error:
            return error.code
        return None

    def token(self, signer: Signer = REQUESTER, claimed: Address | None = None) -> str:
        return token(self.access.challenge(claimed or signer.address), signer, claimed)


def token(document: dict[str, Any], signer: Signer, claimed: Address | None = None) -> str:
    """What a client makes of a challenge."""
    domain = document["domain"]
    digest = challenge_hash(document["message"]["challenge"], domain["chainId"], domain["name"], domain["version"])
    return f"{digest}_{to_hex(signer.sign_digest(to_bytes(digest)))}_{claimed or signer.address}"


def test_the_digest_and_signature_are_those_of_the_javascript_client() -> None:
    digest = challenge_hash("LdGNHKECBmetjRDbgNDg5qt54qaYx1UiJYKXNdABMj4=", CHAIN, "iExec Core", "1")
    assert digest == "0xc9d6d02036f1c7367282e221b495f1d647a9c1576970f838c824dd811690993e"
    signature = (
        "0xa44b836d854794661b8872ff28f9e8d02fbc56bfb6cfc7a2b464ded9ca68e102"
        "7ce5c1b7b6ee5f5bcfe377fad0d430278c02a648215ef2a1c8a4b6f2ee0e754f1c"
    )
    assert to_hex(REQUESTER.sign_digest(to_bytes(digest))) == signature
    read = read_token(f"{digest}_{signature}_{REQUESTER.address}")
    assert read == Login(bytes32(digest), to_bytes(signature), REQUESTER.address)


def test_a_challenge_is_typed_data_at_the_root_with_32_bytes_of_base64() -> None:
    document = Door().access.challenge(REQUESTER.address)
    assert document["domain"] == {"name": "iExec Core", "version": "1", "chainId": CHAIN}
    assert document["primaryType"] == "Challenge"
    assert document["types"]["Challenge"] == [{"name": "challenge", "type": "string"}]
    assert "EIP712Domain" in document["types"]
    assert len(base64.b64decode(document["message"]["challenge"], validate=True)) == 32


def test_the_requester_gets_in_as_often_as_it_wants_for_a_while() -> None:
    door = Door()
    header = door.token()
    assert [door.knock(header) for _ in range(3)] == [None] * 3
    door.clock.time += PERIOD_SECONDS
    assert door.knock(header) is None


@given(st.floats(0, PERIOD_SECONDS), st.floats(0, 10 * PERIOD_SECONDS))
def test_a_token_is_good_for_a_period_and_for_no_more_than_two(begun: float, age: float) -> None:
    door = Door()
    door.clock.time += begun
    header = door.token()
    door.clock.time += age
    refusal = door.knock(header)
    if age < PERIOD_SECONDS:
        assert refusal is None
    if age >= 2 * PERIOD_SECONDS:
        assert refusal == "LOG_TOKEN_INVALID"


def test_somebody_else_is_known_and_refused() -> None:
    door = Door()
    assert door.knock(door.token(STRANGER)) == "LOG_ACCESS_REFUSED"


def test_a_signature_of_somebody_else_in_the_requester_s_name_is_refused() -> None:
    door = Door()
    assert door.knock(door.token(STRANGER, REQUESTER.address)) == "LOG_TOKEN_INVALID"


@pytest.mark.parametrize(
    "elsewhere", [Door(secret=b"t" * 32), Door(chain_id=1)], ids=["another scheduler", "another chain"]
)
def test_a_challenge_from_elsewhere_opens_nothing(elsewhere: Door) -> None:
    assert Door().knock(elsewhere.token()) == "LOG_TOKEN_INVALID"


def test_a_challenge_for_another_address_opens_nothing() -> None:
    door = Door()
    document = door.access.challenge(STRANGER.address)
    assert door.knock(token(document, REQUESTER)) == "LOG_TOKEN_INVALID"


def test_challenges_tell_nothing_of_each_other() -> None:
    door = Door()
    texts = set()
    for signer in (REQUESTER, STRANGER):
        for _ in range(2):
            texts.add(door.access.challenge(signer.address)["message"]["challenge"])
            door.clock.time += PERIOD_SECONDS
    assert len(texts) == 4


GOOD = Door().token()
DIGEST, SIGNATURE, ADDRESS = GOOD.split("_")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "_",
        "__",
        f"Bearer {GOOD}",
        f"{GOOD}_",
        f"{DIGEST}_{SIGNATURE}",
        f"{DIGEST}__{ADDRESS}",
        f"{DIGEST}_{SIGNATURE}_{ADDRESS[:-1]}",
        f"{DIGEST}_{SIGNATURE}_{ADDRESS}{'0' * 10_000}",
        f"{DIGEST}_0x{'00' * 100_000}_{ADDRESS}",
        f"{DIGEST}_{SIGNATURE}_0x{'0' * 40}",
        f"{DIGEST}_{SIGNATURE[:-2]}zz_{ADDRESS}",
        f"{DIGEST[:-1]}_{SIGNATURE}_{ADDRESS}",
        f"{DIGEST}_{SIGNATURE}_' OR 1=1 --",
        f"{DIGEST}_{SIGNATURE}_<script>",
        "\ud800_\ud800_\ud800",
    ],
)
def test_what_has_not_the_form_of_a_token_is_refused(header: str | None) -> None:
    assert Door().knock(header) == "LOG_TOKEN_INVALID"


@pytest.mark.parametrize(
    "header",
    [
        f"{bytes32(7)}_{SIGNATURE}_{ADDRESS}",
        f"{DIGEST}_0x{'00' * 65}_{ADDRESS}",
        f"{DIGEST}_0x_{ADDRESS}",
        f"{DIGEST}_{SIGNATURE[:-2]}1d_{ADDRESS}",
        f"{DIGEST}_{SIGNATURE[:4]}{'f' if SIGNATURE[4] != 'f' else '0'}{SIGNATURE[5:]}_{ADDRESS}",
    ],
)
def test_a_forged_token_is_refused(header: str) -> None:
    assert Door().knock(header) == "LOG_TOKEN_INVALID"


def test_an_address_may_be_written_in_any_case() -> None:
    assert Door().knock(f"{DIGEST}_{SIGNATURE}_{ADDRESS.lower()}") is None
