"""What is watched instead of enforced: always for a reason, and never for long (access.md 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.surface import Monitor
from proxy.site import times
from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.site.draft import Voice
    from proxy.site.policy_shapes import Mode, MonitorShape, RuleShape, SurfaceShape

Path = tuple[str | int, ...]

LONGEST = 14 * 86_400.0
"""Seconds from now that a watch may last."""


class Watch(NamedTuple):
    """Reads `mode` and `monitor` of one file. ``now`` is in seconds since 1970."""

    voice: Voice
    now: float

    def monitor(self, mode: Mode, shape: MonitorShape | None, path: Path, what: str) -> Monitor | None:
        """None if `what` is enforced, or after a report."""
        if mode == "enforce":
            if shape is not None:
                wrong = f"{what} is enforced, so nothing is watched"
                mend = "add 'mode: monitor', or delete the section"
                self.voice.error(Finding.CONTRADICTION, (*path, "monitor"), wrong, mend, key=True)
            return None
        if shape is None:
            wrong = f"{what} is watched, but it is not said until when and why"
            week = times.shown(self.now + LONGEST / 2)
            mend = f'add for example \'monitor: {{ until: "{week}", why: "...", then: alarm }}\''
            self.voice.error(Finding.MISSING, (*path, "mode"), wrong, mend, key=True)
            return None
        until = times.instant(shape.until)
        self._check(until, shape, (*path, "monitor", "until"), what)
        return Monitor(until, shape.why, shape.then, self.voice.origin((*path, "monitor"), key=True))

    def _check(self, until: float, shape: MonitorShape, path: Path, what: str) -> None:
        if self.now < times.NO_TIME_BEFORE:
            wrong = f"this machine's clock says {times.shown(self.now)}, so nobody knows how long {what} is watched yet"
            self.voice.warn(path, wrong, "set the clock")
        elif until > self.now + LONGEST:
            wrong = f"{shape.until} is more than 14 days ahead"
            mend = f"write {times.shown(self.now + LONGEST)} or earlier; whoever still watches then says so again"
            self.voice.error(Finding.BAD_VALUE, path, wrong, mend)
        elif until <= self.now and shape.then == "enforce":
            self.voice.warn(path, f"that is over: {what} is enforced", "delete 'mode' and 'monitor'")
        elif until <= self.now:
            wrong = f"that is over: {what} is still watched, and the gateway is degraded for it"
            self.voice.warn(path, wrong, "enforce it, or say again until when it is watched")

    def replaces(self, key: str, rules: Mapping[str, RuleShape], path: Path) -> tuple[str, ...]:
        """The names of the enforced rules in whose place a monitored one would stand."""
        shape = rules[key]
        if shape.replaces is None:
            return ()
        if shape.mode != "monitor":
            wrong = "only a rule in monitor replaces others"
            mend = "delete the line, or add 'mode: monitor'"
            self.voice.error(Finding.CONTRADICTION, (*path, "replaces"), wrong, mend, key=True)
        for at, name in enumerate(shape.replaces):
            place = (*path, "replaces", at)
            if name == key:
                self.voice.error(Finding.CONTRADICTION, place, "a rule does not replace itself", "name the other rule")
            elif name not in rules:
                enforced = [other for other, rule in rules.items() if rule.mode == "enforce"]
                self.voice.unknown(place, "rule", name, enforced, "write the name of a rule of this surface")
            elif rules[name].mode != "enforce":
                mend = "name a rule that is enforced, or delete the name"
                self.voice.error(Finding.CONTRADICTION, place, f"{name} is in monitor itself", mend)
        return tuple(dict.fromkeys(shape.replaces))

    def check_inner(self, shape: SurfaceShape) -> None:
        """Where a whole surface is watched, so are its rules."""
        if shape.mode != "monitor":
            return
        for key, rule in shape.rules.items():
            if rule.mode == "monitor":
                wrong = "the whole surface is in monitor, and so this rule is"
                mend = "delete 'mode' and 'monitor' of the rule, or of the surface"
                self.voice.error(Finding.CONTRADICTION, ("rules", key, "mode"), wrong, mend, key=True)
