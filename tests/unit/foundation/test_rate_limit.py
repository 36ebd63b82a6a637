"""No history of requests gets more than its budget, and no header gets a budget of its own."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.foundation.rate_limit import NANOSECONDS, Budgets, Limit, client_of, decide, key_of, read_networks
from pyiexec.protocol.errors import IexecError

LIMIT = Limit(100, 60.0)
START = 1_800_000_000 * NANOSECONDS
PROXIES = read_networks(["10.0.0.0/8", "::1"])
IN_ANOTHER_PROCESS = """
import os, sys
from pathlib import Path
from pyiexec.foundation.rate_limit import Budgets, Limit
budgets = Budgets(Path(sys.argv[1]), os.urandom)
sys.stdin.readline()
print(sum(budgets.spend(b"client", 1_800_000_000_000_000_000, Limit(1000, 60.0)).allowed for _ in range(1000)))
"""


def key(peer: str, *forwarded: str, real: str | None = None) -> bytes:
    return key_of(client_of(peer, forwarded, real, PROXIES))


def allowed(limit: Limit, times: list[int]) -> list[int]:
    spent_until, served = 0, []
    for now in times:
        decision = decide(spent_until, now, limit)
        spent_until = decision.spent_until
        if decision.allowed:
            served.append(now)
    return served


def test_a_whole_budget_can_be_used_at_once_and_not_one_more() -> None:
    assert len(allowed(LIMIT, [START] * 150)) == 100


@given(st.integers(1, 5000), st.floats(0.1, 86400))
def test_every_budget_has_as_many_requests_as_it_says(requests: int, seconds: float) -> None:
    assert len(allowed(Limit(requests, seconds), [START] * (requests + 5))) == requests


def test_what_remains_counts_down_to_a_refusal_that_says_when_to_come_back() -> None:
    limit = Limit(3, 60.0)
    spent_until, remaining = 0, []
    for _ in range(3):
        decision = decide(spent_until, START, limit)
        spent_until = decision.spent_until
        remaining.append(decision.remaining)
    assert remaining == [2, 1, 0]
    refused = decide(spent_until, START, limit)
    assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 0, 20 * NANOSECONDS)
    assert decide(refused.spent_until, START + refused.retry_after, limit).allowed


@given(st.lists(st.integers(0, 10 * NANOSECONDS), max_size=200), st.integers(1, 20), st.integers(1, 30))
def test_no_history_gets_more_than_a_budget_and_what_refilled(gaps: list[int], requests: int, seconds: int) -> None:
    limit, now, times = Limit(requests, float(seconds)), START, []
    for gap in gaps:
        now += gap
        times.append(now)
    served = allowed(limit, times)
    for first, begun in enumerate(served):
        for last in range(first, len(served)):
            refilled = (served[last] - begun) / limit.interval
            assert last - first + 1 <= requests + refilled


def test_a_clock_that_goes_back_locks_nobody_out_for_longer_than_a_budget_takes() -> None:
    assert decide(START, START - 10**16, LIMIT).retry_after <= LIMIT.interval
    assert decide(START, START - 10**16 + LIMIT.interval, LIMIT).retry_after <= LIMIT.interval


def test_the_socket_says_who_calls_whatever_the_headers_say() -> None:
    assert key("203.0.113.7", "198.51.100.1", real="198.51.100.2") == key("203.0.113.7")


def test_a_trusted_proxy_says_who_calls() -> None:
    assert key("10.1.2.3", "198.51.100.1") == key("198.51.100.1")
    assert key("10.1.2.3", real="198.51.100.1") == key("198.51.100.1")


def test_what_a_client_writes_in_front_of_what_the_proxy_adds_does_not_count() -> None:
    for forged in ("1.1.1.1", "10.9.9.9", "not an address", "::ffff:127.0.0.1", ", ,", "9.9.9.9, 8.8.8.8"):
        assert key("10.1.2.3", f"{forged}, 198.51.100.1") == key("198.51.100.1")
        assert key("10.1.2.3", forged, "198.51.100.1") == key("198.51.100.1")


def test_a_chain_of_trusted_proxies_is_followed_to_its_beginning() -> None:
    assert key("::1", "198.51.100.1, 10.0.0.5, 10.0.0.6") == key("198.51.100.1")


@pytest.mark.parametrize("nonsense", ["", "unknown", "300.1.1.1", "1.1.1.1.1", "[", "x" * 100_000, "::1::2"])
def test_nonsense_from_a_proxy_is_laid_at_its_own_door(nonsense: str) -> None:
    assert key("10.1.2.3", nonsense) == key("10.1.2.3")


def test_an_endless_header_is_not_followed_for_ever() -> None:
    assert key("10.1.2.3", ", ".join(["10.0.0.1"] * 50_000)) == key("10.0.0.1")


def test_one_address_has_one_budget_in_whatever_form_it_comes() -> None:
    assert key("::ffff:203.0.113.7") == key("203.0.113.7")
    assert key("2001:0db8:0:0::1") == key("2001:db8::1")
    assert key("10.1.2.3", "198.51.100.1:4711") == key("198.51.100.1")
    assert key("10.1.2.3", "[2001:db8::1]:4711") == key("2001:db8::1")


@given(st.integers(0, 2**64 - 1))
def test_an_ipv6_network_has_one_budget(host: int) -> None:
    base = int(ipaddress.ip_address("2001:db8:1:2::"))
    assert key(str(ipaddress.ip_address(base + host))) == key("2001:db8:1:2::1")
    assert key(str(ipaddress.ip_address(base + (1 << 64) + host))) != key("2001:db8:1:2::1")


def test_a_crowd_of_addresses_does_not_wipe_out_a_debt() -> None:
    budgets, limit = Budgets(None, os.urandom, buckets=4), Limit(10, 60.0)
    while budgets.spend(b"greedy", START, limit).allowed:
        pass
    for number in range(5000):
        budgets.spend(b"%d" % number, START, limit)
    assert not budgets.spend(b"greedy", START, limit).allowed


def test_processes_that_share_a_file_share_its_budgets(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path / "budgets")]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    served = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(served) == 1000
    assert (tmp_path / "budgets").stat().st_mode & 0o777 == 0o600


def test_networks_that_are_none_are_refused() -> None:
    with pytest.raises(IexecError, match=r"trusted_proxies: '10\.0\.0\.0/33'"):
        read_networks(["10.0.0.0/33"])


def test_a_file_that_cannot_be_shared_is_named(tmp_path: Path) -> None:
    with pytest.raises(IexecError, match=r"cannot use .*/nowhere/budgets"):
        Budgets(tmp_path / "nowhere" / "budgets", os.urandom)
