"""The published JavaScript client, unmodified, on a network of `pyiexec up`."""
