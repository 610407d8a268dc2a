"""Four engines with the same rules, asked the same: ours, pycasbin plain and fast, and Cedar."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from bench.plant import RULES_PER_DEVICE, Plant, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from proxy.core.surface import Rule, Surface
    from proxy.protocols.modbus.targets import Spans

RULES_PER_SURFACE = 50
DEVICE_AND_VERB = [1, 2]
CASBIN_MODEL = """
[request_definition]
r = sub, dev, act, register
[policy_definition]
p = sub, dev, act, first, last
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.dev == p.dev && r.act == p.act && r.register >= p.first && r.register <= p.last && g(r.sub, p.sub)
"""
"""Cheap comparisons first, for Casbin's own sake."""


class Engine(Protocol):
    """``ask`` takes a question and says whether it is allowed; ``open`` does what has to be done once for a speaker and
    a device before (ours alone), and gives what to ask from then on."""

    name: str
    title: str

    def missing(self) -> str | None: ...
    def load(self, plant: Plant) -> None: ...
    def open(self, question: Question) -> Callable[[Question], bool]: ...


class Bulkhead:
    name = "bulkhead"
    title = "Bulkhead"

    def missing(self) -> str | None:
        return None

    def load(self, plant: Plant) -> None:
        from proxy.policy.compile import compile_policy

        self._policy = compile_policy(surfaces(plant), plant.roles, plant.devices)

    def open(self, question: Question) -> Callable[[Question], bool]:
        authority = self._policy.open(question.principal, question.device, "modbus")
        return lambda asked: authority.decide(asked.action, 0.0).allowed


class Casbin:
    name = "pycasbin"
    title = "pycasbin Enforcer"

    def missing(self) -> str | None:
        return None

    def make(self) -> Any:
        import casbin

        return casbin.Enforcer(casbin.Enforcer.new_model(text=CASBIN_MODEL))

    def load(self, plant: Plant) -> None:
        """Rows are put into the model one by one, as its own reader of files does: `add_policies` compares each with
        all others."""
        self._enforcer = self.make()
        model = self._enforcer.get_model()
        for rule in plant.surface.rules:
            for sub, dev, target in spans(rule):
                model["p"]["p"].policy.append([sub, dev, target.verb, target.first, target.last])
        for role in plant.roles:
            model["g"]["g"].policy.extend([member, f"role:{role.name}"] for member in role.members)
        self._enforcer.build_role_links()

    def open(self, question: Question) -> Callable[[Question], bool]:
        enforce = self._enforcer.enforce
        return lambda asked: bool(enforce(asked.speaker, asked.device, asked.action.verb, asked.register))


class FastCasbin(Casbin):
    """Looks at the rows with the request's device and verb alone."""

    name = "pycasbin-fast"
    title = "pycasbin FastEnforcer"

    def make(self) -> Any:
        import casbin
        from casbin.model import FastModel

        model = FastModel(DEVICE_AND_VERB)
        model.load_model_from_text(CASBIN_MODEL)
        return casbin.FastEnforcer(model, cache_key_order=DEVICE_AND_VERB)


class Cedar:
    """Policies and entities are parsed once; a request is a dictionary, and its answer JSON inside of cedarpy."""

    name = "cedarpy"
    title = "cedarpy"

    def missing(self) -> str | None:
        if find_spec("cedarpy") is None:
            return "cedarpy is not installed (./run test makes an environment with it)"
        return None

    def load(self, plant: Plant) -> None:
        from cedarpy import Entities, PolicySet

        self._policies = PolicySet.from_str("\n".join(map(cedar, plant.surface.rules)))
        crews: dict[str, list[str]] = {}
        for role in plant.roles:
            for member in role.members:
                crews.setdefault(member, []).append(role.name)
        people = [entity("User", f"master-{at}", crews.get(f"master-{at}", [])) for at in range(plant.speakers)]
        self._entities = Entities.from_json_str(
            dumps([*people, *(entity("Crew", role.name, []) for role in plant.roles)])
        )

    def open(self, question: Question) -> Callable[[Question], bool]:
        from cedarpy import is_authorized

        def ask(asked: Question) -> bool:
            request = {
                "principal": {"type": "User", "id": asked.speaker},
                "action": {"type": "Action", "id": asked.action.verb},
                "resource": {"type": "Device", "id": asked.device},
                "context": {"register": asked.register},
            }
            return bool(is_authorized(request, self._policies, self._entities).allowed)

        return ask


ENGINES: tuple[type[Engine], ...] = (Bulkhead, Casbin, FastCasbin, Cedar)


def surfaces(plant: Plant) -> list[Surface]:
    """The plant as a site has it: surfaces of fifty rules."""
    zone = plant.surface
    found = []
    for at in range(0, len(zone.rules), RULES_PER_SURFACE):
        name = f"cell-{at // RULES_PER_SURFACE}"
        rules = tuple(replace(r, ref=replace(r.ref, surface=name)) for r in zone.rules[at : at + RULES_PER_SURFACE])
        first, last = at // RULES_PER_DEVICE, (at + len(rules)) // RULES_PER_DEVICE
        found.append(replace(zone, name=name, members=zone.members[first:last], rules=rules))
    return found


def spans(rule: Rule) -> Iterator[tuple[str, str, Spans]]:
    from proxy.protocols.modbus.targets import Spans

    for speaker in rule.speakers:
        for device in rule.devices:
            yield from ((speaker, device, target) for target in rule.targets if isinstance(target, Spans))


def cedar(rule: Rule) -> str:
    return "\n".join(
        f'permit (principal {whom(sub)}, action == Action::"{target.verb}", resource == Device::"{dev}") '
        f"when {{ context.register >= {target.first} && context.register <= {target.last} }};"
        for sub, dev, target in spans(rule)
    )


def whom(speaker: str) -> str:
    if speaker.startswith("role:"):
        return f'in Crew::"{speaker.removeprefix("role:")}"'
    return f'== User::"{speaker}"'


def entity(kind: str, name: str, crews: list[str]) -> dict[str, object]:
    parents = [{"type": "Crew", "id": crew} for crew in crews]
    return {"uid": {"type": kind, "id": name}, "attrs": {}, "parents": parents}


def dumps(value: object) -> str:
    import json

    return json.dumps(value)
