"""The quick device in a thread of this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bench.opcua.device import Device

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def device() -> Iterator[Device]:
    made = Device()
    threading.Thread(target=made.run, name="device", daemon=True).start()  # serves until the process ends
    yield made
