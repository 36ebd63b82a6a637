"""Owners tell the compass, and everybody asks it, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.services.compass.conftest import running
from tests.services.sms.marketplace import POOL_OWNER, STRANGER, Marketplace
from tests.services.sms.test_commands import pyiexec

from pyiexec.chain.networks import NetworkProfile
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.settings import to_json

pytestmark = pytest.mark.anyio


async def test_a_url_is_set_shown_and_taken_back(marketplace: Marketplace, tmp_path: Path) -> None:
    pool = marketplace.workerpool
    async with running(marketplace, f"sqlite:///{tmp_path / 'compass.db'}", clock=SystemClock()) as compass:
        network = NetworkProfile(
            name="test",
            chain_id=marketplace.manifest.chain_id,
            rpc_url=marketplace.url,
            hub=marketplace.manifest.hub,
            market_url="http://127.0.0.1:1",
            gateway_url="http://127.0.0.1:1",
            compass_url=compass.url,
        )
        (tmp_path / "profile.json").write_bytes(to_json(network))
        options = ("--network", str(tmp_path / "profile.json"), "--json")

        async def shown() -> object:
            done = await pyiexec("workerpool", "show", pool, *options)
            assert done.returncode == 0, done.stdout
            return json.loads(done.stdout)["apiUrl"]

        assert await shown() is None
        done = await pyiexec("workerpool", "set-url", pool, "https://pool.example", *options, signer=STRANGER)
        assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "NOT_OWNER")
        done = await pyiexec("workerpool", "set-url", pool, "https://pool.example", *options, signer=POOL_OWNER)
        assert done.returncode == 0, done.stdout
        assert await shown() == "https://pool.example"
        done = await pyiexec("workerpool", "set-url", pool, "pool.example", *options, signer=POOL_OWNER)
        assert json.loads(done.stdout)["code"] == "BAD_URL"
        done = await pyiexec("workerpool", "set-url", pool, "", *options, signer=POOL_OWNER)
        assert done.returncode == 0, done.stdout
        assert await shown() is None
