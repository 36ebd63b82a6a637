"""The order book does what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from .conftest import APP_OWNER, POOL_OWNER, REQUESTER, Chain, running

pytestmark = pytest.mark.anyio
#: All but those that expect an authorisation to be of a kind that OpenAPI knows.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method"
)


async def test_schemathesis_finds_nothing_else_than_is_described(chain: Chain, tmp_path: Path) -> None:
    # What is asked of the database does not depend on which it is.
    async with running(chain, f"sqlite:///{tmp_path / 'market.db'}") as market:
        app, pool, request = chain.app_order(), chain.pool_order(), chain.request_order()
        for order, signer in ((app, APP_OWNER), (pool, POOL_OWNER), (request, REQUESTER)):
            await market.book.publish(order, signer)
        await chain.match(app, pool, request)
        await market.until_status("requestorder", request, "filled", 0)
        _, page = await market.get("/deals")
        (tmp_path / "schemathesis.toml").write_text(
            f'[parameters]\nchainId = "{chain.manifest.chain_id}"\norder_hash = "{chain.hash(app)}"\n'
            f'dealid = "{page["deals"][0]["dealid"]}"\ncatid = "1"\n'
        )
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{market.url}/docs/openapi.json"),
            *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "5"),
            # A stream has no end that could be waited for; tests of its own read it.
            *("--exclude-path", "/stream"),
            # The test's clock is far ahead of the chain's, so that the book is right to say that it is not ready.
            *("--exclude-path", "/health/ready"),
            *("--generation-deterministic", "--no-color", "--warnings", "off"),
            *("--header", f"authorization: {await market.token(REQUESTER)}"),
        ]
        done = await anyio.run_process(command, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout.decode()[-6000:]


async def test_every_route_is_described(chain: Chain, tmp_path: Path) -> None:
    async with running(chain, f"sqlite:///{tmp_path / 'market.db'}") as market:
        _, document = await market.get("/docs/openapi.json")
        async with market.session.get(market.url + "/docs") as page:
            assert page.content_type == "text/html"
            assert "/workerpoolorders/{order_hash}" in await page.text()
    assert {"/stream", "/deals", "/deals/{dealid}", "/ohlc", "/metrics", "/challenge"} <= document["paths"].keys()
    publication = document["paths"]["/requestorders"]["post"]
    assert {"200", "400", "403", "413", "503"} <= publication["responses"].keys()
    assert all(it["summary"] for operations in document["paths"].values() for it in operations.values())
