"""ADVERSARIES. Workers that cheat, so that demonstrations and tests can show what the network does about them.

None of this runs unless a worker's settings name it. The honest code meets it only through the points of `Conduct`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyiexec.chain.hub import EVENTS, Hub
from pyiexec.protocol.primitives import (
    Address,
    ResultDigest,
    ResultHash,
    ResultSeal,
    TaskId,
    bytes32,
    keccak256,
    to_bytes,
)
from pyiexec.protocol.results import COMPUTED_FILE, OUTPUT_FOLDER, read_computed
from pyiexec.worker.conduct import Conduct
from pyiexec.worker.settings import Behaviour
from pyiexec.worker.watch import Watch


class Liar(Conduct):
    """Computes honestly, then alters the result. All liars make the same of a task, and so agree with one another."""

    def answer(self, files: Mapping[str, bytes], task_id: TaskId) -> dict[str, bytes]:
        """The files with something plausible but wrong in those the vote is about."""
        altered = dict(files)
        declared = read_computed(files).deterministic_output_path or ""
        path = declared.removeprefix(OUTPUT_FOLDER).strip("/")
        for name, content in files.items():
            if name != COMPUTED_FILE and (name == path or not path or name.startswith(path + "/")):
                altered[name] = falsify(content, task_id)
        return altered


class Copycat(Conduct):
    """Waits for another worker's vote, copies its hash and makes up a seal. What it voted for it does not know."""

    reveals = False

    def __init__(self, hub: Hub, watch: Watch) -> None:
        self._hub = hub
        self._watch = watch

    async def shortcut(self, task_id: TaskId) -> ResultHash | None:
        """The first vote of another worker, as soon as there is one."""
        async with self._watch.changes(task_id) as changed:
            while True:
                changed.clear()
                for log in await self._hub.logs("TaskContribute", topics=[task_id]):
                    return ResultHash(bytes32(EVENTS["TaskContribute"].decode(log)["hash"]))
                await changed.wait()

    def seal(self, worker: Address, task_id: TaskId, _digest: ResultDigest | None) -> ResultSeal:
        """A seal like any other to look at: nobody can tell before the reveal."""
        return ResultSeal(bytes32(keccak256(b"made up" + to_bytes(worker) + to_bytes(task_id))))


class Silent(Conduct):
    """Votes honestly and never reveals."""

    reveals = False


def conduct_of(behaviour: Behaviour, hub: Hub, watch: Watch) -> Conduct:
    """The conduct that settings ask for."""
    match behaviour:
        case "honest":
            return Conduct()
        case "liar":
            return Liar()
        case "copycat":
            return Copycat(hub, watch)
        case "silent":
            return Silent()


def falsify(content: bytes, task_id: TaskId) -> bytes:
    """Something of the same form and size that differs from `content`, derived from the task."""
    secret = keccak256(b"lie" + to_bytes(task_id))
    try:
        return _repaint(content, secret)
    except (ValueError, IndexError):
        return _retype(content, secret)


def _repaint(picture: bytes, secret: bytes) -> bytes:
    """A binary PPM picture of 8 bits with a disc in another colour: what a broken renderer might draw.

    Raises:
        ValueError, IndexError: it is no such picture.
    """
    fields: list[int] = []
    at = 2
    while picture[:2] == b"P6" and len(fields) < 3:
        while picture[at : at + 1].isspace():
            at += 1
        if picture[at : at + 1] == b"#":
            at = picture.index(b"\n", at)
            continue
        end = at
        while picture[end : end + 1].isdigit():
            end += 1
        fields.append(int(picture[at:end]))
        at = end
    width, height, depth = fields
    pixels = bytearray(picture[at + 1 :])
    if depth != 255 or len(pixels) != 3 * width * height or not pixels:
        raise ValueError("not a picture of 8 bits a colour")
    middle_x, middle_y = secret[0] * width // 256, secret[1] * height // 256
    radius = max(1, min(width, height) // 3)
    for y in range(max(0, middle_y - radius), min(height, middle_y + radius + 1)):
        for x in range(max(0, middle_x - radius), min(width, middle_x + radius + 1)):
            if (x - middle_x) ** 2 + (y - middle_y) ** 2 <= radius * radius:
                start = 3 * (y * width + x)
                red, green, blue = pixels[start : start + 3]
                pixels[start : start + 3] = bytes((255 - blue, red, green))
    # A grey that the exchange maps onto itself would leave the picture true.
    centre = 3 * (middle_y * width + middle_x)
    pixels[centre] = picture[at + 1 + centre] ^ 0x40
    return picture[: at + 1] + bytes(pixels)


def _retype(content: bytes, secret: bytes) -> bytes:
    """Other bytes: one digit of a text that has digits is another one, of anything else one bit is."""
    if not content:
        return b"\n"
    digits = [at for at, byte in enumerate(content[:4096]) if 0x30 <= byte <= 0x39]
    altered = bytearray(content)
    if digits:
        at = digits[secret[0] % len(digits)]
        altered[at] = 0x30 + (content[at] - 0x30 + 1 + secret[1] % 9) % 10
    else:
        altered[secret[0] % len(content)] ^= 1
    return bytes(altered)
