"""What an application finds around it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.deals import Deal, Resource
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.params import split_arguments
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, bytes32
from pyiexec.worker.content import cid_in
from pyiexec.worker.environment import input_name, variables

DEAL_ID = DealId(bytes32(7))
DATASET = Address("0x" + "11" * 20)
AUTHORIZATION = WorkerpoolAuthorization(
    worker=NULL_ADDRESS, task_id=ids.task_id(DEAL_ID, 12), deal_id=DEAL_ID, index=12
)
CID = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"


def test_the_variables_are_those_of_the_iexec_worker() -> None:
    deal = Deal(dataset=Resource(DATASET, NULL_ADDRESS, 0), bot_first=10, bot_size=5)
    urls = ["https://a.example/x", "https://a.example/y"]
    assert variables(AUTHORIZATION, deal, urls) == {
        "IEXEC_DEAL_ID": DEAL_ID,
        "IEXEC_TASK_ID": AUTHORIZATION.task_id,
        "IEXEC_TASK_INDEX": "12",
        "IEXEC_IN": "/iexec_in",
        "IEXEC_OUT": "/iexec_out",
        "IEXEC_DATASET_ADDRESS": DATASET,
        "IEXEC_DATASET_FILENAME": DATASET,
        "IEXEC_BOT_SIZE": "5",
        "IEXEC_BOT_FIRST_INDEX": "10",
        "IEXEC_BOT_TASK_INDEX": "12",
        "IEXEC_INPUT_FILES_FOLDER": "/iexec_in",
        "IEXEC_INPUT_FILES_NUMBER": "2",
        "IEXEC_INPUT_FILE_NAME_1": sha256(urls[0].encode()).hexdigest(),
        "IEXEC_INPUT_FILE_NAME_2": sha256(urls[1].encode()).hexdigest(),
    }


def test_without_a_dataset_none_is_named() -> None:
    assert not [name for name in variables(AUTHORIZATION, Deal(), []) if "DATASET" in name]


def test_an_input_file_is_named_by_the_hash_of_its_url() -> None:
    assert input_name("https://a.example/x") == sha256(b"https://a.example/x").hexdigest()


def test_arguments_are_split_as_a_shell_would() -> None:
    assert split_arguments("render --title 'two words' \"a b\"") == ["render", "--title", "two words", "a b"]


def test_an_open_quotation_is_refused() -> None:
    with pytest.raises(IexecError) as refusal:
        split_arguments("it's")
    assert refusal.value.code == "BAD_PARAMS"


@pytest.mark.parametrize(
    "address", [f"/ipfs/{CID}", f"ipfs://{CID}", f"https://gateway.example/ipfs/{CID}?filename=x", f"/ipfs/{CID}/"]
)
def test_content_is_recognised_by_its_cid(address: str) -> None:
    assert str(cid_in(address)) == CID


@pytest.mark.parametrize(
    "address", ["https://a.example/file", "docker.io/library/alpine", f"/ipfs/{CID}/inside", "/ipfs/Qmnothing", ""]
)
def test_what_names_no_content_is_not(address: str) -> None:
    assert cid_in(address) is None
