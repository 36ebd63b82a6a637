"""Sending what is missing of a deployment, so that it can be interrupted at any moment and taken up again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

import anyio
import msgspec

from pyiexec.chain.abi import decode_revert
from pyiexec.chain.deployment import factory
from pyiexec.chain.deployment.facets import Variant
from pyiexec.chain.deployment.manifest import Manifest
from pyiexec.chain.deployment.plan import (
    DEFAULT_CATEGORIES,
    NO_SALT,
    REGISTRY_BASE_URI,
    Plan,
    Step,
    make_plan,
)
from pyiexec.chain.deployment.survey import Survey, survey
from pyiexec.chain.hub import Category
from pyiexec.chain.rpc import JsonRpc, RpcError, reverted
from pyiexec.chain.sending import Call, Progress, send_all
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32, to_bytes, to_hex


async def deploy(
    rpc: JsonRpc,
    signer: Signer,
    *,
    variant: Variant = "token",
    token: Address | None = None,
    registry_base_uri: str = REGISTRY_BASE_URI,
    categories: Sequence[Category] = DEFAULT_CATEGORIES,
    salt: Bytes32 = NO_SALT,
    progress: Progress = lambda _what, _done, _total: None,
    timeout: float = 120.0,
) -> Manifest:
    """Deploy everything from one account, which becomes the owner of hub and registries.

    What stands already is left as it is: on a chain where all is done, nothing is sent. The account must send nothing
    else meanwhile. On a chain without RLC (`token` None) it receives the whole supply of a new one.

    Args:
        variant: what the hub holds.
        token: address of RLC if the chain has it; the native variant needs none.
        registry_base_uri: prefix of the assets' metadata; ``{kind}`` and ``{chain_id}`` are filled in.
        salt: sets several deployments of one account apart.
        progress: called after each transaction.
        timeout: seconds until all must be mined.

    Raises:
        IexecError: as `survey` and `carry_out` do.
    """
    plan = make_plan(
        signer.address,
        chain_id=await rpc.chain_id(),
        variant=variant,
        token_address=token,
        registry_base_uri=registry_base_uri,
        categories=categories,
        salt=salt,
    )
    await settle(rpc, signer.address, timeout=timeout)
    return await carry_out(rpc, signer, await survey(rpc, plan), progress=progress, timeout=timeout)


async def settle(rpc: JsonRpc, account: Address, *, timeout: float) -> None:
    """Wait until what the account has sent so far is mined: before that, nobody can tell what is missing.

    Raises:
        IexecError: ``CHAIN_REFUSED`` when it is not in time.
    """

    async def nothing_is_pending() -> bool:
        counts = [("eth_getTransactionCount", [account, block]) for block in ("latest", "pending")]
        mined, sent = await rpc.batch(counts)
        return int(mined, 16) >= int(sent, 16)

    if not await _comes_true(nothing_is_pending, timeout):
        raise IexecError("CHAIN_REFUSED", f"transactions of {account} were not mined within {timeout:g} s", retry=True)


async def _comes_true(holds: Callable[[], Awaitable[bool]], timeout: float) -> bool:
    """Whether something about the chain comes true within `timeout` seconds."""
    pause = 0.01
    with anyio.move_on_after(timeout):
        while not await holds():
            # Over HTTP a node tells nothing by itself; asking now and then, ever less often, is all there is.
            await anyio.sleep(pause)
            pause = min(2 * pause, 1.0)
        return True
    return False


async def carry_out(
    rpc: JsonRpc,
    signer: Signer,
    found: Survey,
    *,
    estimate: bool = False,
    progress: Progress = lambda _what, _done, _total: None,
    timeout: float = 120.0,
) -> Manifest:
    """Send what a survey found missing.

    Args:
        estimate: ask the node for the gas of each transaction, for which those that it rests on must be mined first.
            Chains that charge for more than execution, as rollups do, need it. Otherwise all are sent in one go.

    Raises:
        IexecError: ``INSUFFICIENT_FUNDS``, before anything is sent; ``FACTORY_UNAVAILABLE``; ``CHAIN_REFUSED`` when a
            transaction is not accepted or not mined in time; ``TRANSACTION_REVERTED`` naming the step.
    """
    if found.balance < found.cost:
        needed, there = found.cost / 10**18, found.balance / 10**18
        what = f"{signer.address} has {there:.4f} of the chain's coin, and the deployment may take {needed:.4f}"
        raise IexecError("INSUFFICIENT_FUNDS", what)
    if found.steps and not found.has_proxy:
        await _create_proxy(rpc, signer, timeout)
    told = _Told(progress, len(found.steps))
    for calls in _stages(found.steps) if estimate else [[step.call for step in found.steps]]:
        ready = await _estimated(rpc, signer.address, calls) if estimate else calls
        await send_all(rpc, signer, ready, progress=told.one_more, timeout=timeout)
    return found.plan.manifest(await _created_in(rpc, found.plan))


class _Told:
    """Counts the transactions of all stages together."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def one_more(self, what: str, _done: int, _total: int) -> None:
        """Another transaction is with the node."""
        self._done += 1
        self._progress(what, self._done, self._total)


def _stages(steps: Sequence[Step]) -> list[list[Call]]:
    return [[step.call for step in stage] for _, stage in groupby(steps, key=lambda step: step.stage)]


async def _estimated(rpc: JsonRpc, sender: Address, calls: Sequence[Call]) -> list[Call]:
    """The same calls with a quarter more gas than the node says they need."""
    answers = await rpc.batch_outcomes(
        [("eth_estimateGas", [{"from": sender, "to": call.to, "data": to_hex(call.data)}]) for call in calls]
    )
    estimated = []
    for call, answer in zip(calls, answers, strict=True):
        if isinstance(answer, RpcError):
            revert = reverted(answer)
            reason = decode_revert(to_bytes(revert.details["data"])) if revert else answer.message
            raise IexecError("TRANSACTION_REVERTED", f"could not {call.title}: {reason}")
        estimated.append(msgspec.structs.replace(call, gas=int(answer, 16) * 5 // 4))
    return estimated


async def _create_proxy(rpc: JsonRpc, signer: Signer, timeout: float) -> None:
    """Put the deterministic deployment proxy on a chain that was made without it."""
    there = int(await rpc.call("eth_getBalance", factory.PROXY_CREATOR, "latest"), 16)
    if there < factory.PROXY_COST:
        gift = Call(factory.PROXY_CREATOR, b"", 21_000, "pay for the deployment proxy", factory.PROXY_COST - there)
        await send_all(rpc, signer, [gift], timeout=timeout)
    try:
        await rpc.call("eth_sendRawTransaction", to_hex(factory.PROXY_TRANSACTION))
    except RpcError as error:
        what = "the chain has no deterministic deployment proxy and refuses the transaction that makes it"
        raise IexecError("FACTORY_UNAVAILABLE", f"{what}: {error.message}") from None

    async def it_stands() -> bool:
        return bool(await rpc.call("eth_getCode", factory.PROXY, "latest") != "0x")

    if not await _comes_true(it_stands, timeout):
        raise IexecError("CHAIN_REFUSED", f"the deployment proxy was not created within {timeout:g} s", retry=True)


async def _created_in(rpc: JsonRpc, plan: Plan) -> int:
    """The block in which the hub was created, 0 when the node does not search that far back."""
    topics = [factory.CREATED.topic, to_hex(to_bytes(plan.hub).rjust(32, b"\0"))]
    query = {"address": plan.parts["Factory"].address, "topics": topics, "fromBlock": "0x0", "toBlock": "latest"}
    try:
        logs = await rpc.call("eth_getLogs", query)
    except RpcError:
        return 0
    return int(logs[0]["blockNumber"], 16) if logs else 0
