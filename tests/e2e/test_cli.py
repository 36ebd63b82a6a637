"""The command line as a user works with it, against a network of `pyiexec up`."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from pyiexec.devnet.samples import sample
from tests.e2e.conftest import Cli, QuickCli

PRICE = 110_000_000
TEST_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
REQUESTER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
PROVIDER = ("--as", "app-provider")
MANAGER = ("--as", "pool-manager")
NOWHERE = "0x" + "0" * 39 + "1"
NO_ID = "0x" + "0" * 63 + "1"


@pytest.fixture(scope="module")
def app(quick: QuickCli) -> str:
    """The smallest application, on offer, and a requester with stake."""
    (quick.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
    address: str = quick.json("app", "deploy", "noop.wasm", *PROVIDER)["address"]
    quick.json("app", "publish", address, "--price", "0.01 RLC", *PROVIDER)
    quick.json("account", "deposit", "20 RLC")
    return address


@pytest.fixture(scope="module")
def bought(quick: QuickCli, app: str) -> dict[str, Any]:
    """Three tasks, bought and brought home by one command."""
    bag = ("--volume", "3", "--trust", "1", "--max-price", "0.33 RLC")
    return quick.json("run", app, "--args", "one 'two words'", *bag, "--yes", "--output", "bag")


def stake(quick: QuickCli) -> int:
    return int(quick.json("account", "show")["balance"]["stake"])


def password_file(quick: QuickCli) -> str:
    path = quick.home / "password"
    path.write_text("correct horse\n")
    return str(path)


def write_order(quick: QuickCli, kind: str, *acting: str, **fields: object) -> str:
    """An order file made and signed by commands alone, its fields filled in as a user would."""
    name = f"{kind}-{len(list(quick.home.glob(kind + '*')))}.json"
    quick.json("order", "init", kind, name, *acting)
    path = quick.home / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    signed = quick.json("order", "sign", kind, name, *acting)
    assert signed["order"]["sign"].startswith("0x")
    assert json.loads(path.read_text()) == signed["order"]
    return name


class TestWallets:
    def test_a_created_wallet_opens_with_other_ethereum_software(self, quick: QuickCli) -> None:
        made = quick.json("wallet", "create", "--keystore", "keys", "--password-file", password_file(quick))
        secret = Account.decrypt((quick.home / made["fileName"]).read_text(), "correct horse")
        assert Account.from_key(secret).address == made["address"]
        assert (quick.home / made["fileName"]).stat().st_mode & 0o077 == 0

    def test_an_imported_key_is_listed_acts_and_stays_secret(self, quick: QuickCli) -> None:
        (quick.home / "key").write_text(TEST_KEY + "\n")
        made = quick("wallet", "import", "--key-file", "key", "--keystore", "imported", "--password-file", "password")
        assert made.code == 0
        assert TEST_KEY[2:] not in made.out + made.err
        wallets = quick.json("wallet", "list", "--keystore", "imported")["wallets"]
        assert [wallet["address"] for wallet in wallets] == [REQUESTER]
        mine = ("--keystore", "imported", "--password-file", "password")
        shown = quick.json("wallet", "show", *mine, "--wallet", REQUESTER)
        assert shown["address"] == REQUESTER
        assert int(shown["balance"]["wei"]) > 0

    def test_a_wrong_password_is_told_apart_from_a_missing_wallet(self, quick: QuickCli) -> None:
        password_file(quick)
        quick.json("wallet", "create", "--keystore", "locked", "--password-file", "password")
        (quick.home / "wrong").write_text("nonsense")
        quick.refused("wallet", "show", "--keystore", "locked", "--password-file", "wrong", code="WRONG_PASSWORD")
        missing = ("--keystore", "empty", "--password-file", "password")
        quick.refused("wallet", "show", *missing, code="WALLET_MISSING")


class TestAccounts:
    def test_rlc_moves_into_the_stake_and_back(self, quick: QuickCli) -> None:
        role = ("--as", "dataset-provider")
        before = quick.json("account", "show", *role)
        quick.json("account", "deposit", "2.5 RLC", *role)
        quick.json("account", "withdraw", "500000000", *role)
        after = quick.json("account", "show", *role)
        assert int(after["balance"]["stake"]) - int(before["balance"]["stake"]) == 2_000_000_000
        assert before["wallet"] - after["wallet"] == 2_000_000_000
        assert after["balance"]["locked"] == "0"

    def test_what_is_not_there_cannot_be_moved(self, quick: QuickCli) -> None:
        quick.refused("account", "deposit", "1000000 RLC", code="BALANCE_TOO_LOW")
        quick.refused("account", "withdraw", "1000000 RLC", code="STAKE_TOO_LOW")

    def test_anybodys_balance_can_be_read(self, quick: QuickCli) -> None:
        shown = quick.json("account", "show", "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
        assert int(shown["balance"]["stake"]) > 0


class TestAssets:
    def test_an_app_deployed_again_is_found(self, quick: QuickCli, app: str) -> None:
        again = quick.json("app", "deploy", "noop.wasm", *PROVIDER)
        assert again["address"] == app
        assert again["txHash"] == ""

    def test_the_chain_tells_what_an_app_is(self, quick: QuickCli, app: str) -> None:
        shown = quick.json("app", "show", app)
        assert shown["name"] == "noop"
        assert shown["multiaddr"].startswith("/ipfs/Qm")

    def test_a_container_image_is_registered_under_its_digest(self, quick: QuickCli) -> None:
        image = f"registry.example/team/painter:2@sha256:{'ab' * 32}"
        address = quick.json("app", "deploy", "--docker", image, *PROVIDER)["address"]
        shown = quick.json("app", "show", address)
        assert (shown["name"], shown["multiaddr"], shown["checksum"]) == ("painter", image, "0x" + "ab" * 32)
        assert quick.json("app", "deploy", "--docker", image, *PROVIDER)["address"] == address
        quick.refused("app", "deploy", "--docker", "registry.example/team/painter:2", *PROVIDER, code="BAD_IMAGE")
        assert quick("app", "deploy", *PROVIDER).code == 2
        assert quick("app", "deploy", "noop.wasm", "--docker", image, *PROVIDER).code == 2

    def test_only_the_owner_sells_an_app(self, quick: QuickCli, app: str) -> None:
        quick.refused("app", "publish", app, code="ORDER_SIGNER_WRONG")

    def test_an_app_is_checked_before_it_is_sold(self, quick: QuickCli, app: str) -> None:
        checked = quick.json("app", "check", "noop.wasm", "--args", "hello")
        assert checked["deterministic"] is True
        assert checked["files"] == ["computed.json", "result.txt"]
        (quick.home / "text.wasm").write_text("not a module")
        refused = quick("app", "check", "text.wasm", "--json")
        assert refused.code == 1
        assert refused.json["code"].startswith("APP_")

    def test_a_workerpool_is_registered_offered_and_shown(self, quick: QuickCli, app: str) -> None:
        pool = quick.json("workerpool", "deploy", "a second pool", *PROVIDER)["address"]
        assert quick.json("workerpool", "deploy", "a second pool", *PROVIDER)["address"] == pool
        assert quick.json("workerpool", "show", pool)["description"] == "a second pool"
        offer = ("--category", "4", "--trust", "3")
        published = quick.json("workerpool", "publish", pool, *offer, *PROVIDER)["orderHash"]
        listed = quick.json("orderbook", "workerpool", pool)["orders"]
        assert [order["orderHash"] for order in listed] == [published]
        # The cheapest pool cannot serve a bag whole: the purchase goes where it can be served.
        assert "category 5" in quick("run", app, "--volume", "3").out
        assert "category 4" in quick("run", app, "--volume", "1").out
        # It has no scheduler: nobody must buy there.
        quick.json("order", "unpublish", "workerpoolorder", published, *PROVIDER)
        assert quick.json("orderbook", "workerpool", pool)["count"] == 0
        quick.refused("workerpool", "show", NOWHERE, code="WORKERPOOL_UNKNOWN")


class TestOrders:
    def test_an_order_is_written_signed_published_shown_and_withdrawn(self, quick: QuickCli, app: str) -> None:
        name = write_order(quick, "apporder", *PROVIDER, app=app, appprice=7, volume=5)
        published = quick.json("order", "publish", "apporder", name, *PROVIDER)["orderHash"]
        shown = quick.json("order", "show", "apporder", published)
        assert (shown["status"], shown["remaining"], shown["order"]["appprice"]) == ("open", 5, 7)
        listed = quick.json("orderbook", "app", app)["orders"]
        # The cheapest comes first.
        assert listed[0]["orderHash"] == published
        quick.refused("order", "publish", "apporder", name, *PROVIDER, code="ORDER_PUBLISHED")
        quick.json("order", "unpublish", "apporder", published, *PROVIDER)
        quick.refused("order", "show", "apporder", published, code="ORDER_UNKNOWN")

    def test_orders_made_by_hand_become_a_deal_and_closed_ones_do_not(self, quick: QuickCli, app: str) -> None:
        pool = quick.json("orderbook", "workerpool", "--category", "5")["orders"][0]["order"]
        (quick.home / "pool.json").write_text(json.dumps(pool))
        app_file = write_order(quick, "apporder", *PROVIDER, app=app, volume=5)
        wanted = {"app": app, "appmaxprice": 10_000_000, "workerpoolmaxprice": pool["workerpoolprice"], "category": 5}
        request = write_order(quick, "requestorder", **wanted)
        quick.json("order", "publish", "requestorder", request)
        waiting = quick.json("orderbook", "requester", REQUESTER)["orders"]
        assert [order["order"]["app"] for order in waiting] == [app]
        files = ("--app", app_file, "--workerpool", "pool.json")
        made = quick.json("order", "match", *files, "--request", request)
        assert made["volume"] == 1
        assert quick.json("deal", "show", made["dealid"])["deal"]["app"]["price"] == 0
        closed = write_order(quick, "requestorder", **wanted)
        quick.json("order", "cancel", "requestorder", closed)
        refused = quick.refused("order", "match", *files, "--request", closed, code="ORDER_CONSUMED")
        assert "requestorder" in refused["error"]

    def test_orders_that_do_not_fit_are_refused_with_the_reason(self, quick: QuickCli, app: str) -> None:
        pool = quick.json("orderbook", "workerpool", "--category", "5")["orders"][0]["order"]
        (quick.home / "pool.json").write_text(json.dumps(pool))
        app_file = write_order(quick, "apporder", *PROVIDER, app=app, appprice=5)
        request = write_order(quick, "requestorder", app=app, category=4)
        files = ("--app", app_file, "--workerpool", "pool.json", "--request", request)
        refused = quick.refused("order", "match", *files, code="ORDER_MISMATCH")
        assert "category" in refused["error"]
        assert "pays at most" in refused["error"]


class TestRun:
    def test_one_command_leads_from_an_app_to_its_results(self, quick: QuickCli, bought: dict[str, Any]) -> None:
        assert bought["price"] == 3 * PRICE
        for number in range(3):
            assert (quick.home / f"bag/{number:04d}/result.txt").read_text() == "one\ntwo words\n"
        assert len({task["taskId"] for task in bought["tasks"]}) == 3

    def test_inputs_are_stored_and_a_single_result_is_unpacked_as_it_is(self, quick: QuickCli, app: str) -> None:
        (quick.home / "input.txt").write_text("data")
        done = quick.json("run", app, "--input", "input.txt", "--yes")
        assert done["folder"] == done["deals"][0]
        assert (quick.home / done["folder"] / "result.txt").exists()

    def test_people_see_price_and_progress(self, quick: QuickCli, app: str) -> None:
        done = quick("run", app, "--yes", "--output", "shown")
        assert done.code == 0
        assert "price: 0.11 RLC at trust 1" in done.out
        assert "1 proved results in shown" in done.out

    def test_nothing_is_bought_unasked(self, quick: QuickCli, app: str) -> None:
        before = stake(quick)
        quick.refused("run", app, code="CONFIRMATION_NEEDED")
        dear = quick.refused("run", app, "--yes", "--max-price", "0.1 RLC", code="PRICE_TOO_LOW")
        assert "0.11 RLC" in dear["error"]
        # A folder that cannot be written to is noticed before anything is paid.
        (quick.home / "taken").mkdir(exist_ok=True)
        quick.refused("run", app, "--yes", "--output", "taken", code="OUTPUT_EXISTS")
        quick.refused("run", app, "--yes", "--input", "missing.txt", code="BAD_REQUEST")
        assert stake(quick) == before

    def test_the_deal_goes_on_without_the_command(self, quick: QuickCli, app: str) -> None:
        started = quick.json("run", app, "--args", "later", "--yes", "--no-wait")
        # A task can be watched once its pool has opened it on chain.
        while (task := quick.json("deal", "show", started["deals"][0])["tasks"][0])["status"] == "UNSET":
            pass
        task = task["taskId"]
        lines = quick("task", "watch", task, "--json").out.splitlines()
        assert json.loads(lines[-1])["status"] == "COMPLETED"
        quick.json("task", "result", task, "--output", "late")
        assert (quick.home / "late" / "result.txt").read_text() == "later\n"

    def test_several_commands_share_one_wallet_at_the_same_time(self, cli: Cli, quick: QuickCli, app: str) -> None:
        names = ["left", "middle", "right"]
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda name: cli.json("run", app, "--args", name, "--yes", "--output", name), names))
        assert len({purchase["deals"][0] for purchase in done}) == len(names)
        for name in names:
            assert (cli.home / name / "result.txt").read_text() == f"{name}\n"


class TestDealsAndTasks:
    def test_a_deal_shows_what_was_bought(self, quick: QuickCli, app: str, bought: dict[str, Any]) -> None:
        shown = quick.json("deal", "show", bought["deals"][0])
        assert shown["deal"]["requester"] == REQUESTER
        assert [task["taskId"] for task in shown["tasks"]] == [task["taskId"] for task in bought["tasks"]]
        assert {task["status"] for task in shown["tasks"]} == {"COMPLETED"}

    def test_a_task_shows_chain_and_scheduler(self, quick: QuickCli, bought: dict[str, Any]) -> None:
        task = bought["tasks"][0]
        shown = quick.json("task", "show", task["taskId"])
        assert shown["status"] == "COMPLETED"
        assert shown["resultDigest"] == task["digest"]
        assert shown["scheduler"]["currentStatus"] == "COMPLETED"
        assert shown["scheduler"]["replicates"]
        text = quick("task", "show", task["taskId"]).out
        assert "The scheduler says COMPLETED." in text
        assert task["digest"] in text

    def test_a_watched_task_is_told_from_its_beginning_a_line_an_event(
        self, quick: QuickCli, bought: dict[str, Any]
    ) -> None:
        outcome = quick("task", "watch", bought["tasks"][0]["taskId"], "--json")
        events = [json.loads(line) for line in outcome.out.splitlines()]
        assert [event["event"] for event in events] == [
            "TaskInitialize",
            "TaskContribute",
            "TaskConsensus",
            "TaskReveal",
            "TaskFinalize",
        ]
        assert all(event["txHash"].startswith("0x") for event in events)
        assert events[-1]["status"] == "COMPLETED"

    def test_a_result_is_checked_and_unpacked_once(self, quick: QuickCli, bought: dict[str, Any]) -> None:
        task = bought["tasks"][1]
        found = quick.json("task", "result", task["taskId"], "--output", "again")
        assert found["digest"] == task["digest"]
        assert found["files"] == ["computed.json", "result.txt"]
        quick.refused("task", "result", task["taskId"], "--output", "again", code="OUTPUT_EXISTS")

    def test_what_was_delivered_cannot_be_claimed_back(self, quick: QuickCli, bought: dict[str, Any]) -> None:
        quick.refused("task", "claim", bought["tasks"][0]["taskId"], code="TASK_NOT_CLAIMABLE")

    def test_unknown_deals_and_tasks_are_named_as_such(self, quick: QuickCli) -> None:
        quick.refused("deal", "show", NO_ID, code="DEAL_UNKNOWN")
        quick.refused("deal", "claim", NO_ID, code="DEAL_UNKNOWN")
        for command in ("show", "watch", "result", "claim"):
            quick.refused("task", command, NO_ID, code="TASK_UNKNOWN")


class TestNetwork:
    def test_every_part_is_well(self, quick: QuickCli) -> None:
        status = quick.json("status")
        assert status["running"]
        assert status["well"]
        services = ["market", "results", "scheduler", "sms", "compass", "indexer", "faucet"]
        assert [part["part"] for part in status["parts"]] == ["chain", *services]

    def test_logs_can_be_read_part_by_part(self, quick: QuickCli, bought: dict[str, Any]) -> None:
        logs = quick.json("logs", "scheduler", "--lines", "5")["logs"]
        assert list(logs) == ["scheduler"]
        assert len(logs["scheduler"]) == 5
        assert "worker-1" in quick.refused("logs", "nobody", code="BAD_REQUEST")["remedy"]

    def test_ids_are_never_broken_across_lines(self, quick: QuickCli, bought: dict[str, Any]) -> None:
        narrow = dict(quick.environment, COLUMNS="40")
        wide, quick.environment = quick.environment, narrow
        try:
            text = quick("deal", "show", bought["deals"][0]).out
        finally:
            quick.environment = wide
        assert all(task["taskId"] in text for task in bought["tasks"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("account", "deposit", "lots"),
        ("app", "show", "0x12"),
        ("deal", "show", "deal"),
        ("order", "sign", "deal", "file"),
        ("run",),
        ("up", "--workers", "0"),
        ("nonsense",),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_usage_is_explained_with_exit_code_2(make_cli: Callable[[], Cli], arguments: tuple[str, ...]) -> None:
    refused = make_cli()(*arguments, "--json")
    assert refused.code == 2
    assert refused.json["code"] == "USAGE"
    assert "--help" in refused.json["remedy"]


def test_without_a_network_the_first_step_is_named(make_cli: Callable[[], Cli]) -> None:
    refused = make_cli().refused("account", "show", code="NETWORK_UNKNOWN")
    assert "pyiexec up" in refused["remedy"]


def test_a_file_that_cannot_be_written_is_named(make_cli: Callable[[], Cli], quick: QuickCli) -> None:
    missing = str(Path("no", "such", "folder", "order.json"))
    refused = quick.refused("order", "init", "apporder", missing, code="FILE_UNUSABLE")
    assert missing in refused["error"]
