"""An application is compiled once, and only what was written here is loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from wasmtime import Engine, Module, wat2wasm

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.modules import ModuleCache, is_wasm

SOURCE = bytes(wat2wasm('(module (func (export "one") (result i32) (i32.const 1)))'))
DIGEST = hashlib.sha256(SOURCE).hexdigest()


@pytest.fixture
def engine() -> Engine:
    return Engine()


class Compilations:
    """Counts what is compiled for real."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        original = Module.__init__

        def counting(module: Module, engine: Engine, wasm: bytes) -> None:
            self.count += 1
            original(module, engine, wasm)

        monkeypatch.setattr(Module, "__init__", counting)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Compilations:
    return Compilations(monkeypatch)


def test_a_module_is_compiled_once_for_all_engines(engine: Engine, compilations: Compilations) -> None:
    cache = ModuleCache(None, "v")
    cache.load(engine, DIGEST, SOURCE)
    cache.load(Engine(), DIGEST, SOURCE)
    assert compilations.count == 1


def test_a_compiled_module_outlives_the_process(engine: Engine, compilations: Compilations, tmp_path: Path) -> None:
    ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    module = ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    assert compilations.count == 1
    assert [export.name for export in module.exports] == ["one"]
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


def test_other_settings_have_modules_of_their_own(engine: Engine, compilations: Compilations, tmp_path: Path) -> None:
    ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    ModuleCache(tmp_path / "c", "w").load(engine, DIGEST, SOURCE)
    assert compilations.count == 2


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_damaged_file_is_not_loaded_but_replaced(
    engine: Engine, compilations: Compilations, tmp_path: Path, damage: bytes | None
) -> None:
    ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    (file,) = (tmp_path / "c").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\xff" if damage is None else damage)
    ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    assert compilations.count == 2
    assert file.read_bytes()[:32] == hashlib.sha256(file.read_bytes()[32:]).digest()


def test_a_file_of_another_engine_is_replaced(engine: Engine, compilations: Compilations, tmp_path: Path) -> None:
    ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    (file,) = (tmp_path / "c").iterdir()
    foreign = b"\x7fELF of another version"
    file.write_bytes(hashlib.sha256(foreign).digest() + foreign)
    ModuleCache(tmp_path / "c", "v").load(engine, DIGEST, SOURCE)
    assert compilations.count == 2


def test_the_least_recently_used_are_forgotten(engine: Engine, compilations: Compilations, tmp_path: Path) -> None:
    cache = ModuleCache(tmp_path / "c", "v", in_memory=1, on_disk=2)
    sources = [bytes(wat2wasm(f"(module (func (result i32) (i32.const {n})))")) for n in range(4)]
    for source in sources:
        cache.load(engine, hashlib.sha256(source).hexdigest(), source)
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_a_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(IexecError, match="this user alone") as refused:
        ModuleCache(tmp_path, "v")
    assert refused.value.code == "CACHE_UNSAFE"


def test_a_link_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(IexecError):
        ModuleCache(tmp_path / "link", "v")


def test_what_is_no_module_is_refused(engine: Engine) -> None:
    with pytest.raises(IexecError) as refused:
        ModuleCache(None, "v").load(engine, "00", b"hello")
    assert refused.value.code == "APP_INVALID_MODULE"
    assert not is_wasm(b"hello")
