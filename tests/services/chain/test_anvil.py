"""Starting a chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyiexec.chain.anvil import STATES_KEPT, Anvil, AnvilOptions, install
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


async def test_a_chain_leaves_nothing_in_the_home_of_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYIEXEC_ANVIL", str(install()))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
        # More than the 500 it keeps in memory on its own.
        for number in range(600):
            await rpc.batch([("anvil_setBalance", [f"0x{number + 1:040x}", "0x1"]), ("anvil_mine", [])])
        # Recent states are there to be asked.
        head = int(await rpc.call("eth_blockNumber"), 16)
        assert await rpc.call("eth_getBalance", f"0x{1:040x}", hex(head - STATES_KEPT // 2)) == "0x1"
        # Looked at before it ends in order, when it would clean up.
        assert files(tmp_path) == []
