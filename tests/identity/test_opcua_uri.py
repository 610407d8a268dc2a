"""Who speaks on a channel that is not TLS: OPC UA, where certificates come from the listener's trust list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.core.evidence import Outcome, Strength
from proxy.core.reason import Reason
from proxy.identity.sources.opcua_uri import OpcuaUri
from proxy.identity.sources.x509 import X509
from tests.identity.inventory import (
    MAC_1,
    SITE,
    bound,
    by_kind,
    certificate,
    conn,
    device,
    identifier,
    of_device,
    on_channel,
)

if TYPE_CHECKING:
    from proxy.core.facts import ConnFacts

URI = "urn:hmi-1:viewer"
HMI = device("hmi-1", bound(opcua_uri=URI), "10.3.0.41")
STRICT = device("hmi-2", bound(opcua_uri="urn:hmi-2:viewer", address_only=True, require=["opcua_uri"]), "10.3.0.42")
PLAIN = device("hmi-3", bound(opcua_uri="urn:hmi-3:viewer", address_only=True), "10.3.0.43")
PINNED = device("hmi-4", bound(uri="urn:hmi-4:pinned"))
NAMED = device("hmi-5", bound(cn="HMI 5"))
MOVED = device("hmi-6", bound(opcua_uri="urn:hmi-6:viewer", mac=MAC_1), "10.3.0.46")
SCADA = device("scada")
KNOWN = identifier(HMI, STRICT, PLAIN, PINNED, NAMED, MOVED, SCADA)


def judged(facts: ConnFacts) -> tuple[str | None, Reason | None]:
    principal = KNOWN.identify(facts)
    return principal.id, KNOWN.refusal(principal)


def test_the_uri_in_the_certificate_of_the_channel_names_the_device() -> None:
    principal = KNOWN.identify(on_channel(certificate(URI, cn="viewer"), URI))
    assert principal.id == "hmi-1" and KNOWN.refusal(principal) is None
    assert principal.proved and principal.matched == {"x509", "opcua_uri"}
    assert by_kind(principal)["opcua_uri"].strength is Strength.PROOF
    assert principal.attributes == frozenset()


def test_t51_what_a_client_only_says_names_nobody() -> None:
    """Policy None: whoever reads the traffic knows what to say."""
    principal = KNOWN.identify(on_channel(said=URI))
    assert principal.id == "hmi-1"  # so that the record says who is being impersonated
    assert KNOWN.refusal(principal) is Reason.EVIDENCE_TOO_WEAK
    assert not principal.proved and principal.matched == frozenset()
    said = by_kind(principal)["opcua_uri"]
    assert (said.outcome, said.strength) == (Outcome.ABSENT, Strength.CLAIM)
    assert said.observed == URI and "proves nothing" in said.note


def test_what_it_only_says_satisfies_no_require() -> None:
    assert judged(on_channel(said="urn:hmi-2:viewer", ip="10.3.0.42")) == ("hmi-2", Reason.EVIDENCE_TOO_WEAK)
    assert judged(on_channel(said="urn:hmi-3:viewer", ip="10.3.0.43")) == ("hmi-3", None)


def test_what_it_says_can_speak_against_it() -> None:
    assert judged(on_channel(said="urn:else", ip="10.3.0.43")) == ("hmi-3", Reason.DIFFERS_FROM_PIN)
    assert judged(on_channel(certificate(URI), said="urn:hmi-3:viewer")) == ("hmi-1", Reason.DIFFERS_FROM_PIN)


@pytest.mark.parametrize("uri", ["urn:hmi-1:Viewer", "URN:hmi-1:viewer", "urn:hmi-1:viewer ", "urn:hmi-1", "urn:x"])
def test_t12_uris_are_compared_whole(uri: str) -> None:
    assert judged(on_channel(certificate(uri), uri)) == (None, Reason.UNKNOWN_DEVICE)


def test_a_trusted_certificate_that_is_bound_to_nobody_is_nobody_s() -> None:
    """Also at the address of a device that its address alone would identify (T01, T08)."""
    assert judged(on_channel(certificate("urn:stranger"), "urn:stranger", ip="10.3.0.43")) == (
        None,
        Reason.UNKNOWN_DEVICE,
    )


def test_t08_whoever_issues_for_a_trust_list_makes_no_devices_and_no_roles_of_the_site() -> None:
    assert judged(on_channel(of_device("scada", "Operator"))) == (None, Reason.UNKNOWN_DEVICE)
    both = certificate(URI, f"spiffe://{SITE}/device/scada", role="Operator")
    principal = KNOWN.identify(on_channel(both, URI))
    assert principal.id == "hmi-1" and principal.attributes == frozenset()
    assert judged(on_channel(certificate(f"spiffe://{SITE}/device/scada", cn="HMI 5"))) == (None, Reason.UNKNOWN_DEVICE)


def test_what_is_pinned_for_certificates_counts_on_the_channel_too() -> None:
    assert judged(on_channel(certificate("urn:hmi-4:pinned"), "urn:hmi-4:pinned")) == ("hmi-4", None)
    assert judged(on_channel(certificate("urn:any", cn="HMI 5"), "urn:any")) == ("hmi-5", None)


def test_a_device_without_any_name_for_a_channel_has_no_certificate_there() -> None:
    evidence = X509(SITE).collect(on_channel(certificate("urn:any", cn="scada")), SCADA)
    assert evidence.outcome is Outcome.MISMATCH and evidence.expected == "no certificate of an OPC UA application"


def test_a_channel_with_the_certificate_of_another_is_a_mismatch() -> None:
    """Whatever else is found of the certificate: each source looks for itself."""
    for said in (None, URI):
        evidence = OpcuaUri().collect(on_channel(certificate("urn:else"), said), HMI)
        assert (evidence.outcome, evidence.observed) == (Outcome.MISMATCH, "urn:else")


def test_a_certificate_with_the_uris_of_two_devices_names_neither() -> None:
    assert judged(on_channel(certificate(URI, "urn:hmi-3:viewer"))) == (None, Reason.UNKNOWN_DEVICE)


def test_other_evidence_counts_as_always() -> None:
    assert judged(on_channel(certificate("urn:hmi-6:viewer"), ip="10.3.0.46", mac=MAC_1)) == ("hmi-6", None)
    assert judged(on_channel(certificate("urn:hmi-6:viewer"), ip="10.3.0.47", mac=MAC_1)) == (
        "hmi-6",
        Reason.DIFFERS_FROM_PIN,
    )


def test_in_tls_the_uri_is_absent_and_changes_nothing() -> None:
    principal = KNOWN.identify(conn(cert=of_device("hmi-1")))
    assert principal.id == "hmi-1" and KNOWN.refusal(principal) is None
    assert by_kind(principal)["opcua_uri"].outcome is Outcome.ABSENT
    assert judged(conn(cert=certificate(URI))) == (None, None)  # of the site's authority: rules may name its role


def test_words_of_a_client_are_made_fit_to_print() -> None:
    observed = by_kind(KNOWN.identify(on_channel(said="\x1b[2J" + "x" * 5000, ip="10.3.0.43")))["opcua_uri"].observed
    assert len(observed) <= 120 and observed.isprintable()
