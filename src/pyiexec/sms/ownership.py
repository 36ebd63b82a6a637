"""Who may change a secret, as the chain says: asked when somebody wants to."""

from __future__ import annotations

import msgspec

from pyiexec.chain.authentication import signed_by
from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import read_all
from pyiexec.chain.registries import Registry, asset_owner
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.secrets import Secret, SecretKind
from pyiexec.protocol.tags import TEE
from pyiexec.protocol.tasks import TaskStatus


class _Registries(msgspec.Struct, frozen=True):
    app: Registry
    dataset: Registry
    workerpool: Registry


class Ownership:
    """Questions to one hub."""

    def __init__(self, rpc: JsonRpc, hub: Address) -> None:
        self._rpc = rpc
        self._hub = Hub(rpc, hub)
        self._registries: _Registries | None = None

    async def owner_of(self, secret: Secret) -> Address:
        """Whose signature a change of the secret takes: the person's, or the owner of the asset now.

        Raises:
            IexecError: ``SECRET_REFUSED`` when the subject is not registered as what the secret is for;
                ``CHAIN_UNREACHABLE``.
        """
        if secret.kind in (SecretKind.WEB2, SecretKind.REQUESTER):
            return secret.subject
        known = await self._known_registries()
        # A dataset's path has always taken the secret of any asset.
        entries = [known.app] if secret.kind is SecretKind.APP else [known.dataset, known.app, known.workerpool]
        if not any(await read_all(*(entry.is_registered(secret.subject) for entry in entries))):
            raise IexecError("SECRET_REFUSED", f"nothing is registered at {secret.subject} that has an owner")
        return await asset_owner(self._rpc, secret.subject)

    async def signed_by(self, identity: Address, digest: bytes, signature: bytes) -> bool:
        """Whether `identity` signed the 32 bytes `digest`, with its key or as a contract.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        return await signed_by(self._hub, identity, digest, signature)

    async def manager_of(self, task_id: TaskId) -> Address:
        """The owner of the pool that has to compute an active task within an enclave.

        Raises:
            IexecError: ``TASK_UNKNOWN``; ``SECRET_REFUSED`` when the task is not active or asks for no enclave;
                ``CHAIN_UNREACHABLE``.
        """
        task = await self._hub.task(task_id)
        if task.status is TaskStatus.UNSET:
            raise IexecError("TASK_UNKNOWN", f"no task {task_id} is initialised")
        if task.status is not TaskStatus.ACTIVE:
            raise IexecError("SECRET_REFUSED", f"task {task_id} is not active")
        deal = await self._hub.deal(task.deal_id)
        if not int(deal.tag, 16) & TEE:
            raise IexecError("SECRET_REFUSED", f"task {task_id} asks for no enclave")
        return deal.workerpool.owner

    async def _known_registries(self) -> _Registries:
        if self._registries is None:
            addresses = await read_all(
                self._hub.app_registry(), self._hub.dataset_registry(), self._hub.workerpool_registry()
            )
            self._registries = _Registries(*(Registry(self._rpc, address) for address in addresses))
        return self._registries
