"""The sample applications: in the wheel they are beside the code, in a checkout in apps/."""

from __future__ import annotations

from pathlib import Path

from pyiexec.protocol.errors import IexecError

_HERE = Path(__file__).parent
#: In the wheel, and in a checkout.
_PLACES = (_HERE / "samples", _HERE.parents[2] / "apps")


def sample(path: str) -> bytes:
    """Content of a sample's file, e.g. ``raytracer/raytracer.wasm``.

    Raises:
        IexecError: ``SAMPLE_MISSING``.
    """
    for place in _PLACES:
        if (place / path).is_file():
            return (place / path).read_bytes()
    raise IexecError("SAMPLE_MISSING", f"the sample {path} is not installed")
