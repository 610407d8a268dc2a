from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.identity.identify import Identifier, refusal
from proxy.identity.sources.x509 import X509
from tests.identity.inventory import (
    MAC_1,
    MAC_2,
    SITE,
    bound,
    by_kind,
    certificate,
    conn,
    device,
    identifier,
    of_device,
)

if TYPE_CHECKING:
    from proxy.core.inventory import Device

SCADA = device("scada")
PLC = device("plc-3a", bound(mac=MAC_1), "10.3.0.11")
SENSOR = device("sensor-3-1", bound(address_only=True), "10.3.0.21")
LAPTOP = device("laptop", bound(mac=MAC_2, require=["x509", "mac_ip"]), "10.3.0.31")
KNOWN = identifier(SCADA, PLC, SENSOR, LAPTOP)


def judged(facts: ConnFacts, known: Identifier = KNOWN) -> tuple[str | None, Reason | None]:
    principal = known.identify(facts)
    return principal.id, known.refusal(principal)


def test_a_certificate_of_the_site_names_its_device() -> None:
    principal = KNOWN.identify(conn(cert=of_device("scada", "Operator")))
    assert principal.id == "scada" and principal.proved
    assert principal.attributes == {"mbaps:Operator"}
    assert KNOWN.refusal(principal) is None


def test_r23_a_certificate_without_a_role_carries_the_null_role_by_name() -> None:
    assert KNOWN.identify(conn(cert=of_device("scada"))).attributes == {"mbaps-null"}
    assert KNOWN.identify(conn("10.3.0.21")).attributes == frozenset()


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://bottling/device/SCADA",
        "spiffe://BOTTLING/device/scada",
        "SPIFFE://bottling/device/scada",
        "spiffe://bottling/device/scada/",
        "spiffe://bottling/device//scada",
        "spiffe://bottling/device/./scada",
        "spiffe://bottling/device/x/../scada",
        "spiffe://bottling/device/sc%61da",
        "spiffe://bottling/device/scada?x",
        "spiffe://bottling/device/scada#x",
        "spiffe://bottling:443/device/scada",
        "spiffe://bottling/device/scada ",
        "spiffe://bottling/person/scada",
        "spiffe://brewery/device/scada",
        "https://bottling/device/scada",
        "spiffe://bottling/device/*",
        "spiffe://bottling/device/s\u0441ada",
        "",
    ],
)
def test_t12_an_id_is_compared_whole_and_never_decoded(uri: str) -> None:
    facts = conn(cert=certificate(uri, cn="scada"))
    assert KNOWN.identify(facts).id is None
    assert X509(SITE).collect(facts, SCADA).outcome is Outcome.MISMATCH


def test_a_pinned_uri_replaces_the_usual_one() -> None:
    known = identifier(device("opc", bound(uri="urn:opc:line-2")))
    assert judged(conn(cert=certificate("urn:opc:line-2")), known) == ("opc", None)
    assert known.identify(conn(cert=of_device("opc"))).id is None


def test_a_pinned_common_name_is_for_certificates_without_a_spiffe_id() -> None:
    known = identifier(device("hmi", bound(cn="HMI 7")), device("anna", bound(cn="anna")))
    assert judged(conn(cert=certificate(cn="HMI 7")), known) == ("hmi", None)
    assert judged(conn(cert=certificate("urn:hmi", cn="HMI 7")), known) == ("hmi", None)
    assert judged(conn(cert=of_device("anna")), known) == ("anna", None)
    for cn in ("hmi 7", "HMI 7 ", "HMI"):
        assert known.identify(conn(cert=certificate(cn=cn))).id is None
    # The person anna has the common name anna too.
    assert known.identify(conn(cert=certificate("spiffe://bottling/person/anna", cn="anna"))).id is None


def test_uri_and_common_name_pinned_together_must_both_fit() -> None:
    known = identifier(device("hmi", bound(uri="urn:hmi", cn="HMI 7")))
    assert known.identify(conn(cert=certificate("urn:hmi", cn="HMI 7"))).id == "hmi"
    assert known.identify(conn(cert=certificate("urn:hmi", cn="HMI 8"))).id is None
    assert known.identify(conn(cert=certificate("urn:x", cn="HMI 7"))).id is None


def test_a_certificate_that_names_two_devices_names_neither() -> None:
    known = identifier(SCADA, device("opc", bound(uri="urn:opc")), device("twin", bound(uri="urn:opc")))
    two = known.identify(conn(cert=certificate("spiffe://bottling/device/scada", "urn:opc")))
    assert two.id is None and "several devices" in two.evidence[0].note
    assert known.identify(conn(cert=certificate("urn:opc"))).id is None


def test_a_certificate_with_two_spiffe_ids_names_nobody() -> None:
    both = certificate("spiffe://bottling/device/scada", "spiffe://bottling/person/anna")
    principal = KNOWN.identify(conn(cert=both))
    assert principal.id is None and "more than one SPIFFE" in principal.evidence[0].note


def test_a_certificate_outranks_the_address() -> None:
    assert judged(conn("10.3.0.21", cert=of_device("scada"))) == ("scada", None)
    assert judged(conn("10.3.0.11", MAC_1, of_device("scada"))) == ("scada", None)


@pytest.mark.parametrize("facts", [("10.3.0.21", None), ("10.3.0.11", MAC_1)])
def test_t01_t08_a_certificate_that_names_nobody_does_not_become_the_device_at_that_address(
    facts: tuple[str, str | None],
) -> None:
    assert KNOWN.identify(conn(*facts)).id is not None  # without a certificate it would
    stranger = certificate("spiffe://bottling/device/stranger", cn="stranger", role="Operator")
    principal = KNOWN.identify(conn(*facts, cert=stranger))
    assert principal.id is None
    assert principal.attributes == {"mbaps:Operator"}
    assert KNOWN.refusal(principal) is None  # rules may name its role; no rule names it otherwise
    assert by_kind(principal)["x509"].observed == "spiffe://bottling/device/stranger"


def test_t08_a_stolen_certificate_used_from_another_host_differs_from_the_pin() -> None:
    mine = of_device("laptop")
    assert judged(conn("10.3.0.31", MAC_2, mine)) == ("laptop", None)
    for ip, mac in (("10.3.0.32", MAC_2), ("10.3.0.31", MAC_1), ("10.3.0.32", MAC_1), ("192.0.2.7", None)):
        facts = conn(ip, mac, mine)
        assert judged(facts) == ("laptop", Reason.DIFFERS_FROM_PIN)
        assert by_kind(KNOWN.identify(facts))["mac_ip"].outcome is Outcome.MISMATCH


def test_t08_a_pin_counts_whether_or_not_it_is_required() -> None:
    known = identifier(device("hmi", bound(mac=MAC_1), "10.3.0.31"))
    assert judged(conn("10.3.0.31", None, of_device("hmi")), known) == ("hmi", None)
    assert judged(conn("10.3.0.32", None, of_device("hmi")), known) == ("hmi", Reason.DIFFERS_FROM_PIN)


def test_what_is_required_and_absent_is_too_weak() -> None:
    assert judged(conn("10.3.0.31", None, of_device("laptop"))) == ("laptop", Reason.EVIDENCE_TOO_WEAK)
    assert judged(conn("10.3.0.31", "00:00:00:00:00:00", of_device("laptop"))) == ("laptop", Reason.EVIDENCE_TOO_WEAK)
    assert judged(conn("10.3.0.31", MAC_2)) == ("laptop", Reason.EVIDENCE_TOO_WEAK)  # no certificate


def test_a_required_kind_that_nobody_gathers_is_never_matched() -> None:
    known = identifier(device("scada", bound(require=["switch_port"])))
    assert judged(conn(cert=of_device("scada")), known) == ("scada", Reason.EVIDENCE_TOO_WEAK)


def test_mac_and_address_together_identify_but_prove_nothing() -> None:
    principal = KNOWN.identify(conn("10.3.0.11", MAC_1))
    assert principal.id == "plc-3a" and KNOWN.refusal(principal) is None
    assert principal.has("mac_ip") and not principal.proved


@pytest.mark.parametrize(
    ("ip", "mac", "reason"),
    [
        ("10.3.0.11", MAC_2, Reason.DIFFERS_FROM_PIN),
        ("10.3.0.12", MAC_1, Reason.DIFFERS_FROM_PIN),
        ("10.3.0.11", None, Reason.EVIDENCE_TOO_WEAK),
        ("10.3.0.11", "00:00:00:00:00:00", Reason.EVIDENCE_TOO_WEAK),
    ],
)
def test_t01_half_of_mac_and_address_keeps_the_name_for_the_record_and_is_refused(
    ip: str, mac: str | None, reason: Reason
) -> None:
    assert judged(conn(ip, mac)) == ("plc-3a", reason)


def test_an_address_alone_identifies_only_where_the_operator_says_unsafe() -> None:
    principal = KNOWN.identify(conn("10.3.0.21"))
    assert principal.id == "sensor-3-1" and KNOWN.refusal(principal) is None and not principal.proved
    known = identifier(device("sensor-3-1", None, "10.3.0.21"))
    assert judged(conn("10.3.0.21"), known) == ("sensor-3-1", Reason.EVIDENCE_TOO_WEAK)


def test_address_only_is_a_permission_not_a_pin() -> None:
    assert judged(conn("10.9.9.9", cert=of_device("sensor-3-1"))) == ("sensor-3-1", None)


def test_t29_an_ipv4_client_on_a_dual_stack_listener_is_itself() -> None:
    assert judged(conn("::ffff:10.3.0.21")) == ("sensor-3-1", None)
    assert judged(conn("::ffff:10.3.0.11", MAC_1.upper())) == ("plc-3a", None)


def test_nobody_is_at_an_unknown_address() -> None:
    principal = KNOWN.identify(conn("192.0.2.1", "02:00:00:00:00:07"))
    assert principal.id is None and not principal.proved
    assert KNOWN.refusal(principal) is Reason.UNKNOWN_DEVICE


def test_an_address_of_several_devices_is_told_apart_by_mac_or_is_nobodys() -> None:
    one, two = (device(f"d{mac[-1]}", bound(mac=mac), "10.3.0.50") for mac in (MAC_1, MAC_2))
    known = identifier(one, two)
    assert judged(conn("10.3.0.50", MAC_2), known) == ("d2", None)
    principal = known.identify(conn("10.3.0.50"))
    assert principal.id is None and "d1, d2" in principal.evidence[0].note
    assert known.refusal(principal) is Reason.UNKNOWN_DEVICE


def test_one_of_several_devices_at_an_address_may_be_known_by_it() -> None:
    known = identifier(device("plc", None, "127.0.0.1"), device("master", bound(address_only=True), "127.0.0.1"))
    assert judged(conn("127.0.0.1"), known) == ("master", None)


def test_a_hint_never_lets_anybody_in_and_a_foreign_hint_keeps_nobody_out() -> None:
    known = identifier(device("d", None, "10.3.0.60"), baselines={"d": frozenset({"usual"})})
    assert judged(conn("10.3.0.60", syn="usual"), known) == ("d", Reason.EVIDENCE_TOO_WEAK)
    assert judged(conn("10.3.0.60", syn="other", cert=of_device("d")), known) == ("d", None)
    evidence = by_kind(known.identify(conn(syn="other", cert=of_device("d"))))["syn"]
    assert evidence.outcome is Outcome.MISMATCH


def test_a_hint_counts_against_where_the_operator_requires_it() -> None:
    known = identifier(device("d", bound(require=["syn"])), baselines={"d": frozenset({"usual"})})
    assert judged(conn(syn="usual", cert=of_device("d")), known) == ("d", None)
    assert judged(conn(syn="other", cert=of_device("d")), known) == ("d", Reason.DIFFERS_FROM_PIN)
    assert judged(conn(cert=of_device("d")), known) == ("d", Reason.EVIDENCE_TOO_WEAK)


def test_a_hint_that_is_required_is_still_no_identification() -> None:
    known = identifier(device("d", bound(require=["syn"]), "10.3.0.60"), baselines={"d": frozenset({"usual"})})
    assert judged(conn("10.3.0.60", syn="usual"), known) == ("d", Reason.EVIDENCE_TOO_WEAK)


class Crashing:
    kind = "crashing"
    strength = Strength.PROOF

    def collect(self, facts: ConnFacts, device: Device) -> Evidence:
        raise RuntimeError("a secret: hunter2")


def test_cve_2022_3500_a_check_that_raises_is_absent_and_never_a_match() -> None:
    known = Identifier(SITE, {"scada": SCADA}, (Crashing(),))
    principal = known.identify(conn(cert=of_device("scada")))
    (evidence,) = principal.evidence
    assert evidence.outcome is Outcome.ABSENT and "RuntimeError" in evidence.note and "hunter2" not in evidence.note
    assert known.refusal(principal) is Reason.EVIDENCE_TOO_WEAK


def test_a_device_that_left_the_inventory_is_unknown() -> None:
    principal = KNOWN.identify(conn(cert=of_device("scada")))
    assert refusal(principal, None) is Reason.UNKNOWN_DEVICE
    assert identifier(PLC).refusal(principal) is Reason.UNKNOWN_DEVICE


def test_hostile_names_in_a_certificate_are_shown_capped_and_escaped() -> None:
    hostile = certificate("x" * 500, cn="\x1b[2J")
    observed = KNOWN.identify(conn(cert=hostile)).evidence[0].observed
    assert len(observed) <= 120 and observed.isprintable()
    assert KNOWN.identify(conn(cert=certificate(cn="\x1b[2J\n"))).evidence[0].observed == "?[2J?"


ips = st.sampled_from(["10.3.0.11", "10.3.0.21", "10.3.0.31", "::ffff:10.3.0.21", "127.0.0.1", "x"])
macs = st.sampled_from([None, MAC_1, MAC_2, "00:00:00:00:00:00"])
names = st.lists(
    st.sampled_from([f"spiffe://bottling/device/{n}" for n in ("scada", "plc-3a", "laptop", "x")] + ["urn:x"])
    | st.text(max_size=20),
    max_size=3,
).map(tuple)
certificates = st.builds(
    CertificateFacts,
    st.integers(1),
    st.none() | st.sampled_from(["scada", "plc-3a", "x"]),
    names,
    st.none() | st.just("Operator"),
    st.just(0.0),
    st.just(1.0),
    st.just("00"),
)


@given(st.builds(ConnFacts, st.just("l"), ips, st.just(1), macs, st.none(), st.none(), st.none() | certificates))
def test_who_passes_has_matched_everything_required_and_something_better_than_a_hint(facts: ConnFacts) -> None:
    principal = KNOWN.identify(facts)
    if facts.certificate is not None and principal.id is not None:
        assert principal.proved
        assert f"spiffe://bottling/device/{principal.id}" in facts.certificate.uris
    if facts.certificate is None:
        assert not principal.proved and not principal.attributes
    if KNOWN.refusal(principal) is not None:
        return
    better = [e for e in principal.evidence if e.strength is not Strength.HINT]
    assert any(e.outcome is Outcome.MATCH for e in better)
    assert not any(e.outcome is Outcome.MISMATCH for e in better)
    if principal.id is not None:
        bindings = {d.id: d for d in (SCADA, PLC, SENSOR, LAPTOP)}[principal.id].bindings
        assert bindings.require <= principal.matched


def test_a_principal_without_evidence_is_never_let_through() -> None:
    assert KNOWN.refusal(Principal("scada")) is Reason.EVIDENCE_TOO_WEAK
    assert KNOWN.refusal(Principal(None)) is Reason.UNKNOWN_DEVICE
