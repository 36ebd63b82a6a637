"""The secret management service from an owner's side: set, check, list, rotate and delete.

Values go to the service as they are: give it an ``https`` URL wherever the network between is not one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

import aiohttp
import msgspec

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clients import Answer, JsonClient
from pyiexec.foundation.clock import Clock
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.primitives import bytes32
from pyiexec.protocol.secrets import (
    Action,
    BoundAuthorization,
    Secret,
    SecretKind,
    bound_header,
    legacy_message,
    read_value,
)

#: For how long an authorisation that was just signed is good.
LIFE_SECONDS = 120
#: What bare statuses mean, by method; services that are not ours say no more.
_MEANINGS = {
    ("POST", 400): "BAD_SECRET",
    ("POST", 401): "SECRET_REFUSED",
    ("POST", 409): "SECRET_EXISTS",
    ("POST", 413): "SECRET_TOO_LARGE",
    ("PUT", 400): "BAD_SECRET",
    ("PUT", 401): "SECRET_REFUSED",
    ("PUT", 404): "SECRET_UNKNOWN",
    ("PUT", 413): "SECRET_TOO_LARGE",
    ("DELETE", 401): "SECRET_REFUSED",
    ("DELETE", 404): "SECRET_UNKNOWN",
}


class KnownSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is set. Moments are milliseconds since the Unix epoch."""

    secret: Secret
    created_at: int
    updated_at: int


class SecretService(JsonClient):
    """The service at a URL; make it inside the event loop.

    Args:
        url: its origin, which is part of what is signed.
        domain: chain and hub it serves.
        clock: for deadlines.
        entropy: random bytes, for nonces.
        session: shared with other clients; one is opened, and closed with this object, when None.
    """

    def __init__(
        self,
        url: str,
        domain: Domain,
        clock: Clock,
        entropy: Callable[[int], bytes],
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        super().__init__(url, session, kind="a secret management service", silent="SMS_UNREACHABLE")
        self._domain = domain
        self._clock = clock
        self._entropy = entropy

    async def has(self, secret: Secret) -> bool:
        """Whether a secret is set; anybody may ask.

        Raises:
            IexecError: ``SMS_UNREACHABLE``.
        """
        answer = await self._request("HEAD", *_place(secret))
        if answer.status not in (204, 200, 404):
            raise self._refusal(answer, "SMS_UNREACHABLE")
        return answer.status != 404

    async def push(self, secret: Secret, value: str, signer: Signer, *, legacy: bool = False) -> None:
        """Set a secret.

        Args:
            secret: which.
            value: 1 to 4096 bytes of UTF-8; blanks around it are not kept.
            signer: its owner.
            legacy: sign as the JS SDK does, for a service that knows nothing else.

        Raises:
            IexecError: ``SECRET_EXISTS``, ``SECRET_REFUSED``, ``SECRET_TOO_LARGE``, ``BAD_SECRET``;
                ``SMS_UNREACHABLE``.
        """
        await self._change(Action.CREATE, secret, value, signer, legacy=legacy)

    async def rotate(self, secret: Secret, value: str, signer: Signer, *, legacy: bool = False) -> None:
        """Replace the value of a secret. A legacy signature can do so for web2 secrets alone.

        Raises:
            IexecError: as `push`, with ``SECRET_UNKNOWN`` in place of ``SECRET_EXISTS``.
        """
        await self._change(Action.REPLACE, secret, value, signer, legacy=legacy)

    async def delete(self, secret: Secret, signer: Signer) -> None:
        """Delete a secret.

        Raises:
            IexecError: ``SECRET_UNKNOWN``, ``SECRET_REFUSED``, ``SMS_UNREACHABLE``.
        """
        await self._change(Action.DELETE, secret, "", signer, legacy=False)

    async def names(self, signer: Signer) -> list[KnownSecret]:
        """The signer's own secrets, and those the signer set for assets.

        Raises:
            IexecError: ``SECRET_REFUSED``, ``SMS_UNREACHABLE``.
        """
        nonce, deadline = bytes32(self._entropy(32)), int(self._clock.now()) + LIFE_SECONDS
        allowed = BoundAuthorization(
            action=Action.LIST, subject=signer.address, service=self.url, nonce=nonce, deadline=deadline
        )
        header = bound_header(nonce, deadline, signer.sign_digest(allowed.digest(self._domain)))
        answer = await self._request("GET", "/secrets", {"ownerAddress": signer.address}, header=header)
        if answer.status != 200:
            raise self._refusal(answer, "SMS_UNREACHABLE")
        try:
            return [
                KnownSecret(
                    secret=Secret(SecretKind(entry["kind"]), entry["subject"], entry["name"]),
                    created_at=entry["createdAt"],
                    updated_at=entry["updatedAt"],
                )
                for entry in answer.content["secrets"]
            ]
        except (KeyError, TypeError, ValueError):
            raise self._nonsense() from None

    async def _change(self, action: Action, secret: Secret, value: str, signer: Signer, *, legacy: bool) -> None:
        body = b"" if action is Action.DELETE else value.encode()
        if action is not Action.DELETE:
            # Said here, without sending it anywhere.
            read_value(body)
        if legacy:
            header = "0x" + signer.sign_message_hash(legacy_message(secret, value)).hex()
        else:
            nonce, deadline = bytes32(self._entropy(32)), int(self._clock.now()) + LIFE_SECONDS
            allowed = BoundAuthorization.over(action, secret, value, service=self.url, nonce=nonce, deadline=deadline)
            header = bound_header(nonce, deadline, signer.sign_digest(allowed.digest(self._domain)))
        method = {Action.CREATE: "POST", Action.REPLACE: "PUT", Action.DELETE: "DELETE"}[action]
        answer = await self._request(method, *_place(secret), body=body, header=header)
        if answer.status not in (200, 204):
            raise self._refusal(answer, _MEANINGS.get((method, answer.status), "SMS_UNREACHABLE"))

    async def _request(
        self, method: str, path: str, query: Mapping[str, str], *, body: bytes = b"", header: str | None = None
    ) -> Answer:
        # Not redirected: where that leads is not where the value was meant to go.
        return await self._ask(
            method,
            path,
            query,
            body=body,
            media_type="text/plain;charset=UTF-8",
            authorization=header,
            redirects=False,
        )


def _place(secret: Secret) -> tuple[str, dict[str, str]]:
    """Path and query of a secret."""
    if secret.kind is SecretKind.DATASET:
        return "/secrets/web3", {"secretAddress": secret.subject}
    if secret.kind is SecretKind.WEB2:
        return "/secrets/web2", {"ownerAddress": secret.subject, "secretName": secret.name}
    if secret.kind is SecretKind.APP:
        return f"/apps/{secret.subject}/secrets", {}
    return f"/requesters/{secret.subject}/secrets/{quote(secret.name, safe='')}", {}
