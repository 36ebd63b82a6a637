"""The compile driver builds what changed, and only that."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from pyiexec.chain.artifacts import load
from pyiexec.protocol.errors import IexecError

ROOT = Path(__file__).parents[2]
COUNTER = "# pragma version 0.4.3\nfrom modules import step\ncount: public(uint256)\n"
COUNTER += "@external\ndef bump():\n    self.count += step.STEP\n"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The driver, on a folder of contracts of its own."""
    spec = importlib.util.spec_from_file_location("compile_contracts", ROOT / "contracts" / "compile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    contracts = tmp_path / "contracts"
    (contracts / "hub" / "modules").mkdir(parents=True)
    (contracts / "hub" / "Counter.vy").write_text(COUNTER)
    (contracts / "hub" / "modules" / "step.vy").write_text("# pragma version 0.4.3\nSTEP: constant(uint256) = 1\n")
    monkeypatch.setattr(module, "CONTRACTS", contracts)
    monkeypatch.setattr(module, "ARTIFACTS", tmp_path / "artifacts")
    # In this process: another one would not know of the folders above.
    monkeypatch.setattr(module, "ProcessPoolExecutor", InProcess)
    return module


class InProcess:
    """An executor without processes."""

    def __init__(self, _workers: int) -> None:
        self.map = map

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return


def artifact(driver: ModuleType, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((driver.ARTIFACTS / f"{name}.json").read_bytes())
    return found


def test_an_artifact_names_its_sources(driver: ModuleType) -> None:
    assert driver.main([]) == 0
    made = artifact(driver, "Counter")
    assert made["contractName"] == "Counter"
    assert set(made["sources"]) == {"hub/Counter.vy", "hub/modules/step.vy"}  # type: ignore[call-overload]


def test_what_did_not_change_is_not_compiled_again(driver: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    driver.main([])
    capsys.readouterr()
    assert driver.main([]) == 0
    assert capsys.readouterr().out == "1 contracts are up to date\n"


@pytest.mark.parametrize("source", ["Counter.vy", "modules/step.vy"])
def test_a_change_of_any_source_leads_to_another_artifact(driver: ModuleType, source: str) -> None:
    driver.main([])
    before = artifact(driver, "Counter")
    path = driver.CONTRACTS / "hub" / source
    path.write_text(path.read_text().replace("= 1", "= 2").replace("bump", "raise_it"))
    assert driver.main([]) == 0
    assert artifact(driver, "Counter")["bytecode"] != before["bytecode"]


def test_a_check_passes_when_the_artifacts_are_what_the_sources_compile_to(
    driver: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.main([])
    capsys.readouterr()
    assert driver.main(["--check"]) == 0
    assert capsys.readouterr().out == "1 contracts are what their sources compile to\n"


def test_a_check_names_the_artifact_that_somebody_changed_and_leaves_it_so(
    driver: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.main([])
    path = driver.ARTIFACTS / "Counter.json"
    # Sources and compiler are what the artifact says, its code is not.
    changed = artifact(driver, "Counter")
    changed["bytecode"] = str(changed["bytecode"])[:-2] + "00"
    path.write_text(json.dumps(changed))
    before = path.read_bytes()
    assert driver.main([]) == 0
    assert driver.main(["--check"]) == 1
    assert "Counter: the artifact is not what the sources compile to" in capsys.readouterr().err
    assert path.read_bytes() == before
    path.unlink()
    assert driver.main(["--check"]) == 1
    assert not path.exists()


def test_the_artifact_of_a_contract_that_is_gone_goes_too(driver: ModuleType) -> None:
    driver.main([])
    (driver.CONTRACTS / "hub" / "Counter.vy").rename(driver.CONTRACTS / "hub" / "Meter.vy")
    driver.main([])
    assert [path.name for path in driver.ARTIFACTS.iterdir()] == ["Meter.json"]


def test_a_wrong_source_fails_with_its_name(driver: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    (driver.CONTRACTS / "hub" / "Broken.vy").write_text("# pragma version 0.4.3\nx: nothing\n")
    assert driver.main([]) == 1
    assert "hub/Broken.vy" in capsys.readouterr().err
    assert artifact(driver, "Counter")


def test_a_contract_beyond_the_size_limit_is_refused(
    driver: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver, "RUNTIME_LIMIT", 10)
    assert driver.main([]) == 1
    assert "the limit is 10" in capsys.readouterr().err
    assert list(driver.ARTIFACTS.iterdir()) == []


def test_a_factory_carries_the_code_of_its_product() -> None:
    for factory, product in (
        ("AppRegistry", "App"),
        ("DatasetRegistry", "Dataset"),
        ("WorkerpoolRegistry", "Workerpool"),
    ):
        assert load(product).bytecode[2:] in load(factory).bytecode


def test_a_contract_that_was_not_compiled_is_missed_with_a_remedy() -> None:
    with pytest.raises(IexecError) as failure:
        load("Nothing")
    assert failure.value.code == "ARTIFACT_MISSING"
    assert "make contracts" in failure.value.remedy
