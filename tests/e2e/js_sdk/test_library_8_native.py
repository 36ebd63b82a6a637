"""The library of release 8.24.0, where the hub holds the chain's own coin."""

from __future__ import annotations

from tests.e2e.js_sdk.library_deals import DealFlows


class TestLibrary(DealFlows):
    """Pays with what it pays gas with."""

    version = "8.24.0"
    native = True
