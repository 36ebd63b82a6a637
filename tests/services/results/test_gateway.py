"""The gateway gives parts, folders and conditions as the standards say, and content never acts as its origin."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyiexec.storage.client import ContentClient
from pyiexec.storage.unixfs import CHUNK_BYTES, Layout, file_cid

from .conftest import running

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(251)) * 3000
CID = file_cid(CONTENT)
assert len(CONTENT) > 2 * CHUNK_BYTES
EVIL = "<img src=x onerror=alert(1)>&\"'.html"


async def add(session: aiohttp.ClientSession, url: str, files: dict[str, bytes], query: str = "") -> dict[str, str]:
    form = aiohttp.FormData()
    for path, content in files.items():
        form.add_field("file", content, filename=path, content_type="application/octet-stream")
    async with session.post(f"{url}/api/v0/add?{query}", data=form) as response:
        text = await response.text()
        assert response.status == 200, text
    return {line["Name"]: line["Hash"] for line in map(json.loads, text.splitlines())}


@pytest.fixture
async def stored(base_url: str, session: aiohttp.ClientSession) -> str:
    """The URL of the content."""
    await add(session, base_url, {"x": CONTENT})
    return f"{base_url}/ipfs/{CID}"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, len(CONTENT)),
        ("bytes=-1", len(CONTENT) - 1, len(CONTENT)),
        ("bytes=-99999999", 0, len(CONTENT)),
        (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        (f"bytes=5-{10**17}", 5, len(CONTENT)),
        ("BYTES=3-4", 3, 5),
    ],
)
async def test_one_range_is_answered_with_that_part(
    stored: str, session: aiohttp.ClientSession, asked: str, start: int, end: int
) -> None:
    async with session.get(stored, headers={"Range": asked}) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
        assert response.headers["Content-Length"] == str(end - start)
        assert await response.read() == CONTENT[start:end]


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-2", "bytes=", "bytes=-", "lines=1-2", "bytes=a-b", "0-5", "bytes=1-2-3"]
)
async def test_what_is_no_single_range_is_answered_with_the_whole(
    stored: str, session: aiohttp.ClientSession, asked: str
) -> None:
    async with session.get(stored, headers={"Range": asked}) as response:
        assert response.status == 200
        assert await response.read() == CONTENT


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=-0"])
async def test_a_range_behind_the_end_is_refused(stored: str, session: aiohttp.ClientSession, asked: str) -> None:
    async with session.get(stored, headers={"Range": asked}) as response:
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
        assert (await response.json())["code"] == "RANGE_UNSATISFIABLE"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Range": f'"{CID}"'}, 206),
        ({"If-Range": f'W/"{CID}"'}, 200),
        ({"If-Range": '"other"'}, 200),
        ({"If-Range": "Sat, 21 Nov 2026 00:00:00 GMT"}, 200),
        ({"If-None-Match": f'"{CID}"'}, 304),
        ({"If-None-Match": f'"x", W/"{CID}"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": f'"x{CID}"'}, 206),
    ],
)
async def test_conditions_are_looked_at(
    stored: str, session: aiohttp.ClientSession, headers: dict[str, str], status: int
) -> None:
    async with session.get(stored, headers={"Range": "bytes=0-9"} | headers) as response:
        assert response.status == status
        assert await response.read() == {200: CONTENT, 206: CONTENT[:10], 304: b""}[status]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.one_of(st.from_regex(r"bytes=\d{0,7}-\d{0,7}", fullmatch=True), st.text("bytes=0123456789-, ")))
async def test_any_range_header_gives_a_part_the_whole_or_a_refusal(
    stored: str, session: aiohttp.ClientSession, header: str
) -> None:
    async with session.get(stored, headers={"Range": header}) as response:
        body = await response.read()
        if response.status == 206:
            first, _, rest = response.headers["Content-Range"].removeprefix("bytes ").partition("-")
            assert body == CONTENT[int(first) : int(rest.partition("/")[0]) + 1] != b""
        elif response.status == 200:
            assert body == CONTENT
        else:
            assert response.status == 416


async def test_files_are_found_by_their_path_and_folders_are_listed(
    base_url: str, session: aiohttp.ClientSession
) -> None:
    added = await add(session, base_url, {"site/index.html": b"<h1>", f"site/{EVIL}": b"x", "site/in/data.csv": b"1,2"})
    root = f"{base_url}/ipfs/{added['site']}"
    async with session.get(f"{root}/in/data.csv", headers={"Range": "bytes=2-"}) as response:
        assert response.status == 206
        assert response.content_type == "text/csv"
        assert await response.read() == b"2"
    async with session.get(root) as response:
        assert response.content_type == "application/json"
        listed = await response.json()
        assert listed["cid"] == added["site"]
        assert {entry["name"] for entry in listed["entries"]} == {"index.html", EVIL, "in"}
        etag = response.headers["etag"]
    async with session.get(root, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    async with session.get(f"{root}/", headers={"Accept": "text/html"}) as response:
        page = await response.text()
        assert response.content_type == "text/html"
        assert "<img" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "sandbox" in response.headers["content-security-policy"]
        [link] = [part.partition('"')[0] for part in page.split('href="')[1:] if "onerror" in part.partition('"')[0]]
    async with session.get(base_url + link) as response:
        assert await response.read() == b"x"
    async with session.head(root) as response:
        assert response.status == 200
    for absent in ("nothing", "in/data.csv/deeper", "in/nothing"):
        async with session.get(f"{root}/{absent}") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "CONTENT_NOT_FOUND"


@pytest.mark.parametrize("query", ["", "?filename=page.html", "?filename=page.html&download=true"])
async def test_content_never_acts_with_the_privileges_of_the_origin(
    base_url: str, session: aiohttp.ClientSession, query: str
) -> None:
    [cid] = (await add(session, base_url, {"page.html": b"<script>alert(1)</script>"})).values()
    async with session.get(f"{base_url}/ipfs/{cid}{query}") as response:
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"].startswith("sandbox;")
        assert response.content_type == ("text/html" if query else "application/octet-stream")
        assert ("attachment" in response.headers.get("content-disposition", "")) == ("download" in query)


async def test_names_cannot_write_headers(stored: str, session: aiohttp.ClientSession) -> None:
    name = 'x"\r\nset-cookie: a=b\r\n\u2028.zip'
    async with session.get(stored, params={"filename": name}) as response:
        assert response.status == 200
        assert "set-cookie" not in response.headers
        assert response.headers["content-disposition"].isascii()
        assert response.content_type == "application/zip"


@pytest.mark.parametrize(
    "path",
    [
        *("/ipfs/../../etc/passwd", "/ipfs/%2e%2e/%2e%2e/etc/passwd", f"/ipfs/{CID}/../../../etc/passwd"),
        *(f"/ipfs/{CID}/%2e%2e/%2e%2e/about.json", f"/ipfs/{CID}/..%2f..%2fetc%2fpasswd", f"/ipfs/{CID}/%00"),
        *(f"/ipfs/{CID}/" + "a/" * 100, f"/ipfs/{CID}/{'x' * 300}", "/ipfs/", "/ipfs/files", f"/ipfs/{CID}//x"),
        *("/ipfs/%ff%fe", f"/ipfs/{CID}%0d%0aset-cookie:x", "/ipfs/token.key", "/ipfs/..%5c..%5cx"),
    ],
)
async def test_no_path_leads_out_of_the_store(base_url: str, stored: str, path: str) -> None:
    """Sent as they stand: clients would tidy them up."""
    assert stored
    host, _, port = base_url.removeprefix("http://").partition(":")

    def ask() -> bytes:
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: line.recv(65_536), b""))

    answer = await anyio.to_thread.run_sync(ask)
    status = int(answer.split(b" ", 2)[1])
    assert status in (400, 404), answer
    assert b"set-cookie" not in answer.lower().partition(b"\r\n\r\n")[0]
    assert b"root:" not in answer


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", "/../x", "a/./b", "x" * 256, "a/" * 65 + "x", "a\0b"])
async def test_no_folder_can_hold_a_way_out(base_url: str, session: aiohttp.ClientSession, path: str) -> None:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", b"x", filename=path.replace("\0", "%00"), content_type="application/octet-stream")
    async with session.post(f"{base_url}/api/v0/add", data=form) as response:
        assert response.status == 400
        assert (await response.json())["Type"] == "error"


async def test_forms_other_than_the_content_itself_are_refused(stored: str, session: aiohttp.ClientSession) -> None:
    for query, accept in (("?format=car", "*/*"), ("", "application/vnd.ipld.raw"), ("?download=maybe", "*/*")):
        async with session.get(stored + query, headers={"Accept": accept}) as response:
            assert response.status == 400
    async with session.get(stored, headers={"Accept": "application/zip"}) as response:
        assert response.status == 200


async def test_every_layout_is_read_back_whole_and_in_parts(
    base_url: str, session: aiohttp.ClientSession, client: ContentClient
) -> None:
    for query, layout in (
        ("cid-version=1", Layout(1, True)),
        ("cid-version=1&raw-leaves=false", Layout(1)),
        ("raw-leaves=true", Layout(0, True)),
        ("cid-version=1&chunker=size-1048576", Layout(1, True, 1_048_576)),
        ("chunker=size-16384", Layout(chunk_bytes=16_384)),
        ("chunker=size-1048576", Layout(chunk_bytes=1_048_576)),
    ):
        [cid] = (await add(session, base_url, {"x": CONTENT}, query)).values()
        assert cid == str(file_cid(CONTENT, layout))
        async with session.get(f"{base_url}/ipfs/{cid}", headers={"Range": "bytes=300000-700000"}) as response:
            assert await response.read() == CONTENT[300_000:700_001]
        if layout.cid_version == 1 and layout.chunk_bytes >= CHUNK_BYTES:
            assert await client.fetch(cid, len(CONTENT)) == CONTENT


async def test_only_hash_tells_a_name_and_keeps_nothing(
    base_url: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    added = await add(session, base_url, {"a/x": CONTENT}, "only-hash=true")
    assert added["a/x"] == str(CID)
    assert "a" in added
    assert [path for path in (tmp_path / "content").rglob("*") if path.is_file()] == []


async def test_damage_is_an_error_and_never_wrong_bytes(
    stored: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    path = tmp_path / "content" / "files" / CID.digest.hex()
    damaged = bytearray(CONTENT)
    damaged[0] ^= 1
    path.write_bytes(damaged)
    async with session.get(stored) as response:
        assert response.status == 502
        assert (await response.json())["code"] == "CONTENT_MISMATCH"
    async with session.get(stored, headers={"Range": f"bytes={CHUNK_BYTES}-"}) as response:
        assert await response.read() == CONTENT[CHUNK_BYTES:]


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(100_000)


async def test_a_full_store_says_so_and_keeps_nothing(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with running(tmp_path, capacity_bytes=600_000) as url:

        async def put(count: int) -> tuple[int, Any]:
            form = aiohttp.MultipartWriter("form-data")
            form.append(chunks(count)).set_content_disposition("form-data", name="file", filename="")
            async with session.post(f"{url}/api/v0/add", data=form) as response:
                return response.status, await response.json(content_type=None)

        assert (await put(5))[0] == 200
        status, said = await put(6)
        assert status == 507
        assert said["Refusal"]["code"] == "STORE_FULL"
    assert len(list((tmp_path / "files").glob("*.leaves"))) == 1
