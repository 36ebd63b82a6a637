"""A worker as a service of systemd: started with the machine, ended in order, and shut in.

Source: systemd.exec(5), systemd.resource-control(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_UNIT = """\
[Unit]
Description=pyiexec worker of {folder}
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
ExecStart={command}
User={user}
Restart=on-failure
RestartSec=10
# A run is stopped within moments; a vote that is on its way may take a block or two.
TimeoutStopSec=60
KillSignal=SIGTERM

# The owner's programs go first.
Nice=19
CPUWeight=1
IOWeight=1

# It reads its settings and key, and writes into its folder alone.
ReadWritePaths={data}
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
UMask=0077

# It opens connections, and needs no right beyond that.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def systemd_unit(*, command: Sequence[str], data_dir: Path, reads: Sequence[Path], user: str) -> str:
    """The unit file that runs `command`, which reads certain files and writes into `data_dir`, as `user`.

    Homes are hidden unless one of these paths lies in one; all are absolute.

    Memory stays executable on demand, which compiled modules need. Devices stay visible: when a terminal was last used
    is seen there.
    """
    homes = (Path("/home"), Path("/root"), Path("/run/user"))
    places = [data_dir, *reads, *(Path(word) for word in command if word.startswith("/"))]
    at_home = any(place.is_relative_to(home) for place in places for home in homes)
    return _UNIT.format(
        folder=_literal(str(data_dir)),
        command=" ".join(_quoted(word) for word in command),
        user=user,
        data=_quoted(str(data_dir)),
        protect_home="read-only" if at_home else "tmpfs",
    )


def _literal(text: str) -> str:
    """Text in which systemd finds no specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line or a list, as systemd reads it."""
    escaped = _literal(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if any(character in escaped for character in " \t\"'\\;") else escaped
