"""The language of rules: what sections mean, and one clear report for every mistake."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.mqtt.rules import parse_never, parse_rule
from proxy.protocols.mqtt.targets import Connects, Topics
from tests.mqtt.reports import Reports

Path = tuple[str | int, ...]


@pytest.mark.parametrize(
    ("section", "means"),
    [
        ({"publish": "{place}/{device}/#"}, ["publish {place}/{device}/#", "connect"]),
        ({"publish": ["a", "b/+"]}, ["publish a", "publish b/+", "connect"]),
        (
            {"publish": "a", "retain": "a", "qos": 1, "max_bytes": "64KiB"},
            ["publish a qos <= 1 bytes <= 65536", "retain a", "connect"],
        ),
        ({"publish": "a", "qos": 2}, ["publish a", "connect"]),
        ({"publish": "a", "max_bytes": 0}, ["publish a bytes <= 0", "connect"]),
        ({"will": "a", "qos": 0}, ["will a qos <= 0", "connect"]),
        ({"command": "c", "max_bytes": "1MiB"}, ["command c bytes <= 1048576", "connect"]),
        ({"clear-retained": "a"}, ["clear-retained a", "connect"]),
        ({"retain": "a"}, ["retain a", "connect"]),
        ({"receive": "a", "reply-to": "b"}, ["receive a", "reply-to b", "connect"]),
        ({"subscribe": "a/#"}, ["subscribe a/#", "receive a/#", "connect"]),
        (
            {"subscribe": ["a/#", "b"], "qos": 1},
            ["subscribe a/# qos <= 1", "subscribe b qos <= 1", "receive a/#", "receive b", "connect"],
        ),
        (
            {"share": ["$share/w/a/#", "$share/log-*/a/#", "$share/{device}//x"], "qos": 0},
            [
                "share $share/w/a/# qos <= 0",
                "share $share/log-*/a/# qos <= 0",
                "share $share/{device}//x qos <= 0",
                "receive a/#",
                "receive /x",
                "connect",
            ],
        ),
        ({"connect": "all"}, ["connect"]),
        ({"connect": {"client_id": "{device}"}, "receive": "a"}, ["connect as {device}", "receive a"]),
        (
            {"connect": {"client_id": ["{device}", "{device}-*"], "user": ["u", "v w"], "versions": ["5", "3.1.1"]}},
            ['connect as {device}, {device}-* user u, "v w" version 3.1.1, 5'],
        ),
        ({"connect": {"versions": "5"}}, ["connect version 5"]),
        ({"publish": "$SYS/x"}, ["publish $SYS/x", "connect"]),
        ({"publish": ["sensor-{device}-x/{place}", "a b/\u00fc"]}, [
            "publish sensor-{device}-x/{place}", 'publish "a b/\\u00fc"', "connect",
        ]),
    ],
)  # fmt: skip
def test_a_rule(section: dict[str, Any], means: list[str]) -> None:
    reports = Reports()
    assert [target.describe() for target in parse_rule(section, reports)] == means
    assert reports.found == []


@pytest.mark.parametrize(
    ("section", "means"),
    [
        ({"publish": ["a/#", "b"]}, ["publish touching a/#", "publish touching b"]),
        ({"subscribe": "a/#"}, ["subscribe touching a/#"]),
        ({"share": "$share/*/a"}, ["share touching $share/*/a"]),
        ({"connect": {"versions": "3.1.1"}}, ["connect touching version 3.1.1"]),
        ({"connect": {"client_id": "a +*"}}, ['connect touching as "a +*"']),
        ({"connect": "all", "will": "#"}, ["connect touching", "will touching #"]),
    ],
)
def test_a_never(section: dict[str, Any], means: list[str]) -> None:
    reports = Reports()
    assert [target.describe() for target in parse_never(section, reports)] == means
    assert reports.found == []


def test_what_a_line_brings_along_is_marked() -> None:
    found = parse_rule({"subscribe": "a", "receive": "b"}, Reports())
    implied = {target.describe() for target in found if isinstance(target, Topics | Connects) and target.implied}
    assert implied == {"receive a", "connect"}


MISTAKES: list[tuple[object, Path, str]] = [
    (None, (), "is not a section with verbs"),
    ([], (), "is not a section with verbs"),
    ({}, (), "is not a section with verbs"),
    ("publish", (), "is not a section with verbs"),
    ({"pubish": "a"}, ("pubish",), "did you mean 'publish'?"),
    ({"pub": "a"}, ("pub",), "did you mean 'publish'?"),
    ({"write": "a"}, ("write",), "did you mean 'publish'?"),
    ({"clear_retained": "a"}, ("clear_retained",), "did you mean 'clear-retained'?"),
    ({"publish": "a", "max-bytes": 5}, ("max-bytes",), "did you mean 'max_bytes'?"),
    ({"publish": "a#"}, ("publish",), "# is part of the level 'a#'"),
    ({"publish": ["a", "+x/b"]}, ("publish", 1), '"+" stands for one level and stands alone'),
    ({"publish": "a/#/b"}, ("publish",), "# is the last level; use + for one in between"),
    ({"publish": "a/##"}, ("publish",), "# is part of the level '##'"),
    ({"publish": ""}, ("publish",), "the filter is empty"),
    ({"publish": None}, ("publish",), 'quote a filter that begins with #: "#"'),
    ({"publish": []}, ("publish",), "name at least one"),
    ({"publish": [["a"]]}, ("publish", 0), "is not text"),
    ({"publish": {"a": {}}}, ("publish",), "is not text"),
    ({"publish": 7}, ("publish",), 'quote it: "7"'),
    ({"publish": True}, ("publish",), "is not text"),
    ({"publish": "all"}, ("publish",), 'the filter of all topics is "#"'),
    ({"publish": "a\0b"}, ("publish",), "a character that cannot be seen"),
    ({"publish": "a\u200bb"}, ("publish",), "a character that cannot be seen"),
    ({"publish": "a\n"}, ("publish",), "a character that cannot be seen"),
    ({"publish": "a" * 1025}, ("publish",), "more than 1024 bytes"),
    ({"publish": "/" * 32}, ("publish",), "more than 32 levels"),
    ({"publish": "{devcie}/x"}, ("publish",), "unknown placeholder {devcie}; did you mean '{device}'?"),
    ({"publish": "{clientid}/x"}, ("publish",), "one of {device}, {place}"),
    ({"publish": "${device}x{"}, ("publish",), "a { without the other brace"),
    ({"publish": "device}/x"}, ("publish",), "a } without the other brace"),
    ({"publish": "{{device}}"}, ("publish",), "a { without the other brace"),
    ({"publish": "x-{place}/y"}, ("publish",), "a place is whole levels: write /{place}/"),
    ({"publish": "a/%u"}, ("publish",), "a pattern of Mosquitto; user names are not proved"),
    ({"publish": "%c/a"}, ("publish",), "a pattern of Mosquitto; client ids are not proved"),
    ({"subscribe": "$share/g/a"}, ("subscribe",), "write it under share"),
    ({"receive": "$share/g/a"}, ("receive",), "write it under share"),
    ({"share": "a/#"}, ("share",), '"$share/workers/a/#"'),
    ({"share": "$share/g"}, ("share",), "lacks its group or its filter"),
    ({"share": "$share//a"}, ("share",), "lacks its group or its filter"),
    ({"share": "$share/g/"}, ("share",), "lacks its group or its filter"),
    ({"share": "$share/+/a"}, ("share",), "use * in the name of a group"),
    ({"share": "$share/{place}/a"}, ("share",), "unknown placeholder {place}"),
    ({"share": "$share/g/a#"}, ("share",), "is part of the level"),
    ({"share": "$share/g/$share/h/a"}, ("share",), "is a shared subscription"),
    ({"share": 5}, ("share",), "is not text"),
    ({"publish": "a", "qos": 3}, ("qos",), "write 0, 1 or 2"),
    ({"publish": "a", "qos": "1"}, ("qos",), "is not a quality of service"),
    ({"publish": "a", "qos": True}, ("qos",), "is not a quality of service"),
    ({"publish": "a", "qos": None}, ("qos",), "is not a quality of service"),
    ({"receive": "a", "qos": 1}, ("qos",), "qos caps nothing in this rule"),
    ({"qos": 1}, ("qos",), "it is for will, publish, command, subscribe, share"),
    ({"subscribe": "a", "max_bytes": 5}, ("max_bytes",), "it is for will, publish, command"),
    ({"publish": "a", "max_bytes": "64kb"}, ("max_bytes",), "64KiB"),
    ({"publish": "a", "max_bytes": "64 KiB"}, ("max_bytes",), "64KiB"),
    ({"publish": "a", "max_bytes": -1}, ("max_bytes",), "is not a size"),
    ({"publish": "a", "max_bytes": 1.5}, ("max_bytes",), "is not a size"),
    ({"publish": "a", "max_bytes": "17MiB"}, ("max_bytes",), "up to 16MiB"),
    ({"connect": {}}, ("connect",), "is neither a section nor all"),
    ({"connect": "{device}"}, ("connect",), "is neither a section nor all"),
    ({"connect": True}, ("connect",), "is neither a section nor all"),
    ({"connect": {"clientid": "x", "user": "u"}}, ("connect", "clientid"), "did you mean 'client_id'?"),
    ({"connect": {"client_id": []}}, ("connect", "client_id"), "name at least one"),
    ({"connect": {"client_id": 5}}, ("connect", "client_id"), "is not text"),
    ({"connect": {"client_id": ""}}, ("connect", "client_id"), "is no client id"),
    ({"connect": {"user": "x" * 129}}, ("connect", "user"), "is no user"),
    ({"connect": {"client_id": "a\0"}}, ("connect", "client_id"), "is no client id"),
    ({"connect": {"client_id": "{place}"}}, ("connect", "client_id"), "unknown placeholder {place}"),
    ({"connect": {"client_id": ["x", "a b*"]}}, ("connect", "client_id", 1), "can match nothing"),
    ({"connect": {"versions": [5]}}, ("connect", "versions", 0), 'write "3.1.1" and "5", quoted'),
    ({"connect": {"versions": "3.1"}}, ("connect", "versions"), "is not a version of MQTT"),
    ({"connect": {"versions": []}}, ("connect", "versions"), "name at least one"),
]


@pytest.mark.parametrize(("section", "path", "said"), MISTAKES)
def test_a_mistake_is_told_once_where_it_stands(section: object, path: Path, said: str) -> None:
    reports = Reports()
    parse_rule(section, reports)
    at, text = reports.only()
    assert at == path
    assert said in text
    assert "\n" not in text and len(text) < 300


@pytest.mark.parametrize(
    ("section", "path", "said"),
    [
        ({"publish": "a", "qos": 1}, ("qos",), "never looks at no qos"),
        ({"publish": "a", "max_bytes": 5}, ("max_bytes",), "it forbids the topic, whatever the message"),
        ({"publsh": "a"}, ("publsh",), "did you mean 'publish'?"),
        ({"function": [90]}, ("function",), "one of connect, will"),
        ({"subscribe": "a#"}, ("subscribe",), "is part of the level"),
    ],
)
def test_a_mistake_in_a_never(section: object, path: Path, said: str) -> None:
    reports = Reports()
    parse_never(section, reports)
    at, text = reports.only()
    assert at == path
    assert said in text


def test_every_mistake_of_a_section_is_told_at_once() -> None:
    reports = Reports()
    parse_rule({"publish": ["a#", "ok", "{x}"], "share": "a", "qos": 9, "connect": {"user": 5}, "drop": 1}, reports)
    assert sorted(map(str, reports.paths)) == sorted(
        map(str, [("publish", 0), ("publish", 2), ("share",), ("qos",), ("connect", "user"), ("drop",)])
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.text("{}dev$/+#", max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    ["connect", "will", "publish", "subscribe", "share", "retain", "receive", "reply-to", "qos", "max_bytes", "x"]
)


@given(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES)
def test_anything_is_parsed_or_reported(section: object) -> None:
    for parse in (parse_rule, parse_never):
        reports = Reports()
        assert parse(section, reports) or reports.found
        assert all(mend and "\n" not in wrong for _, wrong, mend in reports.found)
