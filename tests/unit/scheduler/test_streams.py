"""Server-sent events: what a reader that comes and goes has seen in the end, and what it can never break."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.scheduler.model import TASK_ID, address, fresh

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.printed import Excerpt, Printed
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.streams import (
    EVENT_CHARACTERS,
    event,
    new_lines,
    pieces,
    read_places,
    state_id,
    write_places,
)
from pyiexec.scheduler.views import task_view

WORKERS = [address(number) for number in range(3)]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
#: What three workers had printed at some moments, stream by stream.
histories = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["stdout", "stderr"]), texts), max_size=20)


@given(histories, st.lists(st.integers(0, 30), max_size=10))
def test_a_reader_that_comes_back_with_the_last_id_sees_everything_once(
    history: list[tuple[int, str, str]], breaks: list[int]
) -> None:
    whole = {(worker, stream): "" for worker in WORKERS for stream in ("stdout", "stderr")}
    seen = dict(whole)
    last_id = ""
    heard = 0
    for index, stream, text in history:
        whole[WORKERS[index], stream] += text
        printed = {w: Printed(Excerpt(whole[w, "stdout"]), Excerpt(whole[w, "stderr"])) for w in WORKERS}
        for line, identifier in new_lines(TASK_ID, WORKERS, printed, read_places(last_id)):
            heard += 1
            if heard in breaks:
                # The connection broke before this one arrived.
                break
            key = (line.wallet_address, line.stream)
            assert line.offset == len(seen[key])
            seen[key] += line.text
            last_id = identifier
    printed = {w: Printed(Excerpt(whole[w, "stdout"]), Excerpt(whole[w, "stderr"])) for w in WORKERS}
    for line, _ in new_lines(TASK_ID, WORKERS, printed, read_places(last_id)):
        seen[line.wallet_address, line.stream] += line.text
    assert seen == whole


@given(st.integers(0, 3 * EVENT_CHARACTERS), st.integers(0, 4 * EVENT_CHARACTERS))
def test_long_texts_come_in_pieces_of_the_size_of_an_event(length: int, position: int) -> None:
    text = "x" * length
    found = pieces(Excerpt(text, 5), position)
    assert all(len(piece.text) <= EVENT_CHARACTERS for piece in found)
    assert sum(len(piece.text) for piece in found) == max(5 + length - max(position, 5), 0)


@given(st.lists(st.tuples(st.integers(0, 10**16 - 1), st.integers(0, 10**16 - 1)), min_size=1, max_size=256))
def test_a_place_is_read_as_it_was_written(places: list[tuple[int, int]]) -> None:
    assert read_places(write_places(places)) == places


@pytest.mark.parametrize(
    "identifier",
    [
        "x",
        "1",
        "1.",
        "1.2,",
        "1.2;3.4",
        "-1.2",
        "1.2.3",
        "1e9.0",
        "٣.٤",
        "9" * 17 + ".0",
        "1.1," * 5_000 + "1.1",
        "1.2\n",
    ],
)
def test_an_id_that_was_never_given_is_refused_and_named(identifier: str) -> None:
    with pytest.raises(IexecError) as refusal:
        read_places(identifier)
    assert refusal.value.code == "BAD_REQUEST"
    assert "Last-Event-ID" in refusal.value.what


def test_more_workers_than_an_id_can_name_are_not_told_of_beyond_it() -> None:
    many = [address(number) for number in range(300)]
    printed = {worker: Printed(Excerpt("x")) for worker in many}
    lines = new_lines(TASK_ID, many, printed, [])
    assert len(lines) == 256
    assert read_places(lines[-1][1])


@given(texts)
def test_whatever_is_printed_stays_inside_its_event(text: str) -> None:
    sent = event("log", {"text": text}, "1.2")
    head, data, *rest = sent.split(b"\n")[1:]
    assert (sent.split(b"\n")[0], head, rest) == (b"id: 1.2", b"event: log", [b"", b""])
    assert b"\r" not in sent
    assert json.loads(data.removeprefix(b"data: "))["text"] == text


def test_escapes_of_terminals_and_markup_are_data() -> None:
    sent = event("log", {"text": "\x1b]0;owned\x07<script>\r\nevent: end\n\n\x00"})
    assert sent.count(b"\n") == 3
    assert b"\x1b" not in sent
    assert b"\x00" not in sent


def test_the_id_of_a_state_changes_with_what_is_told_and_with_nothing_else() -> None:
    assert state_id(task_view(fresh(2))) == state_id(task_view(fresh(2)))
    assert state_id(task_view(fresh(2))) != state_id(task_view(fresh(3)))


class TestFollowers:
    def test_only_so_many_are_let_in_and_whoever_leaves_makes_room(self) -> None:
        followers = Followers(most=1)
        followers.admit()
        with followers.follow(TASK_ID):
            with pytest.raises(IexecError) as refusal:
                followers.admit()
            assert refusal.value.code == "LISTENERS_TOO_MANY"
        followers.admit()
        assert followers.count == 0

    def test_a_bell_rings_for_its_own_task_alone(self) -> None:
        followers = Followers()
        with followers.follow(TASK_ID) as bell:
            followers.tell(WORKERS[0])  # type: ignore[arg-type]
            assert not bell._rung.is_set()
            followers.tell(TASK_ID)
            assert bell._rung.is_set()
            bell.hush()
            assert not bell._rung.is_set()

    def test_everybody_is_let_go_at_the_end(self) -> None:
        followers = Followers()
        with followers.follow(TASK_ID) as bell:
            followers.close()
            assert bell.closing
            assert bell._rung.is_set()
        with followers.follow(TASK_ID) as late:
            assert late.closing
