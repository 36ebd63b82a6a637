"""Transactions that survive crashes: a persisted queue, pipelined nonces, one attempt for each (object, action)."""

from pyiexec.chain.transactions.flights import Totals
from pyiexec.chain.transactions.manager import TransactionManager
from pyiexec.chain.transactions.records import Receipt, TransactionRecord, TransactionStatus
from pyiexec.chain.transactions.tables import MIGRATIONS

__all__ = ["MIGRATIONS", "Receipt", "Totals", "TransactionManager", "TransactionRecord", "TransactionStatus"]
