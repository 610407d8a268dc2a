"""What the data plane tells, turned into audit records, counts and flows: the adapter between `gateway` and those."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

from proxy.audit.record import LinkFigures, Record, Subject
from proxy.flows.book import Answer, Book, Key, Parties, Seen
from proxy.gateway.watch import by_rule, refused

if TYPE_CHECKING:
    from proxy.audit.writer import AuditWriter
    from proxy.core.events import Event
    from proxy.core.reason import Reason
    from proxy.gateway.ports import LinkFacts
    from proxy.gateway.watch import Flow, Watch
    from proxy.telemetry.counters import Counters


ROUND = 5.0
"""Seconds in which the flows of all live links are asked for, if `AuditJournal.gather` is called every `BEAT`."""
BEAT = 0.25


class _Open:
    """What is remembered of a live link until its closing record."""

    __slots__ = ("link", "parties", "refused", "subject")

    def __init__(self, link: LinkFacts, subject: Subject) -> None:
        self.link = link
        self.refused: Counter[Reason] = Counter()
        self.now_is(subject)

    def now_is(self, subject: Subject) -> None:
        self.subject = subject
        self.parties = _parties(subject)


class AuditJournal:
    """See `proxy.gateway.ports.Journal`. ``policy`` gives the digest in force, ``clock`` is monotonic seconds and
    ``wall`` time of day; flows go into ``book``."""

    def __init__(
        self,
        writer: AuditWriter,
        counters: Counters,
        policy: str,
        clock: Callable[[], float],
        wall: Callable[[], float] | None = None,
        book: Book | None = None,
    ) -> None:
        self._writer = writer
        self._counters = counters
        self._policy = policy
        self._clock = clock
        self._wall = wall
        self._book = book
        self._open: dict[int, _Open] = {}
        self._devices: dict[str, Subject] = {}
        self._round: Iterator[int] = iter(())
        self._round_at = -math.inf

    def in_force(self, policy: str) -> None:
        """Another policy decides from here on. Links that it concerns are told of by `decided_again`."""
        self._policy = policy
        self._devices.clear()

    def opened(self, link: LinkFacts) -> None:
        known = self._open[link.number] = _Open(link, self._subject(link))
        verdict = link.watch.authority.connect if link.watch is not None else None
        self._writer.record(
            Record("connect", known.subject, verdict=verdict, reason=verdict.reason if verdict else None)
        )

    def decided_again(self, link: LinkFacts) -> None:
        known = self._open.get(link.number)
        if known is not None:
            self.flows(link)
            known.now_is(self._subject(link))

    def flows(self, link: LinkFacts) -> None:
        known, watch = self._open.get(link.number), link.watch
        if known is not None and watch is not None and link.inspector is not None:
            self._tell(known, watch, link.inspector.tally())

    def gather(self) -> None:
        """Asks some links for their flows; called every `BEAT`, it comes round in `ROUND`. So a link of many years is
        no secret until it ends, and the loop is not held up by asking all of them at once."""
        now = self._clock()
        for _ in range(math.ceil(len(self._open) * BEAT / ROUND)):
            number = next(self._round, None)
            if number is not None:
                if (known := self._open.get(number)) is not None:
                    self.flows(known.link)
            elif now >= self._round_at + ROUND:
                self._round, self._round_at = iter(list(self._open)), now

    def closed(self, link: LinkFacts) -> None:
        known = self._open.pop(link.number, None)
        if known is None:
            return
        tally = link.inspector.tally() if link.inspector is not None else {}
        if link.watch is not None:
            self._tell(known, link.watch, tally)
        allowed = by_rule(tally)
        seconds = self._clock() - link.opened_at
        figures = LinkFigures(allowed, known.refused, link.bytes_in, link.bytes_out, seconds)
        self._writer.record(Record("close", known.subject, reason=link.why, detail=link.detail, figures=figures))
        self._counters.count("close", link.why, link.facts.listener, link.entrance.device.id)

    def event(self, link: LinkFacts | None, device: str, event: Event) -> None:
        reason = event.reason or (event.verdict.reason if event.verdict is not None else None)
        refused(event)
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

    def _tell(self, known: _Open, watch: Watch, tally: Mapping[Hashable, int]) -> None:
        if self._book is None or self._wall is None:
            return
        now = self._clock()
        since = self._wall() - now
        for flow, count in watch.fresh(tally):
            self._book.add(_key(known.parties, flow), _seen(flow, known.subject.policy, count, since, now))
        self._book.untold += watch.beyond(tally)

    def _subject(self, link: LinkFacts) -> Subject:
        return Subject(
            link=link.number,
            facts=link.facts,
            principal=link.principal,
            to=link.entrance.device.id,
            protocol=link.entrance.protocol.name,
            policy=self._policy,
        )


def _parties(subject: Subject) -> Parties:
    who = subject.principal
    if who is None:
        return Parties("unknown", (), (), subject.to, subject.protocol)
    return Parties(who.label, tuple(sorted(who.attributes)), tuple(sorted(who.matched)), subject.to, subject.protocol)


def _key(parties: Parties, flow: Flow) -> Key:
    would = flow.would
    answer = Answer(
        flow.reason is None,
        "" if flow.reason is None else flow.reason.code,
        str(flow.rule),
        None if would is None else would.allowed,
        "" if would is None or would.reason is None else would.reason.code,
        "" if would is None else str(would.rule),
    )
    return Key(parties, tuple([action.shape for action in flow.low]), answer)


def _seen(flow: Flow, policy: str, count: int, since: float, now: float) -> Seen:
    """``since`` is when the clock was 0, time of day."""
    return Seen(
        flow.low,
        flow.high,
        (flow.smallest, flow.largest),
        at=str(flow.rule.origin),
        policy=policy,
        count=count,
        first=since + flow.first,
        # An answer that is used again is not asked for: its last message came at some time until now.
        last=since + (now if flow.reusable else flow.last),
    )
