"""The adversaries' lies: plausible, the same for all liars, and always wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.protocol.results import result_digest
from pyiexec.worker.behaviours import Liar, falsify

TASK, OTHER_TASK = TaskId(bytes32(1)), TaskId(bytes32(2))


def picture(width: int, height: int, pixels: bytes | None = None) -> bytes:
    size = 3 * width * height
    return b"P6\n# a tile\n%d %d\n255\n" % (width, height) + (pixels or bytes(n % 256 for n in range(size)))


def test_a_falsified_picture_is_still_a_picture_of_the_same_size() -> None:
    true = picture(40, 30)
    lie = falsify(true, TASK)
    assert lie.startswith(b"P6\n# a tile\n40 30\n255\n")
    assert len(lie) == len(true)
    changed = sum(a != b for a, b in zip(true, lie, strict=True))
    assert 100 < changed < len(true) * 3 // 4


def test_a_falsified_number_is_still_a_number() -> None:
    lie = falsify(b'{"price": 1234.5}', TASK)
    assert json.loads(lie)["price"] != 1234.5


@given(st.binary())
def test_a_lie_is_never_true_and_always_the_same(content: bytes) -> None:
    assert falsify(content, TASK) != content
    assert falsify(content, TASK) == falsify(content, TASK)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 255))
def test_a_picture_of_one_colour_is_falsified_too(width: int, height: int, grey: int) -> None:
    true = picture(width, height, bytes([grey]) * (3 * width * height))
    assert falsify(true, TASK) != true
    assert len(falsify(true, TASK)) == len(true)


def test_tasks_are_lied_about_differently() -> None:
    assert falsify(picture(40, 30), TASK) != falsify(picture(40, 30), OTHER_TASK)


@pytest.mark.parametrize("declared", ["/iexec_out/tile.ppm", "/iexec_out", "/iexec_out/", "/iexec_out/part"])
def test_a_liar_changes_what_is_voted_on(declared: str) -> None:
    files = {
        "computed.json": json.dumps({"deterministic-output-path": declared}).encode(),
        "tile.ppm": picture(8, 8),
        "part/data.txt": b"17",
    }
    lie = Liar().answer(files, TASK)
    assert lie["computed.json"] == files["computed.json"]
    assert result_digest(lie) != result_digest(files)
