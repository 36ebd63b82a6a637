"""Applications and workerpools: deploying them and reading them back."""

from __future__ import annotations

import hashlib

import msgspec

from pyiexec.chain import registries
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.images import parse_image
from pyiexec.protocol.multiaddr import decode_multiaddr, encode_multiaddr
from pyiexec.protocol.primitives import Address, Bytes32
from pyiexec.sdk.connection import Connection

#: The only type the JS client can register; the runtime looks at the multiaddr's content instead.
APP_TYPE = "DOCKER"


class App(msgspec.Struct, frozen=True):
    """A registered application; `multiaddr` as text, `checksum` the SHA-256 of the module."""

    address: Address
    owner: Address
    name: str
    type: str
    multiaddr: str
    checksum: Bytes32


class Workerpool(msgspec.Struct, frozen=True):
    """A registered workerpool; ratios in percent."""

    address: Address
    owner: Address
    description: str
    worker_stake_ratio: int
    scheduler_reward_ratio: int


class Deployed(msgspec.Struct, frozen=True):
    """A freshly registered asset; `transaction` is empty when it was registered before."""

    address: Address
    transaction: str


class Apps:
    """Applications."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def deploy(self, name: str, module: bytes) -> Deployed:
        """Store a WebAssembly module by its content and register it for the user.

        The same name and module register once: deploying again finds the app.

        Args:
            name: what people read; not unique.
            module: the WASI module.
        """
        multiaddr = encode_multiaddr(f"/ipfs/{await self._at.content.add(module)}")
        checksum = Bytes32("0x" + hashlib.sha256(module).hexdigest())
        return await self._register(name, multiaddr, checksum)

    async def deploy_image(self, name: str, image: str) -> Deployed:
        """Register a container image, which stays in its registry, for the user.

        Args:
            name: what people read; not unique.
            image: where it is, with the digest of its manifest, or of its index for several kinds of machine:
                ``registry.example/team/app@sha256:...``.

        Raises:
            IexecError: ``BAD_IMAGE`` when it is no image's name, or has no digest.
        """
        checksum = parse_image(image).checksum
        if checksum is None:
            raise IexecError(
                "BAD_IMAGE", f"the image {image[:200]!r} is named without the digest that tells its content"
            )
        return await self._register(name, encode_multiaddr(image), checksum)

    async def _register(self, name: str, multiaddr: bytes, checksum: Bytes32) -> Deployed:
        registry = registries.Registry(self._at.rpc, await self._at.hub.app_registry())
        owner = self._at.address
        address = await registry.predict_app(owner, name, APP_TYPE, multiaddr, checksum)
        if await registry.is_registered(address):
            return Deployed(address, "")
        data = registries.create_app(owner, name, APP_TYPE, multiaddr, checksum)
        receipt = await self._at.send(address, "create", registry.address, data)
        return Deployed(registries.created_asset(receipt, registry.address), receipt.transaction_hash)

    async def show(self, address: Address) -> App:
        """What the chain knows of an application.

        Raises:
            IexecError: ``APP_UNKNOWN``.
        """
        registry = registries.Registry(self._at.rpc, await self._at.hub.app_registry())
        if not await registry.is_registered(address):
            raise IexecError("APP_UNKNOWN", f"no application is registered at {address}")
        asset = await self._at.hub.app(address)
        multiaddr = decode_multiaddr(asset.multiaddr)
        return App(address, asset.owner, asset.name, asset.type, multiaddr, asset.checksum)

    async def fetch(self, address: Address, *, max_bytes: int = 64 << 20) -> bytes:
        """The application's module, checked against its on-chain checksum.

        Raises:
            IexecError: ``APP_UNKNOWN``; ``APP_CHECKSUM_MISMATCH``; errors of the content store.
        """
        app = await self.show(address)
        module = await self._at.content.fetch(app.multiaddr.removeprefix("/ipfs/"), max_bytes=max_bytes)
        found = "0x" + hashlib.sha256(module).hexdigest()
        if found != app.checksum:
            raise IexecError("APP_CHECKSUM_MISMATCH", f"{app.multiaddr} has SHA-256 {found}, not {app.checksum}")
        return module


class Workerpools:
    """Workerpools."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def deploy(self, description: str) -> Deployed:
        """Register a workerpool for the user; deploying the same description again finds it."""
        registry = registries.Registry(self._at.rpc, await self._at.hub.workerpool_registry())
        owner = self._at.address
        address = await registry.predict_workerpool(owner, description)
        if await registry.is_registered(address):
            return Deployed(address, "")
        data = registries.create_workerpool(owner, description)
        receipt = await self._at.send(address, "create", registry.address, data)
        return Deployed(registries.created_asset(receipt, registry.address), receipt.transaction_hash)

    async def show(self, address: Address) -> Workerpool:
        """What the chain knows of a workerpool.

        Raises:
            IexecError: ``WORKERPOOL_UNKNOWN``.
        """
        registry = registries.Registry(self._at.rpc, await self._at.hub.workerpool_registry())
        if not await registry.is_registered(address):
            raise IexecError("WORKERPOOL_UNKNOWN", f"no workerpool is registered at {address}")
        pool = await self._at.hub.workerpool(address)
        return Workerpool(address, pool.owner, pool.description, pool.worker_stake_ratio, pool.scheduler_reward_ratio)

    async def url(self, address: Address) -> str:
        """Where the pool's scheduler is reached, as the network's compass says.

        Raises:
            IexecError: ``WORKERPOOL_URL_UNKNOWN``; ``COMPASS_UNREACHABLE``, also when the network's profile names none.
        """
        return await self._at.compass.url_of(address)

    async def set_url(self, address: Address, api_url: str) -> None:
        """Tell the compass where one's own pool's scheduler is reached; an empty URL takes it back.

        Raises:
            IexecError: ``BAD_URL``, ``NOT_OWNER``, ``WORKERPOOL_UNKNOWN``, ``REGISTRATION_OUTDATED``;
                ``COMPASS_UNREACHABLE``.
        """
        await self._at.compass.register(address, api_url, self._at.signer)
