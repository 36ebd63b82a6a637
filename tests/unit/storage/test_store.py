"""The store gives back what it was given, or an error: never something else."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, RAW, Cid
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import Directory
from pyiexec.storage.node import resolve
from pyiexec.storage.store import ContentStore
from pyiexec.storage.unixfs import CHUNK_BYTES, Layout, file_cid
from pyiexec.storage.verification import ContentVerifier

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


layouts = st.builds(Layout, st.sampled_from([0, 1]), st.booleans(), st.sampled_from([16_384, 65_536, CHUNK_BYTES]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=layouts, length=st.integers(0, 200_000), part=st.tuples(st.integers(0, 200_000), st.integers(0, 200_000)))
async def test_every_layout_comes_back_whole_and_in_parts(
    store: ContentStore, layout: Layout, length: int, part: tuple[int, int]
) -> None:
    data = (bytes(range(251)) * 800)[:length]
    stored = await store.put(data, layout=layout)
    assert stored.cid == file_cid(data, layout)
    assert await store.get(stored.cid) == data
    start, end = min(part), max(part)
    assert b"".join([piece async for piece in store.stream(stored.cid, start=start, end=end)]) == data[start:end]


@pytest.mark.parametrize("damage", [b"ux\x02\x01\x00\x04\x00\x00", b"xx\x01\x01\x00\x04\x00\x00", bytes(8)])
async def test_a_damaged_layout_is_noticed(store: ContentStore, damage: bytes) -> None:
    stored = await store.put(LARGE, layout=Layout(1, True))
    leaves = next(path for path in stored_files(store) if path.suffix == ".leaves")
    leaves.write_bytes(damage + leaves.read_bytes()[8:])
    with pytest.raises(IexecError) as refusal:
        await store.stat(stored.cid)
    assert refusal.value.code == "CONTENT_MISMATCH"


async def test_folders_lead_to_what_is_in_them(store: ContentStore) -> None:
    file = await store.put(SMALL)
    inner = await store.put_directory([Link("file", file.cid, file.dag_bytes)])
    outer = await store.put_directory([Link("inner", inner.cid, inner.dag_bytes)], cid_version=1)
    assert await store.find(str(outer.cid)) == outer
    assert await resolve(store, outer.cid, ["inner", "file"]) == file
    assert isinstance(await resolve(store, outer.cid, ["inner"]), Directory)
    for names in (["file"], ["inner", "file", "deeper"]):
        with pytest.raises(IexecError, match="CONTENT_NOT_FOUND"):
            await resolve(store, outer.cid, names)
    with pytest.raises(IexecError, match="CONTENT_IS_FOLDER"):
        await store.get(outer.cid)
    path = next(path for path in stored_files(store) if path.name == outer.cid.digest.hex())
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(IexecError, match="CONTENT_MISMATCH"):
        await store.find(outer.cid)


async def test_a_store_has_room_for_its_capacity_and_knows_it_after_a_restart(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, capacity=len(LARGE) + 10)
    with pytest.raises(IexecError, match="STORE_FULL"):
        await store.put(LARGE + bytes(100))
    await store.put(LARGE)
    await store.put(LARGE[:-11] + b"x" * 11, keep=False)
    for again in (store, ContentStore(tmp_path, capacity=len(LARGE) + 10)):
        with pytest.raises(IexecError, match="STORE_FULL"):
            await again.put(b"more than is left")
    assert await store.get(file_cid(LARGE)) == LARGE


@pytest.mark.parametrize("layout", [Layout(), Layout(1), Layout(1, True), Layout(1, True, 1_048_576)])
def test_content_is_told_from_any_other_by_its_name(layout: Layout) -> None:
    for sent, holds in ((LARGE, True), (LARGE[:-1], False), (LARGE + b"x", False), (LARGE[:-1] + b"x", False)):
        verifier = ContentVerifier(file_cid(LARGE, layout))
        for start in range(0, len(sent), 100_000):
            verifier.update(sent[start : start + 100_000])
        assert verifier.holds() is holds
