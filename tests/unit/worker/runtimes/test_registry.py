"""Runtimes are found by entry point and chosen by what an application is."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes import WasmRuntime, load_runtimes, registry, runtime_for

MODULE = b"\0asm\1\0\0\0"


class Abacus(WasmRuntime):
    """A runtime from another package."""

    name = "abacus"

    def accepts(self, multiaddr: str, content: bytes | None) -> bool:
        return multiaddr.startswith("abacus:")


def test_webassembly_is_built_in(tmp_path: Path) -> None:
    (runtime,) = load_runtimes(tmp_path)
    assert runtime.name == "wasm"
    assert (tmp_path / "wasm").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("multiaddr", ["/ipfs/QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u", "https://example.com/a"])
def test_a_module_is_run_whatever_its_address_says(multiaddr: str) -> None:
    assert runtime_for(load_runtimes(), multiaddr, MODULE).name == "wasm"
    assert runtime_for(load_runtimes(), multiaddr).name == "wasm"


@pytest.mark.parametrize(
    ("multiaddr", "content"), [("docker.io/library/busybox", None), ("/ipfs/QmScript", b"#!/bin/sh\n")]
)
def test_what_no_runtime_knows_is_refused(multiaddr: str, content: bytes | None) -> None:
    with pytest.raises(IexecError, match=multiaddr) as refused:
        runtime_for(load_runtimes(), multiaddr, content)
    assert refused.value.code == "APP_UNSUPPORTED"


def offer(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("abacus", target, group)])


def test_a_package_may_offer_another_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, f"{__name__}:Abacus")
    monkeypatch.setattr(EntryPoint, "load", lambda point: Abacus)
    runtimes = load_runtimes()
    assert [runtime.name for runtime in runtimes] == ["abacus", "wasm"]
    assert runtime_for(runtimes, "abacus:beads").name == "abacus"
    assert runtime_for(runtimes, "/ipfs/QmModule", MODULE).name == "wasm"


def test_a_broken_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "no.such.module:Thing")
    with pytest.raises(IexecError, match="abacus") as refused:
        load_runtimes()
    assert refused.value.code == "BAD_SETTINGS"
