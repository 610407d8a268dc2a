"""What one device may do to another, and what is taken for granted where that is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.action import Target
    from proxy.core.origin import RuleRef
    from proxy.core.principal import Principal
    from proxy.core.surface import Rate
    from proxy.policy.plan import Door

ANYTHING = "anything that no never forbids"


class Passed(Protocol):
    """A message as it was said and as it is heard. ``changes``: it commands the one who hears it."""

    @property
    def said(self) -> Target: ...
    @property
    def heard(self) -> Target: ...
    @property
    def changes(self) -> bool: ...


Relay = Callable[["Target | None", "Target | None"], "Sequence[Passed]"]
"""``relay(said, heard)``: what a broker passes on of that. None stands for anything."""


class Words(NamedTuple):
    """What the site's protocols and identity say; policy knows neither.

    ``beyond(protocol, targets, nevers)``: what is left of targets. ``pointless(target, device)``: it comes to nothing
    there. ``relay(device, protocol)``: how that device passes messages on, None if it does not. ``stands(principal)``:
    the evidence carries the id.
    """

    beyond: Callable[[str, tuple[Target, ...], tuple[Target, ...]], tuple[Target, ...]]
    pointless: Callable[[Target, str], bool]
    relay: Callable[[str, str], Relay | None]
    stands: Callable[[Principal], bool]


class Assumption(NamedTuple):
    """What is taken for granted. ``kinds``: evidence that the first device shows, None for all that binds it.
    ``attributes``: roles in its certificate. ``any_role``: the certificates of the others have every role that a rule
    names. ``open``: the hours that are open, None for all. ``now``: seconds since 1970, by which monitors end."""

    kinds: tuple[str, ...] | None = None
    attributes: frozenset[str] = frozenset()
    any_role: bool = False
    open: frozenset[str] | None = None
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """``who`` may do ``what`` to ``to``, because of ``rule``. A message that is passed on goes ``through`` a broker,
    and ``heard`` is the rule by which ``to`` hears it. ``who`` changes ``to`` by it if ``changes``."""

    who: str
    to: str
    protocol: str
    what: str
    changes: bool
    rule: RuleRef
    door: str
    through: str | None = None
    heard: RuleRef | None = None
    conditions: tuple[str, ...] = ()


class Grant(NamedTuple):
    """``principal`` as it shows itself at ``door``. ``target`` None: anything, because the device is only watched."""

    principal: Principal
    door: Door
    target: Target | None
    rule: RuleRef
    conditions: tuple[str, ...]

    @property
    def changes(self) -> bool:
        return self.target is None or self.target.changes

    @property
    def implied(self) -> bool:
        """Another line of the rule brings it along: it is not told besides."""
        return bool(getattr(self.target, "implied", False))

    @property
    def what(self) -> str:
        return ANYTHING if self.target is None else self.target.describe()


def direct(grant: Grant, *, broker: bool) -> Way:
    """A broker hands on what it is told and is not changed by it."""
    return Way(
        who=str(grant.principal.id),
        to=grant.door.device,
        protocol=grant.door.protocol,
        what=grant.what,
        changes=grant.changes and not broker,
        rule=grant.rule,
        door=grant.door.name,
        conditions=grant.conditions,
    )


def relayed(grant: Grant, other: Grant, passed: Passed) -> Way:
    """What one who has ``grant`` says and one who has ``other`` hears."""
    hearer = str(other.principal.id)
    return Way(
        who=str(grant.principal.id),
        to=hearer,
        protocol=grant.door.protocol,
        what=passed.said.describe(),
        changes=passed.changes,
        rule=grant.rule,
        door=grant.door.name,
        through=grant.door.device,
        heard=other.rule,
        conditions=(*grant.conditions, *(f"for {hearer}: {one}" for one in other.conditions)),
    )


def often(rate: Rate) -> str:
    return f"{rate.count} in {rate.span}"
