"""One question answered in full: by the index that messages meet, by Casbin's plain `enforce`, by the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.policy import reference
from proxy.policy.plain import Plain
from proxy.policy.suggest import Change, Grammar, Question, suggest

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.origin import RuleRef
    from proxy.core.surface import Never, Rule, Surface
    from proxy.core.verdict import Verdict
    from proxy.policy.compile import Policy


@dataclass(frozen=True, slots=True)
class Part:
    """One action of the question. ``casbin`` has, for each atom, the rule by which plain `enforce` allows it."""

    action: Action
    verdict: Verdict
    casbin: tuple[RuleRef | None, ...]
    by_casbin: bool
    by_reference: bool

    @property
    def agreed(self) -> bool:
        return self.verdict.allowed == self.by_casbin == self.by_reference


@dataclass(frozen=True, slots=True)
class Explanation:
    """``verdict`` is that of the whole question. ``nevers`` are those that were asked: about this device, this
    protocol and this speaker. ``rule`` is the decisive rule or the nearest one, None if there is neither."""

    asked: Question
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


def explain(policy: Policy, asked: Question, grammar: Grammar) -> Explanation:
    """Answer with fresh budgets: a question spends no rate. ``asked.actions`` is not empty."""
    authority = policy.rehearsal().open(asked.principal, asked.device, asked.protocol)
    verdict = authority.decide_all(asked.actions, 0.0)
    about = [surface for surface in policy.surfaces if _concerns(surface, asked.device)]
    plain = Plain(about, policy.roles)
    # Each part alone: as parts of one message they are charged together, and a part's own verdict says more.
    parts = tuple(_part(policy, about, plain, asked, action) for action in asked.actions)
    first = next((part.verdict for part in parts if not part.verdict.allowed), parts[0].verdict)
    refused = tuple(part.action for part in parts if not part.verdict.allowed)
    change = None if verdict.allowed else suggest(policy, asked, first, grammar, refused or asked.actions)
    nevers = tuple(never for surface in about for never in surface.nevers if _applies(never, policy, asked))
    return Explanation(asked, verdict, authority.connect, parts, nevers, _rule(about, verdict), change)


def _part(policy: Policy, about: list[Surface], plain: Plain, asked: Question, action: Action) -> Part:
    verdict = policy.rehearsal().open(asked.principal, asked.device, asked.protocol).decide(action, 0.0)
    return Part(
        action,
        verdict,
        tuple(plain.deciding(asked.principal, asked.device, action)),
        plain.allows(asked.principal, asked.device, action),
        reference.allows(about, policy.roles, asked.principal, asked.device, action),
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


def as_text(told: Explanation) -> str:
    """For people: the answer first, then why, then what would change it."""
    verdict, asked = told.verdict, told.asked
    lines = [_headline(told)]
    lines += [f"  asked     {asked.protocol} {part.action.describe()}" for part in told.parts]
    lines += [f"  who       {_who(asked)}", f"  to        {asked.device}"]
    lines += [f"  rule      {_named(verdict.rule)}"]
    if told.rule is not None and told.rule.ref != verdict.rule:
        lines.append(f"  nearest   {_named(told.rule.ref)}")
    if told.rule is not None:
        lines += [f"            {text}" for text in _rule_lines(told.rule, asked)]
    lines += [f"  never     {_never_line(told)}", f"  checked   {_agreement(told)}"]
    if told.change is not None:
        lines += ["", f"To change that: {told.change.say}{':' if told.change.snippet else '.'}"]
        lines += [told.change.snippet] if told.change.snippet else []
    return "\n".join(lines)


def _headline(told: Explanation) -> str:
    verdict = told.verdict
    if not told.agreed:
        return "refused: the ways to decide disagree, which is a bug in Bulkhead; please report it"
    if verdict.reason is None:
        return "allowed"
    detail = f" ({verdict.detail})" if verdict.detail else ""
    return f"refused {verdict.reason.code}: {verdict.reason.sentence}{detail}"


def _who(asked: Question) -> str:
    names = " ".join((asked.principal.label, *sorted(asked.principal.attributes)))
    shown = ", ".join(f"{e.kind} {e.outcome.value}" for e in asked.principal.evidence) or "no evidence"
    return f"{names}, assuming {shown}"


def _named(ref: RuleRef) -> str:
    return f"{ref}  {ref.origin}"


def _rule_lines(rule: Rule, asked: Question) -> list[str]:
    verbs = {action.verb for action in asked.actions}
    own = [t.describe() for t in rule.targets if t.protocol == asked.protocol]
    same = [t.describe() for t in rule.targets if t.protocol == asked.protocol and t.verb in verbs]
    shown = (same or own)[:4]
    lines = [f"{', '.join(rule.speakers[:4])}{', ...' if len(rule.speakers) > 4 else ''}: {'; '.join(shown)}"]
    if rule.needs:
        lines.append(f"needs {', '.join(sorted(rule.needs))}")
    if rule.rate is not None:
        lines.append(f"at most {rule.rate.count} in any {rule.rate.seconds:g} s (a question spends none)")
    return lines


def _never_line(told: Explanation) -> str:
    if not told.nevers:
        return "no never rule is about this speaker and device"
    touched = any(never.ref == told.verdict.rule for never in told.nevers)
    names = ", ".join(never.ref.name for never in told.nevers)
    return f"asked {names}: {'forbidden' if touched else 'none touches it'}"


def _agreement(told: Explanation) -> str:
    if told.agreed:
        return "the index, Casbin's plain enforce and the reference evaluator agree"
    ways = ", ".join(f"{p.verdict.allowed}/{p.by_casbin}/{p.by_reference}" for p in told.parts)
    return f"DISAGREEMENT of index/Casbin/reference: {ways}"


def as_data(told: Explanation) -> dict[str, Any]:
    """The same for machines; keys are stable."""
    verdict, asked = told.verdict, told.asked
    return {
        "allowed": told.allowed,
        "code": None if verdict.reason is None else verdict.reason.code,
        "reason": None if verdict.reason is None else verdict.reason.sentence,
        "detail": verdict.detail,
        "who": asked.principal.label,
        "attributes": sorted(asked.principal.attributes),
        "evidence": [{"kind": e.kind, "outcome": e.outcome.value, "note": e.note} for e in asked.principal.evidence],
        "to": asked.device,
        "protocol": asked.protocol,
        "actions": [part.action.describe() for part in told.parts],
        "connect": told.connect.allowed,
        "rule": _ref(verdict.rule),
        "nearest": None if verdict.nearest is None else _ref(verdict.nearest),
        "never": [_ref(never.ref) for never in told.nevers],
        "agreed": told.agreed,
        "change": None
        if told.change is None
        else {"say": told.change.say, "file": told.change.file, "snippet": told.change.snippet},
    }


def _ref(ref: RuleRef) -> dict[str, Any]:
    return {"surface": ref.surface, "name": ref.name, "file": ref.origin.file, "line": ref.origin.line}
