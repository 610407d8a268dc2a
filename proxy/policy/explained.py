"""An explanation in words, and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.policy.mends import local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.origin import RuleRef
    from proxy.core.process import Predicate
    from proxy.core.surface import Rule
    from proxy.core.verdict import Verdict
    from proxy.policy.circumstances import Circumstances
    from proxy.policy.explain import Explanation
    from proxy.policy.question import Question


def as_text(told: Explanation) -> str:
    """For people: the answer first, then why, then what would change it."""
    verdict, asked = told.verdict, told.asked
    lines = [_headline(told)]
    lines += [f"  asked     {asked.protocol} {part.action.describe()}" for part in told.parts]
    lines += [f"  who       {_who(asked)}", f"  to        {asked.device}"]
    lines += [f"  {word:<9} {text}" for word, text in _circumstances(told)]
    lines += [f"  rule      {_named(verdict.rule)}"]
    if told.rule is not None and told.rule.ref != verdict.rule:
        lines.append(f"  nearest   {_named(told.rule.ref)}")
    if told.rule is not None:
        lines += [f"            {text}" for text in _rule_lines(told.rule, told)]
    lines += [f"  never     {_never_line(told)}"]
    if verdict.would is not None:
        lines.append(f"  monitor   {_would(verdict.would)}")
    lines.append(f"  checked   {_agreement(told)}")
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


def _circumstances(told: Explanation) -> Iterator[tuple[str, str]]:
    """The time, if the answer depends on it, and what the process was said to be like."""
    asked, watched = told.asked, told.policy.watched()
    if asked.wall is not None and (asked.dated or (told.rule is not None and told.rule.when)):
        yield "at", local(asked.wall, _zone(told))
    for device, point, value in asked.state:
        known = "" if (device, point) in watched else " (no rule looks at it)"
        yield "seen", f"{device} {point} = {value:.10g}{known}"


def _zone(told: Explanation) -> str | None:
    """That of hours that the rule names, or of any: people reckon in the time of their plant."""
    names = told.rule.when if told.rule is not None else ()
    ordered = sorted(told.policy.hours, key=lambda one: one.name not in names)
    return next((getattr(one, "zone", None) for one in ordered), None)


def _would(would: Verdict) -> str:
    if would.reason is None:
        return f"{_named(would.rule)}: would be allowed"
    detail = f" ({would.detail})" if would.detail else ""
    return f"{_named(would.rule)}: would be refused {would.reason.code}, {would.reason.sentence}{detail}"


def _named(ref: RuleRef) -> str:
    return f"{ref}  {ref.origin}"


def _rule_lines(rule: Rule, told: Explanation) -> list[str]:
    asked, around = told.asked, told.policy.circumstances
    verbs = {action.verb for action in asked.actions}
    own = [t.describe() for t in rule.targets if t.protocol == asked.protocol]
    same = [t.describe() for t in rule.targets if t.protocol == asked.protocol and t.verb in verbs]
    shown = (same or own)[:4]
    lines = [f"{', '.join(rule.speakers[:4])}{', ...' if len(rule.speakers) > 4 else ''}: {'; '.join(shown)}"]
    if rule.needs:
        lines.append(f"needs {', '.join(sorted(rule.needs))}")
    if rule.rate is not None:
        lines.append(f"at most {rule.rate.count} in any {rule.rate.span} (a question spends none)")
    if rule.budget is not None:
        lines.append(f"at most {rule.budget.count} changes in any {rule.budget.span}, by all together")
    lines += [f"when {around.describe([one])}: {'open' if one in around.open else 'closed'}" for one in rule.when]
    lines += [f"while {one.describe()}: {_held(one, around)}" for one in rule.whilst]
    return lines


def _held(one: Predicate, around: Circumstances) -> str:
    seen = around.last(one.device, one.point)
    return "never seen" if seen is None else "so it is" if one.holds(seen[0]) else f"it is {seen[0]:.10g}"


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
        "at": None if asked.wall is None else local(asked.wall, None),
        "state": {f"{device} {point}": value for device, point, value in asked.state},
        "open": sorted(told.policy.circumstances.open),
        "protocol": asked.protocol,
        "actions": [part.action.describe() for part in told.parts],
        "connect": told.connect.allowed,
        "rule": _ref(verdict.rule),
        "nearest": None if verdict.nearest is None else _ref(verdict.nearest),
        "never": [_ref(never.ref) for never in told.nevers],
        "monitor": None if verdict.would is None else _would_data(verdict.would),
        "agreed": told.agreed,
        "change": None
        if told.change is None
        else {"say": told.change.say, "file": told.change.file, "snippet": told.change.snippet},
    }


def _would_data(would: Verdict) -> dict[str, Any]:
    code = None if would.reason is None else would.reason.code
    return {"allowed": would.allowed, "code": code, "detail": would.detail, "rule": _ref(would.rule)}


def _ref(ref: RuleRef) -> dict[str, Any]:
    return {"surface": ref.surface, "name": ref.name, "file": ref.origin.file, "line": ref.origin.line}
