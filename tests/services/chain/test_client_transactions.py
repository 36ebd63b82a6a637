"""A user's transactions: what reverted once may be asked for again."""

from pathlib import Path

import pytest

from pyiexec.chain.anvil import Anvil
from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.sdk.connection import Connection

from . import bell
from .conftest import CHAIN_ID

pytestmark = pytest.mark.anyio


async def test_a_claim_that_came_too_early_is_not_refused_for_ever(
    anvil: Anvil, rpc: JsonRpc, signer: Signer, tmp_path: Path
) -> None:
    profile = NetworkProfile(
        name="test", chain_id=CHAIN_ID, rpc_url=rpc.url, hub=bell.ADDRESS, market_url=anvil.url, gateway_url=anvil.url
    )
    async with Connection(profile, signer, state=tmp_path) as connection:
        manager = await connection.transactions()
        with pytest.raises(IexecError, match="silence"):
            await manager.execute("task", "claim", bell.ADDRESS, b"", gas=bell.GAS)
    async with Connection(profile, signer, state=tmp_path) as connection:
        with pytest.raises(IexecError) as refused:
            await connection.send("task", "claim", bell.ADDRESS, b"")
        assert refused.value.code == "CONTRACT_REVERTED", "asked first, nothing was sent in vain"
        assert (await connection.send("task", "claim", bell.ADDRESS, bell.ring(1))).succeeded
