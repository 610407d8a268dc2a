"""What happens to each kind of flow when a part fails (threats.md 4): as this version does it, and what is to come.

Each cell says where it comes from. `NOW`: this version does it, and the tests that are named drive it. `PLANNED`: it
does not yet; the text says what it does instead. Where surfaces choose (`audit`, `mode`), the cell names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.reason import Reason
from proxy.policy.shadow import lenient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.surface import Surface

NOW, PLANNED = "now", "planned"
FLOWS: Mapping[str, str] = {
    "telemetry": "device telemetry, cell to UNS",
    "control": "running control loop, listed reads and writes",
    "engineering": "writes of technicians and engineers",
    "portal": "portal and API",
}
"""The classes of flows: name and what is meant. This version knows a technician as a device like any other."""


class Cell(NamedTuple):
    """``tests`` are pytest's names for what drives it. A planned cell has none."""

    source: str
    text: str
    tests: tuple[str, ...] = ()


class Failure(NamedTuple):
    """``cells`` has one for each of `FLOWS`."""

    name: str
    title: str
    cells: Mapping[str, Cell]


RELOAD = "tests/change/test_reload.py::test_faults_change_nothing_and_are_told"
LIVE_RELOAD = "tests/system/policy/test_reload.py::test_a_bad_file_changes_nothing_is_told_and_survives_a_restart"
NO_ROOM = "tests/system/policy/test_reload.py::test_no_descriptors_or_room_on_disk_changes_nothing"
ENGINE = "tests/policy/test_authority.py::test_a_failing_decision_refuses_and_is_counted"
ENGINE_LINK = "tests/policy/test_failmodes.py::test_an_engine_that_raises_refuses_the_message_and_keeps_the_link"
INSPECTOR = "tests/contract/test_seam.py::TestBugs::test_input"
STRANGER = "tests/gateway/test_link.py::TestWayIn::test_refused_by_its_standing"
PIN = "tests/identity/test_identify.py::test_t08_a_stolen_certificate_used_from_another_host_differs_from_the_pin"
REVOKED = "tests/system/test_revocation.py::test_revoke_live"
PLC_DOWN = "tests/system/test_sharing.py::TestNoPlc::test_unreachable_and_back"
BROKER_DOWN = "tests/system/mqtt/test_sessions.py::TestBroker::test_down_at_connect"
BROKER_LOST = "tests/system/mqtt/test_sessions.py::TestBroker::test_lost_in_the_middle"
NO_RECORD = (
    "tests/system/test_records.py::TestAuditFirst::test_without_an_audit_log_writes_are_refused_06_and_reads_go_on"
)
FULL = "tests/audit/test_full_disk.py::test_t75_acts_are_refused_while_the_disk_is_full_and_soon_after_they_are_not"
UNRECORDED = "tests/system/policy/test_failmodes.py::test_without_an_audit_log_writes_of_other_surfaces_go_on"
DEAD = "tests/system/policy/test_failmodes.py::test_when_the_process_dies_both_halves_close_and_nothing_goes_on"
TOO_MANY = "tests/gateway/test_link.py::TestLimits::test_in_all"
TURNS = "tests/gateway/test_link.py::TestFairness::test_a_flood_takes_turns"
STARVED = "tests/system/test_sharing.py::TestWhoseAnswer::test_t47_a_busy_master_does_not_starve_the_others"
MQTT_FLOOD = "tests/system/mqtt/test_flood.py::test_twenty_honest_are_served"
NO_FILES = "tests/system/test_wear.py::TestFileDescriptors::test_t48_out_of_them_and_back"
KEPT_FILES = "tests/system/test_wear.py::TestFileDescriptors::test_t48_some_are_kept_for_the_operator"

NO_PORTAL = Cell(PLANNED, "there is no portal in this version")


def table(surfaces: Sequence[Surface] | None, now: float) -> tuple[Failure, ...]:
    """Every failure, in the order of threats.md 4. ``surfaces`` of the site, None for no site in particular; ``now`` is
    seconds since 1970, by which what is in monitor ends."""
    return (
        _policy_bad(),
        _policy_old(),
        _engine(),
        _inspector(),
        _control_process(),
        _evidence_stale(),
        _evidence_differs(),
        _uplink(),
        _device_down(),
        _audit_full(surfaces),
        _clock(),
        _process_dead(),
        _overload(),
        _no_files(),
        *(() if surfaces is None else _monitored(surfaces, now)),
    )


def _failure(
    name: str, title: str, telemetry: Cell, control: Cell, engineering: Cell, portal: Cell = NO_PORTAL
) -> Failure:
    return Failure(name, title, dict(zip(FLOWS, (telemetry, control, engineering, portal), strict=True)))


def _policy_bad() -> Failure:
    goes_on = Cell(NOW, "goes on by the last good version; status, log and metric say so", (RELOAD, LIVE_RELOAD))
    wider = Cell(
        NOW, "goes on by the last good version: nothing wider comes into force", (RELOAD, LIVE_RELOAD, NO_ROOM)
    )
    portal = Cell(PLANNED, "there is no portal; policy apply and /-/reload refuse with file, line and reason")
    return _failure("policy-bad", "a policy file is bad, or cannot be taken into use", goes_on, goes_on, wider, portal)


def _policy_old() -> Failure:
    cell = Cell(PLANNED, "an alarm after 7 days; today nothing looks at the age and it goes on")
    closed = Cell(PLANNED, "closed after 7 days; today nothing looks at the age and it goes on")
    return _failure("policy-old", "the version in force is older than 7 days", cell, cell, closed)


def _engine() -> Failure:
    code = Reason.ENGINE_ERROR.code
    dropped = Cell(NOW, f"that message is refused ({code}) and counted, the link stays", (ENGINE, ENGINE_LINK))
    return _failure("engine-raises", "the decision about a message fails", dropped, dropped, dropped)


def _inspector() -> Failure:
    cell = Cell(
        NOW, f"its link ends ({Reason.INSPECTOR_ERROR.code}) with a record, others notice nothing", (INSPECTOR,)
    )
    return _failure("inspector-raises", "the inspector of a link fails", cell, cell, cell)


def _control_process() -> Failure:
    cell = Cell(PLANNED, "goes on (island mode); today there is no such process, and none is needed")
    closed = Cell(PLANNED, "an existing grant runs to its end, nothing new; today there are no grants")
    return _failure("control-unreachable", "the control process cannot be reached", cell, cell, closed)


def _evidence_stale() -> Failure:
    reads = Cell(PLANNED, "degraded, reads stay; today evidence is looked at when a link opens, certificates all along")
    writes = Cell(PLANNED, "writes closed after N intervals; today as for telemetry")
    return _failure("evidence-stale", "the evidence about a device grows old", reads, writes, writes)


def _evidence_differs() -> Failure:
    text = f"no link opens ({Reason.DIFFERS_FROM_PIN.code}); a live one is cut when its certificate is revoked or ends"
    cell = Cell(NOW, text, (PIN, STRANGER, REVOKED))
    return _failure("evidence-differs", "the evidence about a device differs from what is bound", cell, cell, cell)


def _uplink() -> Failure:
    telemetry = Cell(PLANNED, "spooled, oldest telemetry dropped first; today there is no spool: see device-down")
    cell = Cell(PLANNED, "not affected; today there is no uplink")
    return _failure("uplink-down", "the way up to the UNS is down", telemetry, cell, cell)


def _device_down() -> Failure:
    told = f"the client is told at once ({Reason.UPSTREAM_UNREACHABLE.code})"
    broker = Cell(
        NOW, f"{told} and comes again; nothing is acknowledged that the broker did not have", (BROKER_DOWN, BROKER_LOST)
    )
    plc = Cell(NOW, f"{told} in its protocol, its link stays, and the next request finds the way", (PLC_DOWN,))
    return _failure("device-down", "the device or broker behind the gateway cannot be reached", broker, plc, plc)


def _audit_full(surfaces: Sequence[Surface] | None) -> Failure:
    code = Reason.AUDIT_NOT_WRITABLE.code
    strict = [s.name for s in surfaces or () if s.record_first]
    loose = [s.name for s in surfaces or () if not s.record_first]
    first, after = f"changes are refused ({code}), reads go on", "goes on, merged into one record of the gap"
    if surfaces is None:
        text = f"with audit: before {first}; with audit: after it {after}"
    elif strict and loose:
        text = f"{_listed(strict)} (audit: before): {first}; {_listed(loose)} (audit: after): {after}"
    else:
        text = f"{_listed(strict or loose)} (audit: {'before' if strict else 'after'}): {first if strict else after}"
    telemetry = Cell(NOW, after, (UNRECORDED, FULL))
    cell = Cell(NOW, text, (NO_RECORD, FULL, UNRECORDED))
    person = Cell(NOW, f"{text}; a person is told apart from a machine in a later version", cell.tests)
    return _failure("audit-full", "the audit log cannot be written", telemetry, cell, person)


def _clock() -> Failure:
    cell = Cell(PLANNED, "goes on; today the clock is believed (dates of certificates, hours of rules)")
    closed = Cell(PLANNED, "closed at the start, writes refused later; today the clock is believed")
    return _failure("clock", "the clock is not to be trusted", cell, cell, closed)


def _process_dead() -> Failure:
    cell = Cell(NOW, "both halves close, nothing passes; systemd starts it again after 2 s", (DEAD,))
    return _failure("process-dead", "the gateway's process ends", cell, cell, cell)


def _overload() -> Failure:
    links = f"connections above the limits are refused ({Reason.CONNECTION_LIMIT.code})"
    telemetry = Cell(NOW, f"{links}; links take turns, and input that waits is bounded", (TOO_MANY, MQTT_FLOOD))
    control = Cell(NOW, f"{links}; masters take turns at the device", (TOO_MANY, TURNS, STARVED))
    engineering = Cell(NOW, f"{links}; no class of flows is shed before another yet", (TOO_MANY, TURNS))
    return _failure("overload", "more is asked than can be done", telemetry, control, engineering)


def _no_files() -> Failure:
    cell = Cell(
        NOW,
        "open links go on, new ones wait until there is room, and the operator still gets in",
        (NO_FILES, KEPT_FILES),
    )
    return _failure("no-descriptors", "the process is out of file descriptors", cell, cell, cell)


def _monitored(surfaces: Sequence[Surface], now: float) -> tuple[Failure, ...]:
    """Not a failure, but what a reader of the table must know: here nothing but `never` is closed."""
    free = lenient(surfaces, now)
    if not free:
        return ()
    names = _listed(sorted({ref.surface for ref in free.values()}))
    text = f"{names}: whatever no never forbids passes, failures of a decision aside"
    cell = Cell(NOW, text, ("tests/policy/test_failmodes.py::test_what_is_in_monitor_is_told",))
    return (_failure("in-monitor", "a surface is in monitor", cell, cell, cell),)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
