"""What the scanner counts, and for whom; `tests/properties/test_mqtt_scan.py` holds it against the decoder."""

from __future__ import annotations

from proxy.core.origin import Origin, RuleRef
from proxy.protocols.mqtt.packets import Publish, encode
from proxy.protocols.mqtt.scan import Scanner

SMALL, ANY = (RuleRef("uns", name, Origin("uns.yaml", 1)) for name in ("small", "any"))


def publish(size: int) -> bytes:
    return encode(Publish("a", b"x" * size), 4)


def test_a_packet_counts_for_the_rule_that_allows_its_size() -> None:
    """`small` comes first among the rules and has a cap; `any` has none."""
    scanner = Scanner(4)
    scanner.learn(0x30, b"a", ANY, 100)
    scanner.learn(0x30, b"a", SMALL, 10)
    assert scanner.walk(publish(10), 0, 0) == len(publish(10))
    assert scanner.walk(publish(100), 0, 0) == 0
    assert scanner.tally() == {SMALL: 1}


def test_what_lies_between_two_sizes_of_a_rule_is_known() -> None:
    scanner = Scanner(4)
    scanner.learn(0x30, b"a", ANY, 10)
    scanner.learn(0x30, b"a", ANY, 100)
    run = publish(10) + publish(50) + publish(100) + publish(9) + publish(101)
    assert scanner.walk(run, 0, 0) == len(publish(10) + publish(50) + publish(100))
    assert scanner.tally() == {ANY: 3}
