"""Settings of a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pyiexec.protocol.primitives import Address

MEBIBYTE = 1 << 20

#: How a worker behaves; all but the first cheat, for demonstrations and tests of the network (see `behaviours`).
Behaviour = Literal["honest", "liar", "copycat", "silent"]


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker finds its pool and what it lends to it.

    Attributes:
        name: shown in logs.
        key_file: its private key: 64 hexadecimal digits, or a V3 keystore together with `password_file`.
        rpc_url: JSON-RPC of the chain over HTTP; its WebSocket twin is used for heads where there is one.
        hub: address of the PoCo hub.
        workerpool: the pool it works for; assignments of any other are refused.
        scheduler_url: HTTP origin of the pool's scheduler.
        gateway_url: HTTP origin from which content is fetched and to which results are added.
        data_dir: folder of its own; it must not be shared or lost while stakes are locked.
        slots: tasks computed at a time.
        cache_bytes: kept of fetched apps and datasets.
        max_content_bytes: largest app, dataset or input file fetched.
        max_category_seconds: longest category it runs; 0 for any.
        deal_patience_seconds: how long the worker's node may lag behind the scheduler's before a deal that it does not
            know is refused.
        claim_after_seconds: how long others have after a task's final deadline to claim it, before this worker does so
            to get its stake back.
        max_gas_price: wei per unit of gas that is never exceeded; what that is too little for waits for cheaper blocks.
        allow_unhashed_inputs: also fetch input files that no hash protects, from any URL. Workers may then honestly
            disagree, and a URL may point into the worker's own network.
        behaviour: honest, unless the network is being tested.
    """

    key_file: Path
    rpc_url: str
    hub: Address
    workerpool: Address
    scheduler_url: str
    gateway_url: str
    data_dir: Path
    name: str = "worker"
    password_file: Path | None = None
    slots: Annotated[int, Meta(ge=1, le=1024)] = 1
    cache_bytes: Annotated[int, Meta(ge=MEBIBYTE)] = 4096 * MEBIBYTE
    max_content_bytes: Annotated[int, Meta(ge=1)] = 1024 * MEBIBYTE
    max_category_seconds: Annotated[int, Meta(ge=0)] = 0
    deal_patience_seconds: Annotated[float, Meta(ge=0)] = 15.0
    claim_after_seconds: Annotated[float, Meta(ge=0)] = 120.0
    max_gas_price: Annotated[int, Meta(ge=1)] | None = None
    allow_unhashed_inputs: bool = False
    behaviour: Behaviour = "honest"
