"""Ciphertexts open in their own place, with their own key, unaltered; rings are read strictly."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import checksum
from pyiexec.protocol.secrets import Secret, SecretKind
from pyiexec.sms.keyring import KeyFile, KeyRing, key_id_of, new_ring, with_new_key, without_old_keys
from pyiexec.sms.sealing import seal, unseal

RING = with_new_key(new_ring(os.urandom), os.urandom)
secrets = st.builds(
    Secret,
    st.sampled_from(SecretKind),
    st.sampled_from([checksum("0x" + "11" * 20), checksum("0x" + "22" * 20)]),
    st.sampled_from(["", "1", "a", "b", '","', "é"]),
)
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(secrets, values)
def test_what_was_sealed_opens(secret: Secret, value: str) -> None:
    key_id, sealed = seal(RING, secret, value, os.urandom)
    assert key_id == RING.active
    assert unseal(RING, secret, key_id, sealed) == value
    # Nonce and tag, and nothing of the length's own.
    assert len(sealed) == 12 + len(value.encode()) + 16


@given(secrets, secrets, values)
def test_it_opens_nowhere_else(secret: Secret, other: Secret, value: str) -> None:
    key_id, sealed = seal(RING, secret, value, os.urandom)
    if other != secret:
        with pytest.raises(IexecError) as refusal:
            unseal(RING, other, key_id, sealed)
        assert refusal.value.code == "SECRET_CORRUPT"
        assert value not in refusal.value.what or len(value) < 5


@given(secrets, values, st.data())
def test_it_opens_with_no_other_key_and_not_altered(secret: Secret, value: str, data: st.DataObject) -> None:
    key_id, sealed = seal(RING, secret, value, os.urandom)
    [other_id] = RING.keys.keys() - {key_id}
    place = data.draw(st.integers(0, len(sealed) - 1))
    altered = bytearray(sealed)
    altered[place] ^= data.draw(st.integers(1, 255))
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for key, content in ((other_id, sealed), (key_id, bytes(altered)), (key_id, cut)):
        with pytest.raises(IexecError) as refusal:
            unseal(RING, secret, key, content)
        assert refusal.value.code == "SECRET_CORRUPT"
    with pytest.raises(IexecError) as refusal:
        unseal(RING, secret, "0" * 16, sealed)
    assert refusal.value.code == "KEY_RING_WRONG"


def test_a_ring_never_shows_its_keys() -> None:
    shown = repr(RING)
    assert RING.active in shown
    for key in (*RING.keys.values(), RING.fingerprint):
        assert repr(key) not in shown
        assert key.hex() not in shown


def test_a_rotation_keeps_the_old_key_until_it_is_done_and_the_fingerprints_for_ever() -> None:
    first = new_ring(os.urandom)
    both = with_new_key(first, os.urandom)
    after = without_old_keys(both)
    assert (first.rotating, both.rotating, after.rotating) == (False, True, False)
    assert first.active in both.keys
    assert both.active == after.active != first.active
    assert set(after.keys) == {after.active}
    names = {ring.fingerprint_of(b"message") for ring in (first, both, after)}
    assert len(names) == 1
    assert names != {new_ring(os.urandom).fingerprint_of(b"message")}


def test_a_file_holds_what_was_written_and_another_process_is_noticed(tmp_path: Path) -> None:
    ring = new_ring(os.urandom)
    mine, other = KeyFile(tmp_path / "ring"), KeyFile(tmp_path / "ring")
    assert mine.create(ring) == ring
    # Of two that make one at a time, the first counts for both.
    assert other.create(new_ring(os.urandom)) == ring
    changed = other.replace(with_new_key(ring, os.urandom))
    assert mine.read() == changed
    assert [path.name for path in tmp_path.iterdir()] == ["ring"]


@given(st.binary(max_size=200) | st.text().map(str.encode) | st.just(b'{"active": "", "keys": {}, "fingerprint": ""}'))
def test_what_is_no_ring_is_refused_without_being_repeated(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "ring"
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(IexecError) as refusal:
        KeyFile(file).read()
    assert refusal.value.code == "KEY_RING_WRONG"
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document | {"active": "0" * 16},
        lambda document: document | {"fingerprint": "AAAA"},
        lambda document: document | {"keys": {}},
        lambda document: document | {"keys": dict.fromkeys(document["keys"], "AAAA")},
        lambda document: document | {"keys": {"0" * 16: document["keys"][document["active"]]}},
        lambda document: document | {"more": 1},
    ],
)
def test_a_damaged_ring_is_refused(tmp_path: Path, damage: object) -> None:
    file = KeyFile(tmp_path / "ring")
    file.create(new_ring(os.urandom))
    document = msgspec.json.decode(file.path.read_bytes())
    file.path.write_bytes(msgspec.json.encode(damage(document)))  # type: ignore[operator]
    with pytest.raises(IexecError) as refusal:
        KeyFile(file.path).read()
    assert refusal.value.code == "KEY_RING_WRONG"


def test_a_ring_is_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe"):
        with pytest.raises(IexecError) as refusal:
            KeyFile(tmp_path / name).read()
        assert refusal.value.code == "KEY_RING_UNSAFE"
    file = KeyFile(tmp_path / "ring")
    file.create(new_ring(os.urandom))
    file.path.chmod(0o620)
    with pytest.raises(IexecError) as refusal:
        file.read()
    assert refusal.value.code == "KEY_RING_UNSAFE"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_key_is_known_by_its_id(one: bytes, other: bytes) -> None:
    assert (key_id_of(one) == key_id_of(other)) == (one == other)
    assert len(KeyRing(key_id_of(one), {key_id_of(one): one}, other).active) == 16
