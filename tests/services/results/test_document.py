"""The service does what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import sys
from pathlib import Path

import aiohttp
import anyio
import pytest

from pyiexec.storage.client import ContentClient

from .conftest import running
from .pool import WORKER, Pool
from .test_proxy import proxied

pytestmark = pytest.mark.anyio
#: All but those that expect an authorisation to be of a kind that OpenAPI knows.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method"
)


#: A node answers with a line of JSON for each entry, under the type of one, as kubo does: one is asked for.
LINES = """
[[operations]]
include-path = "/api/v0/add"
parameters = { wrap-with-directory = "false", progress = "false" }
"""


async def conforms(url: str, folder: Path, parameters: str, phases: str, *options: str) -> None:
    """Have schemathesis try the service at a URL; the type of a resumed upload's body is one it cannot make."""
    await anyio.Path(folder / "schemathesis.toml").write_text(parameters + LINES)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/docs/openapi.json"),
        *("--checks", CHECKS, "--phases", phases, "--max-examples", "5"),
        *("--generation-deterministic", "--no-color", "--warnings", "off"),
        *("--exclude-method", "PATCH", *options),
    ]
    done = await anyio.run_process(command, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout.decode()[-9000:]


async def test_schemathesis_finds_nothing_else_than_is_described(tmp_path: Path) -> None:
    async with running(tmp_path / "content") as url:
        await conforms(url, tmp_path, "", "coverage")


async def test_answers_about_content_that_is_there_have_the_form_described(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with running(tmp_path / "content") as url, ContentClient(url) as client:
        cid = await client.add(b"hello world\n")
        async with session.post(f"{url}/v1/uploads", headers={"Upload-Length": "1000"}) as response:
            name = response.headers["Location"].rpartition("/")[2]
        known = f'[parameters]\n"path.cid" = "{cid}"\n"path.name" = "{name}"\narg = "{cid}"\n'
        await conforms(url, tmp_path, known, "fuzzing")


async def test_the_proxy_answers_as_described(pool: Pool, tmp_path: Path) -> None:
    async with proxied(pool, tmp_path / "content") as proxy:
        task_id = await pool.revealed_task(b"answer")
        token = await proxy.log_in(task_id, WORKER)
        known = f'[parameters]\n"path.task_id" = "{task_id}"\nchainId = {pool.manifest.chain_id}\n'
        include = ("--include-path-regex", "results")
        await conforms(proxy.url, tmp_path, known, "coverage", *include)
        await conforms(proxy.url, tmp_path, known, "fuzzing", *include, "--header", f"Authorization: {token}")


async def test_the_document_can_be_read(base_url: str, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{base_url}/docs") as response:
        assert "/ipfs/{cid}/{names}" in await response.text()
    async with session.get(f"{base_url}/docs/openapi.json") as response:
        document = await response.json()
    assert set(document["paths"]["/v1/uploads/{name}"]) == {"head", "patch", "delete"}
    assert not any("results" in path for path in document["paths"])
