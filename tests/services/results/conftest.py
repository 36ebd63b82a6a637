"""A result store on a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from pyiexec.results.service import serve
from pyiexec.results.settings import ResultsSettings
from pyiexec.storage.client import ContentClient

UPLOAD_LIMIT = 3_000_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def base_url(tmp_path: Path) -> AsyncIterator[str]:
    stop, started = anyio.Event(), anyio.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    settings = ResultsSettings(directory=str(tmp_path / "content"), max_upload_bytes=UPLOAD_LIMIT)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: serve(settings, ready=ready, stop=stop))
        with anyio.fail_after(20):
            await started.wait()
        yield urls[0]
        stop.set()


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[ContentClient]:
    async with ContentClient(base_url) as client:
        yield client
