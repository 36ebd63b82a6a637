"""The service does what its OpenAPI document says, whatever is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest
from tests.services.scheduler.asking import ask, log_token
from tests.services.scheduler.conftest import Net, until_shown

from pyiexec.devnet import roles
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio
#: All but those that expect an authorisation to be of a kind that OpenAPI knows.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method"
)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """On one kind of database: what is asked of it does not depend on which."""
    return f"sqlite:///{tmp_path / 'scheduler.db'}"


async def conforms(url: str, folder: Path, *options: str) -> None:
    """Have schemathesis try the service at a URL."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/docs/openapi.json"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "10"),
        *("--generation-deterministic", "--no-color", "--warnings", "off", *options),
    ]
    done = await anyio.run_process(command, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout.decode()[-6000:]


async def test_schemathesis_finds_nothing_else_than_is_described(net: Net, tmp_path: Path) -> None:
    async with net.scheduler() as url:
        await conforms(url, tmp_path)


async def test_answers_about_a_task_that_there_is_have_the_form_described(net: Net, tmp_path: Path) -> None:
    worker = net.workers[0]
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        deal = await net.buy()
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        await until_shown(url, f"/tasks/{task_id}", lambda task: task["replicates"][0]["currentStatus"] == "COMPLETED")
        token = await log_token(url, roles.account(roles.REQUESTER), net.manifest.chain_id)
        (tmp_path / "schemathesis.toml").write_text(
            f'[parameters]\ntask_id = "{task_id}"\nwallet = "{worker.address}"\n'
        )
        await conforms(url, tmp_path, "--header", f"Authorization: {token}")
        group.cancel_scope.cancel()


async def test_the_document_can_be_read(net: Net) -> None:
    async with net.scheduler() as url:
        page = await ask(url, "/docs")
        assert page.kind == "text/html"
        assert b"/tasks/{task_id}/logs/stream" in page.body
        document = (await ask(url, "/docs/openapi.json")).json
    described = document["paths"]["/tasks/{task_id}"]["get"]["responses"]
    assert set(described) >= {"200", "400", "404"}
    for path, operations in document["paths"].items():
        assert operations["get"]["summary"], path
