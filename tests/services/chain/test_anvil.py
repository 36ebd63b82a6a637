"""Starting a chain."""

from __future__ import annotations

import pytest

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.protocol.errors import IexecError

pytestmark = pytest.mark.anyio


async def test_a_chain_on_the_port_of_another_is_refused_and_not_taken_for_it() -> None:
    async with Anvil() as first:
        with pytest.raises(IexecError) as refused:
            await Anvil(AnvilOptions(port=first.port)).start()
    assert refused.value.code == "PORT_TAKEN"
