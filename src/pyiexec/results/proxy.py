"""The result proxy: takes the result of a task from whoever the chain says found it, and from nobody else.

Source: the iExec result proxy; its marked defects are not repeated: tokens expire, nothing is noted that is not stored,
archives are looked into with limits, and a result is told to others once the chain tells it.
"""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from pyiexec.chain.authentication import signed_by, signed_by_key
from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import read_all
from pyiexec.chain.signer import recover
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import challenge_hash, challenge_typed_data, ethereum_message_digest
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.logins import read_login
from pyiexec.protocol.primitives import Address, ResultDigest, TaskId, bytes32, checksum, to_bytes
from pyiexec.protocol.results import result_digest, unpack
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.results import queries, rules
from pyiexec.results.models import Permission
from pyiexec.results.queries import TaskResult
from pyiexec.results.rules import Facts
from pyiexec.results.tokens import Tokens, invalid_token
from pyiexec.storage.node import ContentNode, too_large, unwritable

DOMAIN_NAME, DOMAIN_VERSION = "iExec Result Repository", "1"
_GREETING = "Sign this message to log into iExec Result Repository: "
_NONCE_BYTES = 20
_CHALLENGE_SECONDS = 300
_DAY_SECONDS = 86_400
_MAX_FILES = 65_536


class Upload(msgspec.Struct, frozen=True):
    """What comes with an archive.

    Attributes:
        task_id: whose result it is.
        digest: of the result, for enclaves, whose archives may be encrypted.
        enclave_signature: by which the enclave vouches for it.
    """

    task_id: TaskId
    digest: ResultDigest
    enclave_signature: bytes = b""


class Proxy:
    """Logins and uploads.

    Args:
        database: of results and logins.
        node: what keeps the archives.
        hub: what is asked about tasks.
        chain_id: the chain served.
        tokens: makes and reads them.
        clock: for expiry.
        entropy: random bytes.
        incoming: folder for archives that were not looked at yet, on the disk of the store.
        max_bytes: of an archive, and of what is in it.
        daily_bytes: that one account may upload in a day.
    """

    def __init__(
        self,
        database: Database,
        node: ContentNode,
        hub: Hub,
        chain_id: int,
        tokens: Tokens,
        clock: Clock,
        *,
        entropy: Callable[[int], bytes],
        incoming: Path,
        max_bytes: int,
        daily_bytes: int,
    ) -> None:
        self._database = database
        self._node = node
        self._hub = hub
        self._chain_id = chain_id
        self._tokens = tokens
        self._clock = clock
        self._entropy = entropy
        self._incoming = incoming
        self._max_bytes = max_bytes
        self._daily_bytes = daily_bytes
        # Unpacked archives are in memory: one at a time.
        self._looking = anyio.CapacityLimiter(1)

    # --- logins -----------------------------------------------------------------------------------------------------

    async def challenge(self, address: Address) -> dict[str, Any]:
        """A fresh challenge for an address, as typed data to be signed; it can be answered once, within 5 minutes."""
        text = _GREETING + base64.b32encode(self._entropy(_NONCE_BYTES)).decode()
        digest = challenge_hash(text, self._chain_id, DOMAIN_NAME, DOMAIN_VERSION)
        now = self._now()
        await self._database.write(lambda db: queries.add_challenge(db, digest, address, now, now + _CHALLENGE_SECONDS))
        return challenge_typed_data(text, self._chain_id, DOMAIN_NAME, DOMAIN_VERSION)

    async def log_in(self, answer: str) -> str:
        """A token for whoever answered a challenge.

        Raises:
            IexecError: ``TOKEN_INVALID``, ``CHAIN_UNREACHABLE``.
        """
        login = read_login(answer)
        if login is None or not await signed_by(self._hub, login.address, to_bytes(login.digest), login.signature):
            raise invalid_token()
        now = self._now()
        if not await self._database.write(lambda db: queries.burn_challenge(db, login.digest, login.address, now)):
            raise invalid_token()
        return self._token(login.address)

    async def log_in_worker(self, permission: Permission, signature: str) -> str:
        """A token for a worker with its pool's authorization, which it signed in its turn.

        Raises:
            IexecError: ``TOKEN_INVALID``, ``UPLOAD_REFUSED``, ``CHAIN_UNREACHABLE``.
        """
        task_id = TaskId(bytes32(permission.chain_task_id))
        worker, enclave = checksum(permission.worker_wallet.lower()), checksum(permission.enclave_challenge.lower())
        digest = ethereum_message_digest(ids.authorization_hash(worker, task_id, enclave))
        try:
            if recover(digest, to_bytes(signature)) != worker:
                raise invalid_token()
        except IexecError:
            raise invalid_token() from None
        facts = await self._facts(task_id, worker)
        rules.check_permission(facts, enclave)
        by_pool = to_bytes(permission.signature.value)
        if not await signed_by(self._hub, facts.deal.workerpool.owner, digest, by_pool):
            raise IexecError("UPLOAD_REFUSED", "the authorization is not signed by the owner of the task's workerpool")
        now = self._now()
        await self._database.write(
            lambda db: queries.allow(db, task_id, worker, enclave, facts.task.final_deadline, now)
        )
        return self._token(worker)

    def wallet(self, token: str) -> Address:
        """Whose token it is.

        Raises:
            IexecError: ``TOKEN_INVALID``.
        """
        return self._tokens.wallet(token, self._now())

    # --- results ----------------------------------------------------------------------------------------------------

    async def upload(self, wallet: Address, upload: Upload, archive: AsyncIterator[bytes]) -> str:
        """Store the result of a task; where it is, as the chain will remember it.

        The same archive may be sent again: the answer is the same.

        Raises:
            IexecError: ``UPLOAD_REFUSED``, ``RESULT_STORED`` for another archive than the first, ``BAD_RESULT``,
                ``CONTENT_TOO_LARGE``, ``UPLOAD_QUOTA``, ``CHAIN_UNREACHABLE``, and as `ContentNode.adopt`.
        """
        known = await self.result(upload.task_id)
        facts = await self._facts(upload.task_id, wallet)
        if known is None:
            rules.check_moment(facts, wallet)
            await self._check_vouched(facts, wallet, upload)
        elif known.uploader != wallet:
            raise _stored(known)
        async with self._received(archive) as path:
            if known is not None:
                return await self._again(known, path)
            if not facts.in_enclave:
                digest = await self._digest(path, callback=facts.deal.has_callback)
                rules.check_result(facts, upload.task_id, digest)
            size = (await anyio.Path(path).stat()).st_size
            await self._check_quota(wallet, size)
            stored = await self._node.adopt(path)
        result = TaskResult(upload.task_id, str(stored.cid), stored.size, wallet, self._now())

        def note(db: Any) -> TaskResult:
            queries.disallow(db, upload.task_id, wallet)
            return queries.add_result(db, result)

        noted = await self._database.write(note)
        if noted.cid != result.cid:
            raise _stored(noted)
        return f"/ipfs/{noted.cid}"

    async def result(self, task_id: TaskId) -> TaskResult | None:
        """What was uploaded for a task."""
        return await self._database.read(lambda db: queries.result_of(db, task_id))

    async def published(self, task_id: TaskId, token: str | None) -> TaskResult:
        """What was uploaded for a task, told to everybody once the chain tells it, to the parties of the deal before.

        Raises:
            IexecError: ``TOKEN_INVALID``, ``CONTENT_NOT_FOUND``, ``CHAIN_UNREACHABLE``.
        """
        found = await self.result(task_id)
        if token is not None:
            wallet = self.wallet(token)
        if found is None:
            raise IexecError("CONTENT_NOT_FOUND", "no result of the task was uploaded")
        if token is not None and wallet == found.uploader:
            return found
        facts = await self._facts(task_id, found.uploader)
        if facts.task.status is TaskStatus.COMPLETED:
            return found
        if token is None or wallet not in (facts.deal.requester, facts.deal.beneficiary, facts.deal.workerpool.owner):
            raise invalid_token()
        return found

    # --- checks -----------------------------------------------------------------------------------------------------

    async def _check_vouched(self, facts: Facts, wallet: Address, upload: Upload) -> None:
        """What comes from an enclave is signed by it, unless the requester itself brings it."""
        if not facts.in_enclave or wallet == facts.deal.requester:
            return
        now = self._now()
        enclave = await self._database.read(lambda db: queries.enclave_of(db, upload.task_id, wallet, now))
        message = rules.enclave_message(upload.task_id, wallet, upload.digest)
        if enclave is None or not signed_by_key(enclave, message, upload.enclave_signature):
            raise IexecError("UPLOAD_REFUSED", "enclaveSignature is not that of the task's enclave over this result")

    async def _check_quota(self, wallet: Address, size: int) -> None:
        since = self._now() - _DAY_SECONDS
        used = await self._database.read(lambda db: queries.uploaded_bytes(db, wallet, since))
        if used + size > self._daily_bytes:
            raise IexecError("UPLOAD_QUOTA", f"{wallet} may upload {self._daily_bytes} bytes a day")

    async def _digest(self, path: Path, *, callback: bool) -> ResultDigest:
        def look() -> ResultDigest:
            return result_digest(unpack(path.read_bytes(), self._max_bytes, _MAX_FILES), callback=callback)

        return await anyio.to_thread.run_sync(look, limiter=self._looking)

    async def _again(self, known: TaskResult, path: Path) -> str:
        if str((await self._node.put(path, keep=False)).cid) != known.cid:
            raise _stored(known)
        return f"/ipfs/{known.cid}"

    async def _facts(self, task_id: TaskId, account: Address) -> Facts:
        task, contribution = await read_all(self._hub.task(task_id), self._hub.contribution(task_id, account))
        deal = await self._hub.find_deal(task.deal_id)
        block = await self._hub.rpc.call("eth_getBlockByNumber", "latest", False)
        return Facts(task=task, deal=deal, contribution=contribution, now=int(block["timestamp"], 16))

    @contextlib.asynccontextmanager
    async def _received(self, archive: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        """The archive in a file, which is gone afterwards unless it was taken."""
        try:
            descriptor, name = await anyio.to_thread.run_sync(lambda: tempfile.mkstemp(dir=self._incoming))
        except OSError as error:
            raise unwritable(error) from None
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                size = 0
                async for piece in archive:
                    size += len(piece)
                    if size > self._max_bytes:
                        raise too_large(self._max_bytes)
                    await anyio.to_thread.run_sync(file.write, piece)
            yield path
        except OSError as error:
            raise unwritable(error) from None
        finally:
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - must happen also while being cancelled

    def _token(self, wallet: Address) -> str:
        return self._tokens.issue(wallet, self._now(), self._entropy(_NONCE_BYTES))

    def _now(self) -> int:
        return int(self._clock.now())


def _stored(known: TaskResult) -> IexecError:
    return IexecError("RESULT_STORED", f"the result of {known.task_id} was uploaded before")
