"""The result store over HTTP: what goes in comes out under the name its content gives it."""

import hashlib
import io
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, RAW, Cid
from pyiexec.storage.client import ContentClient
from pyiexec.storage.unixfs import file_cid

from .conftest import UPLOAD_LIMIT

pytestmark = pytest.mark.anyio
LARGE = bytes(range(256)) * 8192 + b"tail"


def folder_of(path: Path) -> list[Path]:
    return sorted(path.iterdir())


async def refused(awaitable: Any) -> str:
    with pytest.raises(IexecError) as refusal:
        await awaitable
    return refusal.value.code


@pytest.mark.parametrize("data", [b"", b"hello world\n", LARGE])
async def test_what_is_added_is_fetched_under_its_ipfs_name(client: ContentClient, data: bytes) -> None:
    cid = await client.add(data)
    assert cid == file_cid(data)
    assert await client.fetch(cid, len(data)) == data
    assert await client.fetch(str(Cid(1, DAG_PB, cid.digest)), len(data)) == data


async def test_a_raw_block_name_is_understood(client: ContentClient) -> None:
    await client.add(b"hello world\n")
    assert await client.fetch(Cid(1, RAW, hashlib.sha256(b"hello world\n").digest()), 100) == b"hello world\n"


async def test_files_go_from_disk_to_disk(client: ContentClient, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(LARGE)
    cid = await client.add(source)
    assert await client.fetch_to(cid, target, len(LARGE)) == len(LARGE)
    assert target.read_bytes() == LARGE


async def test_the_answers_are_those_of_kubo(base_url: str, session: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"hello world\n", filename="hello world.txt", content_type="application/octet-stream")
    form.add_field("file", b"", filename="", content_type="application/octet-stream")
    async with session.post(f"{base_url}/api/v0/add?stream-channels=true&progress=false", data=form) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert (await response.text()).splitlines() == [
            '{"Name":"hello world.txt","Hash":"QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o","Size":"20"}',
            '{"Name":"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",'
            '"Hash":"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH","Size":"6"}',
        ]


async def test_the_gateway_says_size_and_validity(
    base_url: str, session: aiohttp.ClientSession, client: ContentClient
) -> None:
    cid = await client.add(LARGE)
    async with session.head(f"{base_url}/ipfs/{cid}") as response:
        assert response.status == 200
        assert response.headers["content-length"] == str(len(LARGE))
        assert response.headers["etag"] == f'"{cid}"'
        assert "immutable" in response.headers["cache-control"]
    async with session.get(f"{base_url}/ipfs/{cid}", headers={"If-None-Match": f'"{cid}"'}) as response:
        assert response.status == 304
    async with session.get(f"{base_url}/ipfs/{cid}", headers={"Origin": "https://somewhere.example"}) as response:
        assert response.headers["access-control-allow-origin"] == "*"
        assert await response.read() == LARGE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("name", "status"), [(str(file_cid(b"absent")), 404), ("nonsense", 400), ("Qm%00%2f", 400)])
async def test_unknown_and_ill_formed_names_are_refused(
    base_url: str, session: aiohttp.ClientSession, method: str, name: str, status: int
) -> None:
    async with session.request(method, f"{base_url}/ipfs/{name}") as response:
        assert response.status == status
        if method == "GET":
            assert (await response.json())["ok"] is False


async def test_too_much_is_refused_whether_announced_or_not(
    base_url: str, session: aiohttp.ClientSession, client: ContentClient
) -> None:
    assert await refused(client.add(bytes(UPLOAD_LIMIT + 1))) == "CONTENT_TOO_LARGE"
    assert await refused(client.fetch(file_cid(bytes(UPLOAD_LIMIT + 1)), 10**9)) == "CONTENT_NOT_FOUND"
    content, headers = io.BytesIO(bytes(5_000_000)), {"content-type": "multipart/form-data; boundary=x"}
    async with session.post(f"{base_url}/api/v0/add", data=content, headers=headers) as response:
        assert response.status == 413


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no boundary here"),
        ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\ncut off'),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="file"\r\n'
            b"content-type: application/x-directory\r\n\r\n\r\n--x--",
        ),
    ],
)
async def test_what_is_no_upload_is_refused_and_leaves_nothing(
    base_url: str, session: aiohttp.ClientSession, tmp_path: Path, content_type: str, body: bytes
) -> None:
    async with session.post(f"{base_url}/api/v0/add", data=body, headers={"content-type": content_type}) as response:
        assert response.status == 400
        answer = await response.json()
        assert answer["Type"] == "error"
        assert answer["Refusal"]["code"] == "BAD_REQUEST"
    assert not [path for path in (tmp_path / "content").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "option",
    [
        *("cid-version=2", "hash=blake3", "chunker=rabin", "chunker=size-1", "chunker=size-9999999", "trickle=true"),
        *("nocopy=true", "inline=true", "to-files=/x", "preserve-mode=true", "raw-leaves=perhaps", "max-file-links=2"),
    ],
)
async def test_options_that_cannot_be_honoured_are_refused_by_name(
    base_url: str, session: aiohttp.ClientSession, option: str
) -> None:
    async with session.post(f"{base_url}/api/v0/add?{option}", data={"file": "x"}) as response:
        assert response.status == 400
        assert option.partition("=")[0] in (await response.json())["Message"]


async def test_limits_of_the_reader_hold(client: ContentClient, tmp_path: Path) -> None:
    cid = await client.add(LARGE)
    assert await refused(client.fetch(cid, len(LARGE) - 1)) == "CONTENT_TOO_LARGE"
    assert await refused(client.fetch_to(cid, tmp_path / "target", len(LARGE) - 1)) == "CONTENT_TOO_LARGE"
    assert [path.name for path in folder_of(tmp_path)] == ["content"]


async def test_a_lying_gateway_is_found_out(tmp_path: Path) -> None:
    async def lie(_request: web.Request) -> web.Response:
        return web.Response(body=b"something else")

    async def lie_about_upload(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"Name": "x", "Hash": str(file_cid(b"something else")), "Size": "1"})

    app = web.Application()
    app.router.add_get("/ipfs/{cid}", lie)
    app.router.add_post("/api/v0/add", lie_about_upload)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with ContentClient(f"http://127.0.0.1:{port}") as client:
            cid = file_cid(b"the truth")
            assert await refused(client.fetch(cid, 100)) == "CONTENT_MISMATCH"
            assert await refused(client.fetch_to(cid, tmp_path / "target", 100)) == "CONTENT_MISMATCH"
            assert await refused(client.add(b"the truth")) == "CONTENT_MISMATCH"
            assert folder_of(tmp_path) == []
    finally:
        await runner.cleanup()


async def test_a_gateway_that_is_gone_is_reported() -> None:
    async with ContentClient("http://127.0.0.1:9") as client:
        assert await refused(client.fetch(file_cid(b"x"), 10)) == "STORE_UNREACHABLE"
        assert await refused(client.add(b"x")) == "STORE_UNREACHABLE"


async def test_damage_in_the_store_never_reaches_the_reader(client: ContentClient, tmp_path: Path) -> None:
    for data in (b"hello world\n", LARGE):
        cid = await client.add(data)
        path = next(p for p in (tmp_path / "content").rglob("*") if p.name == cid.digest.hex())
        path.write_bytes(data[:-1] + b"X")
        assert await refused(client.fetch(cid, 10**9)) in {"CONTENT_MISMATCH", "STORE_UNREACHABLE"}


async def test_many_clients_at_once_are_served(client: ContentClient) -> None:
    async def round_trip(number: int) -> None:
        data = number.to_bytes(4) * 50_000
        assert await client.fetch(await client.add(data), len(data)) == data

    async with anyio.create_task_group() as group:
        for number in range(24):
            group.start_soon(round_trip, number)
