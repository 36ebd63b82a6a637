"""The result proxy takes a task's result from whoever the chain says found it, once, and from nobody else."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import Signer
from pyiexec.foundation.http import http_session
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.primitives import TaskId, bytes32, to_bytes, to_hex
from pyiexec.storage.unixfs import file_cid

from .conftest import MovableClock, running
from .pool import MANAGER, OTHER_WORKER, REQUESTER, TEE, WORKER, Pool, archive, digest_of

pytestmark = pytest.mark.anyio
ANSWER = b"the answer"
ENCLAVE = derive("test test test test test test test test test test test junk", 77)
LIMIT = 1_000_000


@dataclass
class Running:
    """A content store with its proxy."""

    url: str
    http: aiohttp.ClientSession
    pool: Pool
    clock: MovableClock
    directory: Path

    async def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> tuple[int, str]:
        headers = ({} if token is None else {"authorization": token}) | more.pop("headers", {})
        async with self.http.request(method, self.url + path, headers=headers, **more) as response:
            return response.status, await response.text()

    async def log_in(self, task_id: TaskId, worker: Signer = WORKER, **more: Any) -> str:
        permission = self.pool.permission(task_id, worker, **more)
        status, token = await self.ask(
            "POST", "/v1/results/token", await self.signature(permission, worker), json=permission
        )
        assert status == 200, token
        return token

    async def signature(self, permission: Mapping[str, Any], worker: Signer) -> str:
        task_id, enclave = permission["chainTaskId"], permission["enclaveChallenge"]
        return to_hex(worker.sign_message_hash(ids.authorization_hash(permission["workerWallet"], task_id, enclave)))

    async def challenge(self, signer: Signer) -> str:
        """The answer to a challenge."""
        chain_id = self.pool.manifest.chain_id
        async with self.http.get(
            f"{self.url}/results/challenge", params={"chainId": str(chain_id), "address": signer.address}
        ) as response:
            assert response.status == 200
            data = (await response.json())["data"]
        text, domain = data["message"]["challenge"], data["domain"]
        digest = challenge_hash(text, chain_id, domain["name"], domain["version"])
        return f"{digest}_{to_hex(signer.sign_digest(to_bytes(digest)))}_{signer.address}"

    async def answer(self, answer: str) -> tuple[int, str]:
        return await self.ask("POST", f"/results/login?chainId={self.pool.manifest.chain_id}", data=answer)

    async def upload(self, task_id: TaskId, token: str, content: bytes, **more: Any) -> tuple[int, str]:
        model = {"chainTaskId": task_id, "zip": base64.b64encode(content).decode()} | more
        return await self.ask("POST", "/v1/results", token, json=model)

    async def stream(self, task_id: TaskId, token: str, content: bytes, **headers: str) -> tuple[int, str]:
        return await self.ask("PUT", f"/v2/results/{task_id}", token, data=content, headers=headers)


@asynccontextmanager
async def proxied(pool: Pool, path: Path, **settings: Any) -> AsyncIterator[Running]:
    clock = MovableClock()
    chain = {"rpc_url": pool.url, "hub": pool.hub.address, "chain_id": pool.manifest.chain_id}
    async with (
        running(path, clock, **chain, **{"max_result_bytes": LIMIT} | settings) as url,
        http_session() as http,
    ):
        yield Running(url, http, pool, clock, path)


@pytest.fixture
async def proxy(pool: Pool, tmp_path: Path, database_url: str) -> AsyncIterator[Running]:
    async with proxied(pool, tmp_path / "content", database_url=database_url) as found:
        yield found


def incoming(proxy: Running) -> list[Path]:
    return list((proxy.directory / "incoming").iterdir())


async def test_a_worker_uploads_what_it_revealed_and_everybody_finds_it_once_the_task_is_completed(
    proxy: Running,
) -> None:
    task_id = await proxy.pool.revealed_task(ANSWER)
    token = await proxy.log_in(task_id)
    assert (await proxy.ask("HEAD", f"/v1/results/{task_id}", token))[0] == 404
    status, location = await proxy.upload(task_id, token, archive(ANSWER), image="deprecated", cmd="deprecated")
    assert (status, location) == (200, f"/ipfs/{file_cid(archive(ANSWER))}")
    async with proxy.http.get(proxy.url + location) as response:
        assert await response.read() == archive(ANSWER)
    assert (await proxy.ask("HEAD", f"/v1/results/{task_id}", token))[0] == 204
    assert (await proxy.ask("HEAD", f"/v1/results/{task_id}"))[0] == 401

    path, cid = f"/v1/results/{task_id}/ipfshash", location.removeprefix("/ipfs/")
    assert (await proxy.ask("GET", path))[0] == 401
    assert await proxy.ask("GET", path, token) == (200, cid)
    stranger = (await proxy.answer(await proxy.challenge(OTHER_WORKER)))[1]
    assert (await proxy.ask("GET", path, stranger))[0] == 401
    requester = (await proxy.answer(await proxy.challenge(REQUESTER)))[1]
    assert await proxy.ask("GET", path, requester) == (200, cid)
    await proxy.pool.finalize(task_id, location)
    assert await proxy.ask("GET", path) == (200, cid)


async def test_a_result_can_be_streamed_and_sent_again_but_not_replaced(proxy: Running) -> None:
    task_id = await proxy.pool.revealed_task(ANSWER)
    token = await proxy.log_in(task_id)
    stored = await proxy.stream(task_id, token, archive(ANSWER))
    assert stored == (200, f"/ipfs/{file_cid(archive(ANSWER))}")
    assert await proxy.stream(task_id, token, archive(ANSWER)) == stored
    assert await proxy.upload(task_id, token, archive(ANSWER), zip=list(archive(ANSWER))) == stored
    other = zipfile.ZipFile(packed := io.BytesIO(archive(ANSWER)), "a")
    with other:
        other.writestr("more.txt", "the same digest, another archive")
    status, said = await proxy.stream(task_id, token, packed.getvalue())
    assert status == 409, said
    assert incoming(proxy) == []


@pytest.mark.parametrize(
    "change",
    ["other signer", "other owner", "no such task", "enclave", "no header", "header of another task", "no signature"],
)
async def test_who_has_no_permission_gets_no_token(proxy: Running, change: str) -> None:
    task_id = await proxy.pool.new_task()
    permission = proxy.pool.permission(task_id)
    signer = OTHER_WORKER if change == "other signer" else WORKER
    if change == "other owner":
        permission = proxy.pool.permission(task_id, owner=REQUESTER)
    elif change == "no such task":
        permission = proxy.pool.permission(TaskId(bytes32(7)))
    elif change == "enclave":
        permission = proxy.pool.permission(task_id, enclave=ENCLAVE.address)
    elif change == "no signature":
        permission["signature"]["value"] = "0x"
    header = await proxy.signature(permission, signer)
    if change == "no header":
        header = ""
    elif change == "header of another task":
        header = await proxy.signature(proxy.pool.permission(TaskId(bytes32(7))), signer)
    status, said = await proxy.ask("POST", "/v1/results/token", header, json=permission)
    assert status == 401, said


async def test_malformed_messages_are_refused_by_name(proxy: Running) -> None:
    status, said = await proxy.ask("POST", "/v1/results/token", "0x", json={"chainTaskId": "0x12"})
    assert status == 400
    assert "chainTaskId" in said
    task_id = await proxy.pool.new_task()
    token = await proxy.log_in(task_id)
    for wrong in ({"zip": 5}, {"zip": [1, 300]}, {"chainTaskId": "x"}, {"deterministHash": "0x"}):
        status, said = await proxy.upload(task_id, token, b"", **wrong)
        assert status == 400, wrong
        assert next(iter(wrong)) in said
    assert (await proxy.ask("HEAD", "/v1/results/0x12", token))[0] == 400
    assert (await proxy.stream(task_id, token, b"", **{"x-result-digest": "0x12"}))[0] == 400
    assert (await proxy.ask("GET", "/results/challenge?chainId=5&address=0x"))[0] == 400
    assert (await proxy.ask("GET", f"/results/challenge?chainId={proxy.pool.manifest.chain_id}&address=0x"))[0] == 400


async def test_only_what_was_revealed_by_its_finder_is_taken(proxy: Running) -> None:
    task_id = await proxy.pool.new_task()
    token = await proxy.log_in(task_id)

    async def refused(token: str, content: bytes, status: int = 401) -> None:
        for upload in (proxy.upload, proxy.stream):
            answered, said = await upload(task_id, token, content)
            assert answered == status, said

    await refused(token, archive(ANSWER))
    await proxy.pool.contribute(task_id, ANSWER)
    await refused(token, archive(ANSWER))
    await proxy.pool.reveal(task_id, ANSWER)
    await refused(await proxy.log_in(task_id, OTHER_WORKER), archive(ANSWER))
    await refused((await proxy.answer(await proxy.challenge(REQUESTER)))[1], archive(ANSWER))
    await refused(token, archive(b"another answer"))
    await refused(token, b"no archive", 400)
    await refused("", archive(ANSWER))
    assert incoming(proxy) == []
    assert (await proxy.ask("HEAD", f"/v1/results/{task_id}", token))[0] == 404
    assert (await proxy.upload(task_id, token, archive(ANSWER)))[0] == 200


async def test_bombs_and_giants_are_not_unpacked(proxy: Running) -> None:
    task_id = await proxy.pool.revealed_task(ANSWER)
    token = await proxy.log_in(task_id)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("computed.json", b'{"deterministic-output-path": "/iexec_out/zeros"}')
        packed.writestr("zeros", bytes(20 * LIMIT))
    assert len(bomb.getvalue()) < LIMIT
    status, said = await proxy.stream(task_id, token, bomb.getvalue())
    assert status == 400, said
    assert "BAD_RESULT" in said
    assert (await proxy.stream(task_id, token, bytes(LIMIT + 1)))[0] == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 50_000 + 2):
            yield bytes(50_000)

    assert (await proxy.ask("PUT", f"/v2/results/{task_id}", token, data=endless()))[0] == 413
    assert incoming(proxy) == []


async def test_an_enclave_vouches_for_its_result_once(proxy: Running) -> None:
    task_id = await proxy.pool.new_task(tag=TEE)
    token = await proxy.log_in(task_id, enclave=ENCLAVE.address)
    content, digest = b"an encrypted archive", digest_of(ANSWER)
    message = ids.enclave_hash(ids.result_hash(task_id, digest), ids.result_seal(WORKER.address, task_id, digest))
    proof = to_hex(ENCLAVE.sign_message_hash(message))
    wrong = (
        {"deterministHash": digest},
        {"deterministHash": digest_of(b"other"), "enclaveSignature": proof},
        {"deterministHash": digest, "enclaveSignature": to_hex(WORKER.sign_message_hash(message))},
    )
    for claim in wrong:
        assert (await proxy.upload(task_id, token, content, **claim))[0] == 401
    other = await proxy.log_in(task_id, OTHER_WORKER, enclave=ENCLAVE.address)
    assert (await proxy.upload(task_id, other, content, deterministHash=digest, enclaveSignature=proof))[0] == 401
    stored = await proxy.stream(task_id, token, content, **{"x-result-digest": digest, "x-enclave-signature": proof})
    assert stored == (200, f"/ipfs/{file_cid(content)}")


async def test_a_requester_brings_the_result_of_its_own_enclave(proxy: Running) -> None:
    task_id = await proxy.pool.new_task(tag=TEE)
    status, token = await proxy.answer(await proxy.challenge(REQUESTER))
    assert status == 200
    assert (await proxy.ask("POST", "/results", token, json={"chainTaskId": task_id, "zip": "aGVsbG8="}))[0] == 200
    _, stranger = await proxy.answer(await proxy.challenge(MANAGER))
    assert (await proxy.ask("POST", "/results", stranger, json={"chainTaskId": task_id, "zip": "eA=="}))[0] == 409


async def test_a_challenge_is_answered_once_and_soon_by_whom_it_was_for(proxy: Running) -> None:
    answer = await proxy.challenge(REQUESTER)
    assert (await proxy.answer(answer))[0] == 200
    assert (await proxy.answer(answer))[0] == 401
    digest, signature, _ = (await proxy.challenge(REQUESTER)).split("_")
    assert (await proxy.answer(f"{digest}_{signature}_{MANAGER.address}"))[0] == 401
    assert (await proxy.answer(f"{digest}_0x1234_{REQUESTER.address}"))[0] == 401
    assert (await proxy.answer("nonsense"))[0] == 401
    late = await proxy.challenge(REQUESTER)
    proxy.clock.offset += 301
    assert (await proxy.answer(late))[0] == 401


async def test_tokens_expire(proxy: Running) -> None:
    task_id = await proxy.pool.revealed_task(ANSWER)
    token = await proxy.log_in(task_id)
    proxy.clock.offset += 86_400
    status, said = await proxy.upload(task_id, token, archive(ANSWER))
    assert status == 401
    assert "TOKEN_INVALID" in said


async def test_a_day_has_a_quota(pool: Pool, tmp_path: Path) -> None:
    size = len(archive(ANSWER))
    async with proxied(pool, tmp_path, daily_bytes=2 * size - 1) as proxy:
        first, second = [await pool.revealed_task(ANSWER) for _ in range(2)]
        assert (await proxy.stream(first, await proxy.log_in(first), archive(ANSWER)))[0] == 200
        status, said = await proxy.stream(second, await proxy.log_in(second), archive(ANSWER))
        assert status == 413
        assert "UPLOAD_QUOTA" in said
        proxy.clock.offset += 86_401
        assert (await proxy.stream(second, await proxy.log_in(second), archive(ANSWER)))[0] == 200


async def test_what_could_not_be_stored_is_not_noted_and_can_be_sent_again(pool: Pool, tmp_path: Path) -> None:
    task_id = await pool.revealed_task(ANSWER)
    async with proxied(pool, tmp_path, capacity_bytes=10) as proxy:
        token = await proxy.log_in(task_id)
        status, said = await proxy.stream(task_id, token, archive(ANSWER))
        assert status == 507, said
        assert (await proxy.ask("HEAD", f"/v1/results/{task_id}", token))[0] == 404
        assert incoming(proxy) == []
    # Its tokens, too, outlive the process.
    async with proxied(pool, tmp_path) as proxy:
        assert (await proxy.stream(task_id, token, archive(ANSWER)))[0] == 200
    async with proxied(pool, tmp_path) as proxy:
        assert (await proxy.ask("HEAD", f"/v1/results/{task_id}", token))[0] == 204
    assert (tmp_path / "token.key").stat().st_mode & 0o777 == 0o600


async def test_a_chain_that_is_gone_leaves_reading_and_storing_alone(
    pool: Pool, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    chain = {"rpc_url": "http://127.0.0.1:9", "hub": pool.hub.address, "chain_id": 1}
    async with running(tmp_path, **chain) as url:
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(b"hello world"), filename="")
        async with session.post(f"{url}/api/v0/add", data=form) as response:
            assert response.status == 200
        permission = pool.permission(TaskId(bytes32(7)))
        signed = WORKER.sign_message_hash(ids.authorization_hash(WORKER.address, TaskId(bytes32(7))))
        headers = {"authorization": to_hex(signed)}
        async with session.post(f"{url}/v1/results/token", json=permission, headers=headers) as response:
            assert response.status == 503
            assert (await response.json())["code"] == "CHAIN_UNREACHABLE"
