"""`policies/`: from shapes to surfaces and roles, with patterns expanded and every name looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.core.origin import RuleRef
from proxy.core.surface import Never, Role, Rule, RuleTest, Surface
from proxy.site import names, quantities
from proxy.site.draft import Heard, first_of
from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.core.action import Action, Target
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Draft, Voice
    from proxy.site.inventory import Inventory
    from proxy.site.shapes import NeverShape, RoleShape, RuleShape, SurfaceShape, TestShape

Path = tuple[str | int, ...]

DEFAULT = "default"
"""How verdicts call the refusal of what no rule allows; a test may expect it with `because`."""


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
            members = look_up(draft.shape.members, ("members",), voice, inventory)
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
    """Turns one surface file after the other into a `Surface`."""

    def __init__(self, inventory: Inventory, roles: Roles, protocols: Mapping[str, ProtocolSpec]) -> None:
        self.surfaces: dict[str, Surface] = {}
        self.declared: dict[str, Voice] = {}
        self._inventory = inventory
        self._roles = roles
        self._protocols = protocols

    def add(self, draft: Draft[SurfaceShape]) -> None:
        name, voice, shape = draft.claims("surface"), draft.voice, draft.shape
        if not first_of(self.declared, name, "surface", voice) or shape is None:
            return
        self.surfaces[name] = self._surface(name, shape, voice)
        voice.settle(("surface",))

    def _surface(self, name: str, shape: SurfaceShape, voice: Voice) -> Surface:
        self._check_safety(shape, voice)
        members = look_up(shape.members, ("members",), voice, self._inventory)
        zone = _Zone(name, frozenset(members), voice)
        rules = [self._rule(zone, key, rule) for key, rule in shape.rules.items()]
        nevers = [self._never(zone, key, never) for key, never in shape.never.items()]
        _check_names(shape, voice)
        known = [*shape.rules, *shape.never, DEFAULT]
        tests = [self._test(zone, at, test, known) for at, test in enumerate(shape.tests)]
        return Surface(
            name=name,
            origin=voice.origin(("surface",)),
            members=members,
            rules=tuple(rule for rule in rules if rule is not None),
            nevers=tuple(never for never in nevers if never is not None),
            tests=tuple(test for test in tests if test is not None),
            record_first=shape.audit == "before",
            writes_without_proof=shape.unsafe_writes_without_proof,
        )

    def _check_safety(self, shape: SurfaceShape, voice: Voice) -> None:
        mend = "safety functions never pass through Bulkhead: wire them past it, and leave them out of every surface"
        if shape.safety:
            voice.error(Finding.SAFETY, ("safety",), "a surface is what Bulkhead guards", mend)
        for at, text in enumerate(shape.members):
            for device in self._inventory.safety.intersection(self._inventory.expand(text)):
                wrong = f"{device} is a safety function ({self._inventory.declared[device].file})"
                voice.error(Finding.SAFETY, ("members", at), wrong, mend)

    def _rule(self, zone: _Zone, key: str, shape: RuleShape) -> Rule | None:
        path: Path = ("rules", key)
        speakers = self._speakers(shape.from_, (*path, "from"), zone.voice)
        devices = self._members(shape.to, (*path, "to"), zone)
        targets = self._targets(shape, path, zone.voice, never=False)
        if not speakers or not devices or not targets:
            # Nothing is lost: a rule without speaker, device or target allows nothing, and its fault has been told.
            return None
        return Rule(
            ref=RuleRef(zone.name, key, zone.voice.origin(path, key=True)),
            speakers=speakers,
            devices=devices,
            targets=targets,
            needs=frozenset(shape.needs),
            rate=None if shape.rate is None else quantities.rate(shape.rate),
        )

    def _never(self, zone: _Zone, key: str, shape: NeverShape) -> Never | None:
        """`to` means devices of the whole site, members or not: a prohibition does not end at the edge of a zone."""
        path: Path = ("never", key)
        voice = zone.voice
        self._check_guards(shape, path, voice)
        speakers = None if shape.from_ is None else self._speakers(shape.from_, (*path, "from"), voice)
        devices = look_up(shape.to, (*path, "to"), voice, self._inventory)
        targets = self._targets(shape, path, voice, never=True)
        if speakers == () or not devices or not targets:
            return None
        return Never(RuleRef(zone.name, key, voice.origin(path, key=True)), speakers, devices, targets)

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
                found.update(dict.fromkeys(look_up_one(text, (*path, at), voice, self._inventory)))
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

    def _test(self, zone: _Zone, at: int, shape: TestShape, rules: Sequence[str]) -> RuleTest | None:
        path: Path = ("tests", at)
        voice = zone.voice
        if not names.is_in_certificate(shape.who):
            look_up_one(shape.who, (*path, "who"), voice, self._inventory)
        look_up_one(shape.to, (*path, "to"), voice, self._inventory)
        if shape.because is not None and shape.because not in rules:
            voice.unknown(
                (*path, "because"), "rule", shape.because, rules, f"write a rule or never of {zone.name}, or {DEFAULT}"
            )
        sections = [name for name in self._protocols if name in shape.model_fields_set]
        if len(sections) != 1:
            wrong = "asks two questions at once" if sections else "asks nothing"
            mend = f"ask one: {' or '.join(f'{name}: ...' for name in self._protocols)}"
            voice.error(Finding.BAD_VALUE, path, wrong, mend)
            return None
        text = getattr(shape, sections[0])
        actions = self._actions(sections[0], text, path, voice)
        if not actions:
            return None
        origin = voice.origin(path)
        return RuleTest(origin, shape.who, shape.to, text, actions, shape.expect == "allow", shape.because)

    def _actions(self, protocol: str, text: object, path: Path, voice: Voice) -> tuple[Action, ...]:
        if not isinstance(text, str):
            voice.error(Finding.BAD_VALUE, (*path, protocol), "must be a line of text", "write the question as text")
            return ()
        try:
            return self._protocols[protocol].parse_actions(text)
        except ValueError as fault:
            wrong, _, mend = str(fault).partition("; ")
            voice.error(Finding.BAD_VALUE, (*path, protocol), wrong, mend or "see docs/schema")
            return ()


def _check_names(shape: SurfaceShape, voice: Voice) -> None:
    """Refusals, tests and logs tell rules apart by their names."""
    for key in shape.rules.keys() & shape.never.keys():
        wrong = f"a rule and a never are both called {key}"
        voice.error(Finding.DUPLICATE, ("never", key), wrong, "give one of them another name", key=True)
    for section, keys in (("rules", shape.rules), ("never", shape.never)):
        if DEFAULT in keys:
            wrong = f"{DEFAULT} is what a refusal that no rule decides is called"
            voice.error(Finding.DUPLICATE, (section, DEFAULT), wrong, "give it another name", key=True)


class _Zone(NamedTuple):
    name: str
    members: frozenset[str]
    voice: Voice


def look_up(texts: Iterable[str], path: Path, voice: Voice, inventory: Inventory) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for at, text in enumerate(texts):
        found |= dict.fromkeys(look_up_one(text, (*path, at), voice, inventory))
    return tuple(found)


def look_up_one(text: str, path: Path, voice: Voice, inventory: Inventory) -> tuple[str, ...]:
    """The devices that an id or pattern means. No such id is an error, a pattern that fits nothing a warning."""
    found = inventory.expand(text)
    if not found and "*" in text:
        voice.warn(path, f"no device fits {text}", "mend the pattern, or add the device to fingerprints/devices")
    elif not found:
        voice.unknown(path, "device", text, inventory.declared)
    return found
