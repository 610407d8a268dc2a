"""The change that would make a refused question legal. A rule is only proposed after it was tried and found enough."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.origin import Origin, RuleRef
from proxy.core.reason import Reason
from proxy.core.surface import Rule, Surface
from proxy.policy import mends, reference
from proxy.policy.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.core.action import Action, Target
    from proxy.core.verdict import Verdict
    from proxy.policy.compile import Policy

    Parse = Callable[[object], tuple[Target, ...]]
    """A protocol's section of a rule, as a value of YAML. Raises ValueError where it is not valid."""

    Sections = Callable[[str, tuple[Action, ...]], Iterable[object]]
    """Values that such a section may have to allow what was asked, narrowest first: the line and its refused actions
    are given. What does not parse or does not help is dropped."""

__all__ = ["Change", "Grammar", "Question", "suggest"]

PROOF = Evidence("x509", Outcome.MATCH, Strength.PROOF, note="assumed")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_ .*-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


@dataclass(frozen=True, slots=True)
class Change:
    """``say`` is a sentence. ``snippet`` is YAML for ``file``, tried; both None where no rule would help."""

    say: str
    file: str | None = None
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a protocol's section is read, and what it would say to allow something."""

    parse: Parse
    sections: Sections


def suggest(
    policy: Policy, asked: Question, verdict: Verdict, grammar: Grammar, refused: tuple[Action, ...]
) -> Change | None:
    """What would have to change for this verdict to be an allow, or None where that is not for policy to say.

    ``refused``: those actions of the question that are not allowed by themselves.
    """
    where = f"{verdict.rule.name} ({verdict.rule.origin})"
    if verdict.reason is Reason.NEVER_RULE:
        return Change(f"nothing can allow what a never rule forbids; narrow or delete never {where} if it is wrong")
    if (mended := _circumstances(policy, asked, verdict, refused)) is not None:
        return mended
    if verdict.reason is Reason.VALUE_OUTSIDE:
        return Change(f"ask for a value inside the window ({verdict.detail}), or widen rule {where}")
    if verdict.reason is Reason.EVIDENCE_TOO_WEAK:
        return Change(_show_more(policy, asked, verdict, where))
    if verdict.reason not in (Reason.DEFAULT_DENY, Reason.NO_CONNECT_RULE, Reason.UNKNOWN_DEVICE):
        return None
    return _rule_for(policy, asked, grammar, refused)


def _circumstances(policy: Policy, asked: Question, verdict: Verdict, refused: tuple[Action, ...]) -> Change | None:
    """Where a rule allows it at another time or in another state of the process."""
    rule = next((r for s in policy.surfaces for r in s.rules if r.ref == verdict.rule), None)
    if rule is None:
        return None
    if verdict.reason is Reason.OUTSIDE_HOURS and asked.wall is not None:
        return Change(mends.opening(policy, rule, asked.wall))
    if verdict.reason in (Reason.VALUE_OUTSIDE, Reason.PROCESS_UNKNOWN) and mends.paced(
        policy, rule, asked, refused[0]
    ):
        return Change(mends.nearer(policy, rule, asked, refused[0]))
    if verdict.reason in (Reason.PROCESS_STATE, Reason.PROCESS_UNKNOWN):
        return Change(mends.bring(rule, policy.circumstances))
    if verdict.reason is Reason.RATE_SPENT:
        return Change(mends.room(rule))
    return None


def _show_more(policy: Policy, asked: Question, verdict: Verdict, where: str) -> str:
    if asked.principal.proved or not any(action.changes for action in asked.actions):
        return f"show what is missing, or ask for less in rule {where}"
    home = next((s.origin.file for s in policy.surfaces if s.name == verdict.rule.surface), "its surface")
    return (
        "let the speaker show a certificate, on a listener that asks for one; "
        f"the unsafe way is unsafe_writes_without_proof: true in {home}"
    )


def _rule_for(policy: Policy, asked: Question, grammar: Grammar, refused: tuple[Action, ...]) -> Change | None:
    speaker = asked.principal.id or next(iter(sorted(asked.principal.attributes)), None)
    if speaker is None:
        return Change("add the speaker to fingerprints/devices first: no rule can name it")
    home = next((s for s in policy.surfaces if asked.device in s.members), None)
    zone = home or Surface(asked.device, Origin(f"policies/surfaces/{asked.device}.yaml", 1), (asked.device,), ())
    name = _name(zone, speaker, refused[0].verb)
    for section in grammar.sections(asked.text, refused):
        try:
            targets = grammar.parse(section)
        except ValueError:
            continue
        ref = RuleRef(zone.name, name, zone.origin)
        rule = Rule(ref, (speaker,), (asked.device,), targets)
        tried = _tried(policy, replace(zone, rules=(*zone.rules, rule)), asked)
        if tried is not None:
            return Change(f"{_add(home)}{tried}", zone.origin.file, _snippet(zone, home, rule, asked.protocol, section))
    return Change("no rule of a simple form allows it (all were tried); write one by hand")


def _tried(policy: Policy, zone: Surface, asked: Question) -> str | None:
    """What else is needed besides the rule of ``zone`` (often nothing), or None if the rule does not help."""
    surfaces = [*(s for s in policy.surfaces if s.name != zone.name), zone]
    proved = replace(asked.principal, evidence=(*asked.principal.evidence, PROOF))
    for principal, besides in ((asked.principal, ""), (proved, "; and let the speaker show a certificate")):
        around = policy.circumstances
        allowed = (reference.allows(surfaces, policy.roles, principal, asked.device, a, around) for a in asked.actions)
        if all(allowed):
            return besides
    return None


def _name(zone: Surface, speaker: str, verb: str) -> str:
    taken = {one.ref.name for one in zone.rules} | {one.ref.name for one in zone.nevers}
    base = re.sub(r"[^a-z0-9]+", "-", f"{speaker}-{verb}".lower()).strip("-")
    return next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}-{n}") not in taken)


def _add(home: Surface | None) -> str:
    return f"add this under rules: in {home.origin.file}" if home else "no surface has this device as a member; add one"


def _snippet(zone: Surface, home: Surface | None, rule: Rule, protocol: str, section: object) -> str:
    lines = [
        f"  {rule.ref.name}:",
        f"    from: {flow(rule.speakers[0])}",
        f"    to: {flow(rule.devices[0])}",
        f"    {protocol}: {flow(section)}",
    ]
    if home is None:
        lines = [f"surface: {flow(zone.name)}", f"members: [{flow(zone.name)}]", "rules:", *lines]
    return "\n".join(lines)


def flow(value: object) -> str:
    """YAML on one line. Text that YAML could take for something else is quoted."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{flow(key)}: {flow(one)}' for key, one in value.items())} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
