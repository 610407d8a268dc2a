"""`tests:` of surfaces and the files of `policies/tests/`: questions to the policy, and the answers it must give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.surface import RuleTest
from proxy.site import names, times
from proxy.site.draft import first_of
from proxy.site.predicates import Points
from proxy.site.problem import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from proxy.core.action import Action
    from proxy.core.process import Point
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Draft, Voice
    from proxy.site.inventory import Inventory
    from proxy.site.policy_shapes import CasesShape, TestShape

Path = tuple[str | int, ...]

DEFAULT = "default"
"""How verdicts call the refusal of what no rule allows; a test may expect it with `because`."""


class Questions:
    """Reads one test after the other."""

    def __init__(self, inventory: Inventory, protocols: Mapping[str, ProtocolSpec]) -> None:
        self._inventory = inventory
        self._protocols = protocols
        self._points = Points(inventory, protocols)

    def read(self, shape: TestShape, path: Path, voice: Voice) -> RuleTest | None:
        """None after a report. Whether `because` names a rule is for the caller to know."""
        if not names.is_in_certificate(shape.who):
            self._inventory.look_up_one(shape.who, (*path, "who"), voice)
        self._inventory.look_up_one(shape.to, (*path, "to"), voice)
        state = self._state(shape, path, voice)
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
        return RuleTest(
            origin=voice.origin(path),
            who=shape.who,
            to=shape.to,
            text=text,
            actions=actions,
            expect_allow=shape.expect == "allow",
            because=shape.because,
            evidence=None if shape.evidence is None else tuple(dict.fromkeys(shape.evidence)),
            at=None if shape.at is None else times.instant(shape.at),
            state=state,
        )

    def _state(self, shape: TestShape, path: Path, voice: Voice) -> tuple[tuple[str, Point, float], ...]:
        """A point without a device is one of the device that is asked."""
        found: dict[tuple[str, Point], float] = {}
        for text, value in (shape.state or {}).items():
            place = (*path, "state", text)
            if (point := self._points.find(text, (shape.to,), place, voice)) is None:
                continue
            if point in found:
                wrong = f"{point[0]} {point[1]} stands here a second time"
                voice.error(Finding.DUPLICATE, place, wrong, "keep one", key=True)
            found[point] = value
        return tuple((device, point, value) for (device, point), value in found.items())

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


class Cases:
    """The tests of `policies/tests/`, in the order of files and lines. ``declared``: those with faults too.

    ``rules`` are the names of all rules and nevers by surface; None if some are not known.
    """

    def __init__(
        self,
        drafts: Iterable[Draft[CasesShape]],
        questions: Questions,
        rules: Mapping[str, Sequence[str]] | None,
    ) -> None:
        self.tests: list[RuleTest] = []
        self.declared: dict[str, Voice] = {}
        self._questions = questions
        self._rules = rules
        self._known: frozenset[str] = frozenset()
        for draft in drafts:
            if first_of(self.declared, draft.claims("test"), "test", draft.voice) and draft.shape is not None:
                self._add(draft.shape, draft.voice)

    def _add(self, shape: CasesShape, voice: Voice) -> None:
        for at, case in enumerate(shape.cases):
            path: Path = ("cases", at)
            if case.because is not None and self._rules is not None:
                self._check_because(case.because, self._rules, (*path, "because"), voice)
            if (test := self._questions.read(case, path, voice)) is not None:
                self.tests.append(test)
        voice.settle(("test",))

    def _check_because(self, name: str, rules: Mapping[str, Sequence[str]], path: Path, voice: Voice) -> None:
        self._known = self._known or frozenset(_full_names(rules))
        if name not in self._known:
            voice.unknown(path, "rule", name, sorted(self._known), f"write RULE or SURFACE/RULE, or {DEFAULT}")


def _full_names(rules: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for surface, names_of in rules.items():
        for name in (*names_of, DEFAULT):
            yield name
            yield f"{surface}/{name}"
