"""What commands print, and how failures are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from pyiexec.cli.options import ADDRESS, AMOUNT, TAG, WORD, json_option
from pyiexec.cli.reporting import emit, run_and_report, table
from pyiexec.protocol.errors import IexecError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a body as the command `pyiexec`, with arguments; exit code, output, errors."""

    def go(body: Callable[[], object], *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pyiexec", *arguments])
        code = run_and_report(click.command("pyiexec")(json_option(body)))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def failing(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def test_ctrl_c_while_it_loads_shows_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    run = subprocess.run(
        [sys.executable, "-m", "pyiexec", "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")


REFUSAL = IexecError("PRICE_TOO_LOW", "the price is 2 RLC", limit=1)


def test_a_refusal_is_told_with_cause_remedy_and_code(run: Run) -> None:
    code, out, err = run(failing(REFUSAL))
    assert (code, out) == (1, "")
    assert "Error: the price is 2 RLC" in err
    assert REFUSAL.remedy in err
    assert "[PRICE_TOO_LOW]" in err


def test_a_refusal_is_one_json_object_where_json_is_asked_for(run: Run) -> None:
    code, out, err = run(failing(REFUSAL), "--json")
    assert (code, err) == (1, "")
    answer = json.loads(out)
    assert answer["code"] == "PRICE_TOO_LOW"
    assert answer["details"] == {"limit": 1}


def test_of_several_failures_the_explained_one_is_told(run: Run) -> None:
    group = BaseExceptionGroup("", [ValueError("noise"), ExceptionGroup("", [REFUSAL])])
    assert "[PRICE_TOO_LOW]" in run(failing(group))[2]


def test_an_interruption_ends_with_130_wherever_it_comes_from(run: Run) -> None:
    assert run(failing(KeyboardInterrupt()))[0] == 130
    assert run(failing(click.Abort()))[0] == 130
    assert run(failing(BaseExceptionGroup("", [KeyboardInterrupt()])))[0] == 130


def test_an_unforeseen_failure_is_described_in_a_file_and_not_on_the_screen(run: Run) -> None:
    code, out, _ = run(failing(ZeroDivisionError("secret value")), "--json")
    answer = json.loads(out)
    assert (code, answer["code"]) == (1, "INTERNAL")
    assert "secret value" not in out
    path = answer["error"].split()[-1]
    with open(path) as file:
        assert "ZeroDivisionError" in file.read()


def test_a_file_that_cannot_be_used_is_named(run: Run) -> None:
    code, out, _ = run(failing(FileNotFoundError(2, "No such file or directory", "/no/such")), "--json")
    assert code == 1
    assert json.loads(out)["error"] == "/no/such: No such file or directory"


def test_wrong_usage_ends_with_2_and_names_the_help(run: Run) -> None:
    code, out, _ = run(failing(click.UsageError("what?")), "--json")
    assert code == 2
    assert "--help" in json.loads(out)["remedy"]


def test_an_exit_code_of_the_command_is_passed_on(run: Run) -> None:
    assert run(lambda: 1)[0] == 1
    assert run(lambda: None)[0] == 0


def test_an_answer_is_text_for_people_and_json_for_scripts(run: Run) -> None:
    assert run(lambda: emit({"amount": 5}, "five"))[1] == "five\n"
    assert json.loads(run(lambda: emit({"amount": 5}, "five"), "--json")[1]) == {"ok": True, "amount": 5}


def test_tables_align_and_keep_long_cells_whole(run: Run) -> None:
    long = "0x" + "ab" * 100
    _, out, _ = run(lambda: table("", ["id", "n"], [[long, 1], ["0x", 22]]))
    head, first, second = out.splitlines()
    assert first == f"{long}  1"
    assert second.index("22") == first.rindex("1") == head.index("n")


def test_an_empty_table_has_its_head(run: Run) -> None:
    assert run(lambda: table("", ["id", "price"], []))[1] == "id  price\n"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (AMOUNT, "1.5 RLC", 1_500_000_000),
        (AMOUNT, "20", 20),
        (ADDRESS, "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        (WORD, "0x" + "AB" * 32, "0x" + "ab" * 32),
        (TAG, "tee,scone", "0x" + "0" * 63 + "3"),
    ],
)
def test_values_are_read_as_people_write_them(kind: click.ParamType[object], text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"), [(AMOUNT, "-1"), (AMOUNT, "1.0000000001 RLC"), (ADDRESS, "0x1"), (WORD, "0x00"), (TAG, "magic")]
)
def test_values_that_are_none_are_refused_with_a_remedy(kind: click.ParamType[object], text: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    assert len(refused.value.message) > 20
