"""What an application finds in its environment and its input folder.

A dataset is named by its address and an input file by the SHA-256 of its URL, so that an application can find each
without knowing more than its deal. Source: ``IEXEC_`` variables of the iExec worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.deals import Deal

INPUT_FOLDER = "/iexec_in"
OUTPUT_FOLDER = "/iexec_out"


def input_name(url: str) -> str:
    """The file name under which the content of an input URL is found."""
    return sha256(url.encode()).hexdigest()


def variables(authorization: WorkerpoolAuthorization, deal: Deal, input_urls: Sequence[str]) -> dict[str, str]:
    """The whole environment of an application; input files count from 1."""
    environment = {
        "IEXEC_DEAL_ID": authorization.deal_id,
        "IEXEC_TASK_ID": authorization.task_id,
        "IEXEC_TASK_INDEX": str(authorization.index),
        "IEXEC_IN": INPUT_FOLDER,
        "IEXEC_OUT": OUTPUT_FOLDER,
        "IEXEC_BOT_SIZE": str(deal.bot_size),
        "IEXEC_BOT_FIRST_INDEX": str(deal.bot_first),
        "IEXEC_BOT_TASK_INDEX": str(authorization.index),
        "IEXEC_INPUT_FILES_FOLDER": INPUT_FOLDER,
        "IEXEC_INPUT_FILES_NUMBER": str(len(input_urls)),
    }
    if deal.has_dataset:
        environment |= {
            "IEXEC_DATASET_ADDRESS": deal.dataset.pointer,
            "IEXEC_DATASET_FILENAME": deal.dataset.pointer,
        }
    for number, url in enumerate(input_urls, start=1):
        environment[f"IEXEC_INPUT_FILE_NAME_{number}"] = input_name(url)
    return environment
