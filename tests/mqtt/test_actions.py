"""Actions tell people what was asked, whatever the peer put into its names."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.protocols.mqtt.actions import Connect, Message, MqttAction, Subscription
from proxy.protocols.mqtt.texts import parse_actions

ANY = st.text(st.characters(), max_size=400)
HOSTILE: st.SearchStrategy[MqttAction] = st.one_of(
    st.builds(Connect, ANY, ANY | st.none(), st.integers(3, 6)),
    st.builds(Message, st.sampled_from(["publish", "clear-retained"]), ANY, st.integers(0, 2), st.integers(0, 1 << 28)),
    st.builds(Subscription, st.sampled_from(["subscribe", "share"]), ANY, st.integers(0, 2), ANY | st.none()),
)


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (Message("publish", "line-2/temp", 1, 64), "publish line-2/temp qos 1 bytes 64"),
        (Message("retain", "line-2/temp", 1, 64), "retain line-2/temp"),
        (Message("receive", "a b"), 'receive "a b"'),
        (Message("publish", 'x"\\'), 'publish "x\\"\\\\" qos 0 bytes 0'),
        (Message("publish", "caf\u00e9\x7f\x1b"), 'publish "caf\\u00e9\\u007f\\u001b" qos 0 bytes 0'),
        (Subscription("subscribe", "line-2/#", 2), "subscribe line-2/# qos 2"),
        (Subscription("share", "line-2/#", 0, "workers"), "share $share/workers/line-2/# qos 0"),
        (Connect("sensor-1", "u", 4), "connect as sensor-1 user u version 3.1.1"),
        (Connect(""), "connect version 5"),
        (Connect("x", "", 5), 'connect as x user "" version 5'),
        (Connect("x", None, 3), "connect as x version 3"),
    ],
)
def test_what_is_told(action: MqttAction, text: str) -> None:
    assert action.describe() == text


@given(HOSTILE)
def test_hostile_names_cannot_leave_their_line(action: MqttAction) -> None:
    told = action.describe()
    assert len(told) <= 120
    assert all(" " <= letter <= "~" for letter in told)


VISIBLE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8).filter(
    lambda text: not set(text) & set("+#{}") and "\xa0" not in text
)
ASKED: st.SearchStrategy[MqttAction] = st.one_of(
    st.builds(Connect, st.just("") | VISIBLE, VISIBLE | st.none(), st.sampled_from([4, 5])),
    st.builds(Message, st.sampled_from(["publish", "command", "will"]), VISIBLE, st.integers(0, 2), st.integers(0, 9)),
    st.builds(Subscription, st.just("share"), VISIBLE, st.integers(0, 2), VISIBLE.filter(lambda text: "/" not in text)),
    st.builds(Subscription, st.just("subscribe"), VISIBLE, st.integers(0, 2)),
)


@given(ASKED)
@example(Subscription("share", "0", 0, '"'))
@example(Message("publish", 'a"b\\'))
def test_what_is_told_can_be_asked(action: MqttAction) -> None:
    """A line of a record is a question for `explain`."""
    told = action.describe()
    if "..." not in told and not (isinstance(action, Subscription) and action.filter.startswith("$share/")):
        assert parse_actions(told) == (action,)


def test_only_a_command_changes() -> None:
    assert [verb for verb in ("publish", "will", "command", "retain", "receive") if Message(verb, "a").changes] == [
        "command"
    ]
