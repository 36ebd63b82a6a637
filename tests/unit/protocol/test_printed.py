"""The end of a stream, however its pieces arrive."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.printed import KEPT_CHARACTERS, Excerpt, Printed, StreamTail

pieces_of_text = st.lists(st.text(max_size=12), max_size=12)
LIMIT = 10


def grown(pieces: list[str]) -> StreamTail:
    tail = StreamTail(limit=LIMIT)
    for piece in pieces:
        tail.append(piece)
    return tail


@given(pieces_of_text)
def test_the_last_characters_are_kept_and_know_their_place(pieces: list[str]) -> None:
    whole, tail = "".join(pieces), grown(pieces)
    kept = tail.since(0)
    assert kept.text == whole[-LIMIT:]
    assert (kept.offset, kept.end) == (max(len(whole) - LIMIT, 0), len(whole))


@given(pieces_of_text, st.integers(0, 200), st.integers(1, 20))
def test_a_reader_gets_what_follows_its_place_and_is_still_kept(pieces: list[str], position: int, limit: int) -> None:
    whole, tail = "".join(pieces), grown(pieces)
    found = tail.since(position, limit)
    start = max(min(position, len(whole)), tail.start)
    assert found.offset == start
    assert found.text == whole[start:][:limit]


@given(pieces_of_text, st.lists(st.integers(0, 30), max_size=8), st.integers(1, 40))
def test_pieces_told_twice_and_late_make_the_same_stream(pieces: list[str], repeats: list[int], size: int) -> None:
    whole = "".join(pieces)
    tail = StreamTail(limit=1_000)
    for start in range(0, len(whole), size):
        assert tail.join(Excerpt(whole[start : start + size], start))
        for again in repeats:
            assert not tail.join(Excerpt(whole[again : start + size], again))
    assert tail.since(0).text == whole


def test_a_gap_is_skipped_and_shows_in_the_place_of_what_follows() -> None:
    tail = StreamTail(Excerpt("abc"))
    assert tail.join(Excerpt("xyz", 10))
    assert tail.since(0) == Excerpt("xyz", 10)
    assert not tail.join(Excerpt("late", 3))


def test_what_overlaps_what_is_known_is_taken_from_there_on() -> None:
    tail = StreamTail(Excerpt("abc"))
    assert tail.join(Excerpt("cde", 2))
    assert tail.since(0) == Excerpt("abcde")


def test_a_piece_far_larger_than_what_is_kept_is_not_kept_whole() -> None:
    tail = StreamTail(limit=LIMIT)
    tail.append("x" * 1_000_000 + "end")
    tail.append("!")
    assert tail.since(0) == Excerpt("xxxxxxend!", 999_994)
    assert sum(map(len, tail._pieces)) <= LIMIT + 1


@given(st.text(st.characters(), max_size=8), st.sampled_from([1, 20_000]), st.integers(0, 2**53 - 1))
def test_an_excerpt_is_cut_to_its_end_and_can_always_be_sent(text: str, times: int, offset: int) -> None:
    excerpt = Excerpt((text + "\ud800") * times, offset)
    assert len(excerpt.text) <= KEPT_CHARACTERS
    assert msgspec.json.decode(msgspec.json.encode(excerpt), type=Excerpt) == excerpt


@pytest.mark.parametrize(
    "data",
    [
        {"text": "x" * (KEPT_CHARACTERS + 1)},
        {"text": "x", "offset": -1},
        {"text": "x", "offset": 2**53},
        {"text": "x", "offset": 1.5},
        {"text": None},
        {"text": "x", "more": 1},
    ],
)
def test_what_is_no_excerpt_is_refused(data: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(data), type=Excerpt)


def test_nothing_printed_is_no_news() -> None:
    assert not Printed()
    assert Printed(stderr=Excerpt("oh"))
