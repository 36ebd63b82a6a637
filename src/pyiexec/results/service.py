"""The result store as a service: content-addressed files over HTTP."""

from __future__ import annotations

from pathlib import Path

import anyio

from pyiexec.foundation import http
from pyiexec.results.app import create_app
from pyiexec.results.settings import ResultsSettings
from pyiexec.storage.store import ContentStore


async def serve(settings: ResultsSettings, *, ready: http.Ready, stop: anyio.Event) -> None:
    """Serve until `stop` is set.

    Args:
        settings: see `ResultsSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.

    Raises:
        IexecError: ``PORT_TAKEN``, ``STORE_UNWRITABLE``.
    """
    store = ContentStore(Path(settings.directory))
    store.discard_unfinished()
    app = create_app(store, settings.max_upload_bytes)
    await http.serve(app, settings.host, settings.port, ready=ready, stop=stop)
