"""The library of release 8.24.0, where RLC is a token."""

from __future__ import annotations

from tests.e2e.js_sdk.library_deals import DealFlows


class TestLibrary(DealFlows):
    """Makes plain deals."""

    version = "8.24.0"
