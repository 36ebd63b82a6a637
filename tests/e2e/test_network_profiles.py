"""Networks by name: the local one, the public ones, and those a user adds; and what keeps a main network safe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.networks import PUBLIC, NetworkProfile, load_profile
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_hex
from pyiexec.sdk import AsyncClient
from tests.e2e.conftest import Cli, QuickCli, local_directory


@pytest.fixture(scope="module")
def network(make_cli: Callable[[], Cli]) -> Iterator[QuickCli]:
    command = make_cli()
    command.json("up", "--any-ports", "--workers", "1", "--block-time", "0")
    yield QuickCli(command.home)
    command("down")


@pytest.fixture
def profile(network: QuickCli) -> NetworkProfile:
    return load_profile(local_directory(network) / "profile.json")


def adding(profile: NetworkProfile, name: str, *more: str) -> list[str]:
    """The command that adds the local network under another name."""
    services = ("--rpc-url", profile.rpc_url, "--market-url", profile.market_url, "--gateway-url", profile.gateway_url)
    return ["network", "add", name, "--hub", profile.hub, *services, *more]


def test_the_public_networks_and_the_local_one_are_known_by_name(network: QuickCli) -> None:
    known = {entry["name"]: entry for entry in network.json("network", "list")["networks"]}
    assert known["local"]["kind"] == "local"
    assert known["arbitrum-mainnet"]["chainId"] == 42161
    assert known["arbitrum-mainnet"]["kind"] == "main"
    assert known["arbitrum-sepolia-testnet"]["hub"] == "0xB2157BF2fAb286b2A4170E3491Ac39770111Da3E"
    assert network.json("network", "show", "arbitrum-mainnet")["hub"] == "0x098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0"


def test_a_network_that_was_added_is_used_by_its_name_until_it_is_removed(
    network: QuickCli, profile: NetworkProfile
) -> None:
    added = network.json(*adding(profile, "staging", "--scheduler-url", str(profile.scheduler_url)))
    assert added["chainId"] == profile.chain_id
    assert added["native"] is False
    assert "staging" in [entry["name"] for entry in network.json("network", "list")["networks"]]
    assert network.json("orderbook", "workerpool", "--network", "staging")["orders"]
    network.refused(*adding(profile, "staging"), code="BAD_REQUEST")
    network.json(*adding(profile, "staging", "--replace"))
    network.json("network", "remove", "staging")
    network.refused("orderbook", "workerpool", "--network", "staging", code="NETWORK_UNKNOWN")


@pytest.mark.parametrize(
    ("name", "more", "about"),
    [
        ("Staging", (), "no name"),
        ("../escape", (), "no name"),
        ("local", (), "known already"),
        ("arbitrum-mainnet", (), "known already"),
        ("here", ("--sms-url", "ftp://127.0.0.1"), "--sms-url"),
        ("here", ("--sms-url", "http://127.0.0.1/sms/v1"), "bare origin"),
        ("here", ("--hub", "0x00000000000000000000000000000000000000aa"), "no contract"),
        ("real", ("--kind", "main", "--faucet-url", "http://127.0.0.1:9"), "faucet"),
        ("real", ("--kind", "main", "--simulated-enclaves"), "simulated enclaves"),
    ],
)
def test_what_cannot_be_a_network_is_refused(
    network: QuickCli, profile: NetworkProfile, name: str, more: tuple[str, ...], about: str
) -> None:
    assert about in network.refused(*adding(profile, name, *more), code="BAD_REQUEST")["error"]
    assert not (network.home / "data" / "pyiexec" / "networks" / f"{name}.json").exists()


def test_everybodys_keys_do_not_sign_on_a_main_network(network: QuickCli, profile: NetworkProfile) -> None:
    network.json(*adding(profile, "real", "--kind", "main"))
    network.environment["PYIEXEC_PRIVATE_KEY"] = to_hex(derive(MNEMONIC, 1).secret)
    try:
        network.refused("account", "deposit", "1 RLC", "--network", "real", code="TEST_KEY")
    finally:
        del network.environment["PYIEXEC_PRIVATE_KEY"]
    network.refused("account", "deposit", "1 RLC", "--network", "real", "--as", "requester", code="WALLET_MISSING")
    with pytest.raises(IexecError) as refused:
        AsyncClient(PUBLIC["arbitrum-mainnet"], derive(MNEMONIC, 63))
    assert refused.value.code == "TEST_KEY"
    network.json("network", "remove", "real")


def test_the_javascript_client_gets_its_configuration(network: QuickCli, profile: NetworkProfile) -> None:
    written = json.loads((local_directory(network) / "js-sdk-9" / "chain.json").read_text())
    shown = network.json("network", "show", "--js", "9")
    assert {key: shown[key] for key in written} == written
    chain = written["chains"][written["default"]]
    assert chain["id"] == str(profile.chain_id)
    assert chain["hub"] == profile.hub
    assert "resultProxy" not in chain
    older = network.json("network", "show", "--js", "8")
    assert older["chains"]["local"]["resultProxy"] == profile.gateway_url
