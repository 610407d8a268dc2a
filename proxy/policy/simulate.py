"""Questions to a policy at any time and in any state of the process, without touching one that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.policy.cases import ask_all
from proxy.policy.compile import compile_policy
from proxy.policy.shadow import candidate, enforced, lenient, touched

if TYPE_CHECKING:
    from proxy.core.hours import Hours
    from proxy.core.inventory import Device
    from proxy.core.origin import RuleRef
    from proxy.core.surface import Role, RuleTest, Surface
    from proxy.policy.cases import Outright
    from proxy.policy.compile import Policy


class Answer(NamedTuple):
    """``verdict`` is what the question gets, ``would`` what a candidate that runs beside would say instead of it."""

    question: RuleTest
    verdict: Verdict
    would: Verdict | None


class _Moment(NamedTuple):
    """What decides at one time: monitoring ends by itself."""

    policy: Policy
    beside: Policy
    lenient: Mapping[str, RuleRef]
    touched: frozenset[str]


class Simulator:
    """``surfaces`` are those of the files, monitored ones too. ``now`` (seconds since 1970) is for questions without a
    time: they are asked while all hours are open, as tests are."""

    def __init__(
        self,
        surfaces: Sequence[Surface],
        roles: Sequence[Role],
        devices: Mapping[str, Device],
        hours: Sequence[Hours],
        beforehand: Outright,
        now: float,
    ) -> None:
        self._surfaces = surfaces
        self._roles = roles
        self._devices = devices
        self._hours = hours
        self._beforehand = beforehand
        self._now = now
        self._moments: dict[tuple[object, ...], _Moment] = {}

    def ask(self, questions: Iterable[RuleTest]) -> Iterator[Answer]:
        for question in questions:
            moment = self._moment(self._now if question.at is None else question.at)
            verdict = self._verdict(moment.policy, question)
            let_through = moment.lenient.get(question.to)
            if let_through is not None and not verdict.allowed and not _forbidden(verdict):
                verdict = self._believed(question, Verdict(let_through))
            would = None
            if question.to in moment.touched:
                other = self._verdict(moment.beside, question)
                would = None if other.reason == verdict.reason else other
            yield Answer(question, verdict, would)

    def _verdict(self, policy: Policy, question: RuleTest) -> Verdict:
        found = ask_all(policy, self._devices, [("", question)], self._beforehand, self._hours)
        return next(iter(found)).verdict

    def _believed(self, question: RuleTest, verdict: Verdict) -> Verdict:
        refused = self._beforehand(question)
        return verdict if refused is None else Verdict(verdict.rule, refused[0], detail=refused[1])

    def _moment(self, at: float) -> _Moment:
        in_force = enforced(self._surfaces, at)
        beside = candidate(self._surfaces, at)
        key = tuple((one.name, one.mark, len(one.rules), len(one.nevers)) for one in (*in_force, *beside))
        if key not in self._moments:
            made = self._compiled(in_force), self._compiled(beside)
            self._moments[key] = _Moment(*made, lenient(self._surfaces, at), touched(self._surfaces, at))
        return self._moments[key]

    def _compiled(self, surfaces: Sequence[Surface]) -> Policy:
        return compile_policy(surfaces, self._roles, self._devices, self._hours)


def _forbidden(verdict: Verdict) -> bool:
    """A never said so, of the whole message or of one part of it."""
    if verdict.reason is Reason.PART_REFUSED:
        return Reason.NEVER_RULE.code in verdict.detail
    return verdict.reason is Reason.NEVER_RULE


def as_text(answer: Answer, moment: Callable[[float], str]) -> str:
    """One line, and a second one where a candidate would answer otherwise."""
    asked = answer.question
    words = [f"{asked.who} to {asked.to}: {asked.actions[0].protocol} {asked.text}"]
    words += [] if asked.at is None else [f"at {moment(asked.at)}"]
    words += [] if asked.evidence is None else [f"showing {', '.join(asked.evidence) or 'nothing'}"]
    words += [f"while {device} {point} = {value:g}" for device, point, value in asked.state]
    lines = [f"{_word(answer.verdict)}  {', '.join(words)}", f"    {said(answer.verdict)}"]
    if answer.would is not None:
        lines.append(f"    monitored: would be {said(answer.would)}")
    return "\n".join(lines)


def _word(verdict: Verdict) -> str:
    return "allow " if verdict.allowed else "refuse"


def said(verdict: Verdict) -> str:
    by = f"by {verdict.rule} ({verdict.rule.origin})"
    if verdict.reason is None:
        return f"allowed {by}"
    detail = f" ({verdict.detail})" if verdict.detail else ""
    nearest = verdict.nearest
    near = f"; nearest {nearest} ({nearest.origin})" if nearest is not None and nearest != verdict.rule else ""
    return f"refused {verdict.reason.code} {by}: {verdict.reason.sentence}{detail}{near}"


def as_data(answer: Answer, moment: Callable[[float], str]) -> dict[str, Any]:
    """Keys are stable."""
    asked = answer.question
    return {
        "who": asked.who,
        "to": asked.to,
        "protocol": asked.actions[0].protocol,
        "question": asked.text,
        "at": None if asked.at is None else moment(asked.at),
        "evidence": None if asked.evidence is None else list(asked.evidence),
        "state": {f"{device} {point}": value for device, point, value in asked.state},
        **_answer(answer.verdict),
        "would": None if answer.would is None else _answer(answer.would),
    }


def _answer(verdict: Verdict) -> dict[str, Any]:
    return {
        "allowed": verdict.allowed,
        "code": None if verdict.reason is None else verdict.reason.code,
        "reason": None if verdict.reason is None else verdict.reason.sentence,
        "detail": verdict.detail,
        "rule": _ref(verdict.rule),
        "nearest": None if verdict.nearest is None else _ref(verdict.nearest),
    }


def _ref(ref: RuleRef) -> dict[str, Any]:
    return {"surface": ref.surface, "name": ref.name, "file": ref.origin.file, "line": ref.origin.line}
