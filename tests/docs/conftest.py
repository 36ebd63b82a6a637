"""Fixtures of the documentation's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.docs.workshop import Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A workshop whose local network is up."""
    shop = Workshop(tmp_path_factory.mktemp("home"))
    try:
        started = subprocess.run(
            ["pyiexec", "up"], cwd=shop.folder, env=shop.environment, capture_output=True, text=True, check=False
        )
        assert started.returncode == 0, started.stdout + started.stderr
        yield shop
    finally:
        # The guide ends with it; a page that fails before must not leave it behind.
        subprocess.run(["pyiexec", "down"], cwd=shop.folder, env=shop.environment, capture_output=True, check=False)
        shop.close()
