"""A protocol of one page: bells that are listened to and rung. It proves that the site loader knows no protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.core.process import Point

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.names import Names
    from proxy.core.process import Move
    from proxy.core.reason import Reason
    from proxy.protocols.base import Client, Decide, Far, Inspector, Proposal, ProtocolSpec, Report, Setting, Upstream

VERBS = ("listen", "write")


@dataclass(frozen=True)
class BellService:
    tone: str = "c"


@dataclass(frozen=True)
class BellTarget:
    verb: str
    bells: frozenset[int]
    protocol: str = "bell"
    values_matter: bool = False
    extent: None = None

    @property
    def changes(self) -> bool:
        return self.verb == "write"

    def bound(self, names: Names) -> BellTarget:
        return self

    def within(self, other: Target) -> bool:
        return isinstance(other, BellTarget) and self.verb == other.verb and self.bells <= other.bells

    def overlaps(self, other: Target) -> bool:
        return isinstance(other, BellTarget) and self.verb == other.verb and bool(self.bells & other.bells)

    def moves(self, action: Action) -> tuple[Move, ...]:
        return ()

    def covers(self, action: Action) -> int:
        return int(isinstance(action, BellAction) and action.verb == self.verb and action.bell in self.bells)

    def admits(self, action: Action) -> int:
        return self.covers(action)

    def describe(self) -> str:
        return f"{self.verb} {sorted(self.bells)}"


@dataclass(frozen=True)
class BellAction:
    verb: str
    bell: int
    protocol: str = "bell"
    atoms: int = 1
    extent: None = None

    @property
    def changes(self) -> bool:
        return self.verb == "write"

    @property
    def shape(self) -> tuple[object, ...]:
        return self.verb, self.bell

    @property
    def size(self) -> float:
        return 0

    def describe(self) -> str:
        return f"{self.verb} {self.bell}"


class BellProtocol:
    name = "bell"
    ports = frozenset({7700, 7701})

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        return ("refuse",) if secured else ("refuse", "silence")

    def answers_strangers(self, *, secured: bool) -> bool:
        return secured

    def parse_service(self, value: object, report: Report) -> object | None:
        known = isinstance(value, Mapping) and set(value) <= {"tone"}
        tone = value.get("tone", "c") if isinstance(value, Mapping) else None
        if not known:
            report(("tone",), "a bell has nothing but a tone", "write tone: c")
        if not isinstance(tone, str) or tone not in "cdefgah":
            report(("tone",), f"{tone!r} is not a tone", "one of c d e f g a h")
            return None
        return BellService(tone) if known else None

    shareable = True

    def parse_listener(self, value: object, report: Report) -> object | None:
        if value is not None:
            report((), "bell has no settings of a listener", "delete the section")
        return None

    def secrets(self, options: object) -> tuple[str, ...]:
        return ()

    def introduces(self, options: object) -> bool:
        return False

    def memory(self, options: object) -> object:
        return None

    def parse_rule(self, value: object, report: Report) -> tuple[Target, ...]:
        if not isinstance(value, Mapping):
            report((), "is not a section with verbs", "write bell: { listen: [1] }")
            return ()
        targets: list[Target] = []
        for verb, bells in value.items():
            if verb not in VERBS:
                report((verb,), f"unknown verb {verb!r}", f"one of {', '.join(VERBS)}")
            elif not isinstance(bells, list):
                report((verb,), "is not a list", "write [1, 2]")
            else:
                bad = [at for at, bell in enumerate(bells) if type(bell) is not int or not 0 <= bell <= 99]
                for at in bad:
                    report((verb, at), f"{bells[at]!r} is not a bell", "0..99")
                if bells and not bad:
                    targets.append(BellTarget(verb, frozenset(bells)))
        return tuple(targets)

    def parse_never(self, value: object, report: Report) -> tuple[Target, ...]:
        return self.parse_rule(value, report)

    def parse_actions(self, text: str) -> tuple[Action, ...]:
        verb, _, bell = text.partition(" ")
        if verb not in VERBS or not bell.isascii() or not bell.isdigit() or len(bell) > 2:
            raise ValueError(f"{text!r} is not a question; write for example: listen 3")
        return (BellAction(verb, int(bell)),)

    def text_of(self, asked: Sequence[Action]) -> str:
        return "".join(action.describe() for action in asked)

    def parse_point(self, text: str) -> Point:
        if not text.isascii() or not text.isdigit() or len(text) > 2:
            raise ValueError(f"{text!r} is no bell; write for example: bell 3")
        return Point(self.name, str(int(text)))

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        return tuple(target for target in targets if not any(target.within(other) for other in others))

    def outright(self, asked: tuple[Action, ...], options: object) -> tuple[Reason, str] | None:
        return None

    def sections(self, text: str, refused: tuple[Action, ...]) -> Iterable[object]:
        return ()

    def learn(self, asked: Sequence[Action], names: Names) -> Iterable[Proposal]:
        return ()

    def pointless(self, target: Target, options: object) -> tuple[str, str] | None:
        return None

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        bells = {"type": "array", "items": {"type": "integer"}}
        section: dict[str, object] = {
            "type": "object",
            "properties": dict.fromkeys(VERBS, bells),
            "additionalProperties": False,
        }
        service: dict[str, object] = {"type": "object", "properties": {"tone": {"type": "string"}}}
        return {"service": service, "rule": section, "never": section}

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        raise AssertionError("reading a site starts no traffic")

    def upstream(self, options: object, far: Far) -> Upstream:
        raise AssertionError("reading a site starts no traffic")


BELL: ProtocolSpec = BellProtocol()
