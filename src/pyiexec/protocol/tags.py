"""The 32-byte tag: which features a task needs and a workerpool offers, one bit each.

Source: PoCo `matchOrders` checks 0x06 and 0x07; bit numbers of the iExec SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Bytes32, bytes32

TEE = 1 << 0
SCONE = 1 << 1
GRAMINE = 1 << 2
TDX = 1 << 3
GPU = 1 << 8

#: The bits naming a TEE framework. A dataset's are ignored in a match: its secret serves any framework.
TEE_FRAMEWORK_MASK = SCONE | GRAMINE | TDX

_BITS = {"tee": TEE, "scone": SCONE, "gramine": GRAMINE, "tdx": TDX, "gpu": GPU}
_NAMES = {bit: name for name, bit in _BITS.items()}
_UNNAMED = re.compile(r"bit([0-9]{1,3})", re.ASCII)


def _bit(name: str) -> int:
    word = name.strip().lower()
    if word in _BITS:
        return _BITS[word]
    match = _UNNAMED.fullmatch(word)
    if match and int(match[1]) < 256:
        return 1 << int(match[1])
    raise IexecError("BAD_TAG", f"{name[:40]!r} is not a tag ({', '.join(_BITS)})")


def encode_tag(names: Iterable[str]) -> Bytes32:
    """The tag with the bits of `names`; ``bit9`` names a bit that has no other name.

    Raises:
        IexecError: ``BAD_TAG`` for a name that is none.
    """
    tag = 0
    for name in names:
        tag |= _bit(name)
    return bytes32(tag)


def decode_tag(tag: Bytes32) -> tuple[str, ...]:
    """The names of the bits of `tag`, lowest first."""
    bits = int(tag, 16)
    return tuple(_NAMES.get(1 << n, f"bit{n}") for n in range(256) if bits >> n & 1)


def parse_tag(text: str) -> Bytes32:
    """The tag a user wrote: ``tee,tdx``, nothing for none, or 32 bytes of hexadecimal.

    Raises:
        IexecError: ``BAD_TAG``.
    """
    if text.startswith("0x"):
        try:
            return bytes32(text)
        except IexecError as error:
            raise IexecError("BAD_TAG", error.what) from None
    return encode_tag(name for name in text.split(",") if name.strip())


def combine_tags(app: Bytes32, dataset: Bytes32, request: Bytes32) -> Bytes32:
    """What a deal made of these orders needs of its workerpool."""
    return bytes32(int(app, 16) | int(dataset, 16) & ~TEE_FRAMEWORK_MASK | int(request, 16))


def missing_tags(needed: Bytes32, offered: Bytes32) -> tuple[str, ...]:
    """The names of what is `needed` and not `offered`."""
    return decode_tag(bytes32(int(needed, 16) & ~int(offered, 16)))


def requires_tee(tag: Bytes32) -> bool:
    """Whether every contribution must come from an enclave."""
    return bool(int(tag, 16) & TEE)
