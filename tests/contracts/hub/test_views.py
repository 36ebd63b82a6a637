"""What the hub tells about itself."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.protocol.eip712 import domain_separator
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, bytes32, to_hex

CONSTANTS = {
    "contribution_deadline_ratio": 7,
    "reveal_deadline_ratio": 2,
    "final_deadline_ratio": 10,
    "workerpool_stake_ratio": 30,
    "kitty_ratio": 10,
    "kitty_min": 10**9,
    "kitty_address": "0x99c2268479b93fDe36232351229815DF80837e23",
    "groupmember_purpose": 4,
    "callbackgas": 200_000,
    "name": "Staked RLC",
    "symbol": "SRLC",
    "decimals": 9,
    "teebroker": NULL_ADDRESS,
}
UNKNOWN = "0x" + "ab" * 32


@pytest.mark.parametrize(("name", "value"), CONSTANTS.items())
def test_constants_and_defaults(market: Any, name: str, value: Any) -> None:
    assert market.view(name) == value


def test_addresses_of_the_other_contracts(market: Any) -> None:
    registries = market.manifest.registries
    assert market.view("token") == market.manifest.token
    assert market.view("appregistry") == registries.app
    assert market.view("datasetregistry") == registries.dataset
    assert market.view("workerpoolregistry") == registries.workerpool


def test_the_domain_is_that_of_chain_and_hub(market: Any) -> None:
    assert market.view("domain") == ("iExecODB", "5.0.0", 31337, market.hub)
    assert market.view("eip712domain_separator") == to_hex(domain_separator(market.domain))


def test_assets_are_read_from_their_contracts(market: Any) -> None:
    assert market.view("viewApp", market.app) == (market.app_owner, "an app", "WASM", b"\x01", bytes32(1), b"")
    assert market.view("viewDataset", market.dataset) == (market.dataset_owner, "a dataset", b"\x02", bytes32(2))
    assert market.view("viewWorkerpool", market.workerpool) == (market.scheduler, "a workerpool", 30, 1)


def test_the_longest_fields_of_an_asset_are_read(market: Any) -> None:
    long = b"m" * 2048
    app = market.create_asset("app", market.stranger, "n" * 2048, "t" * 256, long, bytes32(1), long)
    assert market.view("viewApp", app)[1:] == ("n" * 2048, "t" * 256, long, bytes32(1), long)
    workerpool = market.create_asset("workerpool", market.stranger, "d" * 4096)
    assert market.view("viewWorkerpool", workerpool)[1] == "d" * 4096


@pytest.mark.parametrize("name", ["viewApp", "viewDataset", "viewWorkerpool"])
def test_what_is_no_asset_reverts_without_a_reason(market: Any, reverted: Any, name: str) -> None:
    for address in (market.stranger, market.manifest.token):
        with pytest.raises(reverted) as caught:
            market.view(name, address)
        assert caught.value.data == b""


def test_the_default_categories(market: Any) -> None:
    assert market.view("countCategory") == 6
    seconds = [market.view("viewCategory", number) for number in range(5)]
    assert seconds == [("XS", '""', 300), ("S", '""', 1200), ("M", '""', 3600), ("L", '""', 10800), ("XL", '""', 36000)]


def test_a_category_there_is_not_reverts(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        market.view("viewCategory", 6)
    assert caught.value.data == b""
    with pytest.raises(reverted, match=r"^panic 0x32$"):
        market.ask("viewCategoryABILegacy(uint256 id) view returns (string, string, uint256)", 6)


def test_what_does_not_exist_reads_as_zeros(market: Any) -> None:
    assert not market.deal(UNKNOWN).exists
    assert market.deal(UNKNOWN).requester == NULL_ADDRESS
    assert market.task(UNKNOWN).status == 0
    assert market.contribution(UNKNOWN, market.stranger).status == 0
    assert market.contribution(market.started(), market.stranger).result_hash == NULL_BYTES32
    assert market.view("viewScore", market.stranger) == 0
    assert market.view("viewConsumed", UNKNOWN) == 0
    assert market.view("viewPresigned", UNKNOWN) == NULL_ADDRESS


def test_the_legacy_views_tell_the_same(market: Any) -> None:
    worker = market.workers[0]
    match = market.match(callback=market.stranger, beneficiary=market.broker, params="{}", tag=bytes32(16), volume=2)
    task = market.initialize(match)
    market.contribute_and_finalize(task, worker, results=b"link", callback=b"data")
    deal, seen, voted = market.deal(match.id), market.task(task), market.contribution(task, worker)
    resource = "address pointer, address owner, uint256 price"
    first = market.ask(f"viewDealABILegacy_pt1(bytes32 id) view returns ({', '.join([resource] * 3)})", match.id)
    assert first == tuple(
        value for part in (deal.app, deal.dataset, deal.workerpool) for value in (part.pointer, part.owner, part.price)
    )
    second = market.ask(
        "viewDealABILegacy_pt2(bytes32 id) view returns (uint256, bytes32, address, address, address, string)", match.id
    )
    assert second == (deal.trust, deal.tag, deal.requester, deal.beneficiary, deal.callback, deal.params)
    config = market.ask(f"viewConfigABILegacy(bytes32 id) view returns ({', '.join(['uint256'] * 6)})", match.id)
    assert config == (
        deal.category, deal.start_time, deal.bot_first, deal.bot_size, deal.worker_stake, deal.scheduler_reward_ratio
    )  # fmt: skip
    legacy_task = market.ask(
        "viewTaskABILegacy(bytes32 id) view returns (uint8, bytes32, uint256, uint256, uint256, uint256, uint256,"
        " bytes32, uint256, uint256, address[], bytes)",
        task,
    )
    assert legacy_task == (
        seen.status, seen.deal_id, seen.index, seen.timeref, seen.contribution_deadline, seen.reveal_deadline,
        seen.final_deadline, seen.consensus_value, seen.reveal_counter, seen.winner_counter, seen.contributors,
        seen.results,
    )  # fmt: skip
    legacy_vote = market.ask(
        "viewContributionABILegacy(bytes32 id, address worker) view returns (uint8, bytes32, bytes32, address)",
        task,
        worker,
    )
    assert legacy_vote == (voted.status, voted.result_hash, voted.result_seal, voted.enclave_challenge)
    account = market.ask("viewAccountABILegacy(address who) view returns (uint256, uint256)", worker)
    assert account == market.account(worker)
    category = market.ask("viewCategoryABILegacy(uint256 id) view returns (string, string, uint256)", 1)
    assert category == ("S", '""', 1200)


def test_the_longest_answer_is_passed_on_whole(market: Any, write: Any) -> None:
    """A task with as many contributors and as long results as there may be; deal and task fit the widest window."""
    task, longest = market.started(), b"x" * 4096
    market.contribute_and_finalize(task, market.workers[0], results=longest, callback=longest)
    # 256 contributors are too many transactions for a test: their list is written where the hub keeps it
    write("tasks", task, change=lambda word: word ^ (1 ^ 256) << 192, offset=1)
    for position in range(1, 256):
        write("contributors", task, position, value=0xC0DE0000 + position)
    seen = market.task(task)
    assert len(seen.contributors) == 256
    assert int(seen.contributors[255], 16) == 0xC0DE0000 + 255
    assert seen.results == seen.results_callback == longest


def test_administration_is_the_owners(market: Any, reverted: Any) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("setTeeBroker", (market.broker,)),
        ("setCallbackGas", (1,)),
        ("changeRegistries", (market.app, market.app, market.app)),
        ("createCategory", ("XXL", "", 5)),
        ("configure", (market.app, "", "", 0, market.app, market.app, market.app, market.app)),
    ]
    for name, arguments in calls:
        with pytest.raises(reverted, match=r"^Ownable: caller is not the owner$"):
            market.send(name, *arguments, sender=market.stranger)


def test_the_owner_changes_parameters(market: Any) -> None:
    market.send("setTeeBroker", market.broker, sender=market.admin)
    market.send("setCallbackGas", 123_456, sender=market.admin)
    assert (market.view("teebroker"), market.view("callbackgas")) == (market.broker, 123_456)
    receipt = market.send("createCategory", "XXL", "long", 99, sender=market.admin)
    created = {"catid": 6, "name": "XXL", "description": "long", "workClockTimeRef": 99}
    assert market.events(receipt) == [("CreateCategory", created)]
    assert market.view("viewCategory", 6) == ("XXL", "long", 99)
    assert market.view("countCategory") == 7


def test_a_reference_time_beyond_what_a_deal_holds_is_refused(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^workClockTimeRef too long$"):
        market.send("createCategory", "", "", 2**32, sender=market.admin)
    market.send("createCategory", "", "", 2**32 - 1, sender=market.admin)
    match = market.match(category=6, workerpool=market.workerpool_order(category=6))
    task = market.task(market.initialize(match))
    assert task.final_deadline == market.deal(match.id).start_time + 10 * (2**32 - 1)


def test_the_registries_can_be_changed(market: Any, reverted: Any) -> None:
    deal = market.match()
    apps = market.manifest.registries
    market.send("changeRegistries", apps.dataset, apps.app, apps.workerpool, sender=market.admin)
    with pytest.raises(reverted, match="0x20"):
        market.match()
    assert market.initialize(deal)
    market.send("changeRegistries", market.manifest.token, apps.app, apps.workerpool, sender=market.admin)
    with pytest.raises(reverted) as caught:
        market.match()
    assert caught.value.data == b""


def test_the_hub_is_configured_once(market: Any, reverted: Any) -> None:
    zeros = (NULL_ADDRESS, "", "", 0, *[NULL_ADDRESS] * 4)
    with pytest.raises(reverted, match=r"^already-configured$"):
        market.send("configure", *zeros, sender=market.admin)
    market.send("updateDomainSeparator", sender=market.stranger)


def test_a_score_needs_an_older_hub_to_be_imported(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        market.send("importScore", market.workers[0], sender=market.stranger)
    assert caught.value.data == b""


def test_a_score_is_imported_once_and_never_lowered(market: Any, mock: Any, write: Any, reverted: Any) -> None:
    old = mock("OlderHub")
    write("legacy_hub", value=int(old, 16))
    worker = market.workers[0]
    market.send("importScore", worker, sender=market.stranger)
    assert market.view("viewScore", worker) == 22
    with pytest.raises(reverted, match=r"^score-already-imported$"):
        market.send("importScore", worker, sender=market.stranger)
