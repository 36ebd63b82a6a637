"""Starting a chain."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from pyiexec.chain.anvil import STATES_ON_DISK, Anvil, AnvilOptions, install
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.errors import IexecError

pytestmark = pytest.mark.anyio


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_chain_on_the_port_of_another_is_refused_and_not_taken_for_it() -> None:
    async with Anvil() as first:
        with pytest.raises(IexecError) as refused:
            await Anvil(AnvilOptions(port=first.port)).start()
    assert refused.value.code == "PORT_TAKEN"


async def test_a_chain_fills_no_disk_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("PYIEXEC_ANVIL", str(install()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
        await rpc.call("anvil_setBalance", f"0x{1:040x}", "0x1")
        for _ in range(20):
            await rpc.batch([("anvil_mine", [])] * 100)
        head = int(await rpc.call("eth_blockNumber"), 16)
        assert await rpc.call("eth_getBalance", f"0x{1:040x}", hex(head - STATES_ON_DISK // 2)) == "0x1"
        # Looked at before it ends in order, when it would clean up.
        assert files(home) == []
        assert 0 < len(files(scratch)) <= STATES_ON_DISK
    assert files(tmp_path) == []
