"""An owner learns whether an application is deterministic before anyone stakes on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.environment import input_name
from pyiexec.worker.runtimes import RunOutcome, RunRequest, WasmRuntime, run_app_twice

from .conftest import APPS

pytestmark = pytest.mark.anyio


class Careless(WasmRuntime):
    """Runs applications with the host's randomness, as a runtime without a seed would."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[str]] = []

    async def run(self, request: RunRequest) -> RunOutcome:
        self.seen.append(sorted(path.name for path in request.input_dir.iterdir()))
        return await super().run(replace(request, seed=bytes([len(self.seen)])))


def app(name: str) -> bytes:
    return (APPS / f"{name}.wasm").read_bytes()


async def test_a_deterministic_app_passes() -> None:
    check = await run_app_twice(app("noop/noop"), "one 'two words'", {}, seconds=5)
    assert check.files["result.txt"] == b"one\ntwo words\n"
    assert check.digest.startswith("0x")
    assert check.fuel_used > 0


async def test_the_app_finds_its_inputs_as_in_a_real_task() -> None:
    scene = (APPS / "raytracer" / "scene.txt").read_bytes()
    careless = Careless()
    check = await run_app_twice(
        app("raytracer/raytracer"),
        "--width 40 --height 30",
        {"scene.txt": scene, "other": b""},
        seconds=5,
        runtimes=[careless],
    )
    assert check.files["tile.ppm"].startswith(b"P6\n40 30\n255\n")
    assert careless.seen == [sorted([input_name("scene.txt"), input_name("other")])] * 2


async def test_an_app_that_differs_is_told_where() -> None:
    with pytest.raises(IexecError, match=r"probe\.txt") as refused:
        await run_app_twice(app("faulty/determinism_probe"), "", {}, seconds=5, runtimes=[Careless()])
    assert refused.value.code == "APP_NOT_DETERMINISTIC"


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("faulty/exits_3", "", "APP_EXITED_NON_ZERO"),
        ("faulty/no_result", "", "APP_NO_RESULT"),
        ("noop/noop", "'unclosed", "BAD_PARAMS"),
    ],
)
async def test_an_app_that_fails_is_told_why(name: str, arguments: str, code: str) -> None:
    with pytest.raises(IexecError) as refused:
        await run_app_twice(app(name), arguments, {}, seconds=5)
    assert refused.value.code == code


async def test_callback_data_is_demanded_where_there_is_a_callback() -> None:
    with pytest.raises(IexecError) as refused:
        await run_app_twice(app("noop/noop"), "", {}, seconds=5, callback=True)
    assert refused.value.code == "BAD_RESULT"
