import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Bytes32, bytes32
from pyiexec.protocol.tags import combine_tags, decode_tag, encode_tag, missing_tags, parse_tag, requires_tee

tags = st.integers(0, 2**256 - 1).map(bytes32)


@pytest.mark.parametrize(
    ("names", "tag"),
    [((), 0), (("tee",), 1), (("tee", "scone"), 3), (("tee", "gramine"), 5), (("tee", "tdx"), 9), (("gpu",), 0x100)],
)
def test_tags_have_the_bits_of_the_sdk(names: tuple[str, ...], tag: int) -> None:
    assert encode_tag(names) == bytes32(tag)
    assert decode_tag(bytes32(tag)) == names


@given(tags)
def test_every_tag_can_be_named(tag: Bytes32) -> None:
    assert encode_tag(decode_tag(tag)) == tag


def test_a_user_may_write_names_or_the_whole_tag() -> None:
    assert parse_tag("TEE, tdx") == parse_tag("0x" + "0" * 63 + "9") == bytes32(9)
    assert parse_tag("") == bytes32(0)
    for wrong in ("tea", "0x09", "bit256"):
        with pytest.raises(IexecError) as refusal:
            parse_tag(wrong)
        assert refusal.value.code == "BAD_TAG"


@given(tags, tags, tags)
def test_a_combined_tag_ignores_the_frameworks_of_the_dataset_alone(app: Bytes32, data: Bytes32, req: Bytes32) -> None:
    a, d, r = (int(tag, 16) for tag in (app, data, req))
    assert int(combine_tags(app, data, req), 16) == a | (d & ~0x0E) | r


@pytest.mark.parametrize("dataset", [1, 3, 5, 9, 0xF])
@pytest.mark.parametrize("pool", [1, 3, 5, 9, 0xF])
def test_a_dataset_made_for_one_framework_is_usable_on_every_pool_with_an_enclave(dataset: int, pool: int) -> None:
    combined = combine_tags(bytes32(1), bytes32(dataset), bytes32(1))
    assert missing_tags(combined, bytes32(pool)) == ()
    assert requires_tee(combined)


def test_missing_features_are_named() -> None:
    assert missing_tags(encode_tag(["tee", "tdx", "gpu"]), encode_tag(["tee"])) == ("tdx", "gpu")
