"""One question answered in full: by the index that messages meet, by Casbin's plain `enforce`, by the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.reason import Reason
from proxy.policy import reference
from proxy.policy.mends import local, paced
from proxy.policy.plain import Plain
from proxy.policy.shadow import ENFORCE
from proxy.policy.suggest import Change, Grammar, suggest

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.core.surface import Never, Rule, Surface
    from proxy.core.verdict import Verdict
    from proxy.policy.compile import Policy
    from proxy.policy.question import Question
    from proxy.policy.shadowed import Shadowed


@dataclass(frozen=True, slots=True)
class Part:
    """One action of the question. ``casbin`` has, for each atom, the rule by which plain `enforce` allows it."""

    action: Action
    verdict: Verdict
    casbin: tuple[RuleRef | None, ...]
    by_casbin: bool
    by_reference: bool
    paced: bool

    @property
    def agreed(self) -> bool:
        """Steps and ramps are the index's alone, so where one stands in the way (``paced``) the others say yes."""
        return self.verdict.allowed == (self.by_casbin and not self.paced) and self.by_casbin == self.by_reference


@dataclass(frozen=True, slots=True)
class Explanation:
    """``verdict`` is that of the whole question; its ``would`` is what the candidate says that runs beside. ``nevers``
    are those that were asked: about this device, this protocol and this speaker. ``rule`` is the decisive rule or the
    nearest one, None if there is neither."""

    asked: Question
    policy: Policy
    verdict: Verdict
    connect: Verdict
    parts: tuple[Part, ...]
    nevers: tuple[Never, ...]
    rule: Rule | None
    change: Change | None

    @property
    def agreed(self) -> bool:
        """False is a bug in Bulkhead: the three ways to decide differ."""
        return all(part.agreed for part in self.parts)

    @property
    def allowed(self) -> bool:
        return self.verdict.allowed and self.agreed


def explain(policy: Policy, asked: Question, grammar: Grammar, shadowed: Shadowed | None = None) -> Explanation:
    """Answer with fresh budgets, at second 0 of the policy's circumstances. ``asked.actions`` is not empty.
    ``shadowed``: this policy and what is monitored beside it, in the same circumstances."""
    authority = policy.rehearsal().open(asked.principal, asked.device, asked.protocol)
    verdict = authority.decide_all(asked.actions, 0.0)
    connect = authority.connect
    if shadowed is not None:
        both = shadowed.open(asked.principal, asked.device, asked.protocol)
        verdict, connect = both.decide_all(asked.actions, 0.0), both.connect
    about = [surface for surface in policy.surfaces if _concerns(surface, asked.device)]
    plain = Plain(about, policy.roles, policy.circumstances)
    # Each part alone: as parts of one message they are charged together, and a part's own verdict says more.
    parts = tuple(_part(policy, about, plain, asked, action) for action in asked.actions)
    first = next((part.verdict for part in parts if not part.verdict.allowed), parts[0].verdict)
    refused = tuple(part.action for part in parts if not part.verdict.allowed)
    change = None if verdict.allowed else _promotion(shadowed, verdict)
    if change is None and not verdict.allowed:
        change = suggest(policy, asked, first, grammar, refused or asked.actions)
    nevers = tuple(never for surface in about for never in surface.nevers if _applies(never, policy, asked))
    return Explanation(asked, policy, verdict, connect, parts, nevers, _rule(about, verdict), change)


def _promotion(shadowed: Shadowed | None, verdict: Verdict) -> Change | None:
    """Where something in monitor would allow it, nothing new has to be written."""
    if shadowed is None or verdict.would is None or not verdict.would.allowed:
        return None
    ref = verdict.would.rule
    for one in shadowed.monitored:
        if one.ref == ref:
            by_itself = f", or wait until {local(one.monitor.until, None)}" if one.monitor.then == ENFORCE else ""
            does_it = f"bulkhead policy promote {ref}{by_itself}"
            return Change(f"enforce {ref} ({ref.origin}), which is in monitor and would allow it: {does_it}")
    return None


def _part(policy: Policy, about: list[Surface], plain: Plain, asked: Question, action: Action) -> Part:
    verdict = policy.rehearsal().open(asked.principal, asked.device, asked.protocol).decide(action, 0.0)
    rule = _rule(about, verdict)
    slow = verdict.reason in (Reason.VALUE_OUTSIDE, Reason.PROCESS_UNKNOWN) and rule is not None
    return Part(
        action,
        verdict,
        tuple(plain.deciding(asked.principal, asked.device, action)),
        plain.allows(asked.principal, asked.device, action),
        reference.allows(about, policy.roles, asked.principal, asked.device, action, policy.circumstances),
        slow and rule is not None and paced(policy, rule, asked, action),
    )


def _concerns(surface: Surface, device: str) -> bool:
    """A rule's devices are members; a never reaches beyond the edge of its surface."""
    return device in surface.members or any(device in never.devices for never in surface.nevers)


def _applies(never: Never, policy: Policy, asked: Question) -> bool:
    named = never.speakers is None or any(
        reference.is_called(asked.principal, name, policy.roles) for name in never.speakers
    )
    return named and asked.device in never.devices and any(t.protocol == asked.protocol for t in never.targets)


def _rule(about: list[Surface], verdict: Verdict) -> Rule | None:
    refs = (verdict.rule, verdict.nearest)
    return next((rule for ref in refs for surface in about for rule in surface.rules if rule.ref == ref), None)
