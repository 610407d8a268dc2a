"""The judge of the mutants bites: put a bug into what it judges, and it finds holes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.policy.diff import Difference
from tests.policy.mutants.judge import ACCEPTED, REFUSAL, SAME, WIDER, Mutant, Original
from tests.policy.mutants.probes import Asker, Table
from tests.policy.mutants.text import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.site import Site

SURFACE = "policies/surfaces/cell-a.yaml"
NEEDS = b"    needs: [x509]\n"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original("lines", tmp_path_factory.mktemp("mutants"))


def mutant(original: Original, old: bytes, new: bytes, kind: str = "letter", file: str = SURFACE) -> Mutant:
    assert original.files[file].count(old) == 1
    return Mutant(0, kind, file, original.files[file].replace(old, new))


WIDER_RANGE = b"read: [holding 0-99", b"read: [holding 0-199"


def test_the_sound_site_answers_as_the_reference_does(original: Original) -> None:
    table = original.asker.engine(original.site)
    reference = original.asker.reference(original.site)
    assert not list(table.beyond(reference))
    assert all(original.asker.paced(original.site, at) for at in reference.beyond(table))
    assert len(original.asker.asked) == 10_000
    assert table.allowed.bit_count() > 1000


def test_a_widening_is_seen_and_told(original: Original) -> None:
    assert original.judge(mutant(original, *WIDER_RANGE)) == (WIDER, [])


def test_another_comment_is_the_same(original: Original) -> None:
    assert original.judge(mutant(original, b"surface:", b"# \nsurface:")) == (SAME, [])


def test_a_typo_is_refused(original: Original) -> None:
    assert original.judge(mutant(original, NEEDS, b"    neds: [x509]\n", "key-typo")) == (REFUSAL, [])


def test_the_same_number_is_the_same_mutant(original: Original) -> None:
    assert [original.mutant(n) for n in range(20)] == [original.mutant(n) for n in range(20)]
    assert original.mutant(3) != original.mutant(3, seed=1)


class Deaf(Original):
    """Bug: the loader takes no notice of keys that it does not know."""

    def _load(self) -> Site | None:
        place = self._folder / SURFACE
        known = "|".join(map(re.escape, KEYS))
        text = re.sub(rf"(?m)^    (?!(?:{known}):)[\w-]+:.*\n", "", place.read_text("utf-8", errors="replace"))
        place.write_text(text)
        return super()._load()


def test_a_loader_that_ignores_unknown_keys_is_found(tmp_path: Path) -> None:
    deaf = Deaf("lines", tmp_path)
    outcome, holes = deaf.judge(mutant(deaf, NEEDS, b"    neds: [x509]\n", "key-typo"))
    assert outcome == ACCEPTED and holes


class Lossy(Asker):
    """Bug: a row of the policy gets lost on the way into the engine, or one too many is made."""

    def engine(self, site: Site) -> Table:
        surfaces = tuple(replace(s, rules=s.rules[1:]) if s.name == "cell-b" else s for s in site.surfaces)
        return super().engine(replace(site, surfaces=surfaces))


class Generous(Asker):
    """Bug: a never gets lost on the way into the engine."""

    def engine(self, site: Site) -> Table:
        return super().engine(replace(site, surfaces=tuple(replace(s, nevers=()) for s in site.surfaces)))


@pytest.mark.parametrize("kind", [Lossy, Generous])
def test_an_engine_that_loses_something_is_found(tmp_path: Path, kind: type[Asker]) -> None:
    spoilt = Original("lines", tmp_path)
    spoilt.asker = kind(spoilt.asker.asked)
    _, holes = spoilt.judge(mutant(spoilt, *WIDER_RANGE))
    assert holes


class Mute(Original):
    """Bug: the comparison tells nothing."""

    def _difference(self, site: Site) -> Difference:
        return Difference((), ())


def test_a_comparison_that_tells_nothing_is_found(tmp_path: Path) -> None:
    mute = Mute("lines", tmp_path)
    outcome, holes = mute.judge(mutant(mute, *WIDER_RANGE))
    assert outcome == WIDER
    assert "a widening that is not told" in holes[0].what
