"""Protect surfaces and their rules: the validated form of `policies/`.

Patterns are already expanded to inventory ids, so nothing here matches text: ids are compared whole (T29).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.origin import Origin, RuleRef
    from proxy.core.process import Point, Predicate


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` messages in any ``seconds`` by one speaker under one rule (token bucket, T53)."""

    count: int
    seconds: float

    @property
    def span(self) -> str:
        """The time in words: ``60 s``, ``8 h``."""
        hours = self.seconds / 3600
        return f"{hours:g} h" if hours >= 1 and hours.is_integer() else f"{self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Monitor:
    """Watched instead of enforced, until ``until`` (seconds since 1970), because of ``why``.

    ``then``: what comes after: ``enforce``, or ``alarm``: it goes on being watched, and the gateway is degraded.
    """

    until: float
    why: str
    then: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Rule:
    """from -> to may do. ``speakers`` are inventory ids, ``role:NAME``, ``mbaps:ROLE`` or ``mbaps-null``.

    ``when`` names hours of which one must be open; empty: always. ``whilst`` must all hold. ``rate`` is for each
    speaker, ``budget`` for all together and for changes alone. A rule with a ``monitor`` allows nothing: the candidate
    has it, in place of the rules of its surface that ``replaces`` names.
    """

    ref: RuleRef
    speakers: tuple[str, ...]
    devices: tuple[str, ...]
    targets: tuple[Target, ...]
    needs: frozenset[str] = frozenset()
    rate: Rate | None = None
    budget: Rate | None = None
    when: tuple[str, ...] = ()
    whilst: tuple[Predicate, ...] = ()
    monitor: Monitor | None = None
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Never:
    """Forbids every action that touches a target, whatever allows it. ``speakers`` None means anybody. With a
    ``monitor`` it is the candidate's alone."""

    ref: RuleRef
    speakers: tuple[str, ...] | None
    devices: tuple[str, ...]
    targets: tuple[Target, ...]
    monitor: Monitor | None = None


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One line of `tests:`: who does what to whom, and what must come of it. A compound request has several actions.

    ``evidence``: the kinds that the speaker shows; None: all that binds it. ``at``: when, seconds since 1970; None: at
    a time when all hours are open. ``state``: what points were just seen to be: (device, point, value).
    """

    origin: Origin
    who: str
    to: str
    text: str
    actions: tuple[Action, ...]
    expect_allow: bool
    because: str | None = None
    evidence: tuple[str, ...] | None = None
    at: float | None = None
    state: tuple[tuple[str, Point, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Surface:
    """A named small zone. ``record_first``: a write's record is on disk before the write goes on.

    With a ``monitor`` its rules are the candidate's alone, and whatever no `never` forbids is let through. ``mark``
    tells what it was made from: a surface with the same name and mark is the same, line numbers included.
    """

    name: str
    origin: Origin
    members: tuple[str, ...]
    rules: tuple[Rule, ...]
    nevers: tuple[Never, ...] = ()
    tests: tuple[RuleTest, ...] = ()
    record_first: bool = False
    writes_without_proof: bool = False
    monitor: Monitor | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    origin: Origin
    members: tuple[str, ...]
