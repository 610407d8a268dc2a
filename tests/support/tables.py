"""Tables that tests are made of, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def table(path: Path) -> Any:
    """What the file says. By libyaml: some hundred kilobytes are read before the first test, by each worker."""
    return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
