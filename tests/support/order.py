"""Which files begin a test run: two workers end together only if what takes long is not begun last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

LONGEST = """
demo/test_demo_command.py
seeded/test_seeded.py
fuzz/test_mqtt.py
fuzz/test_modbus.py
fuzz/test_opcua.py
system/policy/test_reload_load.py
system/test_slow_clients.py
docs/test_add_a_protocol.py
properties/test_mqtt_streams.py
site/test_half_written.py
properties/test_modbus_stream.py
system/opcua/test_uns_publisher.py
system/opcua/test_live.py
system/opcua/test_ways.py
system/opcua/test_flood.py
system/opcua/test_reconnect.py
system/policy/test_explain.py
system/test_sharing.py
system/test_resumption.py
system/mqtt/test_sessions.py
mqtt/test_streams.py
mqtt/test_targets.py
properties/test_mqtt_codec.py
properties/test_modbus_targets.py
system/mqtt/test_mqttjs.py
gateway/test_one_to_one.py
change/test_judging.py
audit/test_commit.py
site/test_names.py
policy/test_mqtt_rules.py
policy/test_reach.py
policy/test_shadow.py
""".split()
"""Files below `tests/` that take more than about five seconds, the longest first."""


def longest_first(items: Sequence[pytest.Item], tests: Path) -> list[pytest.Item]:
    """The same items. The files of `LONGEST` come first, in its order; within a file, and behind, nothing moves."""
    places = {tests / name: at for at, name in enumerate(LONGEST)}
    return sorted(items, key=lambda item: places.get(item.path, len(places)))
