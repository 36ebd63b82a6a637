"""The files an application sees, against a model and at their limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.worker.runtimes.wasi.abi import Errno, Refusal
from pyiexec.worker.runtimes.wasi.tree import OutputFile, OutputTooLargeError, Tree


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content")
    return tmp_path


@pytest.fixture
def tree(inputs: Path) -> Tree:
    return Tree(inputs, output_bytes=100, files=3)


def refusal(tree: Tree, path: str, *, from_output: bool = True) -> Errno:
    with pytest.raises(Refusal) as refused:
        tree.create_file(tree.find(tree.output if from_output else tree.root, path))
    return refused.value.errno


def write(tree: Tree, path: str, content: bytes) -> OutputFile:
    file = tree.create_file(tree.find(tree.output, path))
    file.write(0, content)
    return file


def test_paths_climb_no_higher_than_where_they_start(tree: Tree) -> None:
    assert tree.find(tree.root, "iexec_in/folder/../folder/./file").node is not None
    for path in ("..", "a/../..", "../iexec_out/x", "/iexec_out/x"):
        if path == "a/../..":
            tree.create_folder(tree.find(tree.output, "a"))
        assert refusal(tree, path) is Errno.NOTCAPABLE


@pytest.mark.parametrize("path", ["iexec_in/new", "iexec_in/folder/new", "new"])
def test_only_the_output_folder_can_be_changed(tree: Tree, path: str) -> None:
    assert refusal(tree, path, from_output=False) is Errno.ROFS
    assert tree.outputs() == {}


@pytest.mark.parametrize("path", ["iexec_out", "iexec_in"])
def test_the_folders_themselves_stay(tree: Tree, path: str) -> None:
    with pytest.raises(Refusal) as refused:
        tree.remove_folder(tree.find(tree.root, path))
    assert refused.value.errno in (Errno.ROFS, Errno.NOTEMPTY)
    with pytest.raises(Refusal):
        tree.rename(tree.find(tree.root, path), tree.find(tree.output, "moved"))


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        ("x" * 256, Errno.NAMETOOLONG),
        ("a:b", Errno.INVAL),
        ("a\\b", Errno.INVAL),
        ("a\nb", Errno.INVAL),
        ("a\0b", Errno.INVAL),
        ("", Errno.NOENT),
        ("missing/file", Errno.NOENT),
    ],
)
def test_names_that_could_not_stand_in_a_result_are_refused(tree: Tree, path: str, errno: Errno) -> None:
    assert refusal(tree, path) is errno


def test_the_quota_counts_what_is_there(tree: Tree) -> None:
    file = write(tree, "a", b"x" * 100)
    with pytest.raises(OutputTooLargeError):
        file.write(100, b"y")
    tree = Tree(Path(__file__).parent, output_bytes=100, files=3)
    for _ in range(10):
        write(tree, "a", b"x" * 100)
        tree.unlink_file(tree.find(tree.output, "a"))
    assert tree.outputs() == {}


def test_replacing_a_file_gives_its_space_back(tree: Tree) -> None:
    for _ in range(5):
        write(tree, "new", b"x" * 50)
        tree.rename(tree.find(tree.output, "new"), tree.find(tree.output, "old"))
    assert tree.outputs() == {"old": bytearray(b"x" * 50)}


def test_one_file_too_many(tree: Tree) -> None:
    for name in "abc":
        write(tree, name, b"")
    with pytest.raises(OutputTooLargeError, match="3 files"):
        write(tree, "d", b"")


def test_a_removed_folder_takes_no_new_files(tree: Tree) -> None:
    tree.create_folder(tree.find(tree.output, "gone"))
    folder = tree.find(tree.output, "gone").node
    tree.remove_folder(tree.find(tree.output, "gone"))
    with pytest.raises(Refusal):
        tree.create_file(tree.find(folder, "file"))  # type: ignore[arg-type]


def test_a_moved_folder_keeps_its_files_and_knows_its_path(tree: Tree) -> None:
    tree.create_folder(tree.find(tree.output, "a"))
    write(tree, "a/file", b"1")
    tree.rename(tree.find(tree.output, "a"), tree.find(tree.output, "b"))
    assert tree.outputs() == {"b": None, "b/file": bytearray(b"1")}
    assert tree.find(tree.output, "b/file").path == "/iexec_out/b/file"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 60), st.binary(max_size=30)),
            st.tuples(st.just("resize"), st.integers(0, 60), st.just(b"")),
        ),
        max_size=20,
    )
)
def test_a_file_behaves_like_bytes(steps: list[tuple[str, int, bytes]]) -> None:
    tree = Tree(Path(__file__).parent, output_bytes=1_000, files=3)
    file = tree.create_file(tree.find(tree.output, "file"))
    model = b""
    for how, at, content in steps:
        if how == "resize":
            file.resize(at)
            model = model[:at].ljust(at, b"\0")
        else:
            file.write(at, content)
            if content:
                model = model.ljust(at, b"\0")
                model = model[:at] + content + model[at + len(content) :]
        assert bytes(file.data) == model
