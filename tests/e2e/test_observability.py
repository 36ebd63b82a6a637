"""A whole network shows how it does: to a real Prometheus, to whoever probes it, and in its logs."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from observability.__main__ import HERE, files
from observability.dashboard import dashboard, queries
from observability.families import FAMILIES
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pyiexec.chain.anvil import free_port
from pyiexec.chain.networks import load_profile
from pyiexec.devnet import roles
from pyiexec.devnet.samples import sample
from pyiexec.foundation.metrics import Kind
from pyiexec.protocol.primitives import DealId, to_hex
from pyiexec.protocol.traces import trace_of
from tests.e2e.conftest import PYIEXEC, Cli, local_directory
from tests.e2e.monitoring import Prometheus, program

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
KINDS = {"market", "results", "scheduler", "sms", "compass", "indexer", "faucet", "worker", "keeper"}
_NAME = re.compile(r"\b(?:pyiexec|process)_[a-z0-9_]+")
_SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")


@pytest.fixture(scope="module")
def network_options() -> Sequence[str]:
    return ("--workers", "3", "--block-time", "0", "--metrics")


@pytest.fixture(scope="module")
def task(cli: Cli) -> dict[str, Any]:
    """One that two workers had to agree on."""
    (cli.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
    app = cli.json("app", "deploy", "noop.wasm", "--as", "app-provider")["address"]
    cli.json("app", "publish", app, "--as", "app-provider")
    cli.json("account", "deposit", "5 RLC")
    done = cli.json("run", app, "--args", "seen", "--trust", "3", "--yes", "--output", "result")
    return {"deal": done["deals"][0], "task": done["tasks"][0]["taskId"]}


@pytest.fixture(scope="module")
def keeper(cli: Cli) -> Iterator[int]:
    """The port of a keeper beside the network."""
    profile = load_profile(local_directory(cli) / "profile.json")
    key, config, port = cli.home / "keeper.key", cli.home / "keeper.json", free_port()
    key.write_text(to_hex(roles.account(roles.ADMINISTRATOR).secret))
    key.chmod(0o600)
    settings = {"rpc_url": profile.rpc_url, "hub": profile.hub, "key_file": str(key), "port": port}
    config.write_text(json.dumps(settings | {"database_url": f"sqlite:///{cli.home / 'keeper.db'}"}))
    with (cli.home / "keeper.log").open("wb") as log:
        process = subprocess.Popen(
            [PYIEXEC, "keeper", "start", "--config", str(config)], env=cli.environment, stdout=log, stderr=log
        )
    try:
        until_ready(f"http://127.0.0.1:{port}", lambda: (cli.home / "keeper.log").read_text())
        yield port
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def targets(cli: Cli, keeper: int) -> dict[str, list[str]]:
    """Where each kind of part answers, as the network's prometheus.yml says."""
    config = json.loads((local_directory(cli) / "prometheus.yml").read_text())
    found = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    return found | {"keeper": [f"127.0.0.1:{keeper}"]}


def ask(url: str, **headers: str) -> tuple[int, str, str]:
    """Status, media type and text of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["content-type"], refusal.read().decode()


def until_ready(url: str, told: Callable[[], str] = str) -> dict[str, Any]:
    """What a part says once it is ready."""
    deadline = time.monotonic() + 60
    found = ""
    while time.monotonic() < deadline:
        try:
            status, _, found = ask(f"{url}/health/ready")
            if status == 200:
                answer: dict[str, Any] = json.loads(found)
                return answer
        except OSError as error:
            found = str(error)
        # A service that starts answers when it can.
        time.sleep(0.2)
    raise AssertionError(f"{url} is not ready: {found}\n{told()[-2000:]}")


def families(page: str) -> set[str]:
    """Names as Prometheus' own parser reads them, those of counters with their ending."""
    parsed = text_string_to_metric_families(page)
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in parsed}


@pytest.fixture(scope="module")
def exported(task: dict[str, Any], targets: dict[str, list[str]]) -> dict[str, set[str]]:
    """Metrics by kind of part, after the parts had something to do."""
    return {
        kind: set().union(*(families(ask(f"http://{where}/metrics", Accept=ACCEPT)[2]) for where in found))
        for kind, found in targets.items()
    }


class TestMetrics:
    def test_every_part_exports_what_is_documented_and_nothing_else(self, exported: dict[str, set[str]]) -> None:
        assert exported.keys() == KINDS
        known = {family.name for found in FAMILIES.values() for family in found}
        assert known - set().union(*exported.values()) == set()
        ours = {name for names in exported.values() for name in names if name.startswith("pyiexec_")}
        assert ours - known == set()

    def test_every_query_of_the_dashboard_and_the_alerts_names_what_is_exported(
        self, exported: dict[str, set[str]]
    ) -> None:
        there = set().union(*exported.values())
        rules = [line for line in (HERE / "prometheus" / "alerts.yml").read_text().splitlines() if "expr:" in line]
        for query in (*queries(), *rules):
            named = set(_NAME.findall(query))
            assert named, query
            assert {_SUFFIXES.sub("", name) for name in named} <= there, query

    def test_every_metric_is_on_the_dashboard(self) -> None:
        shown = {_SUFFIXES.sub("", name) for query in queries() for name in _NAME.findall(query)}
        assert {family.name for found in FAMILIES.values() for family in found} == shown

    def test_names_keep_to_the_conventions(self) -> None:
        for family in (family for found in FAMILIES.values() for family in found):
            assert re.fullmatch(r"pyiexec(_[a-z0-9]+)+", family.name), family.name
            assert family.name.endswith("_total") is (family.kind is Kind.COUNTER), family.name
            assert family.name.endswith("_seconds") or family.kind is not Kind.HISTOGRAM, family.name

    def test_no_label_tells_who_or_what(self, task: dict[str, Any], targets: dict[str, list[str]]) -> None:
        for where in (where for found in targets.values() for where in found):
            page = ask(f"http://{where}/metrics", Accept=ACCEPT)[2]
            assert "0x" not in page
            assert "Qm" not in page

    @pytest.mark.parametrize("kind", ["market", "scheduler", "sms"])
    def test_who_does_not_ask_as_prometheus_does_gets_the_json_it_knows(
        self, kind: str, cli: Cli, targets: dict[str, list[str]]
    ) -> None:
        query = "?chainId=31337" if kind == "market" else ""
        for accept in ("*/*", "application/json, text/plain, */*"):
            status, media_type, text = ask(f"http://{targets[kind][0]}/metrics{query}", Accept=accept)
            assert (status, media_type.partition(";")[0]) == (200, "application/json")
            json.loads(text)
        assert ask(f"http://{targets[kind][0]}/metrics", Accept="text/plain")[1].startswith("text/plain")

    def test_files_are_as_they_are_made(self) -> None:
        for path, content in files().items():
            assert path.read_text() == content, f"{path.name}: make it again with `python -m observability`"


class TestHealth:
    def test_every_part_lives_and_is_ready_and_names_what_it_needs(
        self, task: dict[str, Any], targets: dict[str, list[str]]
    ) -> None:
        needs = {}
        for kind, found in targets.items():
            for where in found:
                assert ask(f"http://{where}/health/live")[0] == 200
                ready = until_ready(f"http://{where}")
                assert ready["service"] == kind
                needs[kind] = {dependency["name"] for dependency in ready["dependencies"]}
        assert all({"database", "chain"} <= found for found in needs.values())
        assert all("follower" in needs[kind] for kind in ("market", "scheduler", "indexer", "keeper"))
        assert {"gateway", "sms"} <= needs["scheduler"]
        assert {"gateway", "scheduler"} <= needs["worker"]


class TestPrometheus:
    def test_the_example_and_the_rules_are_valid(self) -> None:
        for check, file in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
            done = subprocess.run(
                [program("promtool"), "check", check, str(HERE / "prometheus" / file)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def test_a_real_prometheus_scrapes_a_real_network(
        self, cli: Cli, task: dict[str, Any], targets: dict[str, list[str]], tmp_path: Path
    ) -> None:
        config = json.loads((local_directory(cli) / "prometheus.yml").read_text())
        config["scrape_configs"].append({"job_name": "keeper", "static_configs": [{"targets": targets["keeper"]}]})
        config["global"]["scrape_interval"] = "1s"
        config["rule_files"] = [str(HERE / "prometheus" / "alerts.yml")]
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        count = sum(map(len, targets.values()))

        def all_up(answer: Any) -> bool:
            found = [target["health"] for target in answer["activeTargets"]]
            return found == ["up"] * count

        with Prometheus(tmp_path / "prometheus.yml", tmp_path) as prometheus:
            prometheus.until("targets", all_up)

            def value(query: str) -> float:
                answer = prometheus.until("query", lambda found: bool(found["result"]), query=query)
                return float(answer["result"][0]["value"][1])

            assert value('pyiexec_scheduler_tasks{phase="COMPLETED"}') >= 1
            assert value('pyiexec_scheduler_workers{state="connected"}') == 3
            assert value("sum(pyiexec_worker_run_duration_seconds_count)") >= 2
            assert value('sum(pyiexec_transactions_total{outcome="included"})') >= 4
            assert value("sum(pyiexec_gas_used_total)") > 0
            assert value("min(pyiexec_ready)") == 1
            assert value("count(pyiexec_build_info)") == count
            # Whatever Grafana would ask can be answered; a rate needs two scrapes.
            panels = [panel for panel in dashboard()["panels"] if panel["type"] == "timeseries"]
            for query in (target["expr"] for panel in panels for target in panel["targets"]):
                asked = query.replace("$__rate_interval", "1m").replace("$job", ".*")
                if "pyiexec_worker_disk_budget_bytes" not in asked:
                    prometheus.until("query", lambda found: bool(found["result"]), query=asked, timeout=20)
            groups = prometheus.until("rules", lambda found: bool(found["groups"]))["groups"]
            assert all(rule["health"] in ("ok", "unknown") for group in groups for rule in group["rules"])
            assert value("count(up == 1)") == count


class TestTrace:
    def test_the_logs_tell_the_story_of_a_task_under_one_trace(self, cli: Cli, task: dict[str, Any]) -> None:
        trace = trace_of(DealId(task["deal"]))
        lines: list[dict[str, Any]] = []
        for file in (local_directory(cli) / "logs").glob("*.log"):
            # What `grep` finds.
            found = [json.loads(line) for line in file.read_text().splitlines() if trace in line]
            lines += [line | {"file": file.stem} for line in found]
        lines.sort(key=lambda line: line["timestamp"])

        def first(**wanted: str) -> int:
            for place, line in enumerate(lines):
                if all(line.get(name) == value for name, value in wanted.items()):
                    assert line["trace"] == trace
                    return place
            raise AssertionError(f"nothing of {wanted} in {lines}")

        milestones = [
            first(file="scheduler", event="deal"),
            first(file="scheduler", phase="INITIALIZING"),
            first(file="scheduler", phase="RUNNING"),
            first(file="scheduler", event="assigned"),
            *(first(event="task", status=status) for status in ("STARTED", "COMPUTED", "CONTRIBUTED")),
            first(file="scheduler", phase="CONSENSUS"),
            first(event="task", status="REVEALED"),
            first(event="task", status="RESULT_UPLOADED"),
            first(file="scheduler", phase="COMPLETED"),
        ]
        assert milestones == sorted(milestones)
        first(file="market", event="orders matched")
        # No deal is known to the content store: the worker's request told it.
        assert first(file="results", event="content added") < first(file="scheduler", phase="FINALIZING")
        workers = {line["file"] for line in lines if line["file"].startswith("worker-")}
        assert len(workers) == 2

    def test_the_command_tells_the_trace(self, cli: Cli, task: dict[str, Any]) -> None:
        trace = trace_of(DealId(task["deal"]))
        assert cli.json("task", "show", task["task"])["trace"] == trace
        assert cli.json("task", "why", task["task"])["trace"] == trace
        assert trace in cli("task", "why", task["task"]).out
        assert trace in cli("task", "show", task["task"]).out
