"""Tables of the result proxy. Times are seconds since the epoch."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

#: Which archive was uploaded as the result of a task, by whom.
TASK_RESULTS = sa.Table(
    "task_results",
    METADATA,
    sa.Column("task_id", sa.String(66), primary_key=True),
    sa.Column("cid", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("uploader", sa.String(42), nullable=False),
    sa.Column("uploaded_at", sa.BigInteger, nullable=False),
)
sa.Index("ix_task_results_by_uploader", TASK_RESULTS.c.uploader, TASK_RESULTS.c.uploaded_at)

#: The pool's permissions that workers logged in with: an enclave must prove itself against them.
UPLOAD_PERMISSIONS = sa.Table(
    "upload_permissions",
    METADATA,
    sa.Column("task_id", sa.String(66), primary_key=True),
    sa.Column("worker", sa.String(42), primary_key=True),
    sa.Column("enclave_challenge", sa.String(42), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)
sa.Index("ix_upload_permissions_by_expiry", UPLOAD_PERMISSIONS.c.expires_at)

#: Challenges that can still be answered.
UPLOAD_CHALLENGES = sa.Table(
    "upload_challenges",
    METADATA,
    sa.Column("digest", sa.String(66), primary_key=True),
    sa.Column("address", sa.String(42), nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)
sa.Index("ix_upload_challenges_by_expiry", UPLOAD_CHALLENGES.c.expires_at)
