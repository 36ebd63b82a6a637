"""Where the scheduler of a workerpool is reached, as the pool's owner says.

Source: EIP-712; the domain is ours (`iExec Compass`). A registration is good until its deadline, and of two of one
owner that with the later deadline counts: a copy of an older one changes nothing.
"""

from __future__ import annotations

import re

import msgspec

from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, keccak256, to_bytes

#: Longest life of a registration, seconds.
MAX_LIFE_SECONDS = 600
_MAX_URL = 255
_ORIGIN = re.compile(
    r"https?://(?:\[[0-9a-f:.]{2,45}\]|(?=[a-z0-9.-]{1,253}[:/]?)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::[0-9]{1,5})?/?",
    re.ASCII | re.IGNORECASE,
)
_DOMAIN_TYPE = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_TYPE = keccak256(b"WorkerpoolUrl(address workerpool,string apiUrl,uint256 deadline)")


class PoolUrl(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a pool signs.

    Attributes:
        workerpool: the pool.
        api_url: origin of its scheduler; empty to take it back.
        deadline: second since the Unix epoch from which the registration is refused.
    """

    workerpool: Address
    api_url: str
    deadline: int

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes to sign; `domain` is the chain and the hub that the pool belongs to."""
        separator = keccak256(
            _DOMAIN_TYPE
            + keccak256(b"iExec Compass")
            + keccak256(b"1")
            + domain.chain_id.to_bytes(32, "big")
            + to_bytes(domain.verifying_contract).rjust(32, b"\0")
        )
        members = (
            to_bytes(self.workerpool).rjust(32, b"\0")
            + keccak256(self.api_url.encode())
            + self.deadline.to_bytes(32, "big")
        )
        return keccak256(b"\x19\x01" + separator + keccak256(_TYPE + members))


def check_origin(url: str) -> str:
    """The URL, if it is the bare origin of a service: clients drop any path.

    Raises:
        IexecError: ``BAD_URL`` for anything but ``http`` or ``https``, a host, and perhaps a port.
    """
    match = _ORIGIN.fullmatch(url)
    port = url.rstrip("/").rpartition(":")[2]
    if len(url) > _MAX_URL or match is None or (port.isdecimal() and not 0 < int(port) < 65536):
        raise IexecError("BAD_URL", f"{url[:80]!r} is not an origin, which is http(s)://host or http(s)://host:port")
    return url


def check_moment(deadline: int, now: float, latest: int | None) -> None:
    """Whether a registration is for now.

    Args:
        deadline: of the registration.
        now: seconds since the Unix epoch.
        latest: deadline of the last registration of the same pool by the same owner.

    Raises:
        IexecError: ``REGISTRATION_OUTDATED``; ``BAD_REQUEST`` when it would be good for too long.
    """
    if deadline <= now:
        raise IexecError("REGISTRATION_OUTDATED", f"the registration expired; its deadline was {deadline}")
    if deadline > now + MAX_LIFE_SECONDS:
        raise IexecError("BAD_REQUEST", f"deadline must be at most {MAX_LIFE_SECONDS} s after now, {int(now)}")
    if latest is not None and deadline <= latest:
        raise IexecError("REGISTRATION_OUTDATED", f"a registration with deadline {latest} was taken before")
