"""Rules that a `never` of the same site forbids, wholly or in part: one of the two is not what its author believes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from proxy.core.names import NOBODY, Names
from proxy.policy.access import depends_on_names
from proxy.policy.extent import Nearby
from proxy.policy.finding import ERROR, WARNING, Finding
from proxy.policy.speaker import ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proxy.core.action import Action, Target
    from proxy.core.inventory import Device
    from proxy.core.surface import Never, Role, Rule, Surface

Goal = tuple["Never", "Target"]


class Clash(NamedTuple):
    """``target`` of a rule meets ``never``, for instance for this speaker at this device."""

    never: Never
    target: Target
    speaker: str
    device: str


class Contradictions:
    """All nevers of a site, found by device and by where their targets lie. Devices with the same nevers share one
    list, so that a rule about many devices asks once."""

    def __init__(self, surfaces: Sequence[Surface], roles: Sequence[Role], devices: Mapping[str, Device]) -> None:
        self._devices = devices
        self._members = {f"{ROLE}{role.name}": role.members for role in roles}
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        nevers = [never for surface in surfaces for never in surface.nevers]
        of_device: dict[str, list[int]] = {}
        for at, never in enumerate(nevers):
            for device in dict.fromkeys(never.devices):
                of_device.setdefault(device, []).append(at)
        lists: dict[tuple[int, ...], Nearby[Goal]] = {}
        self._guards: dict[str, Nearby[Goal]] = {}
        for device, some in of_device.items():
            key = tuple(some)
            if key not in lists:
                goals = [((nevers[at], target), target) for at in some for target in nevers[at].targets]
                lists[key] = Nearby(goals)
            self._guards[device] = lists[key]

    def of(self, surface: Surface, rule: Rule) -> Iterator[Finding]:
        """Errors; warnings where the one or the other is only monitored."""
        if not self._guards:
            return
        clashes: dict[str, list[Clash]] = {}
        for target in rule.targets:
            if getattr(target, "implied", False):
                continue  # nobody wrote it, so nobody can take it out
            hiding, some = self._judge(rule, target)
            if hiding is not None:
                yield _hidden(surface, rule, target, hiding)
            else:
                for clash in some:
                    clashes.setdefault(str(clash.never.ref), []).append(clash)
        for alike in clashes.values():
            yield _violated(surface, rule, alike)

    def _judge(self, rule: Rule, target: Target) -> tuple[Never | None, list[Clash]]:
        """The never that leaves nothing of it (the first of several), and all that it meets."""
        places: dict[int, tuple[str, Nearby[Goal] | None]] = {}
        for device in rule.devices:
            guard = self._guards.get(device)
            places.setdefault(id(guard), (device, guard))
        hiding: list[Never | None] = []
        clashes: list[Clash] = []
        for device, guard in places.values():
            near = () if guard is None else guard.to(cast("Action", target))
            voices = self._voices(rule, target, near)
            hiding += [self._ask(speaker, device, target, near, clashes) for speaker in voices]
        return (hiding[0] if hiding and all(hiding) else None), clashes

    def _ask(
        self, speaker: str, device: str, target: Target, near: Sequence[Goal], clashes: list[Clash]
    ) -> Never | None:
        names = self._names(speaker)
        own = target.bound(names)
        hiding = None
        for never, goal in near:
            if never.speakers is not None and speaker not in self._expanded(never.speakers):
                continue
            other = goal.bound(names)
            if own.within(other):
                hiding = hiding or never
            elif not own.overlaps(other):
                continue
            clashes.append(Clash(never, target, speaker, device))
        return hiding

    def _voices(self, rule: Rule, target: Target, near: Sequence[Goal]) -> Sequence[str]:
        """One speaker stands for all where nothing depends on who speaks."""
        speakers = self._expanded(rule.speakers)
        if near and (
            depends_on_names(target)
            or any(never.speakers is not None or depends_on_names(goal) for never, goal in near)
        ):
            return speakers
        return speakers[:1]

    def _expanded(self, written: tuple[str, ...]) -> tuple[str, ...]:
        known = self._known.get(written)
        if known is None:
            known = tuple(dict.fromkeys(one for name in written for one in self._members.get(name, (name,))))
            self._known[written] = known
        return known

    def _names(self, speaker: str) -> Names:
        device = self._devices.get(speaker)
        return NOBODY if device is None else Names(device.id, device.place)


def _hidden(surface: Surface, rule: Rule, target: Target, never: Never) -> Finding:
    wrong = (
        f"{target.describe()} could never take effect: "
        f"never {never.ref.name} ({never.ref.origin}) forbids it, whatever {rule.ref.name} allows"
    )
    return _finding(surface, rule, [never], wrong, f"delete it, or narrow {never.ref.name}")


def _violated(surface: Surface, rule: Rule, clashes: Sequence[Clash]) -> Finding:
    first = clashes[0]
    never = first.never.ref
    others = len({clash.target.describe() for clash in clashes}) - 1
    more = f" and {others} more" if others else ""
    wrong = (
        f"never {never.name} ({never.origin}) is violated by this allow: "
        f"{first.target.describe()}{more}, for {first.speaker} at {first.device}"
    )
    mend = f"take what is forbidden out of {rule.ref.name}, or narrow {never.name}"
    return _finding(surface, rule, [first.never], wrong, mend)


def _finding(surface: Surface, rule: Rule, nevers: Sequence[Never], wrong: str, mend: str) -> Finding:
    parts: tuple[Any, ...] = (surface, rule, *nevers)
    severity = WARNING if any(part.monitor is not None for part in parts) else ERROR
    return Finding(severity, rule.ref.origin, f"rules.{rule.ref.name}", wrong, mend)
