import io
import json
import stat
import struct
import warnings
import zipfile
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import bytes32, keccak256
from pyiexec.protocol.results import (
    ResultLink,
    callback_data,
    directory_digest,
    format_link,
    pack,
    parse_link,
    result_digest,
    unpack,
)

MAX_BYTES, MAX_FILES = 1_000_000, 100
CID = "QmW2WQi7j6c7UgJTarActp7tDNikE4B2qXtFCfLPdsgaTQ"

parts = st.text(st.characters(min_codepoint=97, max_codepoint=122) | st.sampled_from("éß._- "), min_size=1, max_size=8)
good_parts = parts.filter(lambda part: part not in (".", ".."))
names = st.lists(good_parts, min_size=1, max_size=3).map("/".join)


def stand_side_by_side(files: dict[str, bytes]) -> bool:
    return not any(other.startswith(name + "/") for name in files for other in files)


file_sets = st.dictionaries(names, st.binary(max_size=200), max_size=6).filter(stand_side_by_side)


def archive(*members: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as writer:
        warnings.simplefilter("ignore")
        for member, content in members:
            writer.writestr(member, content)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = mode << 16
    return member


def refused(data: bytes, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> str:
    with pytest.raises(IexecError) as refusal:
        unpack(data, max_bytes, max_files)
    assert refusal.value.code == "BAD_RESULT"
    return refusal.value.what


@given(file_sets)
def test_packed_files_come_back(files: dict[str, bytes]) -> None:
    assert unpack(pack(files), MAX_BYTES, MAX_FILES) == files


@given(file_sets, st.randoms())
def test_an_archive_does_not_depend_on_the_order_of_its_making(files: dict[str, bytes], random: object) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pack(dict(shuffled)) == pack(files)


def test_an_archive_has_the_same_bytes_on_every_machine() -> None:
    packed = pack({"computed.json": b"{}", "b/é.txt": b"hello"})
    assert sha256(packed).hexdigest() == "5aa01849f5b2f854a40a58d63bcf58be963537d14aae78cdc1281c594b4bc969"


def test_an_archive_opens_with_ordinary_tools() -> None:
    with zipfile.ZipFile(io.BytesIO(pack({"a/b.txt": b"hello"}))) as opened:
        assert opened.testzip() is None
        assert opened.read("a/b.txt") == b"hello"
        assert stat.filemode(opened.getinfo("a/b.txt").external_attr >> 16) == "-rw-r--r--"


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/.",
        "..",
        "a\\..\\b",
        "C:/evil",
        "a\nb",
        "a\x1b[2Jb",
        "x" * 256,
        "/".join(["long" * 50] * 6),
    ],
)
def test_a_name_that_does_not_stay_in_its_folder_is_neither_packed_nor_unpacked(name: str) -> None:
    with pytest.raises(IexecError) as refusal:
        pack({name: b""})
    assert refusal.value.code == "BAD_RESULT"
    refused(archive((name, b"")))


@pytest.mark.parametrize("name", ["", "\ud800", "a/"])
def test_a_name_no_archive_can_hold_is_not_packed(name: str) -> None:
    with pytest.raises(IexecError):
        pack({name: b""})


def test_a_zero_byte_does_not_hide_the_end_of_a_name() -> None:
    data = archive(("good.txtXevil", b"")).replace(b"good.txtXevil", b"good.txt\0evil")
    assert "zero byte" in refused(data)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_special_files_are_refused(kind: int) -> None:
    assert "link" in refused(archive((special("a", kind | 0o777), b"/etc/passwd")))


def test_a_folder_disguised_as_a_link_is_refused() -> None:
    assert "link" in refused(archive((special("a/", stat.S_IFLNK | 0o777), b"")))


def test_a_file_there_twice_is_refused() -> None:
    assert "twice" in refused(archive(("a", b"1"), ("a", b"2")))


@pytest.mark.parametrize("members", [["a", "a/b"], ["a/b", "a"], ["a", "a/"], ["a/", "a"], ["a", "a/b/"]])
def test_a_name_that_is_both_file_and_folder_is_refused(members: list[str]) -> None:
    refused(archive(*((name, b"") for name in members)))


def test_folders_are_implied_by_their_files() -> None:
    data = archive((special("a/", stat.S_IFDIR | 0o755), b""), ("a/b", b"1"), ("c/", b""))
    assert unpack(data, MAX_BYTES, MAX_FILES) == {"a/b": b"1"}


@pytest.mark.parametrize("zeros", [MAX_BYTES + 1, 200 * MAX_BYTES])
def test_a_bomb_is_not_decompressed_beyond_the_limit(zeros: int) -> None:
    bomb = archive(("a", bytes(zeros)), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < MAX_BYTES
    assert f"more than {MAX_BYTES}" in refused(bomb)


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    bomb = archive(("a", bytes(10 * MAX_BYTES)), compression=zipfile.ZIP_DEFLATED)
    honest = struct.pack("<L", 10 * MAX_BYTES)
    assert bomb.count(honest) == 2
    refused(bomb.replace(honest, struct.pack("<L", 10)))


def test_the_limit_is_on_all_files_together_and_exact() -> None:
    files = {"a": bytes(60), "b": bytes(40)}
    assert unpack(pack(files), 100, 2) == files
    refused(pack(files), 99, 2)
    refused(pack(files), 100, 1)


def test_folders_count_as_files_against_the_limit() -> None:
    refused(archive(*((f"{number}/", b"") for number in range(11))), max_files=10)


def test_a_list_of_very_many_files_is_refused_before_it_is_read() -> None:
    data = archive(*((f"{number:04}" + "x" * 200, b"") for number in range(3_000)))
    assert "lists more than 10 files" in refused(data, 10_000_000, 10)


def test_an_archive_longer_than_anything_within_the_limits_is_refused_unread() -> None:
    assert "holds more than 10 bytes" in refused(bytes(200_000), 10, 1)


def test_files_that_share_their_bytes_are_counted_each() -> None:
    data = archive(("a", bytes(1000)), ("b", bytes(1000)), compression=zipfile.ZIP_DEFLATED)
    refused(data, 1500, 2)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(method: int) -> None:
    assert "not supported" in refused(archive(("a", b"hello"), compression=method))


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(archive(("a", b"hello")))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[6] |= 1
    assert "encrypted" in refused(bytes(data))


def test_an_archive_for_more_than_4_gib_is_refused() -> None:
    data = archive(("a", b"hello"))
    end = data.index(b"PK\x05\x06")
    assert "4 GiB" in refused(data[:end] + b"PK\x06\x07" + bytes(16) + data[end:])


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", bytes(100), b"PK\x05\x06"])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    refused(data)


def test_an_empty_archive_has_no_files() -> None:
    assert unpack(pack({}), 0, 0) == {}


def test_an_archive_with_a_comment_is_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        writer.writestr("a", b"1")
        writer.comment = b"made elsewhere"
    assert unpack(buffer.getvalue(), 10, 10) == {"a": b"1"}


@settings(max_examples=300)
@given(file_sets, st.data())
def test_a_damaged_archive_gives_files_or_a_refusal_and_never_another_error(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    damaged = bytearray(
        archive(*files.items(), compression=data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])))
    )
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=6)):
        damaged[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    try:
        found = unpack(bytes(damaged[:cut]), MAX_BYTES, MAX_FILES)
    except IexecError as error:
        assert error.code == "BAD_RESULT"  # noqa: PT017 - either outcome is right
    else:
        assert stand_side_by_side(found)


def computed(**fields: object) -> bytes:
    return json.dumps({name.replace("_", "-"): value for name, value in fields.items()}).encode()


def test_one_file_is_known_by_its_sha256() -> None:
    files = {"computed.json": computed(deterministic_output_path="/iexec_out/tile.ppm"), "tile.ppm": b"pixels"}
    assert result_digest(files) == bytes32(sha256(b"pixels").digest())


def test_a_path_relative_to_the_output_folder_names_the_same_file() -> None:
    files = {"computed.json": computed(deterministic_output_path="a/tile.ppm"), "a/tile.ppm": b"pixels"}
    assert result_digest(files) == bytes32(sha256(b"pixels").digest())


@pytest.mark.parametrize("path", ["/iexec_out/dir", "/iexec_out/dir/", "dir"])
def test_a_folder_is_known_by_its_direct_children_in_order_of_name(path: str) -> None:
    files = {
        "dir/b": b"b",
        "computed.json": computed(deterministic_output_path=path),
        "dir/sub/c": b"left out",
        "dir/a": b"a",
        "dirty": b"not in it",
    }
    assert result_digest(files) == "0x9357c59d3ff5027438ddab3b1655da04ba890e0a43fac9d9568f78941d4b5a1f"


def test_the_whole_output_folder_includes_the_declaration_itself() -> None:
    declaration = computed(deterministic_output_path="/iexec_out")
    files = {"a": b"1", "computed.json": declaration}
    assert result_digest(files) == directory_digest([b"1", declaration])


def test_a_folder_without_files_of_its_own_has_the_digest_of_nothing() -> None:
    files = {"computed.json": computed(deterministic_output_path="/iexec_out/d"), "d/sub/c": b"1"}
    nothing = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert result_digest(files) == directory_digest([]) == nothing


@pytest.mark.parametrize(
    ("status", "cause", "digest"),
    [
        (
            "APP_DOWNLOAD_FAILED",
            "APP_IMAGE_DOWNLOAD_FAILED",
            "0x6b234cc858ad3404f912dd7f119afe2178251bec64cb25e5cbeba61dd764fc5d",
        ),
        (
            "DATA_DOWNLOAD_FAILED",
            "DATASET_FILE_DOWNLOAD_FAILED",
            "0x8e3ac3704dc9fd9bdec06799b85a570e7f67f3ff8cd751b11af241dddbe4996e",
        ),
        (
            "DATA_DOWNLOAD_FAILED",
            "INPUT_FILES_DOWNLOAD_FAILED",
            "0x0667139fc3aade5e376044a41fbf2b37df1f191ee28f04debc01c1d5c64c0a54",
        ),
        (
            "DATA_DOWNLOAD_FAILED",
            "DATASET_FILE_BAD_CHECKSUM",
            "0xc276b4a3cbe341163601818dfa3d7f5f8db8cc35f00c9c30666864e39c96b565",
        ),
    ],
)
def test_error_results_of_older_workers_have_their_digest(status: str, cause: str, digest: str) -> None:
    text = (
        f"[IEXEC] Errors occurred while computing the task "
        f"[error:{status}, causes:[WorkflowError[cause={cause}, message=]]]"
    )
    files = {
        "error.txt": text.encode(),
        "computed.json": computed(
            deterministic_output_path="/iexec_out/error.txt", callback_data=None, error_message=None, task_id=None
        ),
    }
    assert result_digest(files) == digest


def test_with_a_callback_the_bytes_it_receives_are_voted_on() -> None:
    files = {"computed.json": computed(callback_data="0x00ff")}
    assert callback_data(files) == b"\x00\xff"
    assert result_digest(files, callback=True) == bytes32(keccak256(b"\x00\xff"))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": b"1"},
        {"computed.json": b""},
        {"computed.json": b"[]"},
        {"computed.json": b"\xff"},
        {"computed.json": b"[" * 100_000},
        {"computed.json": b"{}"},
        {"computed.json": computed(deterministic_output_path=5)},
        {"computed.json": computed(deterministic_output_path="")},
        {"computed.json": computed(deterministic_output_path="/iexec_out/missing")},
        {"computed.json": computed(deterministic_output_path="/iexec_out/../etc")},
        {"computed.json": computed(deterministic_output_path="/etc/passwd")},
        {"computed.json": computed(deterministic_output_path="/")},
    ],
)
def test_a_result_that_is_not_declared_or_not_there_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(IexecError) as refusal:
        result_digest(files)
    assert refusal.value.code == "BAD_RESULT"


def test_callback_data_that_no_finalization_could_deliver_is_not_voted_for() -> None:
    most = "0x" + "ab" * 4096
    assert len(callback_data({"computed.json": computed(callback_data=most)})) == 4096
    with pytest.raises(IexecError, match="4097 bytes"):
        callback_data({"computed.json": computed(callback_data=most + "ab")})


@pytest.mark.parametrize("declared", [computed(deterministic_output_path="/a"), computed(callback_data="text")])
def test_a_callback_without_bytes_is_refused(declared: bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        result_digest({"computed.json": declared}, callback=True)
    assert refusal.value.code == "BAD_RESULT"


@pytest.mark.parametrize(
    ("link", "written"),
    [
        (ResultLink("ipfs", f"/ipfs/{CID}"), f'{{ "storage": "ipfs", "location": "/ipfs/{CID}" }}'),
        (ResultLink("dropbox", "/results/0x1"), '{ "storage": "dropbox", "location": "/results/0x1" }'),
        (ResultLink("ethereum", "0x00ff"), '{"storage":"ethereum","location":"0x00ff"}'),
    ],
)
def test_a_link_is_written_byte_for_byte_as_others_write_it(link: ResultLink, written: str) -> None:
    assert format_link(link) == written.encode()
    assert parse_link(format_link(link)) == link


@given(st.text(), st.text())
def test_every_link_reads_back(storage: str, location: str) -> None:
    link = ResultLink(storage, location)
    assert parse_link(format_link(link)) == link


@pytest.mark.parametrize("data", [b"", b"{}", b"none", b'{"storage":"ipfs"}', b'{"storage":1,"location":"a"}', b"\xff"])
def test_what_is_no_link_is_refused(data: bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        parse_link(data)
    assert refusal.value.code == "BAD_RESULT"
