"""Where secrets are kept: encryption, and the one transaction in which a request is judged and done."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32
from pyiexec.protocol.secrets import Action, Secret, SecretKind, legacy_message, stored_form
from pyiexec.sms import queries, rules
from pyiexec.sms.keyring import KeyFile, new_ring
from pyiexec.sms.queries import Named
from pyiexec.sms.sealing import seal, unseal


class Vault:
    """Secrets in a database, encrypted with the keys of a ring.

    Args:
        database: of the lineage ``sms``.
        keys: the ring's file.
        clock: for moments and deadlines.
        entropy: random bytes, for nonces of the encryption.
    """

    def __init__(self, database: Database, keys: KeyFile, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._entropy = entropy

    async def open(self) -> None:
        """Make the key ring at the first start; at any other, see that it opens what is stored.

        Raises:
            IexecError: ``KEY_RING_MISSING``, ``KEY_RING_UNSAFE``, ``KEY_RING_WRONG``, ``SECRET_CORRUPT``.
        """

        def check(db: sa.Connection) -> None:
            if not queries.is_used(db) and not self._keys.path.exists():
                self._keys.create(new_ring(self._entropy))
            ring = self._keys.read()
            for key_id in queries.key_ids(db):
                for stored in queries.sealed_with(db, key_id, 1):
                    unseal(ring, *stored)

        # As a write, so that two services that start on one database do not make two rings.
        await self._database.write(check)

    async def has(self, secret: Secret) -> bool:
        """Whether the secret has a value."""
        return await self._database.read(lambda db: queries.exists(db, secret))

    async def reveal(self, secret: Secret) -> str:
        """The value; for enclaves alone.

        Raises:
            IexecError: ``SECRET_UNKNOWN``, ``SECRET_CORRUPT``, ``KEY_RING_WRONG``.
        """

        def open_(db: sa.Connection) -> str:
            stored = queries.sealed(db, secret)
            if stored is None:
                raise IexecError("SECRET_UNKNOWN", f"{rules.told(secret)} is not set")
            return unseal(self._keys.read(), *stored)

        # As a write: a rotation must not retire the key between reading the row and reading the ring.
        return await self._database.write(open_)

    async def change_legacy(self, action: Action, secret: Secret, value: str, signer: Address) -> bool:
        """Do what a legacy authorisation allows; whether anything was changed.

        Raises:
            IexecError: as `rules.check_change`.
        """

        def change(db: sa.Connection) -> bool:
            fingerprint = self._keys.read().fingerprint_of(legacy_message(secret, value))
            standing = queries.standing(db, secret, fingerprint)
            changed = rules.check_change(action, secret, standing, legacy=True)
            if changed:
                self._store(db, secret, value, fingerprint, signer)
            return changed

        return await self._database.write(change)

    async def change_bound(
        self, action: Action, secret: Secret, value: str, signer: Address, nonce: Bytes32, deadline: int
    ) -> None:
        """Do what a bound authorisation allows. It is used up also when it is refused.

        Raises:
            IexecError: ``SECRET_REFUSED`` when it was used before, and as `rules.check_change`.
        """

        def change(db: sa.Connection) -> IexecError | None:
            self._spend(db, signer, nonce, deadline)
            try:
                rules.check_change(action, secret, queries.standing(db, secret, None), legacy=False)
            except IexecError as refusal:
                # Given back, not raised: the transaction that used the nonce up must stand.
                return refusal
            if action is Action.DELETE:
                queries.erase(db, secret, self._moment())
            else:
                self._store(db, secret, value, None, signer)
            return None

        refusal = await self._database.write(change)
        if refusal is not None:
            raise refusal

    async def names_of(self, owner: Address, nonce: Bytes32, deadline: int) -> list[Named]:
        """What a person has set, and the person's own secrets; uses the authorisation up.

        Raises:
            IexecError: ``SECRET_REFUSED`` when it was used before.
        """

        def names(db: sa.Connection) -> list[Named]:
            self._spend(db, owner, nonce, deadline)
            return queries.names_of(db, owner)

        return await self._database.write(names)

    async def counts(self) -> dict[SecretKind, int]:
        """How many secrets of each kind are stored."""
        return await self._database.read(queries.counts)

    def _spend(self, db: sa.Connection, signer: Address, nonce: Bytes32, deadline: int) -> None:
        now = self._clock.now()
        # Looked at again here: what expired while it waited may have been forgotten as used.
        rules.check_moment(deadline, now)
        if not queries.spend_nonce(db, signer, nonce, deadline, now):
            raise IexecError("SECRET_REFUSED", "this authorisation was used before")

    def _store(self, db: sa.Connection, secret: Secret, value: str, fingerprint: str | None, signer: Address) -> None:
        # The ring is read inside the transaction: what a rotation has not seen is encrypted with its new key.
        key_id, ciphertext = seal(self._keys.read(), secret, stored_form(value), self._entropy)
        queries.store(db, secret, key_id, ciphertext, fingerprint=fingerprint, set_by=signer, moment=self._moment())

    def _moment(self) -> int:
        return int(self._clock.now() * 1000)
