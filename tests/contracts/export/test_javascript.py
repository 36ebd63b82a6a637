"""The exported files are all that a deploy script in JavaScript needs: ethers puts the whole hub together from them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.export import export
from pyiexec.chain.npm import cache_directory, fetch
from pyiexec.protocol.primitives import NULL_ADDRESS

SCRIPT = Path(__file__).with_name("market.mjs")
#: One file holds the whole library.
ETHERS, INTEGRITY = (
    "6.17.0",
    "sha512-BpyrpIPJ3ydEVow8zGaz1DuPS7YU8DcWxuBnY9a0UA/lvAPwrMr+EPXsfrul628SRaekPNeIM4UFh/91GWZang==",
)
FILE = "dist/ethers.js"


@pytest.fixture(scope="module")
def chain() -> Iterator[str]:
    with asyncio.Runner() as runner:
        # Ethers learns of a transaction with the block after it.
        anvil = runner.run(Anvil(AnvilOptions(block_time=0.1)).start())
        try:
            yield anvil.url
        finally:
            runner.run(anvil.stop())


@pytest.fixture(scope="module", params=["token", "native"])
def market(request: pytest.FixtureRequest, chain: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script tells of the marketplace that it made."""
    target = cache_directory(os.environ) / f"ethers-{ETHERS}"
    library = fetch("ethers", ETHERS, INTEGRITY, target, os.environ, wanted=lambda name: name == FILE) / FILE
    folder = tmp_path_factory.mktemp("exported")
    export(folder)
    node = shutil.which("node")
    assert node is not None, "npm, with which anvil is fetched, brings node"
    made = subprocess.run(
        [node, str(SCRIPT), str(library), str(folder), chain, request.param],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return {"variant": request.param} | json.loads(made.stdout)


def test_the_hub_has_the_facets_and_functions_of_the_reference(market: dict[str, Any]) -> None:
    """15 facets; 103 functions, pseudo-selectors included, and one less without `receiveApproval`."""
    assert len(market["facets"]) == 15
    assert sum(market["facets"]) == (103 if market["variant"] == "token" else 102)
    assert market["interfaces"] == [True] * 4
    assert market["cut"] == ["_diamondCut", "_init", "_calldata"]


def test_errors_are_read_with_their_names(market: dict[str, Any]) -> None:
    assert market["refusal"] == ["FunctionNotFound", {"_functionSelector": "0xdeadbeef"}]


def test_views_are_read_with_the_names_of_their_fields(market: dict[str, Any]) -> None:
    assert market["owner"]
    assert market["token"]
    assert market["category"] == {"name": "XS", "description": '""', "workClockTimeRef": "300"}
    assert market["app"]["m_appName"] == "name"
    assert market["app"]["m_appType"] == "DOCKER"
    assert market["deal"][:3] == ["app", "dataset", "workerpool"]
    assert market["account"] == {"stake": "1000", "locked": "0"}


def test_events_are_read_with_the_names_of_their_fields(market: dict[str, Any]) -> None:
    assert market["minted"] == ["Transfer", ["from", "to", "tokenId"], NULL_ADDRESS, True]
    assert market["transfers"] == [["Transfer", ["from", "to", "value"], "1000"]]


def test_an_asset_is_where_clients_expect_it(market: dict[str, Any]) -> None:
    assert len(set(market["foretold"])) == 1
    assert market["proxyCode"]
