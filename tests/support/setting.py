"""What an inspector is made with, for tests that have no gateway around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.core.names import NOBODY, Names
from proxy.protocols.base import Client, Far


@dataclass(frozen=True)
class FakeSetting:
    secured: bool = False
    deny_style: str = "refuse"
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    name: str = "front"
    options: object = None

    def secret(self, name: str) -> bytes:
        return self.secrets[name]


def client(names: Names = NOBODY) -> Client:
    """Entropy is zeros: what is made from it can be foretold."""
    return Client(names, bytes)


def far() -> Far:
    return Far(FakeSetting(), bytes)
