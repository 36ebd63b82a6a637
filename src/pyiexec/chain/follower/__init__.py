"""Following the logs of contracts, with a cursor that survives crashes and reorganisations."""

from pyiexec.chain.follower.cursor import MIGRATIONS, Cursor, Log, Mark, load_cursor, save_cursor
from pyiexec.chain.follower.following import Batch, LogFollower
from pyiexec.chain.follower.logs import LogFilter

__all__ = ["MIGRATIONS", "Batch", "Cursor", "Log", "LogFilter", "LogFollower", "Mark", "load_cursor", "save_cursor"]
