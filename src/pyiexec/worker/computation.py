"""From an assignment to a result on disk: fetch, run in the sandbox, pack, digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from pyiexec.chain.registries import AppAsset
from pyiexec.protocol import ids
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.images import is_image
from pyiexec.protocol.multiaddr import decode_multiaddr
from pyiexec.protocol.params import DealParams, parse_params, split_arguments
from pyiexec.protocol.primitives import Bytes32, ResultDigest
from pyiexec.protocol.printed import Printed
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.results import callback_data, pack, result_digest, unpack
from pyiexec.protocol.tags import GPU, TEE
from pyiexec.worker import environment
from pyiexec.worker.conduct import Conduct
from pyiexec.worker.disk import Disk
from pyiexec.worker.facts import Facts
from pyiexec.worker.printouts import Printout, Printouts
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.rules import Advanced, Broke, Computed
from pyiexec.worker.runtimes.base import (
    Application,
    Image,
    RunOutcome,
    RunRequest,
    RunStatus,
    Runtime,
    limits_for,
    seed_for_task,
)
from pyiexec.worker.runtimes.registry import runtime_for
from pyiexec.worker.runtimes.suspension import Suspension
from pyiexec.worker.staging import Staging, TaskFolder, read_outputs

#: First bytes of an application by which a runtime knows its own.
_MAGIC_BYTES = 64

#: Told of each step on the way.
Advance = Callable[[Advanced], object]


class Computation:
    """Runs tasks of one worker.

    Attributes:
        checksums: of the applications run so far and the datasets they read, the newest last; announced so that tasks
            come where what they read is.
    """

    def __init__(
        self,
        staging: Staging,
        runtimes: Sequence[Runtime],
        conduct: Conduct,
        printouts: Printouts,
        disk: Disk,
        suspension: Suspension | None,
    ) -> None:
        self._staging = staging
        self._runtimes = runtimes
        self._conduct = conduct
        self._printouts = printouts
        self._disk = disk
        self._suspension = suspension
        self.checksums: dict[str, None] = {}

    async def produce(self, record: TaskRecord, facts: Facts, folder: TaskFolder, advance: Advance) -> Computed | Broke:
        """Compute a task; afterwards the archive is in its folder, or it broke for the application's reasons.

        Raises:
            IexecError: the task cannot be run: something is missing, wrong or refused.
        """
        assert facts.deal is not None
        assert facts.app is not None
        params = parse_params(facts.deal.params)
        check_secrecy(params, facts.deal.tag)
        async with self._disk.room(room_for(facts.category_seconds)):
            return await self._run(record, facts, params, folder, advance)

    async def _run(
        self, record: TaskRecord, facts: Facts, params: DealParams, folder: TaskFolder, advance: Advance
    ) -> Computed | Broke:
        assert facts.deal is not None
        assert facts.app is not None
        arguments = split_arguments(params.iexec_args)
        folder.prepare()
        runtime, app = await self._obtain(facts.app, folder)
        advance(Advanced(ReplicateStatus.APP_DOWNLOADED))
        if facts.dataset is not None:
            await self._staging.dataset(facts.deal.dataset.pointer, facts.dataset, folder)
        await self._staging.inputs(params.iexec_input_files, folder)
        advance(Advanced(ReplicateStatus.DATA_DOWNLOADED))
        with self._printouts.of(record.task_id) as printout:
            outcome = await runtime.run(
                RunRequest(
                    app=app,
                    args=arguments,
                    environment=environment.variables(record.authorization, facts.deal, params.iexec_input_files),
                    input_dir=folder.inputs,
                    output_dir=folder.outputs,
                    limits=limits_for(facts.category_seconds),
                    seed=seed_for_task(record.task_id),
                    on_output=printout.write,
                    gpu=bool(int(facts.deal.tag, 16) & GPU),
                    suspension=self._suspension,
                )
            )
        printed = _printed(outcome, printout)
        if outcome.status is not RunStatus.SUCCEEDED:
            assert outcome.cause is not None
            return Broke(outcome.cause, outcome.message, outcome.exit_code, printed)
        for asset in (facts.dataset, facts.app):
            if asset is not None:
                self.checksums.pop(asset.checksum, None)
                self.checksums[asset.checksum] = None
        callback = facts.deal.has_callback
        digest = await anyio.to_thread.run_sync(self._pack, record, folder, outcome, callback)
        return Computed(digest, ids.result_hash(record.task_id, digest), outcome.exit_code, printed)

    async def _obtain(self, app: AppAsset, folder: TaskFolder) -> tuple[Runtime, Application]:
        """The application, ready to be run: an image on the engine, content in the task's folder."""
        address = decode_multiaddr(app.multiaddr)
        if is_image(address):
            runtime, image = runtime_for(self._runtimes, address), Image(address, app.checksum)
            await runtime.prepare(image)
            return runtime, image
        await self._staging.app(app, folder)
        with folder.app.open("rb") as file:
            magic = file.read(_MAGIC_BYTES)
        return runtime_for(self._runtimes, address, magic), folder.app

    def _pack(self, record: TaskRecord, folder: TaskFolder, outcome: RunOutcome, callback: bool) -> ResultDigest:
        files = _with_logs(read_outputs(folder.outputs), outcome)
        files = self._conduct.answer(files, record.task_id)
        digest = result_digest(files, callback=callback)
        folder.keep(pack(files))
        return digest


def room_for(category_seconds: int) -> int:
    """Bytes of disk that a task may write: what its application puts out, and once more as the archive of it."""
    limits = limits_for(category_seconds)
    return 2 * (limits.output_bytes + 2 * limits.log_bytes)


def read_callback(archive: Path, category_seconds: int) -> bytes:
    """What a result on disk has for the contract that is called back."""
    limits = limits_for(category_seconds)
    # Both streams of logs come on top of what the application may write.
    files = unpack(archive.read_bytes(), limits.output_bytes + 2 * limits.log_bytes, limits.files + 2)
    return callback_data(files)


def check_secrecy(params: DealParams, tag: Bytes32) -> None:
    """Refuse to publish in the clear what was to be encrypted.

    A worker that could encrypt a result has read it, so only enclaves are asked to. Source: the reference declares such
    a standard task invalid.

    Raises:
        IexecError: ``ENCRYPTION_NEEDS_ENCLAVE``.
    """
    if params.iexec_result_encryption and not int(tag, 16) & TEE:
        raise IexecError(
            "ENCRYPTION_NEEDS_ENCLAVE", "the result was to be encrypted, which an enclave alone can promise"
        )


def _with_logs(files: Mapping[str, bytes], outcome: RunOutcome) -> dict[str, bytes]:
    """The result with what the application printed, unless it wrote files of these names itself."""
    printed = {"stdout.txt": outcome.stdout, "stderr.txt": outcome.stderr}
    return {name: content for name, content in printed.items() if content} | dict(files)


def _printed(outcome: RunOutcome, printout: Printout) -> Printed | None:
    """The end of what was printed; from the outcome when the runtime does not tell while it runs."""
    if not printout.told:
        printout.write("stdout", outcome.stdout)
        printout.write("stderr", outcome.stderr)
    return printout.end() or None
