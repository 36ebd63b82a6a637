"""Telling whoever waits that the node does not answer: nothing comes from the chain then, neither good nor bad."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from pyiexec.sdk import AsyncClient

#: Seconds between two looks at the connection.
PATIENCE = 2.0


@asynccontextmanager
async def telling_of_silence(client: AsyncClient, say: Callable[[str], None]) -> AsyncIterator[None]:
    """While inside, `say` when the node has gone and when it is back."""

    async def mind_the_node() -> None:
        heads = await client.connection.follow_heads()
        answers = True
        while True:
            await anyio.sleep(PATIENCE)
            if heads.connected is not answers:
                answers = heads.connected
                gone = "the chain's node does not answer. Waiting for it; Ctrl-C loses nothing.  [CHAIN_UNREACHABLE]"
                say("the chain's node answers again" if answers else gone)

    async with anyio.create_task_group() as group:
        group.start_soon(mind_the_node)
        yield
        group.cancel_scope.cancel()
