"""A new key for all secrets, while the service runs or not; killed at any moment, the next run goes on.

The ring says how far it is. First it gets a new key and makes it the active one: whatever is stored from then on uses
it. Then the older ciphertexts are replaced, some in each transaction. In the transaction that finds none left, the old
key is taken out of the ring; the service reads the ring inside its own transactions, which come before or after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError
from pyiexec.sms import queries
from pyiexec.sms.keyring import KeyFile, with_new_key, without_old_keys
from pyiexec.sms.queries import Sealed
from pyiexec.sms.sealing import seal, unseal

#: Secrets encrypted anew in one transaction: bounds for how long the service waits.
BATCH = 200


class Rotated(NamedTuple):
    """What a rotation did: whether it took up an interrupted one, the key now used, and secrets encrypted anew."""

    resumed: bool
    key_id: str
    secrets: int


async def rotate(
    database: Database,
    keys: KeyFile,
    entropy: Callable[[int], bytes],
    *,
    batch: int = BATCH,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Rotated:
    """Encrypt every secret with a new key and destroy the old one, or finish what an interrupted run began.

    Args:
        database: of the lineage ``sms``.
        keys: the ring's file.
        entropy: random bytes.
        batch: secrets in one transaction.
        on_progress: told how many of how many are done, after each transaction.

    Raises:
        IexecError: ``KEY_RING_MISSING``, ``KEY_RING_UNSAFE``, ``KEY_RING_WRONG``; ``SECRET_CORRUPT``, with the old key
            still in the ring.
    """

    def begin(db: sa.Connection) -> tuple[bool, int]:
        ring = keys.read()
        missing = queries.key_ids(db) - set(ring.keys)
        if missing:
            raise IexecError("KEY_RING_WRONG", f"the key ring lacks {', '.join(sorted(missing))}")
        resumed = ring.rotating
        if not resumed:
            ring = keys.replace(with_new_key(ring, entropy))
        return resumed, queries.count_without(db, ring.active)

    def step(db: sa.Connection) -> int:
        ring = keys.read()
        old = queries.sealed_without(db, ring.active, batch)
        if not old:
            keys.replace(without_old_keys(ring))
            return 0
        anew = (seal(ring, entry.secret, unseal(ring, *entry), entropy) for entry in old)
        queries.reseal(db, [Sealed(entry.secret, *made) for entry, made in zip(old, anew, strict=True)])
        return len(old)

    resumed, total = await database.write(begin)
    done = 0
    while moved := await database.write(step):
        done += moved
        on_progress(done, max(total, done))
    return Rotated(resumed, keys.read().active, done)
