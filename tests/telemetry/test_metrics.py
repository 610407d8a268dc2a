"""The exposition: promtool accepts it, the documentation lists it, nothing from the network labels it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from proxy.core.reason import Reason
from proxy.telemetry.counters import ListenerReasons
from proxy.telemetry.metrics import Sources, registry
from tests.telemetry.kit import Listener, need_program, sources

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def text(of: Sources | None = None) -> str:
    return generate_latest(registry(of or sources())).decode()


def families(of: Sources | None = None) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text(of))}


def value(name: str, **labels: str) -> float:
    for family in families().values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    raise AssertionError(f"no sample {name} {labels}")


def test_promtool_finds_nothing() -> None:
    promtool = need_program("promtool")
    result = subprocess.run([promtool, "check", "metrics"], input=text(), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_promtool_would_find_something() -> None:
    """A name that breaks the rules, so that the test above is known to look."""
    promtool = need_program("promtool")
    bad = text().replace("bulkhead_loop_stalls_total", "bulkhead_loop_stalls")
    result = subprocess.run([promtool, "check", "metrics"], input=bad, capture_output=True, text=True, check=False)
    assert result.returncode == 3


def test_values_come_from_the_figures() -> None:
    listener = {"listener": "cell-3-modbus"}
    assert value("bulkhead_links", **listener) == 3
    assert value("bulkhead_messages_allowed_total", **listener) == 1000
    assert value("bulkhead_messages_refused_total", **listener, reason="BH-1201") == 2
    assert value("bulkhead_connections_refused_total", **listener, reason="BH-1004") == 1
    assert value("bulkhead_links_ended_total", **listener, reason="BH-1715") == 1
    assert value("bulkhead_malformed_inputs_total", **listener) == 1
    assert value("bulkhead_acts_recorded_total", **listener) == 1
    watched = {"surface": "cell-3", "rule": "setpoint"}
    assert value("bulkhead_monitor_would_refuse_total", **watched) == 4
    assert value("bulkhead_monitor_would_allow_total", **watched) == 1
    assert value("bulkhead_monitor_end_timestamp_seconds", **watched) == 1_796_000_000
    assert value("bulkhead_monitor_errors_total") == 6
    assert (value("bulkhead_flows"), value("bulkhead_flows_healthy")) == (5, 0)
    assert value("bulkhead_flows_untold_messages_total") == 2
    assert (value("bulkhead_flows_dropped_total"), value("bulkhead_flows_errors_total")) == (1, 3)
    assert value("bulkhead_publisher_up", publisher="line", side="device") == 1
    assert value("bulkhead_publisher_up", publisher="line", side="broker") == 0
    assert value("bulkhead_publisher_losses_total", publisher="line", side="device") == 2
    assert value("bulkhead_publisher_waiting", publisher="line") == 8
    assert value("bulkhead_publisher_nodes_refused", publisher="line") == 1
    counts = ("samples", "published", "dropped", "unpublished", "gaps", "missed_notifications", "rebirths")
    assert [value(f"bulkhead_publisher_{name}_total", publisher="line") for name in counts] == [40, 30, 3, 4, 5, 6, 7]
    assert value("bulkhead_device_connections", device="plc-3a") == 1
    assert value("bulkhead_device_faults_total", device="plc-3a", reason="BH-1107") == 1
    assert value("bulkhead_audit_merged_records_total") == 40
    assert value("bulkhead_audit_healthy") == 1
    assert value("bulkhead_config_last_reload_successful") == 1
    assert value("bulkhead_config_last_reload_success_timestamp_seconds") == 1_795_271_461
    assert value("bulkhead_certificate_expiry_timestamp_seconds", certificate="gateway") == 1_800_000_000
    assert families()["bulkhead_build_info"].samples[0].labels["version"] == "0.1.0"


def test_a_first_refusal_is_an_increase() -> None:
    """Series that can rise exist with 0 from the start; otherwise `increase()` misses the first event."""
    listener = {"listener": "cell-3-modbus"}
    assert value("bulkhead_messages_refused_total", **listener, reason=Reason.NEVER_RULE.code) == 0
    assert value("bulkhead_connections_refused_total", **listener, reason=Reason.TLS_FAILED.code) == 0
    assert value("bulkhead_device_faults_total", device="plc-3a", reason=Reason.UPSTREAM_INVALID.code) == 0


def test_a_listener_without_any_refusal_has_its_series_too() -> None:
    of = sources()
    of.data_plane.listener_counts["quiet"] = Listener()  # type: ignore[index]  # the fake's is a dict
    found = {s.labels["listener"] for s in families(of)["bulkhead_messages_refused"].samples}
    assert found == {"cell-3-modbus", "quiet"}
    assert "quiet" not in of.counters.listeners(), "a scrape writes nothing: the event loop does, and only it"


def test_labels_are_names_of_the_operator_and_codes_of_the_closed_list() -> None:
    codes = {reason.code for reason in Reason}
    for family in families().values():
        for sample in family.samples:
            allowed = {"listener": {"cell-3-modbus"}, "device": {"plc-3a"}, "certificate": {"gateway"}, "reason": codes}
            allowed |= {"surface": {"cell-3"}, "rule": {"setpoint"}}
            allowed |= {"publisher": {"line"}, "side": {"device", "broker"}}
            if family.name == "bulkhead_build_info" or family.name.startswith("process_"):
                continue
            assert all(label_value in allowed[label] for label, label_value in sample.labels.items()), sample


def test_the_number_of_series_is_bounded_by_the_closed_list() -> None:
    of = sources()
    for reason in Reason:
        for what in ("refuse", "connect", "close", "device"):
            of.counters.count(what, reason, "cell-3-modbus", "plc-3a")
    series = sum(len(family.samples) for family in families(of).values())
    assert series < 4 * len(Reason) + len(ListenerReasons.__slots__) + 60


def test_both_formats_are_served() -> None:
    of = registry(sources())
    encode, content_type = choose_encoder("application/openmetrics-text; version=1.0.0")
    assert "openmetrics" in content_type
    assert encode(of).endswith(b"# EOF\n")


def test_every_metric_is_documented_with_type_and_labels() -> None:
    """docs/metrics.md and the code list the same, so that dashboards can be written from the page."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", DOCS.read_text(), re.MULTILINE)
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    found = {}
    for family in families().values():
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = (family.type, tuple(family.samples[0].labels))
    assert documented == found
