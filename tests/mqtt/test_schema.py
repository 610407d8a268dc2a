"""What the parsers take fits the schema, and mistakes of form show in an editor too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocols.mqtt.rules import parse_never, parse_rule
from proxy.protocols.mqtt.schema import SCHEMA
from proxy.protocols.mqtt.service import parse_service
from tests.mqtt.reports import Reports
from tests.mqtt.test_rules import MISTAKES
from tests.site.json_schema import faults

LATER = (
    "cannot be seen", "more than", "Mosquitto", "caps nothing", "it is for", "up to 16MiB", "can match nothing",
    "the filter of all topics", "is no client id",
)  # fmt: skip
"""What a schema does not say."""
FILTERS = st.lists(
    st.sampled_from(["a", "", "+", "#", "{device}", "x{device}", "{place}", "{", "}", "a+", "$share", "g", "{place}x"]),
    min_size=1, max_size=5,
).map("/".join)  # fmt: skip
PARTS = {
    "publish": FILTERS | st.just("all"),
    "share": FILTERS,
    "qos": st.integers(-1, 3),
    "max_bytes": st.sampled_from([0, 7, "1KiB", "2MiB", "1kb", None]),
    "connect": st.sampled_from(["all", {}, {"client_id": "x"}, {"versions": ["5"]}, {"versions": [5]}, {"x": 1}, None]),
}


def test_every_part_is_closed_json() -> None:
    assert set(SCHEMA) == {"service", "rule", "never"}
    for part in SCHEMA.values():
        assert json.loads(json.dumps(part)) == part
        assert part["additionalProperties"] is False


@given(
    st.fixed_dictionaries({"publish": PARTS["publish"]}, optional={k: v for k, v in PARTS.items() if k != "publish"})
)
def test_schema_and_parser_agree(section: dict[str, Any]) -> None:
    for parse, part in ((parse_rule, "rule"), (parse_never, "never")):
        reports = Reports()
        parse(section, reports)
        told = faults(SCHEMA[part], section)
        if section["publish"] == "all":
            continue  # a topic of that name is not what was meant, and a schema cannot know
        assert bool(told) == bool(reports.found), (section, told, reports.found)


@pytest.mark.parametrize(
    "section", [section for section, _, said in MISTAKES if not any(word in said for word in LATER)], ids=str
)
def test_a_mistake_of_form_shows(section: object) -> None:
    assert faults(SCHEMA["rule"], section)


@pytest.mark.parametrize(
    ("service", "fits"),
    [
        ({}, True),
        ({"commands": "a/#", "max_packet": "1MiB", "keep_alive": "5min", "login": "client", "will": "strip"}, True),
        ({"commands": [], "receive_maximum": 9, "on_lost_subscription": "filter", "session_expiry": "0s"}, True),
        ({"commands": "a#"}, False),
        ({"commands": ["a", "{place}"]}, False),
        ({"max_packet": "1MB"}, False),
        ({"keep_alive": 300}, False),
        ({"receive_maximum": 0}, False),
        ({"login": "A/b"}, False),
        ({"will": "hold"}, False),
        ({"x": 1}, False),
    ],
)
def test_services(service: dict[str, Any], fits: bool) -> None:
    assert (parse_service(service, Reports()) is not None) == fits
    assert (not faults(SCHEMA["service"], service)) == fits
