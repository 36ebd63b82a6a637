"""Settings of a scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address
from pyiexec.scheduler.pool_policy import Admission, Sales
from pyiexec.scheduler.rules import Policy

MEBIBYTE = 1 << 20


class SchedulerSettings(Settings, frozen=True, kw_only=True):
    """Whose workerpool is served, and where.

    Attributes:
        key_file: private key of the workerpool's owner: 64 hexadecimal digits, or a V3 keystore together with
            `password_file`.
        rpc_url: JSON-RPC of the chain, over HTTP.
        heads_url: of the same chain over WebSocket; guessed from `rpc_url` when empty.
        hub: address of the PoCo hub.
        workerpool: the pool.
        gateway_url: HTTP origin from which results are fetched to be verified.
        data_dir: folder of its own, for the database unless `database_url` names another.
        database_url: a database elsewhere, such as ``postgresql://user:password@host/scheduler``.
        host: interface to listen on for workers and clients.
        port: TCP port; 0 takes a free one.
        start_block: first block worth looking at for deals, when the database is new.
        heartbeat_seconds: how often a worker shows that it is there; after two missed ones it is lost.
        workers: who may log in; anybody when empty.
        failures: workers that must fail with the same cause of the task's own before the task is given up.
        patience_seconds: beyond the category's time, before a replicate without progress is replaced.
        auto_claim: refund the pool's own tasks after their final deadline, which frees every stake.
        assign_early: give tasks out while the transaction that opens them is being mined; for chains whose blocks are
            seconds apart.
        hedge_factor: when a task only waits for workers that take so many times as long as those that have voted, an
            idle one is asked besides; 0 for never.
        hedge_seconds: that they must have taken at least.
        sms_url: HTTP origin of the secret management service, which names the accounts of enclaves; without it tasks
            that ask for enclaves fail at once.
        keep_logs_seconds: for how long after a task's final deadline is kept what its applications printed.
        max_result_bytes: largest result archive fetched for verification, and what it may unpack to.
        max_gas_price: wei per unit of gas that is never exceeded; what that is too little for waits for cheaper blocks.
        sales: has the scheduler sell the pool's free capacity by itself.
        admission: which deals the pool works on; all without it.
    """

    key_file: Path
    rpc_url: str
    hub: Address
    workerpool: Address
    gateway_url: str
    data_dir: Path
    database_url: str = ""
    password_file: Path | None = None
    heads_url: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    start_block: int = 0
    heartbeat_seconds: Annotated[float, Meta(gt=0)] = 2.5
    workers: tuple[Address, ...] = ()
    failures: Annotated[int, Meta(ge=1)] = 2
    patience_seconds: Annotated[int, Meta(ge=1)] = 5
    auto_claim: bool = True
    assign_early: bool = False
    hedge_factor: Annotated[float, Meta(ge=0)] = 3.0
    hedge_seconds: Annotated[int, Meta(ge=0)] = 5
    sms_url: str | None = None
    keep_logs_seconds: Annotated[int, Meta(ge=0)] = 3 * 24 * 3600
    max_result_bytes: Annotated[int, Meta(ge=1)] = 256 * MEBIBYTE
    max_gas_price: Annotated[int, Meta(ge=1)] | None = None
    sales: Sales | None = None
    admission: Admission | None = None

    @property
    def policy(self) -> Policy:
        """The choices that the rules know of."""
        return Policy(
            failures=self.failures,
            patience=self.patience_seconds,
            auto_claim=self.auto_claim,
            assign_early=self.assign_early,
            hedge_factor=self.hedge_factor,
            hedge_floor=self.hedge_seconds,
        )
