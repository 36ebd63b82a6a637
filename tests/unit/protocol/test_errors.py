import pytest

from pyiexec.protocol.errors import CATALOGUE, IexecError


def test_the_catalogue_is_in_alphabetical_order_and_complete() -> None:
    assert list(CATALOGUE) == sorted(CATALOGUE)
    for code, entry in CATALOGUE.items():
        assert code.isupper()
        assert entry.remedy.endswith("."), code
        assert 400 <= entry.http_status < 600, code


def test_an_error_says_what_to_do_and_whether_to_try_again() -> None:
    error = IexecError("CHAIN_UNREACHABLE", "no answer from the node", url="http://127.0.0.1:8545")
    assert str(error) == "no answer from the node [CHAIN_UNREACHABLE]"
    assert error.as_json() == {
        "ok": False,
        "error": "no answer from the node",
        "code": "CHAIN_UNREACHABLE",
        "remedy": CATALOGUE["CHAIN_UNREACHABLE"].remedy,
        "retry": True,
        "details": {"url": "http://127.0.0.1:8545"},
    }
    assert error.http_status == 503


def test_a_code_outside_the_catalogue_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        IexecError("NO_SUCH_CODE", "something")
