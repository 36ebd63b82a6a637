"""A head is understood as nodes write it, and its bloom filter never hides a log."""

from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.follower import LogFilter
from pyiexec.chain.heads import Head, bloom_bits, http_url, may_hold, websocket_url
from pyiexec.protocol.primitives import checksum, to_hex

HEADER = {"number": "0x10", "hash": "0xaa", "parentHash": "0xbb", "timestamp": "0x5", "logsBloom": "0x0"}
items = st.binary(min_size=20, max_size=32).map(to_hex)
HUB, OTHER = checksum(b"\x01" * 20), checksum(b"\x02" * 20)
TOPICS = [to_hex(bytes([n]) * 32) for n in range(5)]


def bloom_of(*held: str) -> int:
    bloom = 0
    for item in held:
        bloom |= bloom_bits(item)
    return bloom


def test_a_header_without_base_fee_or_bloom_is_read() -> None:
    head = Head.from_json({key: value for key, value in HEADER.items() if key != "logsBloom"})
    assert (head.number, head.timestamp, head.base_fee) == (16, 5, 0)
    assert may_hold(head.logs_bloom, HUB)


def test_endpoints_have_a_twin() -> None:
    assert websocket_url("https://node.example:8545/key?x=1") == "wss://node.example:8545/key?x=1"
    assert http_url("ws://node.example") == "http://node.example"
    assert websocket_url("ws://node.example") == "ws://node.example"


def test_the_empty_address_sets_the_bits_that_other_implementations_set() -> None:
    # go-ethereum's bloom test adds these words; each sets three bits.
    assert bloom_bits(to_hex(b"testtest")).bit_count() in (2, 3)
    # The first bit of keccak256("") = c5d2460186f7…: c5d2 & 7ff, 4601 & 7ff, 86f7 & 7ff.
    assert bloom_bits("0x") == 1 << 0x5D2 | 1 << 0x601 | 1 << 0x6F7


@given(st.lists(items, max_size=20))
def test_what_is_in_a_filter_is_found(held: list[str]) -> None:
    bloom = bloom_of(*held)
    assert all(may_hold(bloom, item) for item in held)


def test_a_block_is_read_only_when_address_and_topics_can_be_in_it() -> None:
    wanted = LogFilter([HUB], [[TOPICS[0], TOPICS[1]], None, TOPICS[2]])
    assert wanted.may_match(bloom_of(HUB, TOPICS[1], TOPICS[2]))
    assert not wanted.may_match(bloom_of(OTHER, TOPICS[1], TOPICS[2]))
    assert not wanted.may_match(bloom_of(HUB, TOPICS[3], TOPICS[2]))
    assert not wanted.may_match(bloom_of(HUB, TOPICS[1]))
    assert not wanted.may_match(0)
    assert LogFilter([]).may_match(0)


def test_a_filter_asks_in_the_form_of_nodes() -> None:
    wanted = LogFilter([HUB], [[TOPICS[0]], None, TOPICS[2]])
    assert wanted.of_range(1, 16) == {
        "address": [HUB],
        "topics": [[TOPICS[0]], None, [TOPICS[2]]],
        "fromBlock": "0x1",
        "toBlock": "0x10",
    }
    assert LogFilter([]).of_block("0xaa") == {"topics": [], "blockHash": "0xaa"}
