"""Registries that succeed published ones, of PoCo 6.1, which know of no entries: their assets stay in the market."""

from __future__ import annotations

import os
from typing import Any

import pytest
from benchmarks.reference import published

from pyiexec.chain.abi import Function
from pyiexec.chain.artifacts import load
from pyiexec.chain.registries import FUNCTIONS, asset_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, to_bytes

ENTRY = Function.parse("entry(uint256 id) view returns (uint256)")
FIELDS: dict[str, tuple[Any, ...]] = {
    "app": ("an app", "WASM", b"", "0x" + "00" * 32, b""),
    "dataset": ("a dataset", b"", "0x" + "00" * 32),
    "workerpool": ("a workerpool",),
}


def published_initcode(kind: str) -> bytes:
    folder = published.fetch_contracts(os.environ)
    return to_bytes(published.artifact(folder, f"{kind.capitalize()}Registry")["bytecode"])


def word(owner: Address, kind: str, stake: int = 30, reward: int = 1) -> int:
    return int(owner, 16) | (stake << 160 | reward << 192 if kind == "workerpool" else 0)


@pytest.fixture(params=FIELDS)
def succession(request: Any, chain: Any) -> tuple[str, Address, Address, Address]:
    """A kind, a published registry, ours that succeeds it, and an asset that account 4 has in the older one."""
    kind = request.param
    older = chain.create_from(published_initcode(kind))
    chain.send(older, FUNCTIONS["initialize"], NULL_ADDRESS)
    newer = chain.create(f"{kind.capitalize()}Registry")
    chain.send(newer, FUNCTIONS["initialize"], older)
    create = FUNCTIONS[f"create{kind.capitalize()}"]
    receipt = chain.send(older, create, chain.accounts[4], *FIELDS[kind])
    return kind, older, newer, asset_of(receipt["logs"][0]["topics"][3])


def test_an_asset_of_a_published_registry_has_an_entry(
    chain: Any, succession: tuple[str, Address, Address, Address]
) -> None:
    kind, older, newer, asset = succession
    owner, buyer = chain.accounts[4:6]
    assert chain.call(newer, FUNCTIONS["isRegistered"], asset) is True
    assert chain.call(newer, ENTRY, int(asset, 16)) == word(owner, kind)
    chain.send(older, FUNCTIONS["transferFrom"], owner, buyer, int(asset, 16), sender=owner)
    assert chain.call(newer, ENTRY, int(asset, 16)) == word(buyer, kind)


def test_what_is_in_neither_registry_has_no_entry(
    chain: Any, succession: tuple[str, Address, Address, Address]
) -> None:
    _, older, newer, asset = succession
    for id_ in (1, int(older, 16), 1 << 160 | int(asset, 16), 2**256 - 1):
        assert chain.call(newer, ENTRY, id_) == 0


def test_an_asset_of_ours_hides_nothing_of_the_older_registry(
    chain: Any, succession: tuple[str, Address, Address, Address]
) -> None:
    """Nor does a registry in between, ours, of which the older one is asked."""
    kind, _, newer, asset = succession
    newest = chain.create(f"{kind.capitalize()}Registry")
    chain.send(newest, FUNCTIONS["initialize"], newer)
    create = FUNCTIONS[f"create{kind.capitalize()}"]
    receipt = chain.send(newest, create, chain.accounts[5], *FIELDS[kind])
    mine = int(receipt["logs"][0]["topics"][3], 16)
    assert chain.call(newest, ENTRY, mine) == word(chain.accounts[5], kind)
    assert chain.call(newest, ENTRY, int(asset, 16)) == word(chain.accounts[4], kind)


@pytest.mark.parametrize("succession", ["workerpool"], indirect=True)
def test_the_policy_is_what_the_older_workerpool_says(
    chain: Any, succession: tuple[str, Address, Address, Address], reverted: Any
) -> None:
    kind, _, newer, pool = succession
    owner = chain.accounts[4]
    for policy in ((0, 0), (35, 5), (2**32 - 1, 100)):
        chain.send(pool, FUNCTIONS["changePolicy"], *policy, sender=owner)
        assert chain.call(newer, ENTRY, int(pool, 16)) == word(owner, kind, *policy)
    chain.send(pool, FUNCTIONS["changePolicy"], 2**32, 100, sender=owner)
    with pytest.raises(reverted) as refusal:
        chain.call(newer, ENTRY, int(pool, 16))
    assert str(refusal.value) == "worker stake ratio is too large"


def test_assets_of_published_registries_are_matched(market: Any) -> None:
    """The whole market moves over: each registry is replaced by one that succeeds a published one."""
    owners = {"app": market.app_owner, "dataset": market.dataset_owner, "workerpool": market.scheduler}
    newer, assets = {}, {}
    for kind, owner in owners.items():
        older = market.chain.send(None, published_initcode(kind), market.admin).contract
        newer[kind] = market.chain.send(None, load(f"{kind.capitalize()}Registry").initcode, market.admin).contract
        market.chain.send(newer[kind], FUNCTIONS["initialize"].encode(older), market.admin)
        data = FUNCTIONS[f"create{kind.capitalize()}"].encode(owner, *FIELDS[kind])
        assets[kind] = asset_of(market.chain.send(older, data, owner).raw["logs"][0]["topics"][3])
    market.chain.send(assets["workerpool"], FUNCTIONS["changePolicy"].encode(35, 5), market.scheduler)
    market.send("changeRegistries", *newer.values(), sender=market.admin)
    match = market.match(
        app=market.app_order(app=assets["app"]),
        dataset=market.dataset_order(dataset=assets["dataset"]),
        workerpool=market.workerpool_order(workerpool=assets["workerpool"]),
        request=market.request_order(app=assets["app"], dataset=assets["dataset"]),
    )
    deal = market.deal(match.id)
    assert (deal.app.pointer, deal.dataset.pointer, deal.workerpool.pointer) == tuple(assets.values())
    assert (deal.app.owner, deal.dataset.owner, deal.workerpool.owner) == tuple(owners.values())
    assert (deal.worker_stake, deal.scheduler_reward_ratio) == (350_000_000, 5)
    worker = market.workers[0]
    task = market.initialize(match)
    market.contribute(task, worker)
    market.reveal(task, worker)
    market.finalize(task)
    assert market.conserved()
