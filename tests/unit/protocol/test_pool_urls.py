"""What owners of pools may register, and what they sign."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.pool_urls import MAX_LIFE_SECONDS, PoolUrl, check_moment, check_origin
from pyiexec.protocol.primitives import Address, checksum

addresses = st.binary(min_size=20, max_size=20).map(checksum)


@given(
    addresses,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.integers(0, 2**60),
    st.integers(1, 2**53),
    addresses,
)
def test_a_wallet_hashes_it_as_we_do(pool: Address, url: str, deadline: int, chain: int, hub: Address) -> None:
    domain = [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")]
    members = [("workerpool", "address"), ("apiUrl", "string"), ("deadline", "uint256")]
    typed = {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
            "WorkerpoolUrl": [{"name": name, "type": kind} for name, kind in members],
        },
        "primaryType": "WorkerpoolUrl",
        "domain": {"name": "iExec Compass", "version": "1", "chainId": chain, "verifyingContract": hub},
        "message": {"workerpool": pool, "apiUrl": url, "deadline": deadline},
    }
    claim = PoolUrl(workerpool=pool, api_url=url, deadline=deadline)
    assert claim.digest(Domain(chain, hub)) == _hash_eip191_message(encode_typed_data(full_message=typed))


@pytest.mark.parametrize(
    "url",
    ["http://localhost", "https://a.b.example/", "http://127.0.0.1:8543", "https://[::1]:443", "HTTPS://Pool.Example"],
)
def test_origins_are_taken_as_they_are(url: str) -> None:
    assert check_origin(url) == url


@given(st.text("htps:/.@?#[]a1-\\\n <", max_size=30) | st.text(max_size=30).map("https://{}".format))
def test_what_is_taken_is_an_origin_to_others_as_well(url: str) -> None:
    try:
        check_origin(url)
    except IexecError as refusal:
        assert refusal.code == "BAD_URL"  # noqa: PT017
        return
    split = urlsplit(url)
    assert split.scheme in ("http", "https")
    assert split.hostname
    assert (split.path, split.query, split.fragment, split.username, split.password) in (
        ("", "", "", None, None),
        ("/", "", "", None, None),
    )
    assert split.port is None or 0 < split.port < 65536


@given(st.integers(0, 2**40), st.integers(-1000, 1000), st.none() | st.integers(-1000, 1000))
def test_a_registration_counts_now_and_after_the_last(now: int, life: int, latest: int | None) -> None:
    deadline = now + life
    last = None if latest is None else now + latest
    fits = 0 < life <= MAX_LIFE_SECONDS and (last is None or deadline > last)
    try:
        check_moment(deadline, now, last)
    except IexecError as refusal:
        assert not fits
        assert refusal.code in ("REGISTRATION_OUTDATED", "BAD_REQUEST")  # noqa: PT017
    else:
        assert fits
