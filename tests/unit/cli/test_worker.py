"""`pyiexec worker` from an empty folder to a unit file, without a network."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pyiexec.chain.keystore import read_key_file
from pyiexec.chain.networks import NetworkProfile
from pyiexec.cli.root import root
from pyiexec.foundation.settings import load_settings, to_json
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.worker.settings import WorkerSettings

HUB = Address("0x9A9f2CCfdE556A7E9Ff0848998Aa4a0CFD8863AE")
POOL = Address("0xF8B2cCBE46EcD3BB498F9774CA3F20007d40E0D1")
KEY = "0x" + "42" * 32


def profile(folder: Path, **fields: object) -> Path:
    values = {
        "name": "somewhere",
        "chain_id": 1234,
        "rpc_url": "http://127.0.0.1:1",
        "hub": HUB,
        "market_url": "http://127.0.0.1:1",
        "gateway_url": "http://127.0.0.1:2",
        "scheduler_url": "https://pool.example",
    }
    file = folder / "network.json"
    file.write_bytes(to_json(NetworkProfile(**values | fields)))  # type: ignore[arg-type]
    return file


def run(*arguments: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(root, ["worker", *map(str, arguments)], input=typed)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return file


def initialised(folder: Path, key_file: Path, *more: object) -> WorkerSettings:
    done = run(
        "init", folder, "--workerpool", POOL, "--network", profile(key_file.parent), "--key-file", key_file, *more
    )
    assert done.exit_code == 0, done.output
    return load_settings(WorkerSettings, folder / "worker.toml", {})


def test_init_writes_settings_that_a_worker_can_start_with(tmp_path: Path, key_file: Path) -> None:
    settings = initialised(tmp_path / 'ada\'s "worker"', key_file, "--slots", 3)
    assert settings.hub == HUB
    assert settings.workerpool == POOL
    assert settings.scheduler_url == "https://pool.example"
    assert settings.gateway_url == "http://127.0.0.1:2"
    assert settings.slots == 3
    assert settings.key_file == key_file
    assert settings.data_dir.parent == tmp_path / 'ada\'s "worker"'
    assert settings.presence_policy().is_always


def test_what_is_commented_out_can_be_put_in_as_it_stands(tmp_path: Path, key_file: Path) -> None:
    initialised(tmp_path / "w", key_file)
    file = tmp_path / "w" / "worker.toml"
    # What begins with a blank is prose.
    file.write_text(
        "\n".join(line.removeprefix("#") if line[1:2] != " " else line for line in file.read_text().splitlines())
    )
    settings = load_settings(WorkerSettings, file, {})
    assert settings.disk_bytes == 10 << 30
    assert len(settings.presence_policy().hours) == 2


def test_init_overwrites_nothing(tmp_path: Path, key_file: Path) -> None:
    initialised(tmp_path / "w", key_file)
    before = (tmp_path / "w" / "worker.toml").read_bytes()
    again = run("init", tmp_path / "w", "--workerpool", POOL, "--network", profile(tmp_path), "--key-file", key_file)
    assert isinstance(again.exception, IexecError)
    assert again.exception.code == "OUTPUT_EXISTS"
    assert (tmp_path / "w" / "worker.toml").read_bytes() == before


def test_without_a_key_a_new_account_is_made_that_opens_when_nobody_is_there(tmp_path: Path) -> None:
    done = run(
        "init", tmp_path / "w", "--workerpool", POOL, "--network", profile(tmp_path), "--json", typed="secret\nsecret\n"
    )
    assert done.exit_code == 0, done.output
    assert "secret" not in done.output
    settings = load_settings(WorkerSettings, tmp_path / "w" / "worker.toml", {})
    told = json.loads(done.output.splitlines()[-1])
    assert read_key_file(settings.key_file, settings.password_file).address == told["address"]
    assert settings.password_file is not None
    for file in (settings.key_file, settings.password_file, tmp_path / "w" / "worker.toml"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_pool_that_nobody_can_look_up_has_to_be_named(tmp_path: Path, key_file: Path) -> None:
    network = profile(tmp_path, scheduler_url=None)
    failed = run("init", tmp_path / "w", "--workerpool", POOL, "--network", network, "--key-file", key_file)
    assert isinstance(failed.exception, IexecError)
    assert failed.exception.code == "WORKERPOOL_URL_UNKNOWN"
    assert "--scheduler-url" in failed.exception.remedy
    assert not (tmp_path / "w").exists()


def test_the_status_of_a_worker_that_does_not_run_is_an_error(tmp_path: Path, key_file: Path) -> None:
    initialised(tmp_path / "w", key_file)
    failed = run("status", "--config", tmp_path / "w" / "worker.toml")
    assert isinstance(failed.exception, IexecError)
    assert failed.exception.code == "WORKER_STOPPED"


def test_the_doctor_names_everything_that_does_not_answer_and_what_to_do(tmp_path: Path, key_file: Path) -> None:
    initialised(tmp_path / "w", key_file, "--scheduler-url", "http://127.0.0.1:3")
    key_file.chmod(0o644)
    examined = run("doctor", "--config", tmp_path / "w" / "worker.toml", "--json")
    report = json.loads(examined.output)
    assert report["ok"] is False
    problems = {check["name"]: check for check in report["checks"] if not check["good"]}
    assert problems.keys() == {"key", "chain", "workerpool", "gas", "stake", "scheduler", "content"}
    assert all(check["remedy"] for check in problems.values())
    good = {check["name"]: check["what"] for check in report["checks"] if check["good"]}
    assert good["runtimes"].startswith("wasm")
    assert "computes what others do" in good["sandbox"]


def test_the_unit_starts_the_worker_with_its_settings(tmp_path: Path, key_file: Path) -> None:
    initialised(tmp_path / "w", key_file)
    config = tmp_path / "w" / "worker.toml"
    printed = run("unit", "--config", config, "--user", "ada")
    assert printed.exit_code == 0, printed.output
    [command] = [line for line in printed.output.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith(f"worker start --config {config}")
    assert "User=ada" in printed.output
    assert f"ReadWritePaths={tmp_path / 'w' / 'worker-data'}" in printed.output
    assert os.path.isabs(command.removeprefix("ExecStart=").split()[0])
