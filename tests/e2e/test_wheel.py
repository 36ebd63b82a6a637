"""The wheel is whole: installed far from the repository it runs the main job."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import HUB_FACETS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_carries_contracts_samples_migrations_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"pyiexec/chain/artifacts/{name}.json" for name in (*HUB_FACETS, "Diamond", "RLC", "AppRegistry")} <= names
    assert "pyiexec/devnet/samples/raytracer/raytracer.wasm" in names
    assert "pyiexec/py.typed" in names
    assert any(name.startswith("pyiexec/scheduler/migrations/versions/") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "apps/", "contracts/"))]
    assert load("Diamond").initcode


def test_installed_elsewhere_it_runs_the_main_job(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    # Dependencies come from where the tests have them; pyiexec itself, there an editable install, does not.
    packages = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(packages) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
    }
    where = subprocess.run(
        [str(python), "-c", "import pyiexec; print(pyiexec.__file__)"],
        cwd=elsewhere,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert where.startswith(str(tmp_path)), where
    command = [str(python.with_name("pyiexec")), "demo", "--workers", "4", "--bad", "0"]
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (elsewhere / "demo-out" / "picture.png").stat().st_size > 10_000
