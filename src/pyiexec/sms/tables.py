"""Tables of the secret management service. No column holds a value, or anything a value can be guessed from."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

SECRETS = sa.Table(
    "secrets",
    METADATA,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(42), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    # Null once deleted: the row stays, to remember that legacy authorisations no longer count.
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("key_id", sa.String(16)),
    sa.Column("bound", sa.Boolean, nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("set_by", sa.String(42), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)
sa.Index("ix_secrets_by_key", SECRETS.c.key_id)
sa.Index("ix_secrets_by_setter", SECRETS.c.set_by)

#: Legacy messages that were taken, by fingerprint: one that set a secret before sets no other, and not again.
SPENT_MESSAGES = sa.Table(
    "spent_messages",
    METADATA,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
)

#: Nonces of bound authorisations, until their deadline voids them anyway.
SPENT_NONCES = sa.Table(
    "spent_nonces",
    METADATA,
    sa.Column("nonce", sa.String(66), primary_key=True),
    sa.Column("signer", sa.String(42), primary_key=True),
    sa.Column("deadline", sa.BigInteger, nullable=False, index=True),
)
