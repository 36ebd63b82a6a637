"""The command of release 8.24.0, where the hub holds the chain's own coin."""

from __future__ import annotations

from tests.e2e.js_sdk.cli_deals import DealFlows


class TestCommand(DealFlows):
    """Pays with what it pays gas with."""

    version = "8.24.0"
    native = True
