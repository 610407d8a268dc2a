"""What stands behind a name, and what the site is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.core.inventory import Device, Service, ServiceTls
from proxy.policy.diff import compare
from proxy.policy.entry import Difference
from proxy.protocols.modbus.service import ModbusService
from proxy.protocols.mqtt.service import MqttService
from tests.policy.test_diff import INVENTORY, PLAIN, plan, told, zone
from tests.policy.toy import origin
from tests.policy.versions import beyond


def behind(options: object, address: str = "10.0.0.1", **more: Any) -> Device:
    service = Service("bus", 502, False, options, origin(4, "fingerprints/devices/plc.yaml"))
    return Device("plc", "plc", None, address, origin(1), {"bus": replace(service, **more)})


def difference(before: Any, after: Any) -> Difference:
    old, new = (plan(zone(PLAIN), devices={**INVENTORY, "plc": one}) for one in (before, after))
    return compare(old, new, beyond)


def counts(before: Any, after: Any) -> tuple[int, int, int]:
    found, back = difference(before, after), difference(after, before)
    assert (len(found.widenings), len(found.changes)) == (len(back.narrowings), len(back.changes))
    return len(found.widenings), len(found.narrowings), len(found.changes)


ONE_UNIT = ModbusService(frozenset({1}))
WIDER, NARROWER, BOTH, NEITHER = (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (replace(ONE_UNIT, units=frozenset({1, 2})), WIDER),
        (replace(ONE_UNIT, units=None), WIDER),
        (replace(ONE_UNIT, units=frozenset({2})), BOTH),
        (replace(ONE_UNIT, answers_other_unit=True), WIDER),
        (replace(ONE_UNIT, connections=4), NEITHER),
        (replace(ONE_UNIT, pipeline=4), NEITHER),
        (replace(ONE_UNIT, timeout=5.0), NEITHER),
        (replace(ONE_UNIT, units=frozenset({1, 2}), timeout=5.0), (1, 0, 1)),
    ],
)
def test_options_of_modbus(options: ModbusService, kind: tuple[int, int, int]) -> None:
    assert counts(behind(ONE_UNIT), behind(options)) == kind


BROKER = MqttService()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (replace(BROKER, commands=("spBv1.0/+/NCMD/#",)), BOTH),
        (replace(BROKER, commands=(*BROKER.commands, "cmd/#")), BOTH),
        (replace(BROKER, max_packet=512 * 1024), WIDER),
        (replace(BROKER, max_packet=1024), NARROWER),
        (replace(BROKER, keep_alive=10), NEITHER),
        (replace(BROKER, receive_maximum=10), NEITHER),
        (replace(BROKER, session_expiry=0), NARROWER),
        (replace(BROKER, will_delay=1), WIDER),
        (replace(BROKER, login="user"), BOTH),
        (replace(BROKER, login_of_client=True), BOTH),
        (replace(BROKER, strip_will=True), WIDER),
        (replace(BROKER, disconnect_lost=True), NARROWER),
    ],
)
def test_options_of_mqtt(options: MqttService, kind: tuple[int, int, int]) -> None:
    assert counts(behind(BROKER), behind(options)) == kind


def test_options_of_which_nothing_is_known_are_access() -> None:
    assert counts(behind("a"), behind("b")) == BOTH
    assert counts(behind(ONE_UNIT), behind(BROKER)) == BOTH


TLS = ServiceTls("site-ca", "plc")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ({}, {"address": "10.0.0.2"}, BOTH),
        ({}, {"port": 503}, BOTH),
        ({}, {"shared": True}, NEITHER),
        ({"tls": TLS}, {"tls": None}, WIDER),
        ({"tls": TLS}, {"tls": replace(TLS, ca="other")}, BOTH),
        ({"tls": TLS}, {"tls": replace(TLS, name="other")}, BOTH),
        ({"tls": TLS}, {"tls": replace(TLS, certificate="own")}, BOTH),
    ],
)
def test_where_it_is_and_how_it_is_reached(
    before: dict[str, Any], after: dict[str, Any], kind: tuple[int, int, int]
) -> None:
    assert counts(behind(ONE_UNIT, **before), behind(ONE_UNIT, **after)) == kind


def test_a_service_more_or_less() -> None:
    bare = Device("plc", "plc", None, "10.0.0.1", origin(1))
    assert counts(bare, behind(ONE_UNIT)) == WIDER
    (entry,) = difference(behind(ONE_UNIT), bare).narrowings
    assert entry.text == "plc: bus is no longer served (policies/surfaces/cell.yaml:1)"


def test_what_is_now_is_said_on_each_list() -> None:
    found = difference(behind(ONE_UNIT), behind(replace(ONE_UNIT, units=frozenset({2}), timeout=5.0)))
    said = "plc: bus units is 2 [before: 1] (fingerprints/devices/plc.yaml:4)"
    assert [entry.text for entry in found.widenings] == [entry.text for entry in found.narrowings] == [said]
    assert [entry.text for entry in found.changes] == [
        "plc: bus timeout is 5.0 [before: 1.0] (fingerprints/devices/plc.yaml:4)"
    ]
    assert bool(Difference((), (), found.changes)), "it is a difference, of which nobody has to say a word"


def test_another_name_of_the_site() -> None:
    """Its certificates have it."""
    widened, narrowed = told(plan(zone(PLAIN), site="bottling"), plan(zone(PLAIN), site="packing"))
    assert widened == ["certificates are made out to spiffe://packing/... [before: spiffe://bottling/...]"]
    assert len(narrowed) == 1
