"""Content kept by a node elsewhere. The node is another store of ours: its calls are held against kubo's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from pyiexec.foundation.http import http_session
from pyiexec.protocol.errors import IexecError
from pyiexec.storage.client import ContentClient
from pyiexec.storage.directories import Directory
from pyiexec.storage.kubo import KuboNode
from pyiexec.storage.unixfs import Layout, file_cid

from .conftest import running

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(251)) * 20_000
LIMIT = 6_000_000
assert 4 * 1024 * 1024 < len(CONTENT) < LIMIT


@dataclass
class Behind:
    """A store in front of a node."""

    url: str
    node_url: str
    directory: Path
    client: ContentClient


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    async with (
        running(tmp_path / "node") as node_url,
        running(tmp_path / "front", kubo_url=node_url, max_upload_bytes=LIMIT) as url,
        ContentClient(url) as client,
    ):
        yield Behind(url, node_url, tmp_path / "front", client)


@pytest.fixture
async def node(behind: Behind) -> AsyncIterator[KuboNode]:
    async with http_session() as session:
        yield KuboNode(behind.node_url, session)


def kept(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"hello world\n", CONTENT])
async def test_content_goes_through_to_the_node_and_back(behind: Behind, content: bytes) -> None:
    cid = await behind.client.add(content)
    assert await behind.client.fetch(cid, LIMIT) == content
    async with ContentClient(behind.node_url) as client:
        assert await client.fetch(cid, LIMIT) == content
    assert [path for path in kept(behind.directory) if path.name == "content"] == []


async def test_parts_and_sizes_come_from_the_node(behind: Behind, session: aiohttp.ClientSession) -> None:
    cid = await behind.client.add(CONTENT)
    async with session.get(f"{behind.url}/ipfs/{cid}", headers={"Range": "bytes=300000-600000"}) as response:
        assert response.status == 206
        assert await response.read() == CONTENT[300_000:600_001]
    async with session.head(f"{behind.url}/ipfs/{cid}") as response:
        assert response.headers["Content-Length"] == str(len(CONTENT))
    async with session.get(f"{behind.url}/ipfs/{file_cid(b'absent')}") as response:
        assert response.status == 404


async def test_folders_of_the_node_are_read_and_new_ones_refused(
    behind: Behind, session: aiohttp.ClientSession, node: KuboNode
) -> None:
    def form() -> aiohttp.FormData:
        made = aiohttp.FormData()
        made.add_field("file", b"inside", filename="folder/a file", content_type="application/octet-stream")
        return made

    async with session.post(f"{behind.node_url}/api/v0/add?wrap-with-directory=true", data=form()) as response:
        root = (await response.text()).splitlines()[-1].partition('"Hash":"')[2].partition('"')[0]
    async with session.get(f"{behind.url}/ipfs/{root}/folder/a%20file") as response:
        assert await response.read() == b"inside"
    found = await node.find(root)
    assert isinstance(found, Directory)
    assert list(found.entries) == ["folder"]
    async with session.post(f"{behind.url}/api/v0/add", data=form()) as response:
        assert response.status == 400


async def test_every_layout_is_asked_for_and_checked(node: KuboNode) -> None:
    for layout in (Layout(), Layout(1, True), Layout(1, False, 16_384)):
        stored = await node.put(CONTENT, layout=layout)
        assert stored.cid == file_cid(CONTENT, layout)
        assert await node.find(stored.cid) == stored
        assert b"".join([piece async for piece in node.stream(stored.cid, start=5, end=9)]) == CONTENT[5:9]
    only_named = await node.put(b"only named", keep=False)
    with pytest.raises(IexecError) as missing:
        await node.find(only_named.cid)
    assert missing.value.code == "CONTENT_NOT_FOUND"


async def test_too_much_is_refused_here_and_kept_nowhere(node: KuboNode, behind: Behind) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)

    with pytest.raises(IexecError) as refusal:
        await node.put(pieces(), max_bytes=1_000_000)
    assert refusal.value.code == "CONTENT_TOO_LARGE"
    assert kept(behind.directory.with_name("node")) == []


async def test_a_node_that_is_away_is_an_error_of_its_own(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with running(tmp_path, kubo_url="http://127.0.0.1:9") as url:
        async with session.get(f"{url}/ipfs/{file_cid(b'x')}") as response:
            assert response.status == 503
            assert (await response.json())["code"] == "STORE_UNREACHABLE"
        async with ContentClient(url) as client:
            with pytest.raises(IexecError) as refusal:
                await client.add(b"x")
        assert refusal.value.code == "STORE_UNREACHABLE"
