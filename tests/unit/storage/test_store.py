"""The store gives back what it was given, or an error: never something else."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, RAW, Cid
from pyiexec.storage.store import ContentStore
from pyiexec.storage.unixfs import CHUNK_BYTES, file_cid

pytestmark = pytest.mark.anyio
SMALL = b"hello world\n"
LARGE = bytes(range(256)) * 4096 * 3 + b"tail"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


async def pieces(data: bytes, size: int = 70_001) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def stored_files(store: ContentStore) -> list[Path]:
    return [path for path in store.directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [b"", SMALL, LARGE])
async def test_bytes_streams_and_files_get_the_same_name(store: ContentStore, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "source"
    await anyio.Path(path).write_bytes(data)
    names = {(await store.put(source)).cid for source in (data, pieces(data), path)}
    assert names == {file_cid(data)}
    assert await store.get(file_cid(data)) == data
    assert await store.size(file_cid(data)) == len(data)


async def test_content_survives_the_process(store: ContentStore) -> None:
    stored = await store.put(LARGE)
    assert await ContentStore(store.directory).get(str(stored.cid)) == LARGE


async def test_storing_twice_keeps_one_copy(store: ContentStore) -> None:
    await store.put(LARGE)
    before = stored_files(store)
    await store.put(pieces(LARGE))
    assert stored_files(store) == before


async def test_what_was_never_stored_is_not_found(store: ContentStore) -> None:
    for cid in (file_cid(b"absent"), Cid(1, RAW, bytes(32))):
        assert not await store.has(cid)
        with pytest.raises(IexecError) as missing:
            await store.get(cid)
        assert missing.value.code == "CONTENT_NOT_FOUND"


async def test_version_1_names_of_the_same_content_are_understood(store: ContentStore) -> None:
    stored = await store.put(SMALL)
    block = Cid(1, DAG_PB, stored.cid.digest)
    plain = Cid(1, RAW, hashlib.sha256(SMALL).digest())
    assert await store.get(str(block)) == SMALL
    assert await store.get(str(plain)) == SMALL
    assert (await store.stat(plain)) == (plain, stored.size, stored.size)


async def test_too_much_is_refused_and_leaves_nothing(store: ContentStore) -> None:
    for source in (LARGE, pieces(LARGE)):
        with pytest.raises(IexecError) as refusal:
            await store.put(source, max_bytes=len(LARGE) - 1)
        assert refusal.value.code == "CONTENT_TOO_LARGE"
    assert stored_files(store) == []
    await store.put(LARGE, max_bytes=len(LARGE))
    with pytest.raises(IexecError) as refusal:
        await store.get(file_cid(LARGE), max_bytes=10)
    assert refusal.value.code == "CONTENT_TOO_LARGE"


async def test_an_upload_that_breaks_off_leaves_nothing(store: ContentStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put(broken())
    assert stored_files(store) == []


async def test_leftovers_of_a_killed_process_are_swept(store: ContentStore) -> None:
    (store.directory / "incoming" / "tmpdead").write_bytes(b"half")
    store.discard_unfinished()
    assert stored_files(store) == []


@pytest.mark.parametrize("data", [SMALL, LARGE])
async def test_damage_on_disk_is_noticed_and_healed_by_storing_again(store: ContentStore, data: bytes) -> None:
    stored = await store.put(data)
    path = next(path for path in stored_files(store) if path.name == stored.cid.digest.hex())
    path.write_bytes(data[:-1] + b"X")
    with pytest.raises(IexecError) as damage:
        await store.get(stored.cid)
    assert damage.value.code == "CONTENT_MISMATCH"
    await store.put(data)
    assert await store.get(stored.cid) == data


async def test_a_stream_stops_before_a_damaged_chunk(store: ContentStore) -> None:
    stored = await store.put(LARGE)
    path = next(path for path in stored_files(store) if path.name == stored.cid.digest.hex())
    content = bytearray(LARGE)
    content[CHUNK_BYTES + 5] ^= 1
    path.write_bytes(content)
    chunks = store.stream(stored.cid)
    assert await anext(chunks) == LARGE[:CHUNK_BYTES]
    with pytest.raises(IexecError) as damage:
        await anext(chunks)
    assert damage.value.code == "CONTENT_MISMATCH"


async def test_damaged_leaf_hashes_are_noticed(store: ContentStore) -> None:
    stored = await store.put(LARGE)
    leaves = next(path for path in stored_files(store) if path.suffix == ".leaves")
    for damaged in (leaves.read_bytes()[:-32], leaves.read_bytes()[:-1], bytes(len(leaves.read_bytes()))):
        leaves.write_bytes(damaged)
        with pytest.raises(IexecError) as damage:
            await store.stat(stored.cid)
        assert damage.value.code == "CONTENT_MISMATCH"


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, None), (5, 5), (0, 1), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (CHUNK_BYTES, None), (3, 10**9), (10**9, None)],
)
async def test_any_part_can_be_streamed(store: ContentStore, start: int, end: int | None) -> None:
    stored = await store.put(LARGE)
    received = [chunk async for chunk in store.stream(stored.cid, start=start, end=end)]
    assert b"".join(received) == LARGE[start:end]


async def test_many_writers_of_the_same_content_do_not_disturb_readers(store: ContentStore) -> None:
    stored = await store.put(LARGE)

    async def write() -> None:
        for _ in range(3):
            await store.put(pieces(LARGE))

    async def read() -> None:
        for _ in range(5):
            assert await store.get(stored.cid) == LARGE

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(write)
            group.start_soon(read)


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"a file in the way")
    with pytest.raises(IexecError) as refusal:
        ContentStore(tmp_path / "content")
    assert refusal.value.code == "STORE_UNWRITABLE"
