"""The query service over HTTP: where clients find it, what it takes, and what it answers to what it does not take."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from benchmarks.indexer_history import ADMIN

from pyiexec.chain.anvil import Anvil
from pyiexec.chain.deployment import STANDARD_CATEGORIES, deploy
from pyiexec.chain.rpc import JsonRpc
from pyiexec.indexer.graphql.limits import DEFAULT
from pyiexec.indexer.service import serve
from pyiexec.indexer.settings import IndexerSettings

BY_ID, BY_NAME = "B1comLe9SANBLrjdnoNTJSubbeC7cY7EoNu6zD82HeKy", "bellecour/poco-v5"
PLACES = ("/graphql/31337", f"/api/subgraphs/id/{BY_ID}", f"/subgraphs/name/{BY_NAME}")
CATEGORIES = "{ categories(orderBy: workClockTimeRef) { catid: id name workClockTimeRef } }"
#: All but those that expect an authorisation to be of a kind that OpenAPI knows.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,unsupported_method"
)
EXPECTED = {
    "data": {
        "categories": [
            {"catid": str(number), "name": category.name, "workClockTimeRef": str(category.work_clock_time_ref)}
            for number, category in enumerate(STANDARD_CATEGORIES)
        ]
    }
}


class Client:
    """Asks a service that runs for as long as the tests of this file."""

    def __init__(self, runner: asyncio.Runner, url: str, session: aiohttp.ClientSession) -> None:
        self.runner = runner
        self.url = url
        self.session = session

    def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any, Any]:
        """Status, headers, and the body as JSON or text."""

        async def request() -> tuple[int, Any, Any]:
            async with self.session.request(method, self.url + path, **options) as response:
                text = await response.text()
                is_json = response.content_type == "application/json"
                return response.status, response.headers, json.loads(text) if is_json else text

        return self.runner.run(request())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The outcome of work beside the service."""
        return self.runner.run(work)

    def post(self, content: Any, path: str = PLACES[0], **headers: str) -> tuple[int, Any]:
        """Status and answer to a body, as it is or as JSON."""
        data = content if isinstance(content, (bytes, str)) else json.dumps(content)
        status, _, answer = self.ask("POST", path, data=data, headers={"content-type": "application/json", **headers})
        return status, answer


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    url = f"sqlite:///{tmp_path_factory.mktemp('index') / 'index.db'}"
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil().start())
        stop = anyio.Event()
        started: asyncio.Future[str] = runner.get_loop().create_future()

        async def start() -> tuple[asyncio.Task[None], aiohttp.ClientSession]:
            async with JsonRpc(anvil.url) as rpc:
                manifest = await deploy(rpc, ADMIN, categories=STANDARD_CATEGORIES)
            settings = IndexerSettings(
                database_url=url,
                rpc_url=anvil.url,
                chain_id=manifest.chain_id,
                hub=manifest.hub,
                subgraph_ids=(BY_ID,),
                subgraph_names=(BY_NAME,),
            )
            service = asyncio.create_task(serve(settings, ready=started.set_result, stop=stop))
            base = await started
            session = aiohttp.ClientSession()
            with anyio.fail_after(30):
                while True:
                    async with session.post(f"{base}{PLACES[0]}", json={"query": CATEGORIES}) as response:
                        if await response.json() == EXPECTED:
                            return service, session
                    await anyio.sleep(0.02)

        service, session = runner.run(start())
        try:
            yield Client(runner, started.result(), session)
        finally:

            async def end() -> None:
                stop.set()
                await session.close()
                await service
                await anvil.stop()

            runner.run(end())


@pytest.mark.parametrize("path", PLACES)
def test_it_answers_where_clients_look_for_it(client: Client, path: str) -> None:
    assert client.post({"query": CATEGORIES}, path) == (200, EXPECTED)
    status, headers, answer = client.ask("GET", path, params={"query": CATEGORIES})
    assert (status, answer) == (200, EXPECTED)
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/graphql/1", "/graphql/0031337", "/api/subgraphs/id/other", "/subgraphs/name/bellecour/other"]
)
def test_elsewhere_is_no_index(client: Client, path: str) -> None:
    status, answer = client.post({"query": CATEGORIES}, path)
    assert status == 404
    assert answer == {"errors": [{"message": "there is no index under this name"}]}
    assert client.ask("GET", path)[0] == 404


def test_variables_and_operations_are_taken_by_both_methods(client: Client) -> None:
    query = "query A($id: ID!) { category(id: $id) { name } } query B { protocols { categoriesCount } }"
    expected = {"data": {"category": {"name": "S"}}}
    body = {"query": query, "variables": {"id": 1}, "operationName": "A", "extensions": {"clientLibrary": "any"}}
    assert client.post(body) == (200, expected)
    parameters = {"query": query, "variables": '{"id": "1"}', "operationName": "A"}
    assert client.ask("GET", PLACES[0], params=parameters)[2] == expected
    assert client.post({"query": query, "operationName": "B"})[1] == {"data": {"protocols": [{"categoriesCount": "5"}]}}
    assert "no such operation" in client.post({"query": query, "operationName": "C"})[1]["errors"][0]["message"]
    assert client.post({"query": CATEGORIES, "variables": None, "operationName": None}) == (200, EXPECTED)


def test_what_is_wrong_with_a_query_is_told_with_status_200(client: Client) -> None:
    for query in ("{", "", "{ nothing }", "{ categories(first: 9999) { id } }"):
        status, answer = client.post({"query": query})
        assert status == 200
        assert answer["errors"][0]["message"]
        assert "data" not in answer
    located = client.post({"query": "{ categories { nothing } }"})[1]["errors"][0]
    assert located["locations"] == [{"line": 1, "column": 16}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'[{"query": "{ protocols { id } }"}]',
        b'"{ protocols { id } }"',
        b"{}",
        b'{"query": 1}',
        b'{"query": null}',
        b'{"query": "{ protocols { id } }", "variables": []}',
        b'{"query": "{ protocols { id } }", "variables": "{}"}',
        b'{"query": "{ protocols { id } }", "operationName": 1}',
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b'{"query":' + b"[" * 50_000,
    ],
)
def test_what_is_no_request_is_told_with_status_400(client: Client, body: bytes) -> None:
    status, answer = client.post(body)
    assert status == 400
    assert answer["errors"][0]["message"]


@pytest.mark.parametrize("variables", ["[]", "{", "1", "[" * 5_000])
def test_variables_in_a_url_must_be_an_object(client: Client, variables: str) -> None:
    status, _, answer = client.ask("GET", PLACES[0], params={"query": CATEGORIES, "variables": variables})
    assert status == 400
    assert "variables" in answer["errors"][0]["message"]


def test_a_body_beyond_the_limit_is_refused_unread(client: Client) -> None:
    body = json.dumps({"query": CATEGORIES, "variables": {"a": "x" * DEFAULT.body_bytes}})
    status, answer = client.post(body)
    assert status == 413
    assert answer["ok"] is False


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE categories; --", '"><script>alert(1)</script>', "%' OR 1=1 --", "\x00", "\ud7ff", "💥"]
)
def test_whatever_is_in_a_text_is_only_text(client: Client, text: str) -> None:
    found = "category(id: $id) { id } categories(where: { name_contains: $text }) { id }"
    query = f"query ($id: ID!, $text: String!) {{ {found} }}"
    status, answer = client.post({"query": query, "variables": {"id": text, "text": text}})
    assert (status, answer) == (200, {"data": {"category": None, "categories": []}})
    assert client.post({"query": CATEGORIES}) == (200, EXPECTED)


def test_the_page_has_a_form_and_loads_nothing_from_elsewhere(client: Client) -> None:
    status, headers, page = client.ask(
        "GET", PLACES[1], headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    )
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert '<form method="get">' in page
    assert "http" not in page
    for path, kind in (("/graphql-page.js", "text/javascript"), ("/graphql-page.css", "text/css")):
        assert path in page
        status, headers, content = client.ask("GET", path)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert content


def test_a_program_without_a_query_is_told_so(client: Client) -> None:
    status, _, answer = client.ask("GET", PLACES[0])
    assert (status, answer) == (400, {"errors": [{"message": 'the URL has no "query"'}]})


def test_pages_of_any_origin_may_ask(client: Client) -> None:
    headers = {"origin": "https://explorer.example.org", "access-control-request-method": "POST"}
    headers["access-control-request-headers"] = "content-type"
    status, answered, _ = client.ask("OPTIONS", PLACES[0], headers=headers)
    assert status in (200, 204)
    assert answered["access-control-allow-origin"] == "*"
    _, answered, _ = client.ask("GET", PLACES[0], params={"query": CATEGORIES}, headers={"origin": headers["origin"]})
    assert answered["access-control-allow-origin"] == "*"


def test_clients_can_read_the_whole_schema(client: Client) -> None:
    from graphql import build_client_schema, get_introspection_query

    status, answer = client.post({"query": get_introspection_query()})
    assert status == 200
    schema = build_client_schema(answer["data"])
    assert schema.query_type is not None
    assert "bulkSliceice" in schema.query_type.fields
    assert set(schema.type_map["App_orderBy"].values) >= {"usageCount", "owner__id"}  # type: ignore[attr-defined]


def test_many_may_ask_at_once(client: Client) -> None:
    """Queries are read on threads, and kept for the next who sends them."""

    async def all_at_once() -> list[Any]:
        async def one(number: int) -> Any:
            query = f"# {number % 300}\n{CATEGORIES}"
            async with client.session.post(client.url + PLACES[0], json={"query": query}) as response:
                return await response.json()

        return await asyncio.gather(*(one(number) for number in range(600)))

    assert client.run(all_at_once()) == [EXPECTED] * 600


def test_the_service_does_what_its_document_says(client: Client, tmp_path: Path) -> None:
    known = f'"path.chain" = "31337"\n"path.subgraph" = "{BY_ID}"\nquery = "{{ protocols {{ id }} }}"\n'
    (tmp_path / "schemathesis.toml").write_text(f"[parameters]\n{known}")
    for phases, folder in (("coverage", tmp_path / "elsewhere"), ("coverage,fuzzing", tmp_path)):
        folder.mkdir(exist_ok=True)
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{client.url}/docs/openapi.json"),
            *("--checks", CHECKS, "--phases", phases, "--max-examples", "5"),
            *("--generation-deterministic", "--no-color", "--warnings", "off"),
        ]
        done = client.run(anyio.run_process(command, check=False, cwd=folder))
        assert done.returncode == 0, done.stdout.decode()[-6000:]
