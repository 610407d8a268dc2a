"""What is wrong with a policy though every line of it is valid: rules without effect, and its own failing tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.verdict import Verdict
from proxy.policy.assume import assumed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.inventory import Device
    from proxy.core.origin import Origin
    from proxy.core.reason import Reason
    from proxy.core.surface import Never, Role, Rule, RuleTest, Surface
    from proxy.policy.compile import Policy

ERROR, WARNING = "error", "warning"

Outright = Callable[["RuleTest"], "tuple[Reason, str] | None"]
"""What is refused before any rule is asked, and why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``path`` is the place as people write it (``rules.setpoint``), ``mend`` how to put it right."""

    severity: str
    origin: Origin
    path: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.origin.column}: {self.path}: {self.severity}: {self.wrong}; {self.mend}"


def lint(
    surfaces: Sequence[Surface],
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    secured: Collection[str] | None = None,
) -> list[Finding]:
    """Rules that never come to anything. ``secured``: the devices that some TLS listener leads to (None: not known).

    All are warnings: a rule that cannot allow is no danger, but somebody believes that it does.
    """
    found: list[Finding] = []
    nevers: dict[str, list[Never]] = {}
    for never in (never for surface in surfaces for never in surface.nevers):
        for device in never.devices:
            nevers.setdefault(device, []).append(never)
    for surface in surfaces:
        known = _Clauses(surface)
        for rule in surface.rules:
            found += _hidden(rule, nevers.get(rule.devices[0], ()))
            found += _shadowed(rule, known)
            found += _unprovable(surface, rule, roles, devices, secured)
    return found


def within(inner: Target, outer: Target) -> bool:
    """Everything that ``inner`` admits, ``outer`` admits too. Targets that cannot say so are compared as text."""
    ask = getattr(inner, "within", None)
    if ask is not None:
        return bool(ask(outer))
    return inner.protocol == outer.protocol and inner.describe() == outer.describe()


def _hidden(rule: Rule, nevers: Sequence[Never]) -> Iterator[Finding]:
    about = [n for n in nevers if n.speakers is None or {*rule.speakers} <= {*n.speakers}]
    for target in rule.targets:
        hiding = [
            next((n for n in about if device in n.devices and any(within(target, t) for t in n.targets)), None)
            for device in rule.devices
        ]
        if (first := hiding[0]) is not None and all(hiding):
            yield _warn(
                rule,
                f"{target.describe()} can never be allowed: never {first.ref.name} ({first.ref.origin}) forbids it",
                "narrow one of the two",
            )


class _Clauses:
    """The rules and targets of a surface, found by speaker or by device: whichever list is shorter is walked."""

    def __init__(self, surface: Surface) -> None:
        self._by_speaker: dict[str, list[tuple[Rule, Target]]] = {}
        self._by_device: dict[str, list[tuple[Rule, Target]]] = {}
        for rule in surface.rules:
            for target in rule.targets:
                for speaker in rule.speakers:
                    self._by_speaker.setdefault(speaker, []).append((rule, target))
                for device in rule.devices:
                    self._by_device.setdefault(device, []).append((rule, target))

    def wider(self, rule: Rule, target: Target) -> Iterator[Rule]:
        """The rules that allow all that this target of ``rule`` does, to whom it does, where it does, for no more
        evidence. Of two alike only the later one is told of the earlier."""
        speakers, devices = {*rule.speakers}, {*rule.devices}
        lists = self._by_speaker[rule.speakers[0]], self._by_device[rule.devices[0]]
        seen_self = False
        for other, goal in min(lists, key=len):
            if goal is target and other is rule:
                seen_self = True
            elif (
                (goal.protocol, goal.verb) == (target.protocol, target.verb)
                and speakers <= {*other.speakers}
                and devices <= {*other.devices}
                and other.needs <= rule.needs
                and (other.rate is None or other.rate == rule.rate)
                and within(target, goal)
                and not (seen_self and _alike(rule, target, other, goal))
            ):
                yield other


def _alike(rule: Rule, target: Target, other: Rule, goal: Target) -> bool:
    same = {*rule.speakers} == {*other.speakers} and {*rule.devices} == {*other.devices} and rule.needs == other.needs
    return same and rule.rate == other.rate and within(goal, target)


def _shadowed(rule: Rule, known: _Clauses) -> Iterator[Finding]:
    for target in rule.targets:
        wider = next(known.wider(rule, target), None)
        if wider is None:
            continue
        if rule.rate is not None and wider.rate is None:
            wrong = (
                f"the rate has no effect: {wider.ref.name} ({wider.ref.origin}) allows {target.describe()} without one"
            )
            yield _warn(rule, wrong, f"give {wider.ref.name} the rate, or narrow it")
        elif wider is rule:
            yield _warn(rule, f"{target.describe()} lies within another line of the same rule", "delete it")
        else:
            wrong = f"{target.describe()} adds nothing: {wider.ref.name} ({wider.ref.origin}) allows it already"
            yield _warn(rule, wrong, "delete it, or narrow the other rule")


def _unprovable(
    surface: Surface,
    rule: Rule,
    roles: Sequence[Role],
    devices: Mapping[str, Device],
    secured: Collection[str] | None,
) -> Iterator[Finding]:
    plain = secured is not None and not any(device in secured for device in rule.devices)
    mend = "give its listener tls: { clients: required }"
    changing = [t for t in rule.targets if getattr(t, "changes", False)]
    if plain and "x509" in rule.needs:
        yield _warn(rule, "needs x509, but no listener with TLS leads to what it is about: it never counts", mend)
    elif plain and changing and not surface.writes_without_proof:
        wrong = f"no listener with TLS leads to what it is about, so nobody can prove a key: {changing[0].describe()}"
        yield _warn(rule, f"{wrong} is always refused", f"{mend}, or set unsafe_writes_without_proof: true")
    elif changing and not surface.writes_without_proof and (shy := _by_address_alone(rule, roles, devices)):
        wrong = f"{shy} is known by its address alone (unsafe_address_only) and may then change nothing"
        yield _warn(rule, wrong, "let it show a certificate, or set unsafe_writes_without_proof: true")
    if "mac_ip" in rule.needs:
        for name in _ids(rule, roles):
            if name in devices and devices[name].bindings.mac is None:
                yield _warn(rule, f"needs mac_ip, which {name} has not", f"add mac_ip to {devices[name].origin.file}")


def _by_address_alone(rule: Rule, roles: Sequence[Role], devices: Mapping[str, Device]) -> str | None:
    for name in _ids(rule, roles):
        bindings = devices[name].bindings if name in devices else None
        if bindings and bindings.address_only and bindings.x509_uri is None and bindings.x509_cn is None:
            return name
    return None


def _ids(rule: Rule, roles: Sequence[Role]) -> list[str]:
    members = {f"role:{role.name}": role.members for role in roles}
    return [name for speaker in rule.speakers for name in members.get(speaker, (speaker,))]


def _warn(rule: Rule, wrong: str, mend: str) -> Finding:
    return Finding(WARNING, rule.ref.origin, f"rules.{rule.ref.name}", wrong, mend)


def nothing_outright(test: RuleTest) -> tuple[Reason, str] | None:
    """For policies whose protocols refuse nothing by themselves."""
    return None


def run_tests(policy: Policy, devices: Mapping[str, Device], outright: Outright = nothing_outright) -> list[Finding]:
    """The policy's own tests: `expect` and `because` must both hold. Each runs with budgets of its own, and its
    speaker shows all that it is bound by. ``outright`` is the protocols' word on what no rule can allow."""
    found = []
    for surface in policy.surfaces:
        for at, test in enumerate(surface.tests):
            verdict = outcome(policy, test, devices)
            if verdict.allowed and (refused := outright(test)) is not None:
                verdict = Verdict(verdict.rule, refused[0], detail=refused[1])
            if (wrong := _failure(test, verdict)) is not None:
                found.append(Finding(ERROR, test.origin, f"tests[{at}]", wrong, _mend(verdict)))
    return found


def outcome(policy: Policy, test: RuleTest, devices: Mapping[str, Device]) -> Verdict:
    """The verdict over the whole line; a test without an action is a bug, and reads as refused."""
    protocol = test.actions[0].protocol if test.actions else ""
    authority = policy.rehearsal().open(assumed(test.who, devices), test.to, protocol)
    return authority.decide_all(test.actions, 0.0)


def _failure(test: RuleTest, verdict: Verdict) -> str | None:
    question = f"{test.who} to {test.to}: {test.text}"
    names = (verdict.rule.name, str(verdict.rule))
    if verdict.allowed != test.expect_allow:
        return f"{question}: expected {'allow' if test.expect_allow else 'refuse'}, got {told(verdict)}"
    if test.because is not None and test.because not in names:
        return f"{question}: expected because {test.because}, got {told(verdict)}"
    return None


def told(verdict: Verdict) -> str:
    by = f"by {verdict.rule} ({verdict.rule.origin})"
    if verdict.reason is None:
        return f"allow {by}"
    detail = f": {verdict.detail}" if verdict.detail else ""
    return f"refuse {verdict.reason.code} {by}{detail}"


def _mend(verdict: Verdict) -> str:
    if verdict.nearest is not None:
        return f"mend the test, or {verdict.nearest.name} ({verdict.nearest.origin}), which comes nearest"
    return "mend the test, or the rules"
