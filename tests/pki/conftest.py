from __future__ import annotations

import pytest

from proxy.pki.authority import Authority
from tests.pki.crafted import NOW


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("bottling", NOW)
