"""A workerpool whose scheduler signs authorisations for tasks that do not exist, to see who falls for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization, authorization_digest
from pyiexec.protocol.messages import Assign, Welcome, encode_message
from pyiexec.protocol.primitives import Address, DealId, TaskId, bytes32, to_hex
from pyiexec.scheduler.step import envelope
from tests.simulation.wire import Connection

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.network import Network

#: Seconds between two ghosts.
EVERY = 3.0


class GhostPool:
    """Speaks the channel's language and nothing else; its workers are honest."""

    def __init__(self, network: Network, signer: Signer, workerpool: Address) -> None:
        self._network = network
        self._agenda = network.agenda
        self._signer = signer
        self.workerpool = workerpool
        self._chance = self._agenda.chance("ghost")
        self._sent: dict[Address, int] = {}
        self._connections: dict[Address, Connection] = {}
        self.sent = 0

    def start(self) -> None:
        """Begin to haunt."""
        self._agenda.after(EVERY, self._haunt)

    def accept(self, machine: Machine, connection: Connection) -> None:
        """A worker opened a connection."""
        self._connections[machine.address] = connection
        connection.on_close = lambda: machine.channel.disconnected(connection)
        connection.send(encode_message(Welcome(received=0, heartbeat_seconds=2.5)))

    def _haunt(self) -> None:
        self._agenda.after(EVERY, self._haunt)
        open_to = [worker for worker, connection in self._connections.items() if connection.open]
        if not open_to:
            return
        worker = self._chance.choice(open_to)
        self._sent[worker] = self._sent.get(worker, 0) + 1
        self.sent += 1
        body = encode_message(self._assignment(worker))
        self._connections[worker].send(envelope(self._sent[worker], body))

    def _assignment(self, worker: Address) -> Assign:
        """Of a deal nobody made, of an index beyond its deal, of a task of another pool, or of a name that is wrong."""
        deals = list(self._network.hub.deals.items())
        kind = self._chance.randrange(4) if deals else 0
        deal_id, index = DealId(bytes32(self._chance.getrandbits(256))), 0
        if kind:
            deal_id, deal = deals[self._chance.randrange(len(deals))]
            index = deal.bot_first if kind > 1 else deal.bot_first + deal.bot_size
        task_id = TaskId(bytes32(self._chance.getrandbits(256))) if kind == 3 else ids.task_id(deal_id, index)
        unsigned = WorkerpoolAuthorization(worker=worker, task_id=task_id, deal_id=deal_id, index=index)
        signature = to_hex(self._signer.sign_digest(authorization_digest(unsigned)))
        authorization = WorkerpoolAuthorization(
            worker=worker, task_id=task_id, deal_id=deal_id, index=index, signature=signature
        )
        mode = "contribute" if self._chance.random() < 0.5 else "contribute_and_finalize"
        return Assign(authorization=authorization, mode=mode, contribution_deadline=self._agenda.chain_now + 200)
