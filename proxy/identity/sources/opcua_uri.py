"""`opcua_uri`: the ApplicationUri of an OPC UA client, proved by the certificate of its secure channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.identity.sources.base import absent, capped

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts
    from proxy.core.inventory import Device


class OpcuaUri:
    """A proof, if the channel's certificate has the URI: a mode that signs shows that the client has its key.

    What a client without certificate says is a claim that can only speak against it (identity.md 2: it proves nothing
    alone): another URI than the bound one differs, the bound one itself is still absent.
    """

    kind = "opcua_uri"
    strength = Strength.PROOF

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        expected, said, certificate = device.bindings.opcua_uri, facts.application_uri, facts.certificate
        if expected is None:
            return absent(self, "no ApplicationUri is bound to the device", said or "")
        if not facts.channel:
            return absent(self, "the connection is not OPC UA", expected=expected)
        if certificate is None:
            return self._said(said, expected)
        if said is not None and said != expected:
            return Evidence(self.kind, Outcome.MISMATCH, self.strength, capped(said), expected)
        observed = capped(" ".join(certificate.uris) or "no URI")
        outcome = Outcome.MATCH if expected in certificate.uris else Outcome.MISMATCH
        return Evidence(self.kind, outcome, self.strength, observed, expected)

    def _said(self, said: str | None, expected: str) -> Evidence:
        if said is None:
            return absent(self, "the client has not said what it is called", expected=expected)
        outcome = Outcome.ABSENT if said == expected else Outcome.MISMATCH
        note = "it only says so: a channel without security proves nothing"
        return Evidence(self.kind, outcome, Strength.CLAIM, capped(said), expected, note)
