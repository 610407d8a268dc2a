"""One mutant after the other: refused, the same, narrower, or wider and told. Anything else is a hole.

To see the mutants with a number: ``Original("lines", folder).mutant(17)``.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proxy.change.findings import policy_problems
from proxy.cli.site import protocols
from proxy.policy.diff import compare
from proxy.policy.plan import Door, Plan
from proxy.site import Finding, load_site
from tests.policy.mutants.probes import NOW, chosen
from tests.policy.mutants.text import OTHERS, REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.action import Target
    from proxy.policy.diff import Difference
    from proxy.policy.entry import Entry
    from proxy.site import Site
    from tests.policy.mutants.probes import Probe

ROOT = Path(__file__).resolve().parents[3]
SITES = {"demo": ROOT, "lines": ROOT / "tests/policy/lines"}
KINDS = {**REFUSED, **OTHERS}
WEIGHTS = {"surfaces": 12, "roles": 2, "shifts": 2, "windows": 1, "tests": 1, "devices": 3}
"""How often a file of each folder is chosen."""
FILES = ("policies/*/*.yaml", "fingerprints/devices/*.yaml")
REFUSAL, SAME, NARROWER, WIDER = "refused", "same", "narrower", "wider, told"
ACCEPTED = "accepted, and must not be"


def without_tests(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A file whose tests name a rule is refused when the rule is gone: good, and it hides what else would happen."""
    kept = {file: content for file, content in files.items() if not file.startswith("policies/tests/")}
    return {file: re.sub(rb"(?m)^tests:\n(?:  - .*\n)+", b"", content) for file, content in kept.items()}


class Mutant(NamedTuple):
    number: int
    kind: str
    file: str
    content: bytes


class Hole(NamedTuple):
    """What must not be: the mutant, and what it does."""

    mutant: Mutant
    what: str


class Original:
    """One site on disk, to be mutated in ``folder`` one file at a time."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.counts: Counter[tuple[str, str]] = Counter()
        """(kind, what became of it), of those judged so far."""
        self._folder = folder / name
        self._protocols = protocols()
        source = SITES[name]
        read = {str(p.relative_to(source)): p.read_bytes() for glob in FILES for p in sorted(source.glob(glob))}
        self.files = read if name == "demo" else without_tests(read)
        for file, content in (*self.files.items(), ("bulkhead.yaml", (source / "bulkhead.yaml").read_bytes())):
            place = self._folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        site = self._load()
        assert site is not None, "the original is sound"
        self.site = site
        texts = [content.decode() for content in self.files.values()]
        self.asker = chosen(site, self._protocols, texts)
        self.table = self.asker.engine(site)
        self._plan = plan(site)

    def mutant(self, number: int, seed: int = 0) -> Mutant:
        """The same for the same number and seed."""
        chance = random.Random(f"{self.name} {seed} {number}")
        kinds = [*KINDS]
        while True:
            kind = kinds[number % len(kinds)] if chance.random() < 0.9 else chance.choice(kinds)
            weights = [WEIGHTS[Path(file).parent.name] for file in self.files]
            (file,) = chance.choices([*self.files], weights)
            made = KINDS[kind](chance, self.files[file].decode())
            content = made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
            if content is not None and content != self.files[file]:
                return Mutant(number, kind, file, content)

    def judge(self, mutant: Mutant) -> tuple[str, list[Hole]]:
        """What became of it, and its holes."""
        place = self._folder / mutant.file
        place.write_bytes(mutant.content)
        try:
            site = self._load()
        finally:
            place.write_bytes(self.files[mutant.file])
        if site is None:
            return REFUSAL, []
        if mutant.kind in REFUSED:
            return ACCEPTED, [Hole(mutant, "a site was made of a file that can be no file of a site")]
        engine, reference = self.asker.engine(site), self.asker.reference(site)
        holes = [
            Hole(mutant, f"the engine says yes, the reference no: {self._told(at)}") for at in engine.beyond(reference)
        ]
        holes += [
            Hole(mutant, f"the engine says no, the reference yes: {self._told(at)}")
            for at in reference.beyond(engine)
            if not self.asker.paced(site, at)
        ]
        wider = [self.asker.asked[at] for at in engine.beyond(self.table)]
        if not wider:
            return SAME if engine == self.table else NARROWER, holes
        told = self._difference(site).widenings
        silent = [probe for probe in wider if not any(_is_about(entry, probe) for entry in told)]
        return WIDER, holes + [Hole(mutant, f"a widening that is not told: {probe}") for probe in silent]

    def _told(self, at: int) -> str:
        return str(self.asker.asked[at])

    def _load(self) -> Site | None:
        loaded = load_site(self._folder / "bulkhead.yaml", self._protocols, now=NOW)
        if loaded.site is None:
            return None
        problems = policy_problems(loaded.site, self._protocols)
        # Its own tests would refuse many more. They are left out: a policy without tests must not widen either.
        refused = any(not problem.warning and problem.finding is not Finding.TEST_FAILED for problem in problems)
        return None if refused else loaded.site

    def _difference(self, site: Site) -> Difference:
        def beyond(protocol: str, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
            return self._protocols[protocol].beyond(targets, others)

        return compare(self._plan, plan(site), beyond)


def _is_about(entry: Entry, probe: Probe) -> bool:
    """It names the device, and the speaker or somebody the speaker is as well."""
    names = set(probe.who.split("+"))
    who = {name for one in entry.who for name in one.split("+")}
    here = probe.to in entry.to or (entry.kind == "identity" and bool(names & who))
    return here and (not entry.who or bool(names & who))


def plan(site: Site) -> Plan:
    doors = tuple(Door(one.name, str(one.bind), one.protocol, one.to, one.tls is not None) for one in site.listeners)
    return Plan(site.surfaces, site.roles, site.devices, site.hours, doors)


class Result(NamedTuple):
    counts: Counter[tuple[str, str]]
    holes: list[Hole]

    def table(self) -> str:
        """Rows of kinds, columns of what became of them."""
        columns = (REFUSAL, SAME, NARROWER, WIDER)
        rows = [f"{'kind':20}" + "".join(f"{name:>14}" for name in columns)]
        rows += [f"{kind:20}" + "".join(f"{self.counts[kind, column]:14}" for column in columns) for kind in KINDS]
        sums = [sum(self.counts[kind, column] for kind in KINDS) for column in columns]
        rows.append(f"{'all':20}" + "".join(f"{count:14}" for count in sums))
        return "\n".join(rows)


def run(original: Original, numbers: range, seed: int = 0) -> Result:
    counts: Counter[tuple[str, str]] = Counter()
    holes: list[Hole] = []
    for number in numbers:
        mutant = original.mutant(number, seed)
        outcome, found = original.judge(mutant)
        counts[mutant.kind, outcome] += 1
        holes += found
    return Result(counts, holes)
