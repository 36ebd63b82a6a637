"""What goes wrong is named and explained, nothing is half-done, and no money stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anyio
import pytest

from pyiexec.chain import registries
from pyiexec.devnet import daemon, roles
from pyiexec.devnet.network import NetworkOptions
from pyiexec.devnet.samples import sample
from pyiexec.protocol.multiaddr import encode_multiaddr
from pyiexec.protocol.orders import AppOrder
from pyiexec.protocol.primitives import Address, Bytes32, TaskId
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.protocol.units import NRLC_PER_RLC
from pyiexec.sdk import AsyncClient, Endings, Execution
from tests.e2e.conftest import PYIEXEC, Cli, QuickCli, has_ended, local_directory, part_pid

NOWHERE = "0x" + "0" * 39 + "1"
WRONG_CHECKSUM = Bytes32("0x" + "ab" * 32)
PROVIDER = ("--as", "app-provider")
BUYER = ("--as", "dataset-provider")
DEPOSIT = 20 * NRLC_PER_RLC


class Case(NamedTuple):
    """A faulty purchase: module, arguments, input URLs, and what is to be said of it."""

    module: str
    args: str
    causes: set[str]
    says: str
    inputs: tuple[str, ...] = ()


CASES = {
    "exits non-zero": Case("exits_3", "3", {"APP_EXITED_NON_ZERO"}, "exited with code 3"),
    # Which of the two limits comes first depends on the machine, the outcome does not.
    "never ends": Case("endless_loop", "", {"APP_OUT_OF_FUEL", "APP_TIMEOUT"}, "application"),
    "eats memory": Case("eats_memory", "", {"APP_OUT_OF_MEMORY"}, "512"),
    "writes outside its folder": Case("writes_outside", "write /iexec_in/x", {"APP_WROTE_OUTSIDE"}, "iexec_in/x"),
    "writes too much": Case("writes_too_much", "bytes", {"APP_OUTPUT_TOO_LARGE"}, "134217728"),
    "leaves no result": Case("no_result", "", {"APP_NO_RESULT"}, "computed.json"),
    "crashes": Case("traps", "", {"APP_TRAPPED"}, "trapped"),
    "is not what was registered": Case("noop", "", {"APP_CHECKSUM_MISMATCH"}, WRONG_CHECKSUM),
    "has no such input": Case(
        "noop", "", {"INPUT_UNAVAILABLE", "CONTENT_NOT_FOUND"}, "", (f"http://127.0.0.1:9/ipfs/Qm{'a' * 44}",)
    ),
}


def start(cli: Cli, **options: Any) -> QuickCli:
    """A network as `up` starts it, with deadlines that a test can live through."""
    defaults: dict[str, Any] = {"workers": 3, "category_seconds": 4}
    daemon.start(NetworkOptions(directory=local_directory(cli), **defaults | options))
    return QuickCli(cli.home)


@pytest.fixture(scope="module")
def network(make_cli: Callable[[], Cli]) -> Iterator[QuickCli]:
    """The command, and a network for applications that fail."""
    command = start(make_cli())
    yield command
    command("down")


def client(cli: Cli, role: int = roles.REQUESTER) -> AsyncClient:
    return AsyncClient(local_directory(cli) / "profile.json", roles.account(role))


class Bought(NamedTuple):
    """A purchase that ended without a result."""

    execution: Execution
    endings: Endings
    seconds: float
    task: TaskId


async def offer(provider: AsyncClient, name: str, case: Case) -> Address:
    """Register the application of a case and publish its order."""
    folder = "noop" if case.module == "noop" else "faulty"
    module = sample(f"{folder}/{case.module}.wasm")
    if case.causes == {"APP_CHECKSUM_MISMATCH"}:
        connection = provider.connection
        multiaddr = encode_multiaddr(f"/ipfs/{await connection.content.add(module)}")
        registry = await connection.hub.app_registry()
        data = registries.create_app(provider.address, name, "DOCKER", multiaddr, WRONG_CHECKSUM)
        receipt = await connection.send(name, "create", registry, data)
        address = registries.created_asset(receipt, registry)
    else:
        address = (await provider.apps.deploy(name, module)).address
    await provider.orders.publish(provider.orders.sign(AppOrder(app=address, volume=1000)))
    return address


async def buy_everything(cli: Cli) -> dict[str, Bought]:
    """All faulty purchases at once; each is over as soon as the pool has given it up."""
    bought: dict[str, Bought] = {}
    async with client(cli, roles.APP_PROVIDER) as provider:
        apps = {name: await offer(provider, name, case) for name, case in CASES.items()}
    async with client(cli) as requester, anyio.create_task_group() as group:
        await requester.account.deposit(DEPOSIT)

        async def buy(name: str) -> None:
            case = CASES[name]
            execution = await requester.buy(apps[name], args=case.args, inputs=case.inputs)
            started = anyio.current_time()
            endings = await requester.wait(execution)
            bought[name] = Bought(execution, endings, anyio.current_time() - started, endings.task_ids[0])

        for name in apps:
            group.start_soon(buy, name)
    return bought


@pytest.fixture(scope="module")
def failed(network: QuickCli) -> dict[str, Bought]:
    """Every case of `CASES`, bought and failed."""
    return asyncio.run(buy_everything(network))


class TestApplicationsThatFail:
    @pytest.mark.parametrize("name", list(CASES))
    def test_the_cause_is_told_long_before_the_deadline(self, failed: dict[str, Bought], name: str) -> None:
        case, bought = CASES[name], failed[name]
        assert not bought.endings.completed
        (failure,) = bought.endings.failures
        assert failure.code in case.causes, failure
        assert case.says in failure.explanation
        assert bought.seconds < bought.execution.quote.final_seconds

    @pytest.mark.parametrize("name", list(CASES))
    def test_the_task_shows_what_each_worker_met(self, network: QuickCli, failed: dict[str, Bought], name: str) -> None:
        shown = network.json("task", "show", failed[name].task)["scheduler"]
        assert shown["cause"]["code"] in CASES[name].causes
        assert shown["cause"]["remedy"]
        causes = {replicate["cause"]["code"] for replicate in shown["replicates"] if "cause" in replicate}
        assert causes & CASES[name].causes

    def test_people_read_the_same_in_words(self, network: QuickCli, failed: dict[str, Bought]) -> None:
        text = network("task", "show", failed["exits non-zero"].task).out
        assert "The scheduler says FAILED." in text
        assert "the application exited with code 3" in text
        assert "APP_EXITED_NON_ZERO" in text

    def test_its_requester_and_nobody_else_reads_what_it_printed(
        self, network: QuickCli, failed: dict[str, Bought]
    ) -> None:
        task = failed["exits non-zero"].task
        logs = network.json("task", "logs", task)["logs"]
        assert logs
        assert {(log["stdout"], log["stderr"]) for log in logs} == {("", "giving up\n")}
        network.refused("task", "logs", task, *PROVIDER, code="LOG_ACCESS_REFUSED")
        followed = network("task", "logs", task, "--follow").out
        assert followed.count("giving up") == len(logs)
        debugged = network("task", "debug", task, "--logs").out
        assert "RUNNING_FAILED" in debugged
        assert "giving up" in debugged
        told = network.json("task", "debug", task)
        assert told["scheduler"]["cause"]["code"] == "APP_EXITED_NON_ZERO"
        assert "logs" not in told

    def test_it_says_why_and_what_is_awaited_even_without_its_scheduler(
        self, network: QuickCli, failed: dict[str, Bought]
    ) -> None:
        task = failed["exits non-zero"].task
        why = network.json("task", "why", task)
        assert (why["source"], why["state"], why["reason"]) == ("scheduler", "FAILED", "APP_EXITED_NON_ZERO")
        assert why["cause"]["what"].endswith("the application exited with code 3")
        assert why["awaited"] is None or why["awaited"]["code"] == "REFUND"
        assert all(step["reason"] and step["meaning"] for step in why["history"])
        text = network("task", "why", task).out
        assert "APP_EXITED_NON_ZERO" in text
        profile = json.loads((local_directory(network) / "profile.json").read_text())
        silent = profile | {"schedulerUrl": "http://127.0.0.1:9"}
        (network.home / "silent.json").write_text(json.dumps(silent))
        by_chain = network.json("task", "why", task, "--network", "silent.json")
        assert (by_chain["source"], by_chain["silence"]["code"]) == ("chain", "SCHEDULER_UNREACHABLE")
        assert by_chain["history"][0]["reason"] == "INITIALIZED"
        assert by_chain["awaited"] is None or by_chain["awaited"]["until"]

    def test_one_command_ends_with_cause_remedy_and_the_way_to_the_money(
        self, network: QuickCli, failed: dict[str, Bought]
    ) -> None:
        app = failed["exits non-zero"].execution.quote.app
        refused = network.refused("run", app, "--yes", "--output", "none", code="APP_EXITED_NON_ZERO")
        (deal,) = refused["details"]["deals"]
        assert f"pyiexec deal claim {deal}" in refused["remedy"]
        assert not (network.home / "none").exists()
        early = network.refused("deal", "claim", deal, code="TASK_NOT_CLAIMABLE")
        assert early["retry"]

    def test_good_tasks_of_a_bag_are_kept_when_others_fail(self, network: QuickCli) -> None:
        (network.home / "raytracer.wasm").write_bytes(sample("raytracer/raytracer.wasm"))
        (network.home / "scene.txt").write_bytes(sample("raytracer/scene.txt"))
        app = network.json("app", "deploy", "raytracer.wasm", *PROVIDER)["address"]
        network.json("app", "publish", app, *PROVIDER)
        # Two tiles for three tasks.
        bag = ("--args", "--columns 1 --rows 2 --width 16 --height 16", "--input", "scene.txt", "--volume", "3")
        refused = network.refused("run", app, *bag, "--yes", "--output", "tiles", code="APP_EXITED_NON_ZERO")
        assert refused["error"].startswith("1 of 3 tasks ended without a result")
        assert len(refused["details"]["completed"]) == 2
        assert sorted(path.name for path in (network.home / "tiles").iterdir()) == ["0000", "0001"]
        assert (network.home / "tiles/0001/tile.ppm").exists()


@pytest.fixture(scope="module")
def app(network: QuickCli) -> str:
    """An app that works, not on offer at first, and a buyer with less stake than it will cost."""
    network.json("account", "deposit", "1 RLC", *BUYER)
    (network.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
    address: str = network.json("app", "deploy", "noop.wasm", "--name", "plain", *PROVIDER)["address"]
    return address


class TestRefusals:
    """What cannot be bought is refused before anything is signed."""

    @pytest.fixture(autouse=True)
    def nothing_is_paid(self, network: QuickCli, app: str) -> Iterator[None]:
        before = network.json("account", "show", *BUYER)
        yield
        assert network.json("account", "show", *BUYER) == before

    def test_an_unknown_app(self, network: QuickCli) -> None:
        network.refused("run", NOWHERE, "--yes", *BUYER, code="APP_UNKNOWN")
        network.refused("app", "show", NOWHERE, code="APP_UNKNOWN")

    def test_an_app_that_is_not_on_offer(self, network: QuickCli, app: str) -> None:
        assert app in network.refused("run", app, "--yes", *BUYER, code="APP_ORDER_MISSING")["error"]

    def test_a_price_above_what_may_be_paid(self, network: QuickCli, app: str) -> None:
        network.json("app", "publish", app, "--price", "1 RLC", *PROVIDER)
        refused = network.refused("run", app, "--yes", *BUYER, "--max-price", "1 RLC", code="PRICE_TOO_LOW")
        assert "1.1 RLC" in refused["error"]

    def test_a_stake_that_does_not_cover_the_price(self, network: QuickCli, app: str) -> None:
        refused = network.refused("run", app, "--yes", *BUYER, code="STAKE_TOO_LOW")
        assert "pyiexec account deposit '0.1 RLC'" in refused["remedy"]

    @pytest.mark.parametrize(
        "wish", [("--trust", "1000001"), ("--volume", "1001"), ("--category", "0"), ("--workerpool", NOWHERE)]
    )
    def test_a_wish_that_no_pool_serves(self, network: QuickCli, app: str, wish: tuple[str, str]) -> None:
        network.refused("run", app, "--yes", *BUYER, *wish, code="WORKERPOOL_ORDER_MISSING")

    def test_arguments_that_cannot_be_split(self, network: QuickCli, app: str) -> None:
        network.refused("run", app, "--yes", *BUYER, "--args", "'open", code="BAD_PARAMS")
        network.refused("run", app, "--yes", *BUYER, "--input", "http://a b", code="BAD_PARAMS")


@pytest.fixture(scope="module")
def fragile(make_cli: Callable[[], Cli]) -> Iterator[QuickCli]:
    """A network whose parts stay away once killed."""
    command = start(make_cli(), workers=2, category_seconds=1, restart=False)
    yield command
    command("down")


@pytest.fixture(scope="module")
def before(fragile: QuickCli) -> dict[str, Any]:
    """An app on offer, a stake, and a result."""
    (fragile.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
    app = fragile.json("app", "deploy", "noop.wasm", *PROVIDER)["address"]
    fragile.json("app", "publish", app, *PROVIDER)
    fragile.json("account", "deposit", "5 RLC")
    done = fragile.json("run", app, "--yes", "--output", "first")
    return {"app": app, "task": done["tasks"][0]["taskId"], "account": fragile.json("account", "show")}


class TestServicesThatAreDown:
    """One part after the other is killed and stays away."""

    def kill(self, cli: Cli, part: str) -> None:
        pid = part_pid(cli, part)
        os.kill(pid, signal.SIGKILL)
        assert has_ended(pid)

    def not_well(self, cli: Cli) -> set[str]:
        status = cli("status", "--json")
        assert status.code == 1
        return {part["part"] for part in status.json["parts"] if not part["well"]}

    def test_without_the_scheduler_the_deal_waits_and_its_price_can_be_claimed(
        self, fragile: QuickCli, before: dict[str, Any]
    ) -> None:
        self.kill(fragile, "scheduler")
        refused = fragile.refused("run", before["app"], "--yes", code="SCHEDULER_UNREACHABLE")
        (deal,) = refused["details"]["deals"]
        assert fragile.json("account", "show")["balance"]["locked"] == "100000000"
        # Even a task that nobody opened on chain is refunded.
        assert fragile.json("deal", "claim", deal)["txHashes"]
        assert fragile.json("account", "show") == before["account"]
        shown = fragile.json("task", "show", before["task"])
        assert shown["status"] == "COMPLETED"
        assert shown["scheduler"]["code"] == "SCHEDULER_UNREACHABLE"
        assert self.not_well(fragile) == {"scheduler"}

    def test_without_the_content_store_nothing_is_registered_or_bought(
        self, fragile: QuickCli, before: dict[str, Any]
    ) -> None:
        self.kill(fragile, "results")
        fragile.refused("app", "deploy", "noop.wasm", "--name", "another", *PROVIDER, code="STORE_UNREACHABLE")
        fragile.refused("run", before["app"], "--input", "noop.wasm", "--yes", code="STORE_UNREACHABLE")
        fragile.refused("task", "result", before["task"], "--output", "none", code="STORE_UNREACHABLE")
        assert not (fragile.home / "none").exists()
        assert fragile.json("account", "show") == before["account"]
        assert self.not_well(fragile) == {"scheduler", "results"}

    def test_without_the_order_book_nothing_is_bought(self, fragile: QuickCli, before: dict[str, Any]) -> None:
        self.kill(fragile, "market")
        fragile.refused("run", before["app"], "--yes", code="MARKET_UNREACHABLE")
        fragile.refused("app", "publish", before["app"], *PROVIDER, code="MARKET_UNREACHABLE")
        fragile.refused("orderbook", "workerpool", code="MARKET_UNREACHABLE")
        assert fragile.json("account", "show") == before["account"]

    def test_without_the_chain_nothing_works_and_says_so(self, fragile: QuickCli, before: dict[str, Any]) -> None:
        self.kill(fragile, "chain")
        for command in (("account", "show"), ("account", "deposit", "1 RLC"), ("task", "show", before["task"])):
            fragile.refused(*command, code="CHAIN_UNREACHABLE")
        assert self.not_well(fragile) == {"chain", "market", "results", "scheduler"}

    def test_all_is_well_again_when_the_network_is_taken_up(self, fragile: QuickCli, before: dict[str, Any]) -> None:
        fragile.json("down")
        Cli(fragile.home).json("up")
        assert fragile.json("account", "show") == before["account"]
        fragile.json("task", "result", before["task"], "--output", "second")
        assert fragile.json("run", before["app"], "--yes", "--output", "third")["tasks"]


def test_a_wait_tells_that_the_chain_is_gone_and_ends_by_ctrl_c(make_cli: Callable[[], Cli]) -> None:
    command = start(make_cli(), workers=1, restart=False)
    try:
        (command.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
        app = command.json("app", "deploy", "noop.wasm", *PROVIDER)["address"]
        command.json("app", "publish", app, *PROVIDER)
        command.json("account", "deposit", "1 RLC")
        os.kill(part_pid(command, "worker-1"), signal.SIGKILL)
        with subprocess.Popen(
            [str(PYIEXEC), "run", app, "--yes", "--json"],
            cwd=command.home,
            env=command.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            # Nobody computes, which is told first.
            assert "NO_WORKER" in process.stderr.readline()
            os.kill(part_pid(command, "chain"), signal.SIGKILL)
            assert "CHAIN_UNREACHABLE" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            assert process.returncode == 130, (out, err)
            assert "pyiexec deal show 0x" in err
            assert "Traceback" not in out + err
    finally:
        command("down")


def test_everything_paid_for_failures_comes_back(network: QuickCli, failed: dict[str, Bought]) -> None:
    async def scenario() -> None:
        async with client(network) as requester:
            await nothing_locked(requester)
            balance = await requester.account.show()
            # Two tiles of the bag were delivered, and paid.
            assert balance.stake == DEPOSIT - 2 * NRLC_PER_RLC // 10
            for bought in failed.values():
                assert (await requester.tasks.show(bought.task)).status is TaskStatus.FAILED
            others = [roles.account(roles.POOL_MANAGER), *(roles.worker_account(number) for number in (1, 2, 3))]
            assert [(await requester.account.show(other.address)).locked for other in others] == [0, 0, 0, 0]
            assert (await requester.ledgers.audit()).problems == ()

    asyncio.run(scenario())


async def nothing_locked(requester: AsyncClient) -> None:
    """Until no stake of the requester is locked in deals; looked at with each block."""
    heads = await requester.connection.follow_heads()
    with anyio.fail_after(100):
        async with heads.subscribe() as blocks:
            async for _ in blocks:
                if not (await requester.account.show()).locked:
                    return
