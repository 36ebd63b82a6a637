"""The settings file of a new worker: what it must know, and beside it what its owner may want to change."""

from __future__ import annotations

import json
from pathlib import Path

from pyiexec.protocol.primitives import Address

_PAGE = """\
# A worker's settings. What is commented out shows the default; docs/running-a-worker.md tells what each means.

{required}

# How much of the machine it may have.
slots = {slots}
#cpus = 2
#memory_bytes = 4_294_967_296
#gpus = 0
#disk_bytes = 10_737_418_240
#download_bytes_per_second = 0
#upload_bytes_per_second = 0

# When it works. Whatever runs when one of these no longer holds stands still until they all do again.
#hours = ["mon-fri 19:00-07:00", "sat,sun 00:00-24:00"]
#on_battery = true
#input_idle_seconds = 180
#max_other_cpu = 0.25
#owner_returns = "pause"
"""


def first_settings(
    *,
    key_file: Path,
    password_file: Path | None,
    rpc_url: str,
    hub: Address,
    workerpool: Address,
    scheduler_url: str,
    gateway_url: str,
    data_dir: Path,
    slots: int,
) -> str:
    """The text of the file, TOML."""
    required: dict[str, str | None] = {
        "key_file": str(key_file),
        "password_file": None if password_file is None else str(password_file),
        "rpc_url": rpc_url,
        "hub": hub,
        "workerpool": workerpool,
        "scheduler_url": scheduler_url,
        "gateway_url": gateway_url,
        "data_dir": str(data_dir),
    }
    # Strings of TOML are those of JSON, but for DEL, which no path or URL should hold.
    lines = [f"{name} = {json.dumps(value)}" for name, value in required.items() if value is not None]
    return _PAGE.format(required="\n".join(lines), slots=slots)
