"""What the data plane tells, turned into audit records and counts: the adapter between `gateway` and `audit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.audit.record import LinkFigures, Record, Subject
from proxy.gateway.watch import by_rule

if TYPE_CHECKING:
    from proxy.audit.writer import AuditWriter
    from proxy.core.events import Event
    from proxy.core.reason import Reason
    from proxy.gateway.ports import LinkFacts
    from proxy.telemetry.counters import Counters


class _Open:
    """What is remembered of a live link until its closing record."""

    __slots__ = ("refused", "subject")

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.refused: Counter[Reason] = Counter()


class AuditJournal:
    """See `proxy.gateway.ports.Journal`. ``policy`` names the policy in force, ``clock`` is monotonic seconds."""

    def __init__(self, writer: AuditWriter, counters: Counters, policy: str, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._counters = counters
        self._policy = policy
        self._clock = clock
        self._open: dict[int, _Open] = {}
        self._devices: dict[str, Subject] = {}

    def opened(self, link: LinkFacts) -> None:
        known = self._open[link.number] = _Open(self._subject(link))
        verdict = link.watch.authority.connect if link.watch is not None else None
        self._writer.record(
            Record("connect", known.subject, verdict=verdict, reason=verdict.reason if verdict else None)
        )

    def decided_again(self, link: LinkFacts) -> None:
        known = self._open.get(link.number)
        if known is not None:
            self.flows(link)
            known.subject = self._subject(link)

    def flows(self, link: LinkFacts) -> None:
        """Nobody keeps them yet."""

    def closed(self, link: LinkFacts) -> None:
        known = self._open.pop(link.number, None)
        if known is None:
            return
        self.flows(link)
        allowed = by_rule(link.inspector.tally()) if link.inspector is not None else {}
        seconds = self._clock() - link.opened_at
        figures = LinkFigures(allowed, known.refused, link.bytes_in, link.bytes_out, seconds)
        self._writer.record(Record("close", known.subject, reason=link.why, detail=link.detail, figures=figures))
        self._counters.count("close", link.why, link.facts.listener, link.entrance.device.id)

    def event(self, link: LinkFacts | None, device: str, event: Event) -> None:
        reason = event.reason or (event.verdict.reason if event.verdict is not None else None)
        if link is None:
            subject = self._devices.get(device)
            if subject is None:
                subject = self._devices[device] = Subject(to=device, policy=self._policy)
            self._counters.count(event.what, reason, None, device)
        else:
            known = self._open.get(link.number)
            subject = known.subject if known is not None else self._subject(link)
            if known is not None and event.what == "refuse" and reason is not None:
                known.refused[reason] += 1
            self._counters.count(event.what, reason, link.facts.listener, device)
        self._writer.record(Record.of(event, subject))

    def before(self, link: LinkFacts, event: Event, done: Callable[[bool], None]) -> None:
        known = self._open.get(link.number)
        subject = known.subject if known is not None else self._subject(link)
        self._counters.count(event.what, event.reason, link.facts.listener, link.entrance.device.id)
        self._writer.durable(Record.of(event, subject), done)

    def _subject(self, link: LinkFacts) -> Subject:
        return Subject(
            link=link.number,
            facts=link.facts,
            principal=link.principal,
            to=link.entrance.device.id,
            protocol=link.entrance.protocol.name,
            policy=self._policy,
        )
