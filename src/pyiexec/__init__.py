"""The iExec protocol in Python: an open market for computation, proved right before anyone is paid."""

__version__ = "0.1.0"
