"""Keys that everybody has: the accounts of the public test mnemonic, worthless where money is not."""

from __future__ import annotations

from functools import cache

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.networks import NetworkKind, NetworkProfile
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

#: How many of the mnemonic's accounts are known by heart: more than any local network uses.
KNOWN = 64


@cache
def public_accounts() -> frozenset[Address]:
    """Addresses whose keys are public."""
    return frozenset(derive(MNEMONIC, index).address for index in range(KNOWN))


def refuse_public_key(profile: NetworkProfile, account: Address) -> None:
    """Keep a public key from being used where it could lose money.

    Raises:
        IexecError: ``TEST_KEY``.
    """
    # Deriving the accounts takes a moment, which other networks do not owe.
    if profile.kind is NetworkKind.MAIN and account in public_accounts():
        raise IexecError("TEST_KEY", f"everybody has the key of {account}, and {profile.name} is a main network")
