"""The library of release 9.0.1, which tags every order for trusted execution."""

from __future__ import annotations

from tests.e2e.js_sdk.library_deals import DealFlows


class TestLibrary(DealFlows):
    """The test holds the enclave's key."""

    version = "9.0.1"
