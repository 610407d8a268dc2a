"""Protect surfaces and their rules: the validated form of `policies/`.

Patterns are already expanded to inventory ids, so nothing here matches text: ids are compared whole (T29).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.origin import Origin, RuleRef


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` messages in any ``seconds`` by one speaker under one rule (token bucket, T53)."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rule:
    """from -> to may do. ``speakers`` are inventory ids, ``role:NAME``, ``mbaps:ROLE`` or ``mbaps-null``."""

    ref: RuleRef
    speakers: tuple[str, ...]
    devices: tuple[str, ...]
    targets: tuple[Target, ...]
    needs: frozenset[str] = frozenset()
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Never:
    """Forbids every action that touches a target, whatever allows it. ``speakers`` None means anybody."""

    ref: RuleRef
    speakers: tuple[str, ...] | None
    devices: tuple[str, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One line of `tests:`: who does what to whom, and what must come of it. A compound request has several actions."""

    origin: Origin
    who: str
    to: str
    text: str
    actions: tuple[Action, ...]
    expect_allow: bool
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Surface:
    """A named small zone. ``record_first``: a write's record is on disk before the write goes on."""

    name: str
    origin: Origin
    members: tuple[str, ...]
    rules: tuple[Rule, ...]
    nevers: tuple[Never, ...] = ()
    tests: tuple[RuleTest, ...] = ()
    record_first: bool = False
    writes_without_proof: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    origin: Origin
    members: tuple[str, ...]
