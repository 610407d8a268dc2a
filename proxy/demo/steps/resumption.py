"""An expired certificate that comes back through the session it had while it was valid (threats.md 7.2).

A TLS server that resumes a session does not look at the certificate's dates again. So the intruder talks while the
certificate is valid, closes cleanly, waits until it has ended, and asks to go on where it was.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from proxy.demo import tls
from proxy.demo.client import ANSWERED, Client
from proxy.demo.errors import DemoError
from proxy.demo.frames import content, read_holding
from proxy.demo.plant import INTRUDER
from proxy.demo.step import Claim, Expect, Seen, Step
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.connection import Answer, Speaker
    from proxy.demo.plant import Plant
    from proxy.demo.tls import Memory

LIFE = timedelta(seconds=4)
MARGIN = 0.2
"""Seconds after the end: the dates in certificates are whole seconds, clocks are not."""
QUESTION = read_holding(14, 1)
EXPIRED = "alert certificate expired"


def steps() -> list[Step]:
    attempt = _Attempt()
    return [
        Step(
            "intruder",
            "expired, TLS 1.3 resumption",
            attempt.through_new_door,
            Expect(
                (ANSWERED, ANSWERED, EXPIRED),
                allowed=(c.COUNTERS,),
                reason=c.CERTIFICATE_ENDED,
                arrives=(content(QUESTION), content(QUESTION)),
            ),
        ),
        Step(
            "intruder",
            "expired, TLS 1.2 resumption",
            attempt.through_old_door,
            c.ended(c.CERTIFICATE_ENDED, EXPIRED),
        ),
    ]


class _Attempt:
    """One short-lived certificate, used at both doors while it is valid and after it has ended."""

    def __init__(self) -> None:
        self._old: tuple[Speaker, Memory] | None = None

    def through_new_door(self, plant: Plant) -> Seen:
        papers, facts = plant.keys.short(LIFE)
        new = plant.speaker(INTRUDER, papers)
        old = plant.speaker(INTRUDER, papers, plant.doors.old)
        valid, answer, memory = _talk(new)
        other, other_answer, other_memory = _talk(old)
        self._old = (old, other_memory)
        time.sleep(max(0.0, facts.not_after + MARGIN - time.time()))
        client, after = _come_back(new, memory)
        # TLS 1.3 resumes by a ticket alone, and this gateway gives none.
        none = not memory.session.has_ticket and not _offered(client, memory)
        claim = Claim("no ticket to resume with", "no ticket to resume with" if none else "it has a ticket", none)
        return Seen.of([valid, other, client], [answer, other_answer, after], claim)

    def through_old_door(self, plant: Plant) -> Seen:
        assert self._old is not None  # noqa: S101 - the step before this one
        speaker, memory = self._old
        client, after = _come_back(speaker, memory)
        offered = _offered(client, memory)
        text = "the old session is offered"
        return Seen.of([client], [after], Claim(text, text if offered else "no session is offered", offered))


def _talk(speaker: Speaker) -> tuple[Client, Answer, Memory]:
    with Client(speaker) as client:
        (answer,) = client.ask(QUESTION)
        if client.tls is None or client.ended is not None:
            raise DemoError(f"a valid certificate was not let in: {answer.kind}")
        return client, answer, client.tls.memory


def _come_back(speaker: Speaker, memory: Memory) -> tuple[Client, Answer]:
    with Client(speaker, memory) as client:
        return client, client.ask(QUESTION)[0]


def _offered(client: Client, memory: Memory) -> bool:
    return client.tls is not None and tls.offers(client.tls.hello, memory.session)
