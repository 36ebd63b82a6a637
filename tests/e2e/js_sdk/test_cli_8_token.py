"""The command of release 8.24.0, where RLC is a token."""

from __future__ import annotations

from tests.e2e.js_sdk.cli_deals import DealFlows


class TestCommand(DealFlows):
    """Makes plain deals."""

    version = "8.24.0"
