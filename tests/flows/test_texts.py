"""A flow is kept as text, and the text is asked again: `parse_actions` reads exactly what `text_of` wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.protocols.modbus import pdu
from proxy.protocols.modbus import texts as modbus
from proxy.protocols.modbus.actions import actions
from proxy.protocols.mqtt import texts as mqtt
from proxy.protocols.mqtt.actions import Connect, Message, Subscription
from proxy.protocols.mqtt.asking import asked_by, asked_by_will
from proxy.protocols.mqtt.packets import Publish, Will
from proxy.protocols.mqtt.service import MqttService
from proxy.protocols.mqtt.strings import split_share
from tests.modbus.strategies import any_pdus, requests, units
from tests.mqtt import packet_strategies as mq
from tests.mqtt import table

if TYPE_CHECKING:
    from proxy.protocols.mqtt.properties import Properties

COMMANDS = MqttService(commands=("cmd/#", "+/set"))
DEAR = st.sampled_from(
    ["cmd/a", "line/set", "a;", 'a "b" \\', "{device}/x", "a/{place}", "qos", "caf\u00e9/\U0001f600", "$share/g/x"]
)
TOPICS = mq.full_topics | DEAR
IDS = mq.names | DEAR


@settings(max_examples=300, deadline=None)
@given(requests | any_pdus, units)
def test_modbus(body: bytes, unit: int) -> None:
    request = pdu.decode(body)
    if not isinstance(request, pdu.Malformed | pdu.Unknown | pdu.Wrong):
        asked = actions(unit, request)
        assert modbus.parse_actions(modbus.text_of(asked)) == asked


@settings(max_examples=300, deadline=None)
@given(requests, units)
def test_what_modbus_records_say_is_read_as_well(body: bytes, unit: int) -> None:
    """Where nothing was left out; which function brought it, they do not say."""
    request = pdu.decode(body)
    if isinstance(request, pdu.Malformed | pdu.Unknown | pdu.Wrong):
        return
    for action in actions(unit, request):
        told = action.describe()
        if "..." in told:
            with pytest.raises(ValueError, match="."):
                modbus.parse_actions(told)
        else:
            (read,) = modbus.parse_actions(told)
            assert read.describe() == told
            assert read.shape[:-1] == action.shape[:-1] and read.size == action.size


@settings(max_examples=150, deadline=None)
@given(
    TOPICS, st.sampled_from([b"", b"7", b"x" * 300]), st.integers(0, 2), st.booleans(),
    st.just(()) | mq.property_lists(table.PUBLISH, True),
)  # fmt: skip
@example("cmd/a", b"", 1, True, ())
def test_mqtt_publish(topic: str, payload: bytes, qos: int, retain: bool, properties: Properties) -> None:
    asked = asked_by(Publish(topic, payload, qos, retain, properties=properties), COMMANDS)
    assert mqtt.parse_actions(mqtt.text_of(asked)) == asked


@settings(max_examples=150, deadline=None)
@given(
    TOPICS, st.sampled_from([b"", b"7"]), st.integers(0, 2), st.booleans(),
    st.just(()) | mq.property_lists(table.WILL, True),
)  # fmt: skip
def test_mqtt_will(topic: str, payload: bytes, qos: int, retain: bool, properties: Properties) -> None:
    asked = asked_by_will(Will(topic, payload, qos, retain, properties), COMMANDS)
    assert mqtt.parse_actions(mqtt.text_of(asked)) == asked


@settings(max_examples=200, deadline=None)
@given(TOPICS, st.integers(0, 2), st.integers(0, 1 << 24))
def test_mqtt_delivery(topic: str, qos: int, size: int) -> None:
    asked = (Message("receive", topic, qos, size),)
    assert mqtt.parse_actions(mqtt.text_of(asked)) == asked


@settings(max_examples=200, deadline=None)
@given(mq.filters() | st.sampled_from(["{place}/#", "a;/+", "$share/a;/b;", "$SYS/#"]), st.integers(0, 2))
def test_mqtt_subscribe(filter: str, qos: int) -> None:
    group, inner = split_share(filter)
    asked = (Subscription("subscribe" if group is None else "share", inner, qos, group),)
    assert mqtt.parse_actions(mqtt.text_of(asked)) == asked


@settings(max_examples=200, deadline=None)
@given(st.just("") | IDS, st.none() | st.just("") | IDS, st.sampled_from([4, 5]))
def test_mqtt_connect(client_id: str, user: str | None, level: int) -> None:
    asked = (Connect(client_id, user, level),)
    assert mqtt.parse_actions(mqtt.text_of(asked)) == asked


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("03 0005 0002", "read holding 5-6"),
        ("10 0028 0001 02 004D", "write holding 40 = 77 function 16"),
        ("10 0028 0008 10" + " 0007" * 8, "write holding 40-47 = 7"),
        ("10 0028 0002 04 0007 0008", "write holding 40-41 = 7,8"),
        ("16 0005 FF00 0012", "mask holding 5 and 0xFF00 or 0x0012"),
        ("17 0005 0001 0028 0001 02 004D", "write holding 40 = 77 function 23; read holding 5 function 23"),
        ("11", "identify extended function 17"),
        ("0B", "diagnose function 11"),
        ("5A 00", "program 90"),
    ],
)
def test_how_it_looks(body: str, text: str) -> None:
    request = pdu.decode(bytes.fromhex(body))
    assert not isinstance(request, pdu.Malformed | pdu.Unknown | pdu.Wrong)
    assert modbus.text_of(actions(1, request)) == text
    assert modbus.text_of(actions(9, request)) == "; ".join(f"{part} unit 9" for part in text.split("; "))


@pytest.mark.parametrize(
    "text",
    [
        "write holding 40 [40041] = 77 (unit 1)", "read holding 5-9 [40006-40010] (unit 2)",
        "write holding 5 [40006] and 0xFF00 or 0x0012 (unit 1)", "program function 90 (unit 1)",
        "control sub-function 4 (unit 255)", "write-file file 4 7 = 9 (unit 1)",
        "write holding 40 [40041] = 77 (unit 1); read holding 5 [40006] (unit 1)",
    ],
)  # fmt: skip
def test_a_line_of_a_modbus_record_is_a_question(text: str) -> None:
    assert "; ".join(action.describe() for action in modbus.parse_actions(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read holding 40 [40040]", "not what vendors print"),
        ("read file 4 [40005]", "."),
        ("write holding 40-41 = 1 function 6", "function 6 brings no write of 2 holding"),
        ("read coil 4 function 3", "one of 1"),
        ("identify basic function 17", "unknown level"),
        ("read holding 4;", "unknown verb"),
        ("mask holding 4-5 and 1 or 1", "for example"),
    ],
)
def test_a_question_that_is_none(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        modbus.parse_actions(text)


def test_several_questions_are_one_request() -> None:
    asked = mqtt.parse_actions('publish "a;" qos 1; subscribe a;b qos 1; connect as "x;"; receive "a b"')
    assert asked == (
        Message("publish", "a;", 1, 1),
        Subscription("subscribe", "a;b", 1),
        Connect("x;"),
        Message("receive", "a b", 0, 1),
    )
