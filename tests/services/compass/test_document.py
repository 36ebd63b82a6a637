"""The compass does what its OpenAPI document says, whatever is sent to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.services.compass.conftest import running
from tests.services.sms.marketplace import Marketplace
from tests.services.sms.test_document import conforms

pytestmark = pytest.mark.anyio


async def test_schemathesis_finds_nothing_else_than_is_described(marketplace: Marketplace, tmp_path: Path) -> None:
    async with running(marketplace, f"sqlite:///{tmp_path / 'compass.db'}") as compass:
        await conforms(compass.url, tmp_path)
