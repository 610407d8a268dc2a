from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.plc import RecordingPlc


@pytest.fixture
async def plc() -> AsyncIterator[RecordingPlc]:
    async with RecordingPlc() as device:
        yield device
