"""The ledger of the user's deals, read from the chain and checked against its state."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyiexec.chain import escrow
from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.chain.reading import read_each
from pyiexec.protocol.ledger import Holdings, HubEvent, Line, discrepancies, ledger, replay
from pyiexec.protocol.primitives import DealId
from pyiexec.sdk.connection import Connection

#: Events that move stake or say why.
_TOLD = (
    "Transfer",
    "Lock",
    "Unlock",
    "Reward",
    "Seize",
    "OrdersMatched",
    "TaskContribute",
    "TaskConsensus",
    "TaskFinalize",
    "TaskClaimed",
    "AccurateContribution",
    "FaultyContribution",
)


class Audit(msgspec.Struct, frozen=True):
    """The outcome of adding up all the money in the hub; `problems` is empty when it adds up. Amounts in nRLC."""

    accounts: int
    events: int
    total_supply: int
    free: int
    locked: int
    problems: tuple[str, ...]


class Ledgers:
    """Ledgers and audits."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def _events(self, start_block: int) -> list[HubEvent]:
        request = {
            "address": self._at.hub.address,
            "topics": [[EVENTS[name].topic for name in _TOLD]],
            "fromBlock": hex(start_block),
            "toBlock": "latest",
        }
        events = []
        for log in await self._at.rpc.call("eth_getLogs", request):
            decoded = decode_log(log)
            assert decoded is not None, "the node was asked for known events only"
            name, fields = decoded
            events.append(HubEvent(name, fields, log["transactionHash"], int(log["blockNumber"], 16)))
        return events

    async def of_deals(self, deal_ids: Sequence[DealId], start_block: int = 0) -> list[Line]:
        """Everything that was paid, earned, locked and lost for these deals."""
        deals = await self._at.hub.deals(deal_ids)
        tasks = [task for deal_id, deal in zip(deal_ids, deals, strict=True) for task in deal.task_ids(deal_id)]
        return ledger(await self._events(start_block), tasks, deal_ids)

    async def audit(self) -> Audit:
        """Replay all money events of the hub, and compare every account with the hub's and the token's state."""
        hub = self._at.hub
        events = await self._events(self._at.profile.start_block)
        replayed = replay(events)
        accounts = sorted(replayed)
        answers = await read_each([hub.account(account) for account in accounts])
        on_chain = {
            account: Holdings(answer.stake, answer.locked) for account, answer in zip(accounts, answers, strict=True)
        }
        held = await escrow.wallet_balance(self._at.rpc, await hub.token(), hub.address)
        supply = await hub.total_supply()
        problems = discrepancies(replayed, on_chain, hub.address, supply, held)
        free = sum(holdings.stake for account, holdings in on_chain.items() if account != hub.address)
        locked = sum(holdings.locked for holdings in on_chain.values())
        return Audit(len(accounts), len(events), supply, free, locked, tuple(problems))
