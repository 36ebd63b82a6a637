"""A result that was to be encrypted is never published in the clear."""

from __future__ import annotations

import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.tags import parse_tag
from pyiexec.worker.computation import check_secrecy


def test_a_plain_task_whose_result_was_to_be_encrypted_is_refused() -> None:
    with pytest.raises(IexecError) as refused:
        check_secrecy(DealParams(iexec_result_encryption=True), parse_tag("gpu"))
    assert refused.value.code == "ENCRYPTION_NEEDS_ENCLAVE"


@pytest.mark.parametrize(("encrypt", "tag"), [(False, ""), (True, "tee,tdx"), (False, "tee,tdx")])
def test_others_are_not(encrypt: bool, tag: str) -> None:
    check_secrecy(DealParams(iexec_result_encryption=encrypt), parse_tag(tag))
