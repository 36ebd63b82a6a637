"""Signatures are parsed, values encoded and decoded, reverts explained."""

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain import hub, registries
from pyiexec.chain.abi import Event, Function, decode_revert
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import checksum, keccak256, to_hex

WORKER = checksum(b"\x11" * 20)
TASK = "0x" + "ab" * 32


@pytest.mark.parametrize(
    ("name", "selector"),
    [
        ("matchOrders", "156194d4"),
        ("sponsorMatchOrders", "2f391533"),
        ("initializeArray", "b504681d"),
        ("contribute", "34623484"),
        ("contributeAndFinalize", "5facd761"),
        ("finalize", "8fc375e5"),
        ("manageRequestOrder", "8dd971d5"),
        ("viewDeal", "b74861b2"),
        ("viewTask", "adccf0d5"),
        ("receiveApproval", "8f4ffcb1"),
        ("configure", "b5521817"),
        ("diamondCut", "1f931c1c"),
    ],
)
def test_hub_functions_have_the_selectors_of_poco(name: str, selector: str) -> None:
    assert hub.FUNCTIONS[name].selector.hex() == selector


@pytest.mark.parametrize(
    ("name", "selector"),
    [
        ("createApp", "3f7868ff"),
        ("predictDataset", "fe17fc7a"),
        ("createWorkerpool", "e40238f4"),
        ("isRegistered", "c3c5a547"),
    ],
)
def test_registry_functions_have_the_selectors_of_poco(name: str, selector: str) -> None:
    assert registries.FUNCTIONS[name].selector.hex() == selector


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("SchedulerNotice", "0x692ad61076dceddd0f1a861f737553dd61fc8501cf4190d29c4e90af6607f765"),
        ("OrdersMatched", "0xd811b592ed0899225773e8933d8df64bd0b62761a9d7aad4ed5b22735f4610a4"),
        ("TaskContribute", "0x3fdb8d7797562d49a81078dbf7fa1771958ea452f8b13d1148383bd9506aecfb"),
        ("TaskFinalize", "0x78ce8a8bc0fcb704e8ba3b3dbb36aa88002df8038128b4af2f27ef65db665044"),
        ("Transfer", "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    ],
)
def test_hub_events_have_the_topics_of_poco(name: str, topic: str) -> None:
    assert hub.EVENTS[name].topic == topic


def test_tuples_nest_and_keep_their_names() -> None:
    function = Function.parse(
        "f((uint256 a, (address b, bytes32[] c)[] d) order, bytes e) view returns (uint8 x, string)"
    )
    assert function.selector == keccak256(b"f((uint256,(address,bytes32[])[]),bytes)")[:4]
    order = function.inputs[0]
    assert (order.name, [part.name for part in order.components]) == ("order", ["a", "d"])
    assert [part.name for part in order.components[1].components] == ["b", "c"]
    assert [output.type for output in function.outputs] == ["uint8", "string"]
    assert function.mutability == "view"


def test_encoding_takes_hexadecimal_and_decoding_gives_it_back() -> None:
    function = Function.parse("f((uint256 a, (address b, bytes32[] c)[] d) order, bytes e)")
    values = ((7, ((WORKER, (TASK, TASK)), (WORKER, ()))), b"\x01\x02")
    assert function.decode_input(function.encode(*values)) == values
    types = ["(uint256,(address,bytes32[])[])", "bytes"]
    raw = [(7, [(WORKER, [bytes.fromhex("ab" * 32)] * 2), (WORKER, [])]), b"\x01\x02"]
    assert function.encode(*values)[4:] == eth_abi.encode(types, raw)


@pytest.mark.parametrize("text", ["", "f", "f(", "f(uint256", "f(uint256 a; b)"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        Function.parse(text)


def test_indexed_fields_are_read_from_topics() -> None:
    event = Event.parse("TaskContribute(bytes32 indexed taskid, address indexed worker, bytes32 hash)")
    log = {"topics": [event.topic, TASK, "0x" + "00" * 12 + "11" * 20], "data": "0x" + "cd" * 32}
    assert event.decode(log) == {"taskid": TASK, "worker": WORKER, "hash": "0x" + "cd" * 32}


def test_an_indexed_text_is_its_hash() -> None:
    event = Event.parse("Named(string indexed name, uint256 value)")
    log = {"topics": [event.topic, TASK], "data": to_hex((5).to_bytes(32, "big"))}
    assert event.decode(log) == {"name": TASK, "value": 5}


def test_answers_of_another_shape_are_refused() -> None:
    with pytest.raises(IexecError) as refusal:
        hub.FUNCTIONS["viewTask"].decode(b"")
    assert refusal.value.code == "CHAIN_REFUSED"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "no reason given"),
        ("08c379a0" + eth_abi.encode(["string"], ["iExecV5-matchOrders-0x06"]).hex(), "iExecV5-matchOrders-0x06"),
        ("4e487b71" + eth_abi.encode(["uint256"], [0x11]).hex(), "panic 0x11"),
        ("74a0583f", "CallerIsNotTheRequester()"),
        ("0afd9382" + eth_abi.encode(["string"], ["dataset"]).hex(), "IncompatibleDatasetOrder(dataset)"),
        ("08c379a0" + "ff" * 40, "malformed revert data 0x08c379a0" + "ff" * 40),
        ("deadbeef", "unknown revert data 0xdeadbeef"),
    ],
)
def test_reverts_are_explained(data: str, reason: str) -> None:
    assert str(decode_revert(bytes.fromhex(data))) == reason


@given(st.binary(max_size=200))
def test_explaining_a_revert_never_fails(data: bytes) -> None:
    assert isinstance(str(decode_revert(data)), str)


@given(st.sampled_from(["address", "uint256", "bytes32", "bool"]), st.binary(min_size=32, max_size=32), st.booleans())
def test_single_words_are_what_the_general_codec_makes_of_them(kind: str, word: bytes, small: bool) -> None:
    word = bytes(31) + word[31:] if small and kind == "bool" else bytes(12) + word[12:] if small else word
    function = Function.parse(f"f({kind} a) returns ({kind} b)")
    try:
        (general,) = eth_abi.decode([kind], word, strict=False)
    except eth_abi.exceptions.DecodingError:
        with pytest.raises(IexecError):
            function.decode(word)
        return
    (value,) = function.decode(word)
    assert value == {"address": checksum, "bytes32": to_hex}.get(kind, lambda same: same)(general)
    assert function.encode(value) == function.selector + eth_abi.encode([kind], [general])
