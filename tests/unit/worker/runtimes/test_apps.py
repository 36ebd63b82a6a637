"""The sample applications: what they compute, and that anyone can rebuild them bit by bit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pyiexec.worker.runtimes import RunOutcome, RunRequest, WasmRuntime

from .conftest import APPS, LIMITS, Requests

pytestmark = pytest.mark.anyio

SCENE = (APPS / "raytracer" / "scene.txt").read_text()
SMALL = ("--width", "96", "--height", "72")


class Render:
    """Runs the ray tracer as a worker would."""

    def __init__(self, runtime: WasmRuntime, request_for: Requests) -> None:
        self.runtime = runtime
        self.request_for = request_for

    def request(self, *args: str, index: int = 0, scene: str = SCENE) -> RunRequest:
        request = self.request_for("raytracer/raytracer", *args, limits=replace(LIMITS, fuel=10**11))
        (request.input_dir / "scene").write_text(scene)
        task = {
            "IEXEC_INPUT_FILE_NAME_1": "scene",
            "IEXEC_BOT_FIRST_INDEX": "0",
            "IEXEC_BOT_TASK_INDEX": str(index),
        }
        return replace(request, environment={**request.environment, **task})

    async def tile(self, *args: str, index: int = 0) -> tuple[int, int, bytes]:
        """Width, height and pixels."""
        request = self.request(*args, index=index)
        outcome = await self.runtime.run(request)
        assert outcome.cause is None, outcome
        magic, size, depth, pixels = (request.output_dir / "tile.ppm").read_bytes().split(b"\n", 3)
        width, height = (int(number) for number in size.split())
        assert (magic, depth, len(pixels)) == (b"P6", b"255", width * height * 3)
        return width, height, pixels

    async def refusal(self, *args: str, index: int = 0, scene: str = SCENE) -> str:
        """What the program says before it exits with 2."""
        outcome: RunOutcome = await self.runtime.run(self.request(*args, index=index, scene=scene))
        assert (outcome.cause, outcome.exit_code) == ("APP_EXITED_NON_ZERO", 2)
        return outcome.stderr.decode()


@pytest.fixture
def render(runtime: WasmRuntime, request_for: Requests) -> Render:
    return Render(runtime, request_for)


async def test_tiles_make_the_same_picture_as_one_piece(render: Render) -> None:
    """Also where the picture's size is no multiple of the grid's."""
    columns, rows = 5, 4
    _, _, whole = await render.tile(*SMALL)
    picture = bytearray(len(whole))
    top = 0
    for row in range(rows):
        left = height = 0
        for column in range(columns):
            grid = ("--columns", str(columns), "--rows", str(rows))
            width, height, pixels = await render.tile(*SMALL, *grid, index=row * columns + column)
            for line in range(height):
                start = ((top + line) * 96 + left) * 3
                picture[start : start + width * 3] = pixels[line * width * 3 : (line + 1) * width * 3]
            left += width
        top += height
    assert bytes(picture) == whole


async def test_every_machine_computes_these_bytes(render: Render) -> None:
    """A new engine, processor or compiler that changes one bit would split the workers of a task."""
    _, _, pixels = await render.tile(*SMALL)
    assert sha256(pixels).hexdigest() == "268e3aa68fe4164d390c64e69667e8d22db4ada565ca937c7fc5a5b158b6b06a"


async def test_the_picture_is_one(render: Render) -> None:
    """Light above, colours below, nothing black or burnt out as a whole."""
    _, _, pixels = await render.tile(*SMALL)
    brightness = sum(pixels) / len(pixels)
    assert 80 < brightness < 190
    assert len({pixels[i : i + 3] for i in range(0, len(pixels), 3)}) > 1_000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("sphere 0 0 0 1 nothing", "no such material"),
        ("sphere 0 0 0 -1 chrome", "a sphere is"),
        ("sphere 0 0 nan 1 chrome", "a sphere is"),
        ("material chrome 1 1 1 0 0 0", "a name used twice"),
        ("material odd 1 1 1 2 0 0", "mirror and gloss"),
        ("camera 0 0 0 0 1 0 1", "straight up"),
        ("floor 0 0 tiles", "a floor is"),
        ("torus 1 2 3", "unknown word"),
        ("# " + "x" * 600, "too long"),
    ],
)
async def test_a_bad_scene_is_refused_with_its_line(render: Render, line: str, reason: str) -> None:
    said = await render.refusal(scene=SCENE + line + "\n")
    assert reason in said
    assert f"line {SCENE.count(chr(10)) + 1}:" in said


@pytest.mark.parametrize(
    ("args", "index", "reason"),
    [
        (("--columns", "4", "--rows", "3"), 12, "no tile 12"),
        (("--columns", "0"), 0, "--columns must be a number"),
        (("--rows",), 0, "--rows must be a number"),
        (("--columns", "700"), 0, "fewer pixels than tiles"),
        (("--colour", "red"), 0, "unknown argument --colour"),
    ],
)
async def test_bad_arguments_are_refused(render: Render, args: tuple[str, ...], index: int, reason: str) -> None:
    assert reason in await render.refusal(*args, index=index)


async def test_a_missing_scene_is_named(render: Render) -> None:
    request = render.request()
    (request.input_dir / "scene").unlink()
    outcome = await render.runtime.run(request)
    assert (outcome.cause, outcome.exit_code) == ("APP_EXITED_NON_ZERO", 2)
    assert b"cannot be opened" in outcome.stderr


@pytest.mark.timeout(600)
def test_the_committed_modules_are_what_their_sources_compile_to(tmp_path: Path) -> None:
    subprocess.run([sys.executable, APPS / "build.py", "--into", tmp_path], check=True, stdout=subprocess.DEVNULL)
    committed = {path.relative_to(APPS): path.read_bytes() for path in APPS.glob("*/*.wasm")}
    rebuilt = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.glob("*/*.wasm")}
    assert rebuilt.keys() == committed.keys()
    assert [path for path in committed if rebuilt[path] != committed[path]] == []


def test_no_module_carries_the_path_of_a_machine() -> None:
    for path in APPS.glob("*/*.wasm"):
        content = path.read_bytes()
        assert not any(word in content for word in (b"/tmp", b"/home", b"/root", b"ziglang", b".debug")), path
