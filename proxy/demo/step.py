"""One step of the demo, and the judge of it: what a client did, what it should come to, and what it came to.

Four witnesses, none of whom the demo can talk into anything: the client's own socket, the tap behind the gateway, the
gateway's audit log, and bystanders who must not notice: the SCADA that polls, the sensors that publish to the MES.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from proxy.demo.packets import safe
from proxy.demo.side import PLC

if TYPE_CHECKING:
    from proxy.demo.audit_log import Fields
    from proxy.demo.connection import Answer, Connection
    from proxy.demo.plant import Plant
    from proxy.demo.recording import Arrived
    from proxy.demo.side import Side


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only this step looks at."""

    expected: str
    observed: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The client's side: its answers, the connections it had (``address:port``), all that it sent."""

    answers: tuple[Answer, ...]
    peers: tuple[str, ...]
    sent: tuple[bytes, ...]
    claims: tuple[Claim, ...] = ()

    @classmethod
    def of(cls, clients: Iterable[Connection], answers: Iterable[Answer], *claims: Claim) -> Seen:
        clients = tuple(clients)
        return cls(tuple(answers), tuple(c.peer for c in clients), tuple(c.sent for c in clients), claims)


@dataclass(frozen=True, slots=True)
class Expect:
    """``answers`` are kinds (`client.Answer`), ``allowed`` the rules that let something through, ``reason`` the code of
    a refusal, ``arrives`` the contents (`frames.content`, `packets.content`) that come through: these and no others.
    ``heard`` are the topics on which the MES hears something besides the sensors' own words."""

    answers: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    reason: str = ""
    arrives: tuple[bytes, ...] = ()
    heard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """``who`` tries ``name``; ``play`` does it. ``without5``: what it comes to if the broker speaks no MQTT 5."""

    who: str
    name: str
    play: Callable[[Plant], Seen]
    expect: Expect
    side: Side = PLC
    without5: Expect | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the gateway put on record about a step's connections."""

    allowed: tuple[str, ...] = ()
    reason: str = ""
    rule: str = ""
    at: str = ""
    detail: str = ""

    @classmethod
    def of(cls, records: Iterable[Fields]) -> Ruling:
        """A refused message says more than a refused connection, and that more than why a link ended."""
        records = list(records)
        allowed = tuple(sorted({rule for r in records for rule in r.get("allowed", ())}))
        messages = [r for r in records if r["what"] in ("refuse", "malformed")]
        links = [r for r in records if r["what"] == "connect" and r.get("reason")]
        ends = [r for r in records if r["what"] == "close" and r.get("reason")]
        for found in (messages, links, ends):
            if found:
                last = found[-1]
                detail = last.get("detail") or last.get("slug", "")
                return cls(allowed, last["reason"], last.get("rule", ""), last.get("at", ""), detail)
        return cls(allowed)


@dataclass(frozen=True, slots=True)
class Result:
    """``seconds`` is what the client waited for its last answer."""

    who: str
    name: str
    expected: str
    observed: str
    ok: bool
    ruling: Ruling
    seconds: float


def judge(step: Step, seen: Seen, arrived: Arrived, ruling: Ruling, undisturbed: Claim, *, alone: bool) -> Result:
    """``arrived`` is without what the bystanders say. ``alone``: nobody but the demo uses this gateway, so what
    the step does not account for is a fault; otherwise only this step's own frames are looked for."""
    expect = step.expect
    kinds = tuple(answer.kind for answer in seen.answers)
    claims = (
        Claim(_sequence(expect.answers), _sequence(kinds), kinds == expect.answers),
        Claim(_ruled(expect.allowed, expect.reason), _ruling(ruling), _same(expect, ruling)),
        _arrival(step, seen, arrived, alone=alone),
        *((_hearing(expect, arrived, alone=alone),) if step.side.heard else ()),
        *seen.claims,
        undisturbed,
    )
    return Result(
        who=step.who,
        name=step.name,
        expected="; ".join(claim.expected for claim in claims),
        observed="; ".join(claim.observed for claim in claims),
        ok=all(claim.ok for claim in claims),
        ruling=ruling,
        seconds=seen.answers[-1].seconds if seen.answers else 0.0,
    )


def forbidden(step: Step, seen: Seen) -> set[bytes]:
    """What this step sent and what must not come out behind the gateway, cut as well as broken bytes can be."""
    contents: set[bytes] = set()
    for stream in seen.sent:
        contents.update(step.side.cut(stream)[0])
    return contents - set(step.expect.arrives)


def _arrival(step: Step, seen: Seen, arrived: Arrived, *, alone: bool) -> Claim:
    wanted = Counter(step.expect.arrives)
    if alone:
        ok = arrived.frames == wanted and not arrived.rest
    else:
        ok = arrived.frames >= wanted and not (forbidden(step, seen) & set(arrived.frames))
    there = arrived.frames if alone or not ok else arrived.frames & wanted
    side = step.side
    text = f"{side.name} received {_many(there.total(), side.noun)}"
    if not ok and there:
        text += f" ({', '.join(map(side.show, there))})"
    if not ok and arrived.rest:
        text += f" and {len(arrived.rest)} bytes that are no {side.noun}"
    if arrived.left_open:
        text += f", {_many(arrived.left_open, 'connection')} left open"
    return Claim(f"{side.name} receives {_many(wanted.total(), side.noun)}", text, ok and not arrived.left_open)


def _hearing(expect: Expect, arrived: Arrived, *, alone: bool) -> Claim:
    wanted, heard = Counter(expect.heard), Counter(arrived.heard)
    ok = heard == wanted if alone else heard >= wanted
    there = heard if alone or not ok else heard & wanted
    return Claim(_told(wanted), _told(there), ok)


def _told(topics: Counter[str]) -> str:
    return f"MES hears of {', '.join(map(safe, sorted(topics.elements())))}" if topics else "MES hears nothing of it"


def _many(count: int, noun: str) -> str:
    return "nothing" if not count else f"{count} {noun}{'s' if count > 1 else ''}"


def _sequence(kinds: tuple[str, ...]) -> str:
    runs = [(kind, len(list(run))) for kind, run in groupby(kinds)]
    return ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in runs)


def _same(expect: Expect, ruling: Ruling) -> bool:
    return ruling.allowed == tuple(sorted(expect.allowed)) and ruling.reason == expect.reason


def _ruled(allowed: tuple[str, ...], reason: str) -> str:
    parts = [f"allowed by {', '.join(sorted(allowed))}"] if allowed else []
    if reason:
        parts.append(f"refused with {reason}")
    return ", ".join(parts) or "no decision on record"


def _ruling(ruling: Ruling) -> str:
    text = _ruled(ruling.allowed, ruling.reason)
    if ruling.rule:
        text += f" by {ruling.rule} ({ruling.at})"
    elif ruling.reason and ruling.detail:
        text += f" ({ruling.detail})"
    return text
