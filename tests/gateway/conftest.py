from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.keys import Keys
from tests.support.toy import ToyDevice, ToyProtocol


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("certs"))


@pytest.fixture
async def device() -> AsyncIterator[ToyDevice]:
    async with ToyDevice() as device:
        yield device


@pytest.fixture
def toy() -> ToyProtocol:
    return ToyProtocol()
