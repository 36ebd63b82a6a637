"""The service does what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from tests.services.sms.conftest import Sms, running
from tests.services.sms.marketplace import Marketplace

pytestmark = pytest.mark.anyio
#: All but those that hold for services without signatures: random requests have none, and are refused.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method,use_after_free,ensure_resource_availability"
)


async def conforms(url: str, folder: Path, *options: str) -> None:
    """Have schemathesis try the service at a URL."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/docs/openapi.json"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "10"),
        *("--generation-deterministic", "--no-color", "--warnings", "off", *options),
    ]
    done = await anyio.run_process(command, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout.decode()[-6000:]


@pytest.fixture
async def sms(marketplace: Marketplace, tmp_path: Path) -> AsyncIterator[Sms]:
    """On one kind of database: what is sent does not get as far."""
    async with running(marketplace, f"sqlite:///{tmp_path / 'sms.db'}", tmp_path / "ring") as service:
        yield service


async def test_schemathesis_finds_nothing_else_than_is_described(sms: Sms, tmp_path: Path) -> None:
    await conforms(sms.url, tmp_path)


async def test_the_document_can_be_read(sms: Sms) -> None:
    async with sms.session.get(f"{sms.url}/docs") as response:
        page = await response.text()
    assert "/requesters/{address}/secrets/{key}" in page
    status, document = await sms.send("GET", "/docs/openapi.json")
    assert status == 200
    assert set(document["paths"]["/secrets/web2"]) == {"head", "post", "put", "delete"}
