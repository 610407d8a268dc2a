"""Where a gateway answers and keeps its records, from `bulkhead.yaml` alone: policy files may be broken meanwhile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.cli.exits import Findings
from proxy.cli.site import find_config, text_of
from proxy.site import overrides
from proxy.site.draft import Voice, read_document
from proxy.site.names import bind
from proxy.site.problem import Collector
from proxy.site.shapes import AdminShape, SiteShape

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, to be called, not to be bound
"""A listener on every address is called on loopback."""


@dataclass(frozen=True, slots=True)
class Place:
    """``host`` and ``port`` of the admin listener, the folder that the gateway keeps its records in."""

    host: str
    port: int
    state: Path

    @property
    def audit(self) -> Path:
        return self.state / "audit"


def find_place(given: Path | None) -> Place:
    """Raises EnvironmentFailure without a config file, Findings if it does not say where."""
    config = find_config(given)
    collector = Collector()
    document = read_document(config, Voice(config.name, collector))
    if document is None:
        raise Findings("\n".join(text_of(problem, config) for problem in collector.sorted()))
    value: dict[str, Any] = document.value
    # Only what concerns the two settings here: `bulkhead check` tells the rest.
    wanted = {name: os.environ[name] for name in os.environ if name.startswith(("BULKHEAD_ADMIN__", "BULKHEAD_STATE"))}
    overrides.apply(wanted, value, collector)
    admin = value.get("admin")
    text = admin.get("bind") if isinstance(admin, dict) else None
    try:
        host, port = admin_address(text if isinstance(text, str) else AdminShape().bind)
    except ValueError as fault:
        raise Findings(f"{config}: admin.bind: {fault}; bulkhead check says more") from None
    return Place(host, port, config.absolute().parent / _state(value))


def find_state(config: Path) -> Path:
    """Where the gateway keeps its records, whatever is wrong with the file: the last good version of it lies there. A
    file that cannot be read is taken to say what most do."""
    collector = Collector()
    document = read_document(config, Voice(config.name, collector))
    value: dict[str, Any] = {} if document is None else document.value
    overrides.apply({k: v for k, v in os.environ.items() if k.startswith("BULKHEAD_STATE")}, value, collector)
    return config.absolute().parent / _state(value)


def admin_address(text: str) -> tuple[str, int]:
    """``host:port`` to call. Raises ValueError."""
    host, port = bind(text)
    return ANY.get(host, host), port


def _state(value: Mapping[str, Any]) -> str:
    found = value.get("state")
    return found if isinstance(found, str) else str(SiteShape.model_fields["state"].default)
