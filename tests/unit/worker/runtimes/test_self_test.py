"""The program whose result is known is computed here as anybody would, and a machine that errs is found out."""

from __future__ import annotations

import math
import struct

import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes import WasmRuntime, self_test

pytestmark = pytest.mark.anyio


def known() -> bytes:
    """What the program is to compute, by other means."""
    state, total, mask = 0x9E3779B97F4A7C15, 0.0, (1 << 64) - 1
    for turn in range(1_000_000):
        state ^= (state << 13) & mask
        state ^= state >> 7
        state ^= (state << 17) & mask
        total += math.sqrt(float(state)) / (turn + 1.5)
    return struct.pack("<Qd", state, total)


async def test_the_sandbox_computes_what_is_known(runtime: WasmRuntime) -> None:
    check = await self_test.run_self_test(runtime)
    assert check.files["result"] == known()
    assert check.fuel_used > 1_000_000


async def test_a_machine_that_computes_something_else_is_told_not_to_stake(
    runtime: WasmRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "EXPECTED", bytes(16))
    with pytest.raises(IexecError, match="where others compute") as refusal:
        await self_test.run_self_test(runtime)
    assert refusal.value.code == "APP_NOT_DETERMINISTIC"
    assert "Do not stake" in refusal.value.remedy
