"""Settings of a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pyiexec.protocol.primitives import Address
from pyiexec.worker.presence import Policy, parse_hours

MEBIBYTE = 1 << 20

#: How a worker behaves; all but the first cheat, for demonstrations and tests of the network (see `behaviours`).
Behaviour = Literal["honest", "liar", "copycat", "silent"]

#: What becomes of running tasks when the owner wants the machine.
OwnerReturns = Literal["pause", "finish"]


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
        cpus: processors that it says it has; those that it may use when None, never more.
        memory_bytes: memory lent to all tasks together; the machine's, or its control group's, when None, never more.
        gpus: GPUs lent, where a runtime hands them to applications; all that are found when None, never more.
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
        runtimes: settings of runtimes, by their names; containers are run when there are some for ``docker``.
        behaviour: honest, unless the network is being tested.
        disk_bytes: all that `data_dir` may take; None for any number. Tasks without room are refused.
        download_bytes_per_second: how fast content is fetched; 0 for any speed.
        upload_bytes_per_second: how fast results are uploaded; 0 for any speed.
        hours: when it may work, in the machine's own time, such as ``mon-fri 19:00-07:00``; always if empty.
        on_battery: whether it works without mains.
        input_idle_seconds: for how long nobody may have used the machine; 0 for not looking.
        max_other_cpu: share of all processors that other programs may use, from 0 to 1; 1 for any.
        owner_returns: what becomes of running tasks when one of these is no longer so: they stand still, or end.
        calm_seconds: for how long all of them must have been so again before work goes on.
        longest_pause_seconds: for how long a task may stand still before it is given back.
        check_seconds: how often the machine is looked at.
        metrics_port: TCP port of the loopback interface on which Prometheus and probes are answered; 0 takes a free
            one, None serves nobody.
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
    cpus: Annotated[int, Meta(ge=1)] | None = None
    memory_bytes: Annotated[int, Meta(ge=1)] | None = None
    gpus: Annotated[int, Meta(ge=0)] | None = None
    cache_bytes: Annotated[int, Meta(ge=MEBIBYTE)] = 4096 * MEBIBYTE
    max_content_bytes: Annotated[int, Meta(ge=1)] = 1024 * MEBIBYTE
    max_category_seconds: Annotated[int, Meta(ge=0)] = 0
    deal_patience_seconds: Annotated[float, Meta(ge=0)] = 15.0
    claim_after_seconds: Annotated[float, Meta(ge=0)] = 120.0
    max_gas_price: Annotated[int, Meta(ge=1)] | None = None
    allow_unhashed_inputs: bool = False
    runtimes: dict[str, dict[str, Any]] | None = None
    behaviour: Behaviour = "honest"
    disk_bytes: Annotated[int, Meta(ge=512 * MEBIBYTE)] | None = None
    download_bytes_per_second: Annotated[int, Meta(ge=0)] = 0
    upload_bytes_per_second: Annotated[int, Meta(ge=0)] = 0
    hours: tuple[str, ...] = ()
    on_battery: bool = True
    input_idle_seconds: Annotated[float, Meta(ge=0)] = 0.0
    max_other_cpu: Annotated[float, Meta(ge=0, le=1)] = 1.0
    owner_returns: OwnerReturns = "pause"
    calm_seconds: Annotated[float, Meta(ge=0)] = 30.0
    longest_pause_seconds: Annotated[float, Meta(ge=0)] = 300.0
    check_seconds: Annotated[float, Meta(gt=0)] = 5.0
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] | None = None

    def presence_policy(self) -> Policy:
        """What the owner allows.

        Raises:
            IexecError: ``BAD_SETTINGS`` when the hours are ill-formed.
        """
        return Policy(
            max_other_cpu=self.max_other_cpu,
            input_idle_seconds=self.input_idle_seconds,
            hours=tuple(parse_hours(text) for text in self.hours),
            on_battery=self.on_battery,
            calm_seconds=self.calm_seconds,
            finishes=self.owner_returns == "finish",
        )
