"""Settings come from a file and the environment, whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from pyiexec.foundation.settings import Settings, from_json, load_settings, save_settings, to_json
from pyiexec.protocol.errors import IexecError


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    folder: Path
    port: int = 8000
    secret: str = ""


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    file.write_text('folder = "/data"\nport = 1\n')
    assert load_settings(Sample, file, {"PYIEXEC_PORT": "2"}) == Sample(folder=Path("/data"), port=2)


def test_what_was_saved_is_loaded_again_and_is_its_owners_alone(tmp_path: Path) -> None:
    settings = Sample(folder=tmp_path, port=7, secret="hush")
    file = tmp_path / "deep" / "sample.json"
    save_settings(settings, file)
    assert load_settings(Sample, file, {}) == settings
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert from_json(to_json(settings), Sample) == settings


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('folder = "/data"\nprot = 1\n', "prot"),
        ('folder = "/data"\nport = "many"\n', "port"),
        ("port = 1\n", "folder"),
        ("folder = \n", "well-formed"),
    ],
    ids=["unknown", "ill-typed", "missing", "not toml"],
)
def test_bad_settings_are_refused_whole_and_the_field_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "sample.toml"
    file.write_text(text)
    with pytest.raises(IexecError, match=named) as caught:
        load_settings(Sample, file, {})
    assert caught.value.code == "BAD_SETTINGS"


def test_a_refusal_does_not_repeat_values(tmp_path: Path) -> None:
    file = tmp_path / "sample.toml"
    file.write_text('folder = "/data"\nsecret = 12345678\nport = "s3cr3t"\n')
    with pytest.raises(IexecError) as caught:
        load_settings(Sample, file, {})
    assert "s3cr3t" not in str(caught.value)
    assert "12345678" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(IexecError, match=r"absent\.toml"):
        load_settings(Sample, tmp_path / "absent.toml", {})


class Connected(Settings, frozen=True, kw_only=True):
    database_url: str
    port: int = 0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://market:s3cret@db.example/market", "postgresql://market:***@db.example/market"),
        ("postgresql://market:s3/cr@et@db/market?sslmode=require", "postgresql://market:***@db/market?sslmode=require"),
        ("postgresql:///market?user=u&password=s3cret&host=/run", "postgresql:///market?user=u&password=***&host=/run"),
        ("https://user:s3cret@node.example:8545", "https://user:***@node.example:8545"),
        ("sqlite:////var/lib/market.db", "sqlite:////var/lib/market.db"),
        ("http://[::1]:8545/path@v1", "http://[::1]:8545/path@v1"),
    ],
)
def test_settings_are_shown_without_the_passwords_of_their_urls(url: str, shown: str) -> None:
    settings = Connected(database_url=url, port=1)
    assert repr(settings) == f"Connected(database_url={shown!r}, port=1)"
    assert dict(settings.__rich_repr__()) == {"database_url": shown, "port": 1}
    assert from_json(to_json(settings), Connected).database_url == url
