"""Who may read what applications print: accounts that ordered, be they keys or contracts, and nobody else."""

from __future__ import annotations

import pytest
from tests.services.scheduler.asking import ask
from tests.services.scheduler.conftest import Net
from tests.services.scheduler.stage import REQUESTER, STRANGER, stage
from vyper.compiler import compile_code
from vyper.compiler.settings import Settings

from pyiexec.chain import calls, token
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.primitives import Address, bytes32, checksum, to_bytes, to_hex

pytestmark = pytest.mark.anyio


async def test_nobody_but_the_requester_reads_and_refusals_come_in_their_order(net: Net) -> None:
    async with stage(net) as task:
        await task.worker.print_out(task.task_id, stdout="secret")
        await task.until_logged("secret")
        good, foreign = await task.token(), await task.token(STRANGER)
        digest, signature, address = good.split("_")
        forged = f"{digest}_0x{'11' * 65}_{address}"
        signed_by_another = f"{digest}_{foreign.split('_')[1]}_{address}"
        base = f"/tasks/{task.task_id}"
        unknown = bytes32(9)
        paths = (f"{base}/logs", f"{base}/logs/stream", f"{base}/replicates/{task.worker.address}/logs")
        expected = [
            (None, 401, "LOG_TOKEN_INVALID"),
            ("Bearer x", 401, "LOG_TOKEN_INVALID"),
            (f"{good}{'0' * 4_000}", 401, "LOG_TOKEN_INVALID"),
            (foreign, 403, "LOG_ACCESS_REFUSED"),
            # Who it is counts before what was signed.
            (f"{digest}_{signature}_{STRANGER.address}", 403, "LOG_ACCESS_REFUSED"),
            (forged, 401, "LOG_TOKEN_INVALID"),
            (signed_by_another, 401, "LOG_TOKEN_INVALID"),
            (f"{bytes32(3)}_{signature}_{address}", 401, "LOG_TOKEN_INVALID"),
        ]
        for path in paths:
            for header, status, code in expected:
                answer = await ask(task.url, path, header)
                assert (answer.status, answer.json["code"]) == (status, code), (path, header)
                assert "secret" not in answer.body.decode()
        nowhere = await ask(task.url, f"/tasks/{unknown}/logs", good)
        assert (nowhere.status, nowhere.json["code"]) == (404, "TASK_UNKNOWN")
        elsewhere = await ask(task.url, f"/tasks/logs/challenge?address={address}&chainId=1")
        assert (elsewhere.status, elsewhere.json["code"]) == (400, "BAD_REQUEST")
        bad_id = await ask(task.url, paths[1], good, **{"Last-Event-ID": "1; DROP TABLE"})
        assert (bad_id.status, bad_id.json["code"]) == (400, "BAD_REQUEST")
        # Nothing of it is public.
        for public in (base, f"{base}/replicates/{task.worker.address}", "/workers", "/metrics", "/health"):
            assert "secret" not in (await ask(task.url, public)).body.decode()


WALLET = """
# pragma version 0.4.3
key: immutable(address)

@deploy
def __init__(owner: address):
    key = owner

@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    return 0x1626ba7e if ecrecover(digest, v, r, s) == key else 0x00000000
"""


async def test_a_contract_that_ordered_reads_by_its_own_judgement(net: Net) -> None:
    compiled = compile_code(WALLET, output_formats=["bytecode"], settings=Settings(evm_version="cancun"))
    code = bytes.fromhex(compiled["bytecode"][2:]) + to_bytes(REQUESTER.address).rjust(32, b"\0")
    receipts = await send_all(net.rpc, REQUESTER, [Call(None, code, 2_000_000)])
    assert receipts[0]["contractAddress"]
    wallet = checksum(receipts[0]["contractAddress"].lower())
    approve = token.FUNCTIONS["approve"].encode(net.hub.address, 10**10)
    deposit = calls.deposit_for(10**10, wallet)
    await send_all(net.rpc, REQUESTER, [Call(net.manifest.token, approve), Call(net.hub.address, deposit)])
    async with stage(net, contract=wallet) as task:
        await task.worker.print_out(task.task_id, stdout="for the contract")
        path = f"/tasks/logs/challenge?address={wallet}"
        challenge = (await ask(task.url, path)).json["message"]["challenge"]
        for signer, status in ((STRANGER, 401), (REQUESTER, 200)):
            answer = await ask(
                task.url, f"/tasks/{task.task_id}/logs", signed(challenge, signer, wallet, net.manifest.chain_id)
            )
            assert answer.status == status
        assert answer.json["computeLogsList"][0]["stdout"] == "for the contract"
        # The key behind it is another account, which ordered nothing.
        assert (await ask(task.url, f"/tasks/{task.task_id}/logs", await task.token())).status == 403


def signed(challenge: str, signer: Signer, claimed: Address, chain_id: int) -> str:
    digest = challenge_hash(challenge, chain_id, "iExec Core", "1")
    return f"{digest}_{to_hex(signer.sign_digest(to_bytes(digest)))}_{claimed}"
