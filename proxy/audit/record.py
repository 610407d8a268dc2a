"""The decision record: what happened, to whom, by which rule. One record becomes one JSON line.

A record holds references only, so that making one costs the event loop about a microsecond; `fields` turns it into
text later, in the writer's thread. Field names are stable: docs/audit.md lists them and a test compares.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from proxy.audit import ulid
from proxy.audit.reasons import slug
from proxy.core.reason import Reason

if TYPE_CHECKING:
    from proxy.core.events import Event
    from proxy.core.facts import ConnFacts
    from proxy.core.origin import RuleRef
    from proxy.core.principal import Principal
    from proxy.core.verdict import Verdict

Fields = dict[str, object]

KINDS = (
    *("connect", "refuse", "act", "malformed", "device", "close"),
    *("start", "stop", "reload", "monitor", "gap", "retired"),
)
"""Every value of ``what``. The last two are the log's own: records that were lost, a segment that was removed."""

TEXT_LIMIT = 200
"""Characters of any one text, T80."""

LIST_LIMIT = 64
"""Entries of any one list or table inside a record."""

_REASONS = {reason: (reason.code, slug(reason)) for reason in Reason}
_REFUSED = frozenset({"refuse", "malformed"})
_JUDGED = _REFUSED | {"connect", "act"}


class Figures(Protocol):
    """Numbers that some kinds of record carry besides the common fields."""

    def fields(self) -> Fields: ...


class LinkFigures:
    """The sums of one link, for its ``close`` record. Bytes are application bytes; ``seconds`` is its life."""

    __slots__ = ("allowed", "received", "refused", "seconds", "sent")

    def __init__(
        self,
        allowed: Mapping[RuleRef, int],
        refused: Mapping[Reason, int],
        received: int,
        sent: int,
        seconds: float,
    ) -> None:
        self.allowed = allowed
        self.refused = refused
        self.received = received
        self.sent = sent
        self.seconds = seconds

    def fields(self) -> Fields:
        return {
            "allowed": _table({str(rule): n for rule, n in self.allowed.items()}),
            "refused": {reason.code: n for reason, n in self.refused.items()},
            "received_bytes": self.received,
            "sent_bytes": self.sent,
            "seconds": round(self.seconds, 3),
        }


class Subject:
    """Whom records of one link are about. Made once a link; ``link`` and ``facts`` are None for a shared upstream.

    ``to`` is a device id, ``policy`` the digest of the policy in force. ``key`` tells speakers apart, not links.
    """

    __slots__ = ("_fields", "facts", "key", "link", "policy", "principal", "protocol", "to")

    def __init__(
        self,
        *,
        link: int | None = None,
        facts: ConnFacts | None = None,
        principal: Principal | None = None,
        to: str = "",
        protocol: str = "",
        policy: str = "",
    ) -> None:
        self.link = link
        self.facts = facts
        self.principal = principal
        self.to = to
        self.protocol = protocol
        self.policy = policy
        where = (facts.listener, facts.peer_ip) if facts is not None else ("", "")
        self.key = "\0".join((*where, principal.label if principal is not None else "", to))
        self._fields: Fields | None = None

    def fields(self, *, of_many_links: bool = False) -> Fields:
        """Made once and kept; without link and port where a record sums up several links."""
        if self._fields is None:
            self._fields = self._make()
        if not of_many_links:
            return self._fields
        fields = {name: value for name, value in self._fields.items() if name not in ("link", "peer")}
        if self.facts is not None:
            fields["peer"] = self.facts.peer_ip
        return fields

    def _make(self) -> Fields:
        fields: Fields = {}
        facts = self.facts
        if facts is not None:
            fields["listener"] = cap(facts.listener)
        if self.link is not None:
            fields["link"] = self.link
        if self.principal is not None:
            fields["who"] = cap(self.principal.label)
            fields["evidence"] = _texts(self.principal.matched)
            if self.principal.attributes:
                fields["attributes"] = _texts(self.principal.attributes)
        if facts is not None:
            fields |= _peer(facts)
        for name, value in (("to", self.to), ("protocol", self.protocol), ("policy", self.policy[:12])):
            if value:
                fields[name] = cap(value)
        return fields


class Record:
    """One thing that happened. ``id``, ``time`` (wall seconds) are set by the writer when it takes the record."""

    __slots__ = ("action", "detail", "figures", "id", "many", "reason", "subject", "time", "verdict", "what")

    def __init__(
        self,
        what: str,
        subject: Subject | None = None,
        *,
        reason: Reason | None = None,
        verdict: Verdict | None = None,
        action: str = "",
        detail: str = "",
        figures: Figures | None = None,
    ) -> None:
        self.what = what
        self.subject = subject
        self.reason = reason
        self.verdict = verdict
        self.action = action
        self.detail = detail
        self.figures = figures
        self.many = False
        self.id = 0
        self.time = 0.0

    @classmethod
    def of(cls, event: Event, subject: Subject) -> Record:
        """What an inspector or upstream reported, about this link."""
        verdict = event.verdict
        reason = event.reason
        if reason is None and verdict is not None:
            reason = verdict.reason
        return cls(event.what, subject, reason=reason, verdict=verdict, action=event.action, detail=event.detail)

    def fields(self) -> Fields:
        """Everything but the chain's own ``prev`` and ``n``."""
        fields: Fields = {"id": ulid.text(self.id), "time": rfc3339(self.time), "what": cap(self.what)}
        if self.subject is not None:
            fields |= self.subject.fields(of_many_links=self.many)
        if self.action:
            fields["action"] = cap(self.action)
        self._judgement(fields)
        if self.figures is not None:
            fields |= self.figures.fields()
        return fields

    def _judgement(self, fields: Fields) -> None:
        verdict = self.verdict
        if self.what in _JUDGED:
            # A connection that broke before anything was decided has no verdict at all.
            if self.reason is not None or self.what in _REFUSED:
                fields["verdict"] = "refuse"
            elif verdict is not None:
                fields["verdict"] = "allow"
        if self.reason is not None:
            fields["reason"], fields["slug"] = _REASONS[self.reason]
        detail = self.detail
        if verdict is not None:
            fields["rule"] = cap(str(verdict.rule))
            fields["at"] = cap(str(verdict.rule.origin))
            if verdict.nearest is not None:
                fields["nearest"] = cap(str(verdict.nearest))
                fields["nearest_at"] = cap(str(verdict.nearest.origin))
            if verdict.would is not None:
                fields["would"] = "allow" if verdict.would.allowed else "refuse"
                fields["would_rule"] = cap(str(verdict.would.rule))
            detail = detail or verdict.detail
        if detail:
            fields["detail"] = cap(detail)


def rfc3339(wall: float) -> str:
    """``2026-11-21T14:31:00.123Z``: UTC, milliseconds. ``wall`` is seconds since 1970."""
    second, ms = divmod(round(wall * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{ms:03d}Z"


def cap(text: str) -> str:
    """At most `TEXT_LIMIT` characters, a cut one ends in an ellipsis. JSON does the escaping."""
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "\u2026"


def _texts(values: frozenset[str]) -> list[str]:
    return [cap(value) for value in sorted(values)[:LIST_LIMIT]]


def _table(counts: dict[str, int]) -> dict[str, int]:
    """The biggest entries; the rest is summed under ``other``."""
    if len(counts) <= LIST_LIMIT:
        return {cap(name): n for name, n in counts.items()}
    order = sorted(counts.items(), key=lambda entry: -entry[1])
    table = {cap(name): n for name, n in order[: LIST_LIMIT - 1]}
    table["other"] = sum(n for _, n in order[LIST_LIMIT - 1 :])
    return table


def _peer(facts: ConnFacts) -> Fields:
    host = f"[{facts.peer_ip}]" if ":" in facts.peer_ip else facts.peer_ip
    fields: Fields = {"peer": cap(host if facts.inside is not None else f"{host}:{facts.peer_port}")}
    if facts.mac is not None:
        fields["mac"] = cap(facts.mac)
    if facts.certificate is not None:
        fields["certificate"] = cap(facts.certificate.sha256)
    return fields
