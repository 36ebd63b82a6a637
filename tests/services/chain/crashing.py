"""A process that submits transactions and dies by SIGKILL at a chosen point; run by the crash tests.

Arguments: node's URL, database's URL, where to die (`before-send`, `after-send` or `never`), at which transaction, how
many to submit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import bell

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import MIGRATIONS, TransactionManager
from pyiexec.foundation.database import Database


class DyingRpc(JsonRpc):
    """Kills its own process around the sending of one transaction."""

    where = "never"
    at = 0
    sent = 0

    async def call(self, method: str, *params: Any) -> Any:
        if method != "eth_sendRawTransaction":
            return await super().call(method, *params)
        self.sent += 1
        dies = self.sent == self.at
        if dies and self.where == "before-send":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await super().call(method, *params)
        if dies and self.where == "after-send":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


async def main(url: str, database_url: str, where: str, at: str, count: str) -> None:
    database = await Database.open(database_url, [MIGRATIONS])
    async with DyingRpc(url) as rpc, HeadFeed(url) as feed:
        rpc.where, rpc.at = where, int(at)
        async with TransactionManager(rpc, derive(MNEMONIC, 0), database, feed, chain_id=31337) as manager:
            records = [
                await manager.submit("bell", str(number), bell.ADDRESS, bell.ring(number), gas=bell.GAS)
                for number in range(int(count))
            ]
            for record in records:
                await manager.wait(record)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
