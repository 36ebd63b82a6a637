"""A worker as a process of its own, to be killed: `python run_worker.py SETTINGS.json`."""

import asyncio
import sys
from pathlib import Path

import anyio

from pyiexec.foundation.logs import configure_logging
from pyiexec.foundation.settings import load_settings
from pyiexec.worker.service import serve
from pyiexec.worker.settings import WorkerSettings


async def main() -> None:
    settings = load_settings(WorkerSettings, Path(sys.argv[1]), {})
    configure_logging(file=settings.data_dir.with_suffix(".log"))
    await serve(settings, lambda _address: None, anyio.Event())


asyncio.run(main())
