"""Reads `tests/vectors/modbus/*.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.tables import table

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "modbus"


def load(name: str) -> list[dict[str, Any]]:
    """The vectors of one file, each a mapping with a unique `name` and the `clause` it stands for."""
    document = table(FOLDER / f"{name}.yaml")
    vectors: list[dict[str, Any]] = document["vectors"]
    names = [vector["name"] for vector in vectors]
    twice = {each for each in names if names.count(each) > 1}
    if twice:
        raise ValueError(f"{name}.yaml: names used twice: {sorted(twice)}")
    return vectors


def cases(name: str) -> list[Any]:
    """`load` as pytest parameters, named."""
    return [pytest.param(vector, id=vector["name"]) for vector in load(name)]
