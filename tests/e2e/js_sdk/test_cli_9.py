"""The command of release 9.0.1, which tags every order for trusted execution."""

from __future__ import annotations

from tests.e2e.js_sdk.cli_deals import DealFlows


class TestCommand(DealFlows):
    """Its tasks wait for an enclave."""

    version = "9.0.1"
