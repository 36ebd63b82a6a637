"""The rules of Proof-of-Contribution as one machine: accounts, orders, deals, tasks and what moves them."""

from pyiexec.protocol.deals import BoostDeal
from pyiexec.protocol.poco.hub import Hub
from pyiexec.protocol.poco.refusals import Refusal
from pyiexec.protocol.poco.registries import Registry
from pyiexec.protocol.poco.store import Category
from pyiexec.protocol.poco.token import Token
from pyiexec.protocol.poco.world import Contract, Event, Outcome, World

__all__ = ["BoostDeal", "Category", "Contract", "Event", "Hub", "Outcome", "Refusal", "Registry", "Token", "World"]
