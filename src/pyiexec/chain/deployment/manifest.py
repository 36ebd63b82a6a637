"""What a deployment put where, as a file that others find it by."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pyiexec.chain.deployment.facets import Variant
from pyiexec.chain.hub import Category
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32


class Deployed(msgspec.Struct, frozen=True, rename="camel"):
    """A contract on chain: its address and its ABI-encoded constructor arguments (``0x`` when it takes none)."""

    address: Address
    constructor_args: str


class Registries(msgspec.Struct, frozen=True):
    """Addresses of the three registries."""

    app: Address
    dataset: Address
    workerpool: Address


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was deployed.

    Attributes:
        chain_id: EIP-155 id of the chain.
        variant: ``token``: the hub holds an ERC-20; ``native``: the chain's own coin.
        contracts: every contract by the name of its artifact.
        hub: the diamond's address.
        token: address of RLC; the null address in the native variant.
        deployed_at: block in which the hub was created, as it has no events before; 0 when the node could not tell.
        deployer: the account that deployed, owner of hub and registries at first; None in a manifest of other making.
        salt: what it set this deployment apart with, see `plan.make_plan`.
        categories: those that were asked for, by their number.
    """

    chain_id: int
    variant: Variant
    contracts: dict[str, Deployed]
    hub: Address
    token: Address
    registries: Registries
    deployed_at: int = 0
    deployer: Address | None = None
    salt: Bytes32 | None = None
    categories: tuple[Category, ...] = ()

    def save(self, path: Path) -> None:
        """Write it as JSON; a reader sees all of it or nothing."""
        scratch = path.with_name(path.name + ".part")
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        scratch.replace(path)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in a file.

        Raises:
            IexecError: ``NETWORK_UNKNOWN``.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError:
            raise IexecError("NETWORK_UNKNOWN", f"there is no deployment described in {path}") from None
        except msgspec.DecodeError as error:
            raise IexecError("NETWORK_UNKNOWN", f"{path} does not describe a deployment: {error}") from None
