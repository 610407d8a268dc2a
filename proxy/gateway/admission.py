"""Who may come in through an entrance, and whether they still may: the questions a link asks, without any socket.

OpenSSL checks the chain; what it leaves open is asked here, after each handshake and again while the link lives: that
nothing was resumed, that the certificate is in date and not revoked (T08, T09, threats.md 7.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proxy.core.principal import Principal
from proxy.core.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.facts import CertificateFacts, ConnFacts
    from proxy.core.origin import RuleRef
    from proxy.core.process import Point
    from proxy.gateway.ports import Entrance, Judges
    from proxy.gateway.tls import TlsSession
    from proxy.gateway.watch import Authority
    from proxy.protocols.base import Introduction, Watched


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer to one connection. ``refusal`` None: it may come in. ``authority`` None: nobody asked the policy."""

    facts: ConnFacts
    principal: Principal
    authority: Authority | None
    refusal: Reason | None = None
    detail: str = ""


class Admission:
    """One per entrance; stateless."""

    def __init__(self, entrance: Entrance, judges: Judges) -> None:
        self._entrance = entrance
        self._judges = judges

    @property
    def watched(self) -> Watched:
        """What the inspectors of this entrance's device are to report."""
        return self._judges.watched(self._entrance.device.id, self._entrance.protocol.name)

    @property
    def wall(self) -> Callable[[], float]:
        return self._judges.wall

    def observe(self, point: Point, value: float, now: float) -> None:
        """The device told somebody this."""
        self._judges.observe(self._entrance.device.id, point, value, now)

    def certificate(self, tls: TlsSession) -> tuple[CertificateFacts | None, Reason | None]:
        """The client's certificate after the handshake, and why it does not do."""
        der = tls.certificate()
        if der is None:
            return None, Reason.TLS_FAILED
        try:
            certificate = self._judges.read_certificate(der)
        except ValueError:
            return None, Reason.TLS_FAILED
        if tls.resumed:
            return certificate, Reason.TLS_RESUMED
        return certificate, Reason.CERTIFICATE_ENDED if self.ended(certificate) else None

    def ended(self, certificate: CertificateFacts) -> bool:
        """Out of date or revoked, now."""
        wall = self._judges.wall()
        return not certificate.not_before <= wall < certificate.not_after or self._judges.revoked(certificate.serial)

    def remaining(self, certificate: CertificateFacts) -> float:
        """Seconds until it is out of date, not below 0."""
        return max(0.0, certificate.not_after - self._judges.wall())

    def again(self, facts: ConnFacts, known: Principal, let_in: RuleRef | None) -> Entry:
        """A link that is open, judged once more under what is in force now. What it would be refused with is why it
        ends, and the rule that had let it in is named."""
        principal = self._judges.identify(facts)
        if (reason := self._judges.standing(principal)) is not None:
            return Entry(facts, principal, None, reason)
        if principal.names != known.names:
            # Sessions were opened in this name (MQTT client ids, bound rules): they cannot become somebody else's.
            return Entry(facts, principal, None, Reason.IDENTITY_CHANGED)
        authority = self._judges.open_authority(principal, self._entrance.device.id, self._entrance.protocol.name)
        verdict = authority.connect
        if verdict.reason is None or let_in is None:
            return Entry(facts, principal, authority)
        detail = f"rule {let_in} ({let_in.origin}) had let it in; now: {verdict.detail or verdict.reason.sentence}"
        return Entry(facts, principal, authority, _end_of(verdict.reason), detail)

    def introduced(self, facts: ConnFacts, introduction: Introduction) -> Entry:
        """A client whose protocol brings its own handshake, and who passed it."""
        facts = replace(facts, application_uri=introduction.application_uri, channel=True)
        if introduction.certificate is None:
            return self.judge(facts, None, None)
        try:
            certificate = self._judges.read_certificate(introduction.certificate)
        except ValueError as error:
            return Entry(facts, Principal(None), None, Reason.CHANNEL_REFUSED, str(error))
        if self.ended(certificate):
            return Entry(replace(facts, certificate=certificate), Principal(None), None, Reason.CERTIFICATE_ENDED)
        return self.judge(facts, certificate, None)

    def judge(self, facts: ConnFacts, certificate: CertificateFacts | None, tls_version: str | None) -> Entry:
        """Who it is, whether the evidence stands, and whether some rule lets this speaker reach the device."""
        entrance, judges = self._entrance, self._judges
        if certificate is not None:
            facts = replace(facts, certificate=certificate, tls_version=tls_version)
        principal = judges.identify(facts)
        if (reason := judges.standing(principal)) is not None:
            return Entry(facts, principal, None, reason)
        authority = judges.open_authority(principal, entrance.device.id, entrance.protocol.name)
        verdict = authority.connect
        if verdict.allowed or entrance.protocol.answers_strangers(secured=entrance.secured):
            return Entry(facts, principal, authority)
        return Entry(facts, principal, authority, verdict.reason or Reason.NO_CONNECT_RULE, verdict.detail)


def _end_of(reason: Reason) -> Reason:
    """Why a live link ends that could not come in now. What ended by the clock or by a fault keeps its own reason."""
    return Reason.POLICY_CHANGED if reason in (Reason.NO_CONNECT_RULE, Reason.UNKNOWN_DEVICE) else reason
