"""The JavaScript world's own libraries: its importer finds the same names, and its client of kubo is at home here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from benchmarks.peers.javascript import installed, node, node_environment

from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import Directory, directory_of
from pyiexec.storage.unixfs import CHUNK_BYTES, WIDTH, Layout, Node, UnixFsHasher

SCRIPTS = Path(__file__).with_name("javascript")
PERIOD = bytes(range(251))
FULL = CHUNK_BYTES * WIDTH
SMALL = 16_384
#: Lengths at which the tree changes its shape.
LEAVES = [0, 1, 12, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 1_000_003]
NODES = [FULL - 1, FULL, FULL + 1, FULL + CHUNK_BYTES, FULL + CHUNK_BYTES + 1]
#: The same with chunks of 16 KiB, where a third level is not far.
SMALL_NODES = [SMALL - 1, SMALL * WIDTH, SMALL * WIDTH + 1, 2 * SMALL * WIDTH, 2 * SMALL * WIDTH + 1]
LAYOUTS = [Layout(), Layout(1), Layout(0, True), Layout(1, True)]


def run(script: str, argument: str = "", given: Any = None) -> Any:
    """The JSON that a script printed; it is run where its libraries are."""
    done = subprocess.run(
        [str(node()), "--input-type=module", "--eval", (SCRIPTS / script).read_text(), "--", argument],
        cwd=installed(SCRIPTS),
        env=node_environment(),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:3000]
    return json.loads(done.stdout)


def pattern(length: int) -> bytes:
    return (PERIOD * (length // len(PERIOD) + 1))[:length]


def ours(length: int, layout: Layout) -> Node:
    hasher, piece = UnixFsHasher(layout), PERIOD * 4096
    for start in range(0, length, len(piece)):
        hasher.update(memoryview(piece)[: length - start])
    return hasher.finish()


def request(parts: Sequence[tuple[str, int | None]], layout: Layout) -> dict[str, Any]:
    return {
        "parts": [{"path": path, "length": length} for path, length in parts],
        "cidVersion": layout.cid_version,
        "rawLeaves": layout.raw_leaves,
        "chunkBytes": layout.chunk_bytes,
    }


def test_files_of_every_shape_have_the_names_of_the_reference_importer() -> None:
    cases = [(length, layout) for layout in LAYOUTS for length in LEAVES]
    cases += [(length, Layout()) for length in NODES]
    cases += [(FULL + 1, layout) for layout in LAYOUTS]
    cases += [(length, layout._replace(chunk_bytes=SMALL)) for layout in LAYOUTS for length in SMALL_NODES]
    cases += [(SMALL * WIDTH * WIDTH + 1, Layout(chunk_bytes=SMALL))]
    cases += [(length, Layout(1, True, 1_048_576)) for length in (1_048_576, 1_048_577, 5_000_000)]
    theirs = run("importer.mjs", given=[request([("file", length)], layout) for length, layout in cases])
    for (length, layout), [[_, cid, dag_bytes]] in zip(cases, theirs, strict=True):
        root = ours(length, layout)
        assert (str(root.cid), root.dag_bytes) == (cid, dag_bytes), (length, layout)


@pytest.mark.parametrize("layout", [Layout(), Layout(1, True)])
def test_folders_have_the_names_of_the_reference_importer(layout: Layout) -> None:
    def file(name: str, length: int) -> Link:
        root = ours(length, layout)
        return Link(name, root.cid, root.dag_bytes)

    def folder(name: str, *entries: Link) -> Link:
        made: Directory = directory_of(entries, layout.cid_version)
        return Link(name, made.cid, made.dag_bytes)

    many = [(f"many/{number}", number) for number in range(1000)]
    parts = [("a/b/z", 5), ("a/b/é", 300_000), ("a/B", 0), ("a/Z/x", 1), ("a/none", None), *many]
    [answer] = run("importer.mjs", given=[request(parts, layout)])
    theirs = {path: (cid, dag_bytes) for path, cid, dag_bytes in answer}
    inner = folder("b", file("z", 5), file("é", 300_000))
    whole = folder("a", inner, file("B", 0), folder("Z", file("x", 1)), folder("none"))
    for path, made in (
        ("a/b", inner),
        ("a", whole),
        ("many", folder("many", *(file(path[5:], n) for path, n in many))),
    ):
        assert theirs[path] == (str(made.cid), made.dag_bytes), path


@pytest.mark.anyio
async def test_the_client_library_of_kubo_is_served(base_url: str) -> None:
    seen = await anyio.to_thread.run_sync(run, "kubo.mjs", base_url)
    default, modern = ours(300_000, Layout()), ours(300_000, Layout(1, True))
    assert seen["file"] == [str(default.cid), str(default.cid), default.dag_bytes]
    assert seen["modern"] == [str(modern.cid), str(modern.cid), modern.dag_bytes]
    assert seen["small"][1] == "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
    assert seen["progress"] == [["counted", 300_000]]
    names = [name for name, _, _ in seen["folders"]]
    assert names[:3] == ["site/index.html", "site/data/é & <b>.txt", "readme.txt"]
    assert sorted(names[3:]) == ["site", "site/data", "site/empty"]
    assert [name for name, _, _ in seen["wrapped"]][-1] == ""
    assert {name: cid for name, cid, _ in seen["wrapped"]}["site"] == {name: cid for name, cid, _ in seen["folders"]}[
        "site"
    ]
    assert seen["catRange"] == pattern(300_000)[262_140:262_150].hex()
    assert seen["catPath"] == "x"
    assert [(name, kind) for name, kind, _, _ in seen["list"]] == [("readme.txt", "file"), ("site", "dir")]
    assert seen["stat"] == [str(default.cid), 300_000, default.dag_bytes, "file"]
    assert seen["pinned"] == str(default.cid)
    assert seen["pins"] == [[str(default.cid), "recursive"]]
    assert seen["version"]
    assert "not in the store" in seen["refusals"]["absent"]
    assert "directory" in seen["refusals"]["folder"]
    assert "mode" in seen["refusals"]["mode"]
    assert seen["refusals"]["inline"]
    assert "stays" in seen["refusals"]["unpin"]
