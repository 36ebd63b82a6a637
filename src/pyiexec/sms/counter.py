"""Where owners bring secrets: who signed, for what, and then the vault."""

from __future__ import annotations

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.eip712 import Domain, ethereum_message_digest
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId, keccak256, to_bytes
from pyiexec.protocol.secrets import (
    Action,
    BoundAuthorization,
    BoundSignature,
    LegacySignature,
    Secret,
    legacy_message,
    read_authorization,
)
from pyiexec.sms import rules
from pyiexec.sms.ownership import Ownership
from pyiexec.sms.queries import Named
from pyiexec.sms.vault import Vault

log = get_logger(__name__)


class Counter:
    """Takes requests of owners.

    Args:
        vault: the secrets.
        chain: who owns what.
        domain: hub and chain that bound authorisations must be signed for.
        clock: for their deadlines.
        origins: names of this service in them.
        accept_legacy: whether the other authorisation is taken.
    """

    def __init__(
        self,
        vault: Vault,
        chain: Ownership,
        domain: Domain,
        clock: Clock,
        *,
        origins: set[str],
        accept_legacy: bool,
    ) -> None:
        self._vault = vault
        self._chain = chain
        self._domain = domain
        self._clock = clock
        self.origins = origins
        self._accept_legacy = accept_legacy

    async def change(self, action: Action, secret: Secret, value: str, header: str | None) -> None:
        """Set, replace or delete a secret for whoever the header proves to be its owner.

        Raises:
            IexecError: ``SECRET_REFUSED``, ``SECRET_EXISTS``, ``SECRET_UNKNOWN``; ``CHAIN_UNREACHABLE``.
        """
        claim = read_authorization(header)
        if isinstance(claim, LegacySignature):
            if not self._accept_legacy:
                raise IexecError("SECRET_REFUSED", "this service takes no authorisation but EIP712")
            owner = await self._chain.owner_of(secret)
            digest = ethereum_message_digest(legacy_message(secret, value))
            await self._check_signed(owner, digest, claim.signature)
            if await self._vault.change_legacy(action, secret, value, owner):
                _note(action, secret, owner, "legacy")
            return
        rules.check_moment(claim.deadline, self._clock.now())
        owner = await self._chain.owner_of(secret)

        def allowed(service: str) -> BoundAuthorization:
            return BoundAuthorization.over(
                action, secret, value, service=service, nonce=claim.nonce, deadline=claim.deadline
            )

        await self._check_bound(owner, [allowed(service) for service in sorted(self.origins)], claim)
        await self._vault.change_bound(action, secret, value, owner, claim.nonce, claim.deadline)
        _note(action, secret, owner, "bound")

    async def names_of(self, owner: Address, header: str | None) -> list[Named]:
        """The names of a person's secrets, for that person.

        Raises:
            IexecError: ``SECRET_REFUSED``; ``CHAIN_UNREACHABLE``.
        """
        claim = read_authorization(header)
        if not isinstance(claim, BoundSignature):
            raise IexecError("SECRET_REFUSED", "a list of secrets takes an EIP712 authorisation")
        rules.check_moment(claim.deadline, self._clock.now())

        def allowed(service: str) -> BoundAuthorization:
            return BoundAuthorization(
                action=Action.LIST, subject=owner, service=service, nonce=claim.nonce, deadline=claim.deadline
            )

        await self._check_bound(owner, [allowed(service) for service in sorted(self.origins)], claim)
        return await self._vault.names_of(owner, claim.nonce, claim.deadline)

    async def challenge(self, task_id: TaskId, header: str | None) -> Address:
        """The key of an enclave for a task, for the manager of its pool.

        Raises:
            IexecError: ``TEE_UNAVAILABLE``, which is all that a service without enclaves can say to whoever may ask;
                to others ``TASK_UNKNOWN``, ``SECRET_REFUSED``; ``CHAIN_UNREACHABLE``.
        """
        claim = read_authorization(header)
        if not isinstance(claim, LegacySignature):
            raise IexecError("SECRET_REFUSED", "the Authorization header must be a signature over the task")
        manager = await self._chain.manager_of(task_id)
        digest = ethereum_message_digest(keccak256(to_bytes(task_id)))
        await self._check_signed(manager, digest, claim.signature)
        raise IexecError("TEE_UNAVAILABLE", f"task {task_id} needs an enclave, and this network has none yet")

    async def _check_bound(self, owner: Address, allowed: list[BoundAuthorization], claim: BoundSignature) -> None:
        for authorization in allowed:
            if await self._chain.signed_by(owner, authorization.digest(self._domain), claim.signature):
                return
        names = " or ".join(sorted(self.origins))
        raise IexecError(
            "SECRET_REFUSED",
            f"{owner} did not sign this request for service {names}, hub {self._domain.verifying_contract}"
            f" and chain {self._domain.chain_id}",
        )

    async def _check_signed(self, owner: Address, digest: bytes, signature: bytes) -> None:
        if not await self._chain.signed_by(owner, digest, signature):
            raise IexecError("SECRET_REFUSED", f"the authorisation is not signed by {owner}")


def _note(action: Action, secret: Secret, owner: Address, form: str) -> None:
    """Keep in the log who changed what, without anything of the value."""
    log.info(
        "a secret was changed",
        action=str(action),
        kind=str(secret.kind),
        subject=secret.subject,
        name=secret.name,
        owner=owner,
        form=form,
    )
