"""The secrets of a client's account, and of the apps and datasets it owns."""

from __future__ import annotations

import base64

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.secrets import RESULT_KEY_NAME, STORAGE_TOKEN_NAMES, Secret, web2_secret
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.secret_service import KnownSecret, SecretService


class Secrets:
    """The secrets of a client's account, and of what it owns."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    @property
    def service(self) -> SecretService:
        """The network's secret management service.

        Raises:
            IexecError: ``SMS_UNREACHABLE`` when the network's profile names none.
        """
        return self._at.secrets

    async def push(self, secret: Secret, value: str, *, legacy: bool = False) -> None:
        """Set a secret; see `SecretService.push`."""
        await self.service.push(secret, value, self._at.signer, legacy=legacy)

    async def has(self, secret: Secret) -> bool:
        """Whether a secret is set; see `SecretService.has`."""
        return await self.service.has(secret)

    async def rotate(self, secret: Secret, value: str, *, legacy: bool = False) -> None:
        """Replace the value of a secret; see `SecretService.rotate`."""
        await self.service.rotate(secret, value, self._at.signer, legacy=legacy)

    async def delete(self, secret: Secret) -> None:
        """Delete a secret; see `SecretService.delete`."""
        await self.service.delete(secret, self._at.signer)

    async def names(self) -> list[KnownSecret]:
        """The account's secrets by name; see `SecretService.names`."""
        return await self.service.names(self._at.signer)

    async def push_result_key(self, public_key: bytes, *, replace: bool = False) -> None:
        """Leave the public key (PEM) that the account's results are to be encrypted with.

        Raises:
            IexecError: as `SecretService.push`, or as `SecretService.rotate` with `replace`.
        """
        await self._set(RESULT_KEY_NAME, base64.b64encode(public_key).decode(), replace=replace)

    async def push_storage_token(self, provider: str, token: str, *, replace: bool = False) -> None:
        """Leave the token with which enclaves put the account's results at a storage provider.

        Args:
            provider: ``dropbox`` or ``ipfs``.
            token: as the provider gave it.
            replace: an older one.

        Raises:
            IexecError: ``BAD_SECRET`` for another provider; as `SecretService.push` or `rotate`.
        """
        if provider not in STORAGE_TOKEN_NAMES:
            raise IexecError(
                "BAD_SECRET", f"no storage provider {provider!r}; {', '.join(STORAGE_TOKEN_NAMES)} are known"
            )
        await self._set(STORAGE_TOKEN_NAMES[provider], token, replace=replace)

    def own(self, name: str) -> Secret:
        """The name of a web2 secret of the account."""
        return web2_secret(self._at.address, name)

    async def _set(self, name: str, value: str, *, replace: bool) -> None:
        secret = self.own(name)
        await (self.rotate(secret, value) if replace else self.push(secret, value))
