"""What a backtest found, for people and for machines. What is alike is told once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.policy.learnt_file import day

if TYPE_CHECKING:
    from proxy.core.origin import RuleRef
    from proxy.policy.backtest import Change, Outcome, Past, Untold


@dataclass(frozen=True, slots=True)
class Group:
    """Changes of one flow to one new answer; the first of them is the sample."""

    sample: Change
    count: int
    first: float
    last: float

    @property
    def name(self) -> str:
        return self.sample.past.name


def grouped(changes: Iterable[Change]) -> list[Group]:
    """Those with the most messages first."""
    found: dict[tuple[object, ...], list[Change]] = {}
    for one in changes:
        reason = one.before[0] if one.before else one.verdict.reason
        found.setdefault((one.past.name, reason, one.verdict.rule), []).append(one)
    groups = [
        Group(
            some[0],
            sum(one.past.count for one in some),
            min(one.past.first for one in some),
            max(one.past.last for one in some),
        )
        for some in found.values()
    ]
    return sorted(groups, key=lambda one: (-one.count, one.name))


def as_text(outcome: Outcome, unread: Sequence[tuple[str, str]]) -> str:
    """``unread``: (what, why) of records that could not be asked again."""
    lines: list[str] = []
    for title, changes in (
        ("now allowed, would be refused", outcome.cut),
        ("now refused, would be allowed", outcome.opened),
    ):
        groups = grouped(changes)
        if groups:
            lines += [f"{title}: {_count(len(groups), 'flow')}", ""]
            lines += [line for group in groups for line in (*_group(group), "")]
    if outcome.untold:
        lines += [f"cannot tell: {_count(len(outcome.untold), 'flow')}", ""]
        lines += [line for one in outcome.untold for line in (*_untold(one), "")]
    if unread:
        lines += [f"cannot be asked again: {_count(len(unread), 'record')}", ""]
        lines += [f"  {what}: {why}" for what, why in unread] + [""]
    return "\n".join([*lines, f"{_count(outcome.same, 'flow')} would get the same answer"])


def _group(group: Group) -> Iterator[str]:
    sample = group.sample
    yield f"  {_headline(sample.past)}"
    yield f"    sample   {sample.text}"
    yield f"    messages {group.count}, {day(group.first)} to {day(group.last)}"
    yield f"    then     {_then(sample.past)}"
    yield f"    now      {now(sample)}"
    nearest = sample.verdict.nearest
    if sample.before is None and nearest is not None and nearest != sample.verdict.rule:
        yield f"    nearest  {_named(nearest)}"


def _untold(one: Untold) -> Iterator[str]:
    yield f"  {_headline(one.past)}"
    yield f"    sample   {one.past.texts[1]}"
    yield f"    messages {one.past.count}, {day(one.past.first)} to {day(one.past.last)}"
    yield f"    then     {_then(one.past)}"
    yield f"    because  {one.why}"


def _headline(past: Past) -> str:
    return f"{past.name}  {past.who} to {past.device}, {past.protocol}"


def _then(past: Past) -> str:
    answer = "allowed" if past.allowed else f"refused {past.code}"
    return f"{answer} by {past.rule} ({past.at})"


def now(change: Change) -> str:
    verdict = change.verdict
    if change.before is not None:
        reason, detail = change.before
        return f"refused {reason.code} before any rule is asked: {detail}"
    if verdict.reason is None:
        return f"allowed by {_named(verdict.rule)}"
    detail = f" ({verdict.detail})" if verdict.detail else ""
    return f"refused {verdict.reason.code} by {_named(verdict.rule)}: {verdict.reason.sentence}{detail}"


def _named(ref: RuleRef) -> str:
    return f"{ref} ({ref.origin})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def as_data(outcome: Outcome, unread: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Keys are stable."""
    return {
        "refused": [_data(group) for group in grouped(outcome.cut)],
        "allowed": [_data(group) for group in grouped(outcome.opened)],
        "unknown": [{**_flow(one.past), "why": one.why} for one in outcome.untold],
        "unread": [{"record": what, "why": why} for what, why in unread],
        "same": outcome.same,
    }


def _data(group: Group) -> dict[str, Any]:
    sample = group.sample
    verdict = sample.verdict
    reason, detail = sample.before if sample.before is not None else (verdict.reason, verdict.detail)
    return {
        **_flow(sample.past),
        "count": group.count,
        "first": group.first,
        "last": group.last,
        "sample": sample.text,
        "now": {
            "allowed": reason is None,
            "code": None if reason is None else reason.code,
            "detail": detail,
            "rule": _ref(verdict.rule),
            "nearest": None if verdict.nearest is None else _ref(verdict.nearest),
        },
    }


def _flow(past: Past) -> dict[str, Any]:
    return {
        "flow": past.name,
        "who": past.principal.label,
        "attributes": sorted(past.principal.attributes),
        "evidence": sorted(past.principal.matched),
        "to": past.device,
        "protocol": past.protocol,
        "low": past.texts[0],
        "high": past.texts[1],
        "count": past.count,
        "first": past.first,
        "last": past.last,
        "then": {"allowed": past.allowed, "code": past.code or None, "rule": past.rule, "at": past.at},
    }


def _ref(ref: RuleRef) -> dict[str, Any]:
    return {"surface": ref.surface, "name": ref.name, "file": ref.origin.file, "line": ref.origin.line}
