"""The one way to read settings: a frozen msgspec struct from a TOML or JSON file, overridden by the environment."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pyiexec.protocol.errors import IexecError

T = TypeVar("T", bound=msgspec.Struct)

PREFIX = "PYIEXEC_"

#: What stands for a password when settings are shown.
_MASKED = "***"
#: In an authority, and as a parameter of PostgreSQL's.
_PASSWORDS = (re.compile(r"(?P<before>//[^/?#:@\[]*:).*(?=@)"), re.compile(r"(?P<before>[?&]password=)[^&]*"))


def without_passwords(text: str) -> str:
    """A URL that may be shown: what it holds of passwords is masked."""
    for pattern in _PASSWORDS:
        text = pattern.sub(rf"\g<before>{_MASKED}", text)
    return text


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a service. Shown, in a log or a traceback, they do not tell the passwords in their URLs."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, without_passwords(value) if isinstance(value, str) else value) for name, value in values]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def load_settings(kind: type[T], path: Path | None, environment: Mapping[str, str]) -> T:
    """Settings of `kind`: the file's values, over them ``PYIEXEC_<FIELD>`` variables, over defaults.

    Unknown keys in the file are refused, so that a typo cannot pass for a setting.

    Raises:
        IexecError: ``BAD_SETTINGS`` naming the field; values are not repeated, they may be secret.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            text = path.read_bytes()
            values = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text.decode())
        except OSError as error:
            raise IexecError("BAD_SETTINGS", f"cannot read {path}: {error.strerror}") from None
        except (ValueError, msgspec.DecodeError):
            raise IexecError("BAD_SETTINGS", f"{path} is not well-formed {path.suffix.lstrip('.') or 'TOML'}") from None
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown:
        raise IexecError("BAD_SETTINGS", f"unknown settings in {path}: {', '.join(unknown)}")
    values |= {name: environment[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in environment}
    try:
        return msgspec.convert(values, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise IexecError("BAD_SETTINGS", f"{error}") from None


def _encode(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"settings do not hold {type(value).__name__}")


def _decode(kind: type, value: Any) -> Any:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"settings do not hold {kind.__name__}")


def to_json(settings: msgspec.Struct) -> bytes:
    """A struct with paths as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(settings, enc_hook=_encode))


def from_json(data: bytes, kind: type[T]) -> T:
    """The struct that `to_json` wrote.

    Raises:
        msgspec.ValidationError: it is another one.
    """
    return msgspec.json.decode(data, type=kind, dec_hook=_decode)


def save_settings(settings: msgspec.Struct, path: Path) -> None:
    """Write settings as JSON, readable by their owner alone; a reader sees all of them or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}")
    scratch.touch(mode=0o600)
    scratch.write_bytes(to_json(settings))
    scratch.replace(path)
