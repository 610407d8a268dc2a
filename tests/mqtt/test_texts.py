"""Questions of one line, for `tests:` and `explain`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.mqtt.actions import Connect, Message, MqttAction, Subscription
from proxy.protocols.mqtt.texts import EXAMPLES, parse_actions


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("publish a/b", [Message("publish", "a/b", 0, 1)]),
        ("  publish   a/b  qos 1  bytes 200 ", [Message("publish", "a/b", 1, 200)]),
        ("publish a/b bytes 64KiB qos 2", [Message("publish", "a/b", 2, 65536)]),
        ("publish a/b retained", [Message("publish", "a/b", 0, 1), Message("retain", "a/b", 0, 1)]),
        ("command spBv1.0/g/NCMD/e", [Message("command", "spBv1.0/g/NCMD/e", 0, 1)]),
        ("command c retained", [Message("command", "c", 0, 1), Message("retain", "c", 0, 1)]),
        ("clear-retained a/b qos 1", [Message("clear-retained", "a/b", 1, 0)]),
        ("clear-retained c command", [Message("command", "c"), Message("clear-retained", "c")]),
        ("will a/b", [Message("will", "a/b", 0, 1)]),
        ("will c command qos 1", [Message("will", "c", 1, 1), Message("command", "c", 1, 1)]),
        ("will a retained", [Message("will", "a", 0, 1), Message("retain", "a", 0, 1)]),
        ("will a retained bytes 0", [Message("will", "a"), Message("clear-retained", "a")]),
        ("receive a/b", [Message("receive", "a/b", 0, 1)]),
        ("reply-to a/b", [Message("reply-to", "a/b"), Subscription("subscribe", "a/b")]),
        ("subscribe a/# qos 1", [Subscription("subscribe", "a/#", 1)]),
        ("subscribe #", [Subscription("subscribe", "#")]),
        ("subscribe $share/g/a/# qos 1", [Subscription("share", "a/#", 1, "g")]),
        ("share $share/g//a", [Subscription("share", "/a", 0, "g")]),
        ('publish "a b/c"', [Message("publish", "a b/c", 0, 1)]),
        ('publish "caf\\u00e9 \\"x\\""', [Message("publish", 'caf\u00e9 "x"', 0, 1)]),
        ("publish caf\u00e9", [Message("publish", "caf\u00e9", 0, 1)]),
        ("connect", [Connect("", None, 5)]),
        ("connect as sensor-1", [Connect("sensor-1", None, 5)]),
        ('connect as "a b" user as version 3.1.1', [Connect("a b", "as", 4)]),
    ],
)
def test_a_question(text: str, asked: list[MqttAction]) -> None:
    assert parse_actions(text) == tuple(asked)


def test_every_example_is_a_question() -> None:
    for text in EXAMPLES.split("; "):
        assert parse_actions(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "unknown verb"),
        ("pubish a", "did you mean 'publish'"),
        ("retain a", "publish line-2/state retained"),
        ("publish", "needs a topic"),
        ("subscribe", "needs a filter"),
        ("publish a/+", "is a filter"),
        ("publish a/#", "is a filter"),
        ('publish ""', "1 to 1024 bytes"),
        ("publish " + "a" * 1025, "1 to 1024 bytes"),
        ("publish " + "/" * 32, "at most 32 levels"),
        ("publish a\x00b", "no client may send"),
        ('publish "a\\u0000"', "no client may send"),
        ('publish "a\\ud800"', "no client may send"),
        ('publish "a', "not a word"),
        ('publish a"b', "not a word"),
        ('publish "a\\x"', "escaped as JSON"),
        ("publish {place}/x", "write out what the placeholder stands for"),
        ("publish a qos", "needs a value"),
        ("publish a qos 3", "is not 0, 1 or 2"),
        ("publish a qos 1 qos 2", "is there twice"),
        ("publish a bytes 1kb", "is not a size"),
        ("publish a bytes -1", "is not a size"),
        ("publish a bytes 0 retained", "ask clear-retained a"),
        ("publish a retain", "it takes qos, bytes, retained"),
        ("receive a retained", "knows no 'retained'"),
        ("subscribe a/#/b", "not a topic filter"),
        ("subscribe a#", "not a topic filter"),
        ("subscribe $share/g", "$share/GROUP/FILTER"),
        ("subscribe $share/+/a", "$share/GROUP/FILTER"),
        ("subscribe $share//a", "$share/GROUP/FILTER"),
        ("share a/b", "share $share/workers/a/b"),
        ("connect sensor-1", "it takes as, user, version"),
        ("connect as", "needs a value"),
        ("connect version 3.1", "3.1.1, 5"),
    ],
)
def test_a_question_that_is_none(text: str, said: str) -> None:
    with pytest.raises(ValueError) as fault:
        parse_actions(text)
    assert said in str(fault.value)


@given(st.text(max_size=60) | st.text('publish"\\ au/+#$ share', max_size=40))
def test_nothing_but_a_value_error_comes_out(text: str) -> None:
    try:
        asked = parse_actions(text)
    except ValueError:
        return
    assert asked
