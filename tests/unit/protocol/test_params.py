import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.params import DealParams, format_params, parse_params

texts = st.text(max_size=30)
params = st.builds(
    DealParams,
    iexec_args=texts,
    iexec_input_files=st.lists(st.from_regex(r"https?://[a-z./]{1,20}", fullmatch=True), max_size=3).map(tuple),
    iexec_secrets=st.dictionaries(st.integers(1, 99).map(str), st.text(min_size=1, max_size=9), max_size=3),
    iexec_result_encryption=st.booleans(),
    iexec_result_storage_provider=st.sampled_from(["ipfs", "dropbox", None]),
    bulk_cid=st.none() | st.text(min_size=1, max_size=9),
)


@given(params)
def test_params_survive_their_text(given_params: DealParams) -> None:
    assert parse_params(format_params(given_params)) == given_params


@given(params)
def test_the_keys_are_those_of_the_js_sdk_in_its_order(given_params: DealParams) -> None:
    order = [
        "iexec_secrets",
        "iexec_result_storage_provider",
        "iexec_result_encryption",
        "bulk_cid",
        "iexec_input_files",
        "iexec_args",
    ]
    keys = list(json.loads(format_params(given_params)))
    assert keys == [key for key in order if key in keys]


def test_params_are_written_as_compact_json() -> None:
    written = format_params(DealParams(iexec_args="--n 3 é", iexec_secrets={"1": "my-key"}))
    assert written == ('{"iexec_secrets":{"1":"my-key"},"iexec_result_storage_provider":"ipfs","iexec_args":"--n 3 é"}')


@pytest.mark.parametrize("text", ["--size 3", "{broken", "[1]", '"word"', "12", "null", "{" * 100_000])
def test_text_that_is_no_json_object_is_the_command_line(text: str) -> None:
    assert parse_params(text) == DealParams(iexec_args=text)


def test_no_text_is_no_wish() -> None:
    assert parse_params("") == DealParams()


def test_an_object_without_storage_provider_has_none() -> None:
    assert parse_params('{"iexec_args":"x"}') == DealParams(iexec_args="x", iexec_result_storage_provider=None)


def test_keys_of_other_tools_that_change_nothing_are_passed_over() -> None:
    text = '{"iexec_args":"x","iexec_developer_logger":true,"iexec_result_storage_proxy":"https://p"}'
    assert parse_params(text).iexec_args == "x"


@pytest.mark.parametrize(
    "text",
    [
        '{"iexec_arg":"misspelt"}',
        '{"iexec_args":5}',
        '{"iexec_input_files":"https://a"}',
        '{"iexec_input_files":["ftp://a"]}',
        '{"iexec_input_files":["https://a\\n"]}',
        '{"iexec_secrets":{"0":"a"}}',
        '{"iexec_secrets":{"1\\n":"a"}}',
        '{"iexec_secrets":{"1":""}}',
        '{"iexec_result_encryption":"yes"}',
        '{"iexec_result_storage_provider":"floppy"}',
        '{"bulk_cid":""}',
    ],
)
def test_a_key_that_is_unknown_or_ill_formed_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refusal:
        parse_params(text)
    assert refusal.value.code == "BAD_PARAMS"


@pytest.mark.parametrize(
    "wrong",
    [
        DealParams(iexec_input_files=("file:///etc/passwd",)),
        DealParams(iexec_secrets={"x": "a"}),
        DealParams(iexec_args="\ud800"),
    ],
)
def test_params_that_could_not_be_read_back_are_not_written(wrong: DealParams) -> None:
    with pytest.raises(IexecError) as refusal:
        format_params(wrong)
    assert refusal.value.code == "BAD_PARAMS"
