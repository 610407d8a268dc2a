"""What a broker's file may say about it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.reason import Reason
from proxy.protocols.mqtt.actions import Connect, Message, MqttAction, Subscription
from proxy.protocols.mqtt.filters import Filter
from proxy.protocols.mqtt.outright import outright, pointless
from proxy.protocols.mqtt.service import COMMANDS, MqttService, parse_service
from proxy.protocols.mqtt.targets import Topics
from tests.mqtt.reports import Reports

NCMD = "spBv1.0/line-2/NCMD/edge"


def test_a_service_has_defaults() -> None:
    reports = Reports()
    made = parse_service({}, reports)
    assert made == MqttService(COMMANDS, 262144, 300, 86400, 0, 32, None, False, False, False)
    assert reports.found == []


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"commands": "a/+"}, MqttService(commands=("a/+",))),
        ({"commands": []}, MqttService(commands=())),
        ({"commands": ["a", "b/#", "a"]}, MqttService(commands=("a", "b/#"))),
        ({"max_packet": "1KiB"}, MqttService(max_packet=1024)),
        ({"max_packet": "16MiB"}, MqttService(max_packet=16 * 1024 * 1024)),
        ({"max_packet": 2000}, MqttService(max_packet=2000)),
        ({"keep_alive": "10s", "session_expiry": "0s"}, MqttService(keep_alive=10, session_expiry=0)),
        ({"keep_alive": "18h", "will_delay": "5min"}, MqttService(keep_alive=64800, will_delay=300)),
        ({"receive_maximum": 1}, MqttService(receive_maximum=1)),
        ({"login": "uns.login"}, MqttService(login="uns.login")),
        ({"login": "client"}, MqttService(login_of_client=True)),
        ({"will": "strip", "on_lost_subscription": "disconnect"}, MqttService(strip_will=True, disconnect_lost=True)),
        ({"will": "refuse", "on_lost_subscription": "filter"}, MqttService()),
    ],
)
def test_a_service(value: dict[str, Any], wanted: MqttService) -> None:
    reports = Reports()
    assert parse_service(value, reports) == wanted
    assert reports.found == []


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        (None, (), "is not a section"),
        ([], (), "is not a section"),
        ({"command": []}, ("command",), "did you mean 'commands'"),
        ({"keepalive": "5s"}, ("keepalive",), "did you mean 'keep_alive'"),
        ({"commands": ["a", "b#"]}, ("commands", 1), "part of the level"),
        ({"commands": "{place}/x"}, ("commands",), "placeholders are for rules"),
        ({"commands": "$share/g/x"}, ("commands",), "shared subscription"),
        ({"commands": None}, ("commands",), "is empty"),
        ({"commands": [5]}, ("commands", 0), "is not text"),
        ({"max_packet": "1023B"}, ("max_packet",), "1KiB to 16MiB"),
        ({"max_packet": "17MiB"}, ("max_packet",), "1KiB to 16MiB"),
        ({"max_packet": "256KB"}, ("max_packet",), "256KiB"),
        ({"max_packet": True}, ("max_packet",), "1KiB to 16MiB"),
        ({"keep_alive": 300}, ("keep_alive",), "300s"),
        ({"keep_alive": "9s"}, ("keep_alive",), "10s to 18h"),
        ({"keep_alive": "19h"}, ("keep_alive",), "10s to 18h"),
        ({"keep_alive": "\u0661\u0661s"}, ("keep_alive",), "10s to 18h"),
        ({"session_expiry": "500ms"}, ("session_expiry",), "is not a time"),
        ({"will_delay": "25h"}, ("will_delay",), "0s to 24h"),
        ({"receive_maximum": 0}, ("receive_maximum",), "1..65535"),
        ({"receive_maximum": True}, ("receive_maximum",), "1..65535"),
        ({"login": "../gateway.key"}, ("login",), "certs/"),
        ({"login": ""}, ("login",), "certs/"),
        ({"login": None}, ("login",), "certs/"),
        ({"will": "hold"}, ("will",), "one of refuse, strip"),
        ({"on_lost_subscription": True}, ("on_lost_subscription",), "one of filter, disconnect"),
    ],
)
def test_a_service_that_is_wrong(value: object, path: tuple[str | int, ...], said: str) -> None:
    reports = Reports()
    assert parse_service(value, reports) is None
    at, text = reports.only()
    assert at == path
    assert said in text


def test_every_mistake_is_told_at_once() -> None:
    reports = Reports()
    assert parse_service({"max_packet": 1, "will": 5, "commands": ["+a", "b/#/c"], "x": 1}, reports) is None
    assert sorted(map(str, reports.paths)) == sorted(
        map(str, [("x",), ("max_packet",), ("will",), ("commands", 0), ("commands", 1)])
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([Message("publish", NCMD)], "the verb is command"),
        ([Message("will", NCMD)], "will ... command"),
        ([Message("clear-retained", NCMD)], "clear-retained ... command"),
        ([Message("will", NCMD), Message("command", "spBv1.0/line-2/NCMD/other")], "will ... command"),
        ([Message("command", "line-2/state")], "the verb is publish"),
        ([Message("publish", "a", 0, 2000)], "2000 bytes do not fit into a packet of at most 2000"),
        ([Message("publish", "a", 0, 1996)], "at most 2000"),
        ([Message("command", NCMD, 0, 1990)], "at most 2000"),
        ([Message("will", "a", 0, 16384)], "at most 16384"),
        ([Message("publish", "a"), Message("publish", NCMD)], "the verb is command"),
    ],
)
def test_what_no_rule_can_allow(asked: list[MqttAction], said: str) -> None:
    refused = outright(tuple(asked), MqttService(max_packet=2000))
    assert refused is not None
    assert refused[0] is Reason.DEFAULT_DENY
    assert said in refused[1]


@pytest.mark.parametrize(
    "asked",
    [
        [Connect("x")],
        [Subscription("subscribe", NCMD)],
        [Message("receive", NCMD, 0, 5000)],
        [Message("command", NCMD), Message("retain", NCMD)],
        [Message("will", NCMD), Message("command", NCMD)],
        [Message("command", NCMD), Message("clear-retained", NCMD)],
        [Message("publish", "a", 0, 1995)],
        [Message("publish", "$SYS/x")],
    ],
)
def test_what_is_for_the_rules_to_say(asked: list[MqttAction]) -> None:
    assert outright(tuple(asked), MqttService(max_packet=2000)) is None


@pytest.mark.parametrize(
    ("verb", "filter", "said"),
    [
        ("publish", NCMD, "there the verb is command"),
        ("publish", "spBv1.0/+/NCMD/{device}/#", "there the verb is command"),
        ("publish", "spBv1.0/{place}/NCMD/x", None),  # the place may have several levels
        ("publish", "spBv1.0/#", None),
        ("will", NCMD, None),
        ("command", "line-2/state", "is about no command topic"),
        ("command", "spBv1.0/line-2/NDATA/#", "is about no command topic"),
        ("command", "spBv1.0/#", None),
        ("command", "{place}/NCMD/x", None),
    ],
)
def test_rules_that_come_to_nothing_at_a_broker(verb: str, filter: str, said: str | None) -> None:
    found = pointless(Topics(verb, Filter(filter)), MqttService())
    assert (found is None) if said is None else (found is not None and said in found[0])


def test_a_broker_without_commands_takes_everything_as_a_publish() -> None:
    service = MqttService(commands=())
    assert outright((Message("publish", NCMD),), service) is None
    assert pointless(Topics("publish", Filter(NCMD)), service) is None
    assert pointless(Topics("command", Filter(NCMD)), service) is not None
