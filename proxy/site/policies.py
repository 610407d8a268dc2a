"""`policies/`: from shapes to surfaces and roles, with patterns expanded and every name looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.core.origin import RuleRef
from proxy.core.surface import Never, Role, Rule, RuleTest, Surface
from proxy.site import names, quantities
from proxy.site.draft import Heard, first_of
from proxy.site.monitors import Watch
from proxy.site.predicates import Points
from proxy.site.problem import Finding
from proxy.site.questions import DEFAULT, Questions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.process import Predicate
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Draft, Voice
    from proxy.site.hours import Calendar
    from proxy.site.inventory import Inventory
    from proxy.site.policy_shapes import NeverShape, RoleShape, RuleShape, SurfaceShape

Path = tuple[str | int, ...]


class Roles:
    """All roles that the files declare; ``used`` gathers those that a surface names."""

    def __init__(self, drafts: Iterable[Draft[RoleShape]], inventory: Inventory) -> None:
        self.roles: dict[str, Role] = {}
        self.declared: dict[str, Voice] = {}
        self.used: set[str] = set()
        for draft in drafts:
            name, voice = draft.claims("role"), draft.voice
            if not first_of(self.declared, name, "role", voice) or draft.shape is None:
                continue
            members = inventory.look_up(draft.shape.members, ("members",), voice)
            if not members:
                voice.warn(
                    ("members",), f"nobody is in the role {name}", "name its members, or delete the role", key=True
                )
            self.roles[name] = Role(name, voice.origin(("role",)), members)

    def check_use(self) -> None:
        for name in self.declared.keys() - self.used:
            wrong = f"no surface names the role {name}"
            self.declared[name].warn(("role",), wrong, "use it in a 'from:', or delete the file")


class SurfaceBuilder:
    """Turns one surface file after the other into a `Surface`. ``now`` is in seconds since 1970.

    ``named`` has the names of all rules and nevers of each surface whose file has no fault of form.
    """

    def __init__(
        self, inventory: Inventory, roles: Roles, calendar: Calendar, protocols: Mapping[str, ProtocolSpec], now: float
    ) -> None:
        self.surfaces: dict[str, Surface] = {}
        self.declared: dict[str, Voice] = {}
        self.named: dict[str, tuple[str, ...]] = {}
        self.questions = Questions(inventory, protocols)
        self._inventory = inventory
        self._roles = roles
        self._calendar = calendar
        self._protocols = protocols
        self._points = Points(inventory, protocols)
        self._now = now

    def add(self, draft: Draft[SurfaceShape]) -> None:
        name, voice, shape = draft.claims("surface"), draft.voice, draft.shape
        if not first_of(self.declared, name, "surface", voice) or shape is None:
            return
        self.named[name] = (*shape.rules, *shape.never)
        self.surfaces[name] = self._surface(name, shape, voice)
        voice.settle(("surface",))

    def _surface(self, name: str, shape: SurfaceShape, voice: Voice) -> Surface:
        self._check_safety(shape, voice)
        members = self._inventory.look_up(shape.members, ("members",), voice)
        watch = Watch(voice, self._now)
        watch.check_inner(shape)
        zone = _Zone(name, frozenset(members), frozenset(shape.needs), voice, watch)
        rules = [self._rule(zone, key, shape.rules) for key in shape.rules]
        nevers = [self._never(zone, key, never) for key, never in shape.never.items()]
        _check_names(shape, voice)
        return Surface(
            name=name,
            origin=voice.origin(("surface",)),
            members=members,
            rules=tuple(rule for rule in rules if rule is not None),
            nevers=tuple(never for never in nevers if never is not None),
            tests=self._tests(zone, shape),
            record_first=shape.audit == "before",
            writes_without_proof=shape.unsafe_writes_without_proof,
            monitor=watch.monitor(shape.mode, shape.monitor, (), f"the surface {name}"),
            mark=self._inventory.mark(voice, _patterns(shape)),
        )

    def _check_safety(self, shape: SurfaceShape, voice: Voice) -> None:
        mend = "safety functions never pass through Bulkhead: wire them past it, and leave them out of every surface"
        if shape.safety:
            voice.error(Finding.SAFETY, ("safety",), "a surface is what Bulkhead guards", mend)
        for at, text in enumerate(shape.members):
            for device in self._inventory.safety.intersection(self._inventory.expand(text)):
                wrong = f"{device} is a safety function ({self._inventory.declared[device].file})"
                voice.error(Finding.SAFETY, ("members", at), wrong, mend)

    def _rule(self, zone: _Zone, key: str, shapes: Mapping[str, RuleShape]) -> Rule | None:
        path: Path = ("rules", key)
        shape, voice = shapes[key], zone.voice
        speakers = self._speakers(shape.from_, (*path, "from"), voice)
        devices = self._members(shape.to, (*path, "to"), zone)
        targets = self._targets(shape, path, voice, never=False)
        when = () if shape.when is None else self._calendar.look_up(shape.when, (*path, "when"), voice)
        whilst = () if shape.while_ is None else self._whilst(shape.while_, devices, (*path, "while"), voice)
        monitor = zone.watch.monitor(shape.mode, shape.monitor, path, f"the rule {key}")
        replaces = zone.watch.replaces(key, shapes, path)
        if shape.budget is not None and targets and not any(target.changes for target in targets):
            wrong = "a budget counts changes, and this rule allows none"
            voice.warn((*path, "budget"), wrong, "delete it, or write a rate")
        if not speakers or not devices or not targets:
            # Nothing is lost: a rule without speaker, device or target allows nothing, and its fault has been told.
            return None
        return Rule(
            ref=RuleRef(zone.name, key, voice.origin(path, key=True)),
            speakers=speakers,
            devices=devices,
            targets=targets,
            needs=zone.needs.union(shape.needs) if shape.needs else zone.needs,
            rate=None if shape.rate is None else quantities.rate(shape.rate),
            budget=None if shape.budget is None else quantities.rate(shape.budget),
            when=when,
            whilst=whilst,
            monitor=monitor,
            replaces=replaces,
        )

    def _whilst(
        self, texts: Sequence[str], devices: tuple[str, ...], path: Path, voice: Voice
    ) -> tuple[Predicate, ...]:
        if not devices:
            return ()  # told where `to` is
        found = [self._points.predicate(text, devices, (*path, at), voice) for at, text in enumerate(texts)]
        return tuple(dict.fromkeys(one for one in found if one is not None))

    def _never(self, zone: _Zone, key: str, shape: NeverShape) -> Never | None:
        """`to` means devices of the whole site, members or not: a prohibition does not end at the edge of a zone."""
        path: Path = ("never", key)
        voice = zone.voice
        self._check_guards(shape, path, voice)
        speakers = None if shape.from_ is None else self._speakers(shape.from_, (*path, "from"), voice)
        devices = self._inventory.look_up(shape.to, (*path, "to"), voice)
        targets = self._targets(shape, path, voice, never=True)
        monitor = zone.watch.monitor(shape.mode, shape.monitor, path, f"the never {key}")
        if speakers == () or not devices or not targets:
            return None
        return Never(RuleRef(zone.name, key, voice.origin(path, key=True)), speakers, devices, targets, monitor)

    def _tests(self, zone: _Zone, shape: SurfaceShape) -> tuple[RuleTest, ...]:
        known = (*self.named[zone.name], DEFAULT)
        found: list[RuleTest] = []
        for at, test in enumerate(shape.tests):
            path: Path = ("tests", at)
            read = self.questions.read(test, path, zone.voice)
            if test.because is not None and test.because not in known:
                mend = f"write a rule or never of {zone.name}, or {DEFAULT}"
                zone.voice.unknown((*path, "because"), "rule", test.because, known, mend)
            if read is not None:
                found.append(read)
        return tuple(found)

    def _check_guards(self, shape: NeverShape, path: Path, voice: Voice) -> None:
        """A rule for nobody is a nuisance and gets a warning; a prohibition for nobody is a hole."""
        for key, texts in (("from", shape.from_), ("to", shape.to)):
            if texts and all("*" in text and not self._inventory.expand(text) for text in texts):
                wrong = f"no device fits {', '.join(texts)}, so this forbids nothing"
                voice.error(Finding.UNKNOWN_NAME, (*path, key), wrong, "mend the pattern, or delete the never")

    def _targets(self, shape: Any, path: Path, voice: Voice, *, never: bool) -> tuple[Target, ...]:
        sections = [name for name in self._protocols if name in shape.model_fields_set]
        targets: list[Target] = []
        for name in sections:
            spec = self._protocols[name]
            parse = spec.parse_never if never else spec.parse_rule
            heard = Heard(voice.below((*path, name)))
            found = parse(getattr(shape, name), heard)
            if not found and not heard.anything:
                voice.error(
                    Finding.MISSING, (*path, name), "says nothing", "name what is meant, or delete it", key=True
                )
            targets += found
        if not sections:
            word = "forbids" if never else "allows"
            wrong = f"{word} nothing: no protocol is named"
            voice.error(Finding.MISSING, path, wrong, f"add a section: {', '.join(self._protocols)}", key=True)
        return tuple(targets)

    def _speakers(self, texts: Sequence[str], path: Path, voice: Voice) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for at, text in enumerate(texts):
            if names.is_in_certificate(text):
                found[text] = None
            elif text.startswith(names.ROLE):
                self._use_role(text.removeprefix(names.ROLE), (*path, at), voice)
                found[text] = None
            else:
                found.update(dict.fromkeys(self._inventory.look_up_one(text, (*path, at), voice)))
        return tuple(found)

    def _use_role(self, name: str, path: Path, voice: Voice) -> None:
        self._roles.used.add(name)
        if name not in self._roles.declared:
            voice.unknown(path, "role", name, self._roles.declared)

    def _members(self, texts: Sequence[str], path: Path, zone: _Zone) -> tuple[str, ...]:
        """What a rule's `to` means: a pattern means those members that it fits, an id must be a member."""
        found: dict[str, None] = {}
        for at, text in enumerate(texts):
            inside = [name for name in self._inventory.expand(text) if name in zone.members]
            found |= dict.fromkeys(inside)
            if inside:
                continue
            if "*" in text:
                zone.voice.warn(
                    (*path, at), f"no member of {zone.name} fits {text}", "mend the pattern, or add the member"
                )
            elif text in self._inventory.declared:
                wrong = f"{text} is not a member of {zone.name}"
                mend = "add it to members, or write the rule in its own surface"
                zone.voice.error(Finding.CONTRADICTION, (*path, at), wrong, mend)
            else:
                zone.voice.unknown((*path, at), "device", text, zone.members, f"write a member of {zone.name}")
        return tuple(found)


def _check_names(shape: SurfaceShape, voice: Voice) -> None:
    """Refusals, tests and logs tell rules apart by their names."""
    for key in shape.rules.keys() & shape.never.keys():
        wrong = f"a rule and a never are both called {key}"
        voice.error(Finding.DUPLICATE, ("never", key), wrong, "give one of them another name", key=True)
    for section, keys in (("rules", shape.rules), ("never", shape.never)):
        if DEFAULT in keys:
            wrong = f"{DEFAULT} is what a refusal that no rule decides is called"
            voice.error(Finding.DUPLICATE, (section, DEFAULT), wrong, "give it another name", key=True)


def _patterns(shape: SurfaceShape) -> Iterator[str]:
    """All texts that mean another thing when another device is there."""
    lists = [shape.members]
    for rule in shape.rules.values():
        lists += (rule.from_, rule.to)
    for never in shape.never.values():
        lists += (never.from_ or [], never.to)
    return (text for texts in lists for text in texts if "*" in text)


class _Zone(NamedTuple):
    name: str
    members: frozenset[str]
    needs: frozenset[str]
    voice: Voice
    watch: Watch
