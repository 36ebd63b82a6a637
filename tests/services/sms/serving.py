"""A service as a process of its own, to be killed: ``python -m tests.services.sms.serving SETTINGS``.

It prints its URL once it answers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import anyio

from pyiexec.foundation.settings import load_settings
from pyiexec.sms.service import serve
from pyiexec.sms.settings import SmsSettings


async def main() -> None:
    settings = load_settings(SmsSettings, Path(sys.argv[1]), {})
    await serve(settings, ready=lambda url: print(url, flush=True), stop=anyio.Event())


if __name__ == "__main__":
    asyncio.run(main())
