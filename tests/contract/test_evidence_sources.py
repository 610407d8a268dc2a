"""What `EvidenceSource` promises, asked of every source there is on disk.

A new file in `proxy/identity/sources` is found by itself; `EXAMPLES` then lacks it, and says so.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import proxy.identity.sources
from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.inventory import Bindings, Device
from proxy.core.origin import Origin
from proxy.identity.sources.address import Address
from proxy.identity.sources.base import MAX_OBSERVED, EvidenceSource
from proxy.identity.sources.inside import Inside
from proxy.identity.sources.mac_ip import MacIp
from proxy.identity.sources.opcua_uri import OpcuaUri
from proxy.identity.sources.syn import Syn
from proxy.identity.sources.x509 import X509

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES = list(Strength)
SITE, MAC, SYN = "bottling", "00:0e:8c:aa:bb:01", "4:64:0:1460:mss*44,7:mss,sok,ts,nop,ws:df"


def a_device(bindings: Bindings | None = None, name: str = "plc-3a", address: str | None = None) -> Device:
    return Device(name, "plc", None, address, Origin("fingerprints/devices/plc-3a.yaml", 1), {}, bindings or Bindings())


def a_certificate(*uris: str, cn: str | None = None) -> CertificateFacts:
    return CertificateFacts(1, cn, uris, None, 0.0, 1.0, "00")


@dataclass(frozen=True, slots=True)
class Example:
    """A source with a device, a connection that fits, and one that differs."""

    source: EvidenceSource
    strength: Strength
    device: Device
    fits: ConnFacts
    differs: ConnFacts


EXAMPLES = {
    "x509": Example(
        X509(SITE),
        Strength.PROOF,
        a_device(),
        ConnFacts("l", "10.3.0.11", 1, certificate=a_certificate("spiffe://bottling/device/plc-3a")),
        ConnFacts("l", "10.3.0.11", 1, certificate=a_certificate("spiffe://bottling/device/plc-3b")),
    ),
    "opcua_uri": Example(
        OpcuaUri(),
        Strength.PROOF,
        a_device(Bindings(opcua_uri="urn:hmi-1:viewer")),
        ConnFacts("l", "10.3.0.11", 1, certificate=a_certificate("urn:hmi-1:viewer"), channel=True),
        ConnFacts("l", "10.3.0.11", 1, certificate=a_certificate("urn:hmi-2:viewer"), channel=True),
    ),
    "inside": Example(
        Inside(),
        Strength.PROOF,
        a_device(),
        ConnFacts("l", "inside", 0, inside="plc-3a"),
        ConnFacts("l", "inside", 0, inside="plc-3b"),
    ),
    "mac_ip": Example(
        MacIp(),
        Strength.CLAIM,
        a_device(Bindings(mac=MAC), address="10.3.0.11"),
        ConnFacts("l", "10.3.0.11", 1, MAC),
        ConnFacts("l", "10.3.0.11", 1, "00:0e:8c:aa:bb:02"),
    ),
    "address": Example(
        Address(),
        Strength.CLAIM,
        a_device(Bindings(address_only=True, require=frozenset({"address"})), address="10.3.0.11"),
        ConnFacts("l", "10.3.0.11", 1),
        ConnFacts("l", "10.3.0.12", 1),
    ),
    "syn": Example(
        Syn({"plc-3a": frozenset({SYN})}),
        Strength.HINT,
        a_device(),
        ConnFacts("l", "10.3.0.11", 1, syn=SYN),
        ConnFacts("l", "10.3.0.11", 1, syn=SYN.replace("64", "128")),
    ),
}


def sources_on_disk() -> Iterator[type]:
    for module in pkgutil.iter_modules(proxy.identity.sources.__path__):
        if module.name == "base":
            continue
        found = importlib.import_module(f"proxy.identity.sources.{module.name}")
        own = [kind for _, kind in inspect.getmembers(found, inspect.isclass) if kind.__module__ == found.__name__]
        assert len(own) == 1, f"{module.name}.py holds {len(own)} classes, not one"
        yield own[0]


SOURCES = sorted(sources_on_disk(), key=lambda kind: kind.__module__)
each_source = pytest.mark.parametrize("kind", SOURCES, ids=[kind.__module__.rpartition(".")[2] for kind in SOURCES])

words = st.none() | st.text(max_size=300)
some_ip = st.sampled_from(["10.3.0.11", "::ffff:10.3.0.11", "fe80::1%eth0", "", "localhost"]) | st.text(max_size=50)
some_mac = st.sampled_from([None, MAC, MAC.upper(), "00:00:00:00:00:00", "00-0e-8c-aa-bb-01"]) | words
certificates = st.builds(
    CertificateFacts,
    st.integers(),
    words,
    st.lists(
        st.sampled_from(["spiffe://bottling/device/plc-3a", "spiffe://", "urn:hmi-1:viewer"]) | st.text(max_size=300)
    ).map(tuple),
    words,
    st.floats(),
    st.floats(),
    st.text(),
)
some_uri = st.sampled_from([None, "urn:hmi-1:viewer", "urn:hmi-2:viewer"]) | words
connections = st.builds(
    ConnFacts,
    st.text(),
    some_ip,
    st.integers(),
    some_mac,
    words,
    words,
    st.none() | certificates,
    some_uri,
    st.booleans(),
)
devices = st.builds(
    a_device,
    st.builds(Bindings, words, words, some_mac, words, st.booleans(), st.frozensets(st.text(max_size=9)), some_uri),
    st.just("plc-3a"),
    st.none() | some_ip,
)


def example_of(kind: type) -> Example:
    name = kind.__module__.rpartition(".")[2]
    assert name in EXAMPLES, f"write an example of {name} for EXAMPLES"
    return EXAMPLES[name]


def test_the_sources_found() -> None:
    print("\n".join(kind.__module__ for kind in SOURCES))
    assert {kind.__module__.rpartition(".")[2] for kind in SOURCES} == EXAMPLES.keys()


@each_source
def test_kind_is_the_file_s_name_and_a_word_that_policies_can_use(kind: type) -> None:
    source = example_of(kind).source
    assert isinstance(source, kind)
    assert source.kind == kind.__module__.rpartition(".")[2]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", source.kind)
    assert source.strength is example_of(kind).strength


@each_source
def test_what_fits_matches_and_what_differs_does_not(kind: type) -> None:
    example = example_of(kind)
    assert example.source.collect(example.fits, example.device).outcome is Outcome.MATCH
    evidence = example.source.collect(example.differs, example.device)
    assert evidence.outcome is Outcome.MISMATCH
    assert evidence.observed and evidence.expected  # a person must see what differs


@each_source
def test_nothing_to_look_at_is_absent_and_says_why(kind: type) -> None:
    source = example_of(kind).source
    bare = ConnFacts("l", "10.3.0.11", 1)
    for device in (a_device(), a_device(address="10.3.0.11"), a_device(name="unheard-of")):
        evidence = source.collect(bare, device)
        assert evidence.outcome is Outcome.ABSENT
        assert evidence.note


@each_source
@given(facts=connections, device=devices)
def test_it_never_raises_and_says_what_it_is_about(kind: type, facts: ConnFacts, device: Device) -> None:
    source = example_of(kind).source
    evidence = source.collect(facts, device)
    assert isinstance(evidence, Evidence)
    assert evidence.kind == source.kind
    # Weaker than its kind can be, never stronger, and then it counts for nothing.
    assert evidence.strength is source.strength or (
        CLASSES.index(evidence.strength) > CLASSES.index(source.strength) and evidence.outcome is not Outcome.MATCH
    )
    assert len(evidence.observed) <= MAX_OBSERVED and (evidence.observed.isprintable())
    assert source.collect(facts, device) == evidence  # no state, no chance
