"""Datasets and results go back and forth between us and the JS SDK."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from benchmarks.peers.javascript import installed, node, node_environment

from pyiexec.storage.encryption import (
    decrypt_dataset,
    decrypt_result,
    encrypt_dataset,
    encrypt_result,
    new_dataset_key,
    new_result_key_pair,
)

#: Encrypts and decrypts files in its folder with npm `iexec`; prints what the SDK says.
SCRIPT = """
import { readFile, writeFile } from 'node:fs/promises';
const { IExec, utils } = await import(process.argv[2]);
const { dataset } = new IExec({ ethProvider: 'http://127.0.0.1:1' }, { hubAddress: '0x' + '1'.repeat(40) });
const key = dataset.generateEncryptionKey();
const encrypted = await dataset.encrypt(await readFile('plain'), key);
await writeFile('theirs.enc', encrypted);
const checksum = await dataset.computeEncryptedFileChecksum(encrypted);
const ours = await dataset.computeEncryptedFileChecksum(await readFile('ours.enc'));
const opened = await utils.decryptResult(await readFile('result.zip'), await readFile('key.pem'));
await writeFile('opened.zip', Buffer.from(opened));
console.log(JSON.stringify({ key, checksum, ours }));
"""


@pytest.mark.parametrize("project", ["iexec-8", "iexec-9"])
def test_either_side_opens_what_the_other_made(tmp_path: Path, project: str) -> None:
    content = os.urandom(100_003)
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "ask.mjs").write_text(SCRIPT)
    our_key = new_dataset_key(os.urandom)
    our_checksum = encrypt_dataset(tmp_path / "plain", tmp_path / "ours.enc", our_key, os.urandom)
    pair = new_result_key_pair()
    (tmp_path / "key.pem").write_bytes(pair.private)
    encrypt_result(tmp_path / "plain", tmp_path / "result.zip", pair.public, os.urandom)
    decrypt_result(tmp_path / "result.zip", tmp_path / "ours.zip", pair.private)

    package = installed(project) / "node_modules" / "iexec" / "dist" / "esm" / "lib" / "index.js"
    done = subprocess.run(
        [node(), "ask.mjs", package],
        cwd=tmp_path,
        env=node_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ours"] == our_checksum
    assert len(said["key"]) == len(our_key) == 44
    decrypt_dataset(tmp_path / "theirs.enc", tmp_path / "opened", said["key"])
    assert (tmp_path / "opened").read_bytes() == content
    assert (tmp_path / "opened.zip").read_bytes() == content
