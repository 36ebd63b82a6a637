"""The wheel works where there is no repository."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURE = (Path(__file__).parent / "picture.sha256").read_text().strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make wheel` builds it."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("pyiexec-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `pyiexec` command of a fresh virtual environment that holds the wheel alone.

    The dependencies are this environment's, by a path file: they are pinned, and need no second download. The editable
    installation of the repository is not among them, since path files are not read for directories added by one.
    """
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, symlinks=True, with_pip=False)
    python = home / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, cwd=home)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "pyiexec"


def surroundings(home: Path) -> dict[str, str]:
    """Environment variables of somebody who has never seen the repository."""
    kept = {name: os.environ[name] for name in ("PATH", "XDG_CACHE_HOME") if name in os.environ}
    kept.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return kept | {"HOME": str(home)}


@pytest.mark.parametrize(
    "part",
    [
        "pyiexec/py.typed",
        "pyiexec/devnet/samples/raytracer/raytracer.wasm",
        "pyiexec/devnet/samples/raytracer/scene.txt",
        "pyiexec/devnet/samples/noop/noop.wasm",
        "pyiexec/chain/artifacts/",
        "pyiexec/chain/published/poco.abi",
        "pyiexec/market/migrations/versions/",
        "pyiexec/scheduler/migrations/versions/",
        "pyiexec/worker/migrations/versions/",
        "pyiexec/chain/transactions/migrations/versions/",
        "pyiexec/chain/follower/migrations/versions/",
        ".dist-info/licenses/LICENSE",
        ".dist-info/entry_points.txt",
    ],
)
def test_the_wheel_carries_what_it_needs(wheel: Path, part: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(part in name and not name.endswith("/") for name in names)


def test_the_wheel_carries_every_compiled_contract_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    compiled = {path.name for path in (ROOT / "src/pyiexec/chain/artifacts").glob("*.json")}
    assert compiled
    assert {Path(name).name for name in names if "/artifacts/" in name and name.endswith(".json")} == compiled
    assert all(name.startswith("pyiexec") for name in names)


def test_the_code_that_runs_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    script = "import pyiexec, json; print(json.dumps([pyiexec.__file__, pyiexec.__version__]))"
    python = installed.with_name("python")
    run = subprocess.run(
        [str(python), "-c", script],
        cwd=tmp_path,
        env=surroundings(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    file, version = json.loads(run.stdout)
    assert Path(file).is_relative_to(installed.parents[1])
    assert version


def test_contracts_are_exported_far_from_their_sources(installed: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [str(installed), "contracts", "export", "--out", "out", "--json"],
        cwd=tmp_path,
        env=surroundings(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(json.loads(run.stdout)["files"]) == len(list((tmp_path / "out").iterdir())) > 20


def test_the_demo_draws_its_picture_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    run = subprocess.run(
        [str(installed), "demo", "--json"],
        cwd=empty,
        env=surroundings(tmp_path),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    done = json.loads(run.stdout)
    assert done["problems"] == []
    with Image.open(io.BytesIO((empty / done["picture"]).read_bytes())) as picture:
        assert hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest() == PICTURE
    # It leaves its results, and nothing else.
    assert [path.name for path in empty.iterdir()] == ["demo-out"]
