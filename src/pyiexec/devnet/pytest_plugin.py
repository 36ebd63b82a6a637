"""A whole network in a pytest fixture: `pyiexec_network`.

The plugin is found by its entry point; a test only names the fixture. The network is started once a session, its
services run inside the test process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyiexec.devnet.testing import LocalNetwork


@pytest.fixture(scope="session")
def pyiexec_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A running network with four honest workers, its pool on offer.

    `network.client("requester")` gives a `pyiexec.sdk.Client` for a funded account.
    """
    from pyiexec.devnet.testing import start_network

    with start_network(tmp_path_factory.mktemp("pyiexec")) as network:
        yield network
