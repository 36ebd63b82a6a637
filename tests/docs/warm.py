"""`pyiexec` without its imports: a process that has done them forks one for each command that pages type.

Importing costs each command about a second, and pages type some fifty of them. Started as `python -m tests.docs.warm
SOCKET`; the command line, folder and standard streams come over the socket, the exit code goes back.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import socket
import sys
from pathlib import Path

#: What stands in for the command; Python without site packages starts in hundredths of a second.
STAND_IN = """#!{python} -IS
import os, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({socket!r})
    socket.send_fds(connection, ["\\0".join([os.getcwd(), *sys.argv[1:]]).encode()], [0, 1, 2])
    sys.exit(int(connection.recv(16) or 70))
"""


def answer(connection: socket.socket) -> int:
    """In the forked process: become the command."""
    from pyiexec.cli import main

    request, streams, _flags, _address = socket.recv_fds(connection, 1 << 16, 3)
    folder, *arguments = request.decode().split("\0")
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    if arguments[:1] == ["up"]:
        # Beside other networks, and quickly.
        arguments += ["--any-ports", "--block-time", "0", "--workers", "3"]
    sys.argv = ["pyiexec", *arguments]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def serve(path: Path) -> None:
    for package in ("pyiexec.cli", "pyiexec.sdk", "pyiexec.devnet"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                code = 70
                try:
                    code = answer(connection)
                finally:
                    connection.send(str(code).encode())
                    os._exit(code)
            connection.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
