"""What a task brings home: its digest, its archive, and the link the chain remembers.

A result is a set of named files, as the application left them in its output folder: names are relative, with ``/``
between folders. `computed.json` among them says which part is deterministic, and only that part is voted on.

Source: PoCo result link and digest conventions; PKWARE APPNOTE for the archive.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import ResultDigest, bytes32, keccak256, to_bytes
from pyiexec.protocol.strangers_json import decode_json

#: Where the application sees its output folder.
OUTPUT_FOLDER = "/iexec_out"
#: The file in which the application declares its result.
COMPUTED_FILE = "computed.json"
#: Most that the hub delivers to a callback contract.
MAX_CALLBACK_BYTES = 4096

#: Longest name of a file in a result, in bytes of UTF-8, and of each folder on its way.
MAX_NAME = 1024
MAX_NAME_PART = 255
#: Bytes of an archive beside the content of one file: two headers, two names, time stamps and sizes.
_OVERHEAD = 2 * MAX_NAME + 1024
_END_OF_DIRECTORY = 22
_LONGEST_COMMENT = 65_535
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Computed(msgspec.Struct, frozen=True, rename="kebab"):
    """What `computed.json` declares; keys not listed are left alone."""

    deterministic_output_path: str | None = None
    callback_data: str | None = None
    error_message: str | None = None


class ResultLink(msgspec.Struct, frozen=True):
    """Where the archive of a finalized task is: ``ipfs`` and ``/ipfs/<cid>``, for instance."""

    storage: str
    location: str


def _refuse(what: str) -> IexecError:
    return IexecError("BAD_RESULT", what)


def _check_name(name: str) -> None:
    """Refuse what could lead out of a folder, or mean something else on another system."""
    shown = repr(name[:80])
    try:
        size = max(len(part.encode()) for part in name.split("/"))
        whole = len(name.encode())
    except UnicodeEncodeError:
        raise _refuse(f"the file name {shown} cannot be written in UTF-8") from None
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise _refuse(f"the file name {shown} does not stay in its folder")
    if not name.isprintable() or "\\" in name or name[1:2] == ":":
        raise _refuse(f"the file name {shown} holds a character that not every system allows")
    if size > MAX_NAME_PART or whole > MAX_NAME:
        raise _refuse(f"the file name {shown} is too long")


def _check_names(files: Collection[str], folders: Collection[str] = ()) -> None:
    """Refuse names that cannot stand side by side in one folder."""
    only_files, all_names = set(files), [*files, *folders]
    seen: set[str] = set()
    for name in all_names:
        _check_name(name)
        if name in seen:
            raise _refuse(f"{name!r} is there twice")
        seen.add(name)
        for at, character in enumerate(name):
            if character == "/" and name[:at] in only_files:
                raise _refuse(f"{name[:at]!r} is both a file and a folder")


def pack(files: Mapping[str, bytes]) -> bytes:
    """The zip archive of `files`, the same bytes on every machine.

    Nothing is compressed: compressors differ between versions, and the archive is known by its hash.

    Raises:
        IexecError: ``BAD_RESULT`` when a name is not fit for an archive.
    """
    _check_names(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files, key=str.encode):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def _check_directory(data: bytes, max_files: int) -> None:
    """Refuse an archive whose list of files alone would fill the memory, before anything parses that list."""
    end = len(data) - _END_OF_DIRECTORY
    if data[end : end + 4] != b"PK\x05\x06" or data[-2:] != b"\0\0":
        end = data.rfind(b"PK\x05\x06", max(0, len(data) - _END_OF_DIRECTORY - _LONGEST_COMMENT))
    if end < 0 or len(data) < _END_OF_DIRECTORY:
        raise _refuse("the archive is not a zip file, or not whole")
    if data[max(0, end - 20) : end][:4] == b"PK\x06\x07":
        raise _refuse("the archive is written for more than 4 GiB")
    if int.from_bytes(data[end + 12 : end + 16], "little") > max_files * _OVERHEAD:
        raise _refuse(f"the archive lists more than {max_files} files")


def _check_member(member: zipfile.ZipInfo) -> None:
    mode = member.external_attr >> 16
    shown = repr(member.orig_filename[:80])
    if member.filename != member.orig_filename:
        raise _refuse(f"the file name {shown} is cut by a zero byte")
    if stat.S_IFMT(mode) not in (0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG):
        raise _refuse(f"{shown} is a link or another special file")
    if member.flag_bits & 1:
        raise _refuse(f"{shown} is encrypted")
    if member.compress_type not in _METHODS:
        raise _refuse(f"{shown} is compressed in a way that is not supported")


def unpack(data: bytes, max_bytes: int, max_files: int) -> dict[str, bytes]:
    """The files of a result archive, by name; folders are implied by the names.

    Trusts nothing in it: at most `max_bytes` are ever decompressed, and at most `max_files` files and folders taken.

    Raises:
        IexecError: ``BAD_RESULT`` when it is no zip, is damaged, exceeds a limit, repeats a name, or holds a link or a
            name that leads elsewhere.
    """
    if len(data) > max_bytes + max_bytes // 1000 + max_files * _OVERHEAD + _END_OF_DIRECTORY + _LONGEST_COMMENT:
        raise _refuse(f"the archive of {len(data)} bytes holds more than {max_bytes} bytes")
    _check_directory(data, max_files)
    files: dict[str, bytes] = {}
    left = max_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > max_files:
                raise _refuse(f"the archive holds more than {max_files} files")
            for member in members:
                _check_member(member)
            folders = [member.filename[:-1] for member in members if member.is_dir()]
            members = [member for member in members if not member.is_dir()]
            _check_names([member.filename for member in members], folders)
            for member in members:
                with archive.open(member) as content:
                    files[member.filename] = content.read(left + 1)
                left -= len(files[member.filename])
                if left < 0:
                    raise _refuse(f"the archive holds more than {max_bytes} bytes")
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise _refuse(f"the archive is damaged: {error}") from None
    return files


def read_computed(files: Mapping[str, bytes]) -> Computed:
    """What the application declared in `computed.json`.

    Raises:
        IexecError: ``BAD_RESULT`` when the file is missing or not of that form.
    """
    if COMPUTED_FILE not in files:
        raise _refuse(f"the application wrote no {COMPUTED_FILE}")
    try:
        computed: Computed = decode_json(files[COMPUTED_FILE], Computed)
        return computed
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _refuse(f"{COMPUTED_FILE} is not of the right form: {error}") from None


def callback_data(files: Mapping[str, bytes]) -> bytes:
    """The bytes that the application wants its deal's callback contract to receive.

    Raises:
        IexecError: ``BAD_RESULT`` when it declared none, not as hexadecimal, or more than the hub accepts: voted for,
            it could never be finalized.
    """
    text = read_computed(files).callback_data
    if text is None:
        raise _refuse(f"{COMPUTED_FILE} has no callback-data, but the deal has a callback")
    try:
        data = to_bytes(text)
    except IexecError as error:
        raise _refuse(f"callback-data: {error.what}") from None
    if len(data) > MAX_CALLBACK_BYTES:
        raise _refuse(f"callback-data has {len(data)} bytes; the hub takes {MAX_CALLBACK_BYTES}")
    return data


def file_digest(content: bytes) -> ResultDigest:
    """Digest of a result of one file: its SHA-256."""
    return ResultDigest(bytes32(sha256(content).digest()))


def directory_digest(children: Iterable[bytes]) -> ResultDigest:
    """Digest of a result that is a folder: keccak of the SHA-256 of the files directly in it, in order of name.

    Names are not part of it, and sub-folders are left out.
    """
    return ResultDigest(bytes32(keccak256(b"".join(sha256(content).digest() for content in children))))


def result_digest(files: Mapping[str, bytes], *, callback: bool = False) -> ResultDigest:
    """What the workers of a task must agree on.

    With `callback` that is the keccak of the callback data, else the digest of the file or folder that `computed.json`
    names, as the application sees it (``/iexec_out/…``) or relative to its output folder.

    Raises:
        IexecError: ``BAD_RESULT`` when nothing is declared, or nothing is there.
    """
    if callback:
        return ResultDigest(bytes32(keccak256(callback_data(files))))
    declared = read_computed(files).deterministic_output_path
    if not declared:
        raise _refuse(f"{COMPUTED_FILE} has no deterministic-output-path")
    path = declared.removesuffix("/")
    if path == OUTPUT_FOLDER:
        folder = ""
    else:
        path = path.removeprefix(OUTPUT_FOLDER + "/")
        _check_name(path)
        if path in files:
            return file_digest(files[path])
        folder = path + "/"
    inside = sorted((name for name in files if name.startswith(folder)), key=str.encode)
    if not inside:
        raise _refuse(f"the application declared {declared[:80]!r} as its result and did not write it")
    return directory_digest(files[name] for name in inside if "/" not in name[len(folder) :])


def format_link(link: ResultLink) -> bytes:
    """The link as it is stored on chain, byte for byte as other clients write it."""
    storage, location = (msgspec.json.encode(text).decode() for text in (link.storage, link.location))
    if link.storage == "ethereum":
        return f'{{"storage":{storage},"location":{location}}}'.encode()
    return f'{{ "storage": {storage}, "location": {location} }}'.encode()


def parse_link(data: bytes) -> ResultLink:
    """The link stored on chain as `data`.

    Raises:
        IexecError: ``BAD_RESULT`` when it is none.
    """
    try:
        link: ResultLink = decode_json(data, ResultLink)
        return link
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _refuse(f"the result stored on chain is not a link: {error}") from None
