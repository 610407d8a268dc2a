"""What is told of a change, case by case. That nothing is left out: tests/properties/test_policy_diff.py."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from proxy.core.inventory import Bindings, Device
from proxy.core.process import Point, Predicate
from proxy.core.surface import Monitor, Never, Rate
from proxy.policy.diff import compare
from proxy.policy.plan import Door, Plan
from proxy.protocols.modbus.targets import Spans, Window
from proxy.protocols.mqtt.filters import Filter
from proxy.protocols.mqtt.targets import Connects, Topics
from proxy.protocols.opcua.listener import OpcUaListener
from tests.policy.toy import devices, never, origin, role, rule, surface
from tests.policy.versions import Shift, beyond

if TYPE_CHECKING:
    from proxy.core.surface import Role, Rule, Surface

INVENTORY = devices("plc", "robot", "uns", "scada", "mes", "hmi", *(f"sensor-{n}" for n in range(1, 41)))
WATCHED = Monitor(1_764_000_000.0, "why", "enforce", origin(3))
READ = Spans("read", "holding", 0, 99)
WRITE = Spans("write", "holding", 40, 40, None, Window(0.0, 1500.0))
EARLY = (Shift("early", "mon-fri 06:00-14:00 Europe/Berlin"),)
AT = "policies/surfaces/cell.yaml:10"


def plan(*surfaces: Surface, roles: tuple[Role, ...] = (), **more: Any) -> Plan:
    return Plan(surfaces, roles, **{"devices": INVENTORY, **more})


def zone(*rules: Rule, **more: Any) -> Surface:
    return surface(*rules, **{"members": ["plc", "robot", "uns"], **more})


def told(before: Plan, after: Plan) -> tuple[list[str], list[str]]:
    found = compare(before, after, beyond)
    back = compare(after, before, beyond)
    assert [len(found.widenings), len(found.narrowings)] == [len(back.narrowings), len(back.widenings)]
    return [entry.text for entry in found.widenings], [entry.text for entry in found.narrowings]


def changed(before: Rule, after: Rule, **more: Any) -> tuple[list[str], list[str]]:
    return told(plan(zone(before), **more), plan(zone(after), **more))


PLAIN = rule("counters", ["mes"], READ)


def test_nothing_is_told_of_what_means_the_same() -> None:
    halves = [
        rule("low", ["mes"], Spans("read", "holding", 0, 49)),
        rule("high", ["mes"], Spans("read", "holding", 50, 99), line=30),
    ]
    assert told(plan(zone(PLAIN)), plan(zone(*halves))) == ([], [])
    moved = zone(replace(PLAIN, ref=replace(PLAIN.ref, surface="other")), name="other")
    assert told(plan(zone(PLAIN)), plan(moved)) == ([], [])
    by_role = plan(zone(rule("counters", ["role:r"], READ)), roles=(role("r", "mes"),))
    assert told(plan(zone(PLAIN)), by_role) == ([], [])
    assert told(plan(zone(PLAIN)), plan(zone(replace(PLAIN, monitor=None), name="cell"))) == ([], [])


def test_more_addresses() -> None:
    assert changed(PLAIN, rule("counters", ["mes"], Spans("read", "holding", 0, 149))) == (
        [f"mes may now also: read holding 100-149 at plc (cell/counters {AT})"],
        [],
    )


@pytest.mark.parametrize(
    ("loose", "tight", "shown"),
    [
        ({}, {"needs": frozenset({"x509"})}, "needs x509"),
        ({}, {"when": ("early",)}, "when early (mon-fri 06:00-14:00 Europe/Berlin)"),
        ({}, {"whilst": (Predicate("plc", Point("modbus", "holding 10"), "==", 0.0, 5.0),)},
         "while plc modbus holding 10 == 0 within 5 s"),
        ({}, {"rate": Rate(6, 60.0)}, "at most 6 in any 60 s"),
        ({"rate": Rate(12, 60.0)}, {"rate": Rate(6, 60.0)}, "at most 6 in any 60 s"),
        ({}, {"budget": Rate(20, 28800.0)}, "at most 20 changes by all in any 8 h"),
    ],
)  # fmt: skip
def test_terms_that_are_loosened(loose: dict[str, Any], tight: dict[str, Any], shown: str) -> None:
    base = rule("setpoint", ["scada"], WRITE)
    widened, narrowed = changed(replace(base, **tight), replace(base, **loose), hours=EARLY)
    assert narrowed == []
    (text,) = widened
    assert f"[before: {shown}]" in text
    assert changed(replace(base, **tight), replace(base, **tight), hours=EARLY) == ([], [])


def test_a_budget_is_for_changes_alone() -> None:
    assert changed(replace(PLAIN, budget=Rate(1, 60.0)), PLAIN)[1] == []


def test_two_rates_let_more_pass_than_one() -> None:
    one = replace(rule("a", ["scada"], WRITE), rate=Rate(6, 60.0))
    other = replace(one, ref=replace(one.ref, name="b"))
    widened, narrowed = told(plan(zone(one)), plan(zone(one, other)))
    assert (len(widened), narrowed) == (1, [])
    assert told(plan(zone(one)), plan(zone(other))) == ([], []), "a rule that was renamed counts as before"


def test_hours_that_mean_something_else() -> None:
    """No rule was touched."""
    one = replace(PLAIN, when=("early",))
    later = (Shift("early", "mon-fri 05:00-14:00 Europe/Berlin"),)
    widened, narrowed = told(plan(zone(one), hours=EARLY), plan(zone(one), hours=later))
    assert len(widened) == len(narrowed) == 1
    assert "[when early (mon-fri 05:00-14:00 Europe/Berlin)]" in widened[0]


def test_a_rule_for_two_shifts_is_as_good_as_two_rules() -> None:
    shifts = Shift("a", "mornings"), Shift("b", "evenings")
    one = replace(PLAIN, when=("a", "b"))
    two = [replace(PLAIN, when=(name,), ref=replace(PLAIN.ref, name=name)) for name in ("a", "b")]
    assert told(plan(zone(one), hours=shifts), plan(zone(*two), hours=shifts)) == ([], [])


def test_a_new_member_of_a_role() -> None:
    """The surface has the same mark: nothing in its file changed."""
    marked = replace(zone(rule("counters", ["role:masters"], READ)), mark="same")
    old, new = (plan(marked, roles=(role("masters", *who),)) for who in (["mes"], ["mes", "hmi"]))
    widened, narrowed = told(old, new)
    assert widened == [f"hmi (new in role:masters) may now also: read holding 0-99 at plc (cell/counters {AT})"]
    assert narrowed == []


def test_another_place_means_other_topics() -> None:
    marked = replace(zone(rule("own", ["mes"], Topics("publish", Filter("{place}/x")), to=["uns"])), mark="same")
    old, new = (
        plan(marked, devices={**INVENTORY, "mes": replace(INVENTORY["mes"], place=place)}) for place in ("hall", "cell")
    )
    widened, _ = told(old, new)
    assert widened == [f"mes may now also: publish {{place}}/x at uns (cell/own {AT})"]


def test_writes_without_proof() -> None:
    one = rule("setpoint", ["scada"], WRITE, READ)
    widened, narrowed = told(plan(zone(one)), plan(zone(one, unsafe=True)))
    (text,) = widened
    assert text == (
        "scada may now also: write holding 40 in 0..1500 at plc [an address is enough for a change] "
        f"[before: without a condition] (cell/setpoint {AT})"
    )
    assert narrowed == []


SAFETY = never("safety", Spans("write", "holding", 900, 999, frozenset(range(256))))


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (None, "900-999 at plc"),
        (never("safety", Spans("write", "holding", 900, 949, frozenset(range(256)))), "950-999 at plc"),
        (replace(SAFETY, monitor=WATCHED), "900-999 at plc [until 2025-11-24T16:00:00Z]"),
        (never("safety", *SAFETY.targets, to=["robot"]), "900-999 at plc"),
        (never("safety", *SAFETY.targets, speakers=["mes"]), "900-999 at plc"),
    ],
)
def test_a_guard_that_is_loosened(after: Never | None, what: str) -> None:
    widened, _ = told(plan(zone(nevers=[SAFETY])), plan(zone(nevers=[] if after is None else [after])))
    assert widened == [
        f"never cell/safety no longer forbids anybody: write holding {what} (was policies/surfaces/cell.yaml:90)"
    ]


def test_who_leaves_a_role_is_forbidden_no_more() -> None:
    guard = zone(nevers=[never("safety", *SAFETY.targets, speakers=["role:r"])])
    widened, _ = told(plan(guard, roles=(role("r", "mes", "hmi"),)), plan(guard, roles=(role("r", "mes"),)))
    assert len(widened) == 1
    assert "no longer forbids hmi" in widened[0]


def test_what_a_never_hides_is_no_gain() -> None:
    hidden = rule("a", ["mes"], Spans("write", "holding", 950, 950))
    assert told(plan(zone(nevers=[SAFETY])), plan(zone(hidden, nevers=[SAFETY]))) == ([], [])


def test_a_monitored_rule_is_told_with_the_day_from_which_it_holds() -> None:
    watched = replace(PLAIN, monitor=WATCHED)
    widened, _ = told(plan(zone()), plan(zone(watched)))
    assert widened == [
        f"mes may now also: read holding 0-99 at plc [from 2025-11-24T16:00:00Z on] (cell/counters {AT})"
    ]
    (text,) = told(plan(zone(watched)), plan(zone(PLAIN)))[0]
    assert "[before: from 2025-11-24T16:00:00Z on]" in text
    for_ever = replace(WATCHED, then="alarm")
    assert told(plan(zone()), plan(zone(replace(PLAIN, monitor=for_ever)))) == ([], [])


def test_a_rule_that_is_replaced_ends_when_the_other_begins() -> None:
    """Without the other it goes on: that is more than was to be."""
    successor = replace(rule("next", ["mes"], READ), monitor=WATCHED, replaces=("counters",))
    wide = rule("counters", ["mes"], Spans("read", "holding", 0, 149))
    (text,) = told(plan(zone(wide, successor)), plan(zone(wide)))[0]
    assert text == (
        "mes may now also: read holding 100-149 at plc [from 2025-11-24T16:00:00Z on] "
        f"[before: until 2025-11-24T16:00:00Z] (cell/counters {AT})"
    )


def test_a_surface_that_is_only_monitored_lets_everything_through() -> None:
    open_zone = replace(zone(PLAIN, members=["plc"]), monitor=WATCHED)
    widened, narrowed = told(plan(zone(PLAIN, members=["plc"])), plan(open_zone))
    assert widened == [
        "anybody may do at plc whatever no never forbids until 2025-11-24T16:00:00Z: its surfaces are only monitored"
    ]
    assert narrowed == []
    other = zone(name="other", members=["plc"])
    widened, _ = told(plan(zone(PLAIN, members=["plc"]), other), plan(open_zone, other))
    assert widened == [], "another surface of the device still enforces"


def test_many_alike_are_one_line() -> None:
    names = [f"sensor-{n}" for n in range(40, 0, -1)]
    one = rule("own", names, Topics("publish", Filter("{device}/x")), to=["uns"])
    widened, _ = told(plan(zone()), plan(zone(one)))
    assert widened == [f"40 devices sensor-1 ... sensor-40 may now also: publish {{device}}/x at uns (cell/own {AT})"]
    (entry,) = compare(plan(zone()), plan(zone(one)), beyond).widenings
    assert entry.data()["who"] == [f"sensor-{n}" for n in range(1, 41)]


def test_what_a_line_brings_along_is_told_where_it_stands_alone() -> None:
    pinned = rule("own", ["mes"], Topics("publish", Filter("a")), Connects(frozenset({"mes"})), to=["uns"])
    loose = rule("more", ["mes"], Topics("publish", Filter("a")), Connects(implied=True), to=["uns"])
    (text,) = told(plan(zone(pinned)), plan(zone(pinned, loose)))[0]
    assert "mes may now also: connect at uns [before: connect as mes]" in text
    both = rule("more", ["mes"], Topics("publish", Filter("b")), Connects(implied=True), to=["uns"])
    (text,) = told(plan(zone(pinned)), plan(zone(pinned, both)))[0]
    assert "mes may now also: publish b; connect at uns" in text, "not what a line of its own brought already"


def test_audit() -> None:
    widened, narrowed = told(plan(zone(PLAIN, record_first=True)), plan(zone(PLAIN)))
    assert widened == ["a change at plc, robot, uns may go on before it is on record (audit: before)"]
    assert narrowed == []


BOUND = Bindings(mac="00:00:00:00:00:01", require=frozenset({"x509", "mac_ip"}))


@pytest.mark.parametrize(
    ("bindings", "said"),
    [
        (replace(BOUND, address_only=True), "mes is believed by its address alone"),
        (replace(BOUND, require=frozenset({"x509"})), "mes is believed without mac_ip"),
        (replace(BOUND, x509_uri="spiffe://x/y"), "mes is known by the certificate URI spiffe://x/y"),
        (replace(BOUND, x509_cn="mes-2"), "mes is known by the certificate name mes-2"),
        (replace(BOUND, mac=None), "mes is known by the MAC of any machine"),
        (replace(BOUND, mac="00:00:00:00:00:02"), "mes is known by the MAC 00:00:00:00:00:02"),
        (replace(BOUND, ip="10.0.0.9"), "mes is known at the address 10.0.0.9"),
    ],
)
def test_a_speaker_who_is_believed_more_easily(bindings: Bindings, said: str) -> None:
    old, new = (
        plan(zone(PLAIN), devices={**INVENTORY, "mes": replace(INVENTORY["mes"], bindings=one)})
        for one in (BOUND, bindings)
    )
    widened, _ = told(old, new)
    assert len(widened) == 1
    assert widened[0].startswith(said)
    stranger = plan(zone(rule("a", ["hmi"], READ)), devices=old.devices)
    assert told(stranger, stranger._replace(devices=new.devices)) == ([], []), "no rule lets it in"


def test_evidence_that_is_added_widens_nothing() -> None:
    old, new = (
        plan(zone(PLAIN), devices={**INVENTORY, "mes": replace(INVENTORY["mes"], bindings=Bindings(require=kinds))})
        for kinds in (frozenset[str](), frozenset({"x509"}))
    )
    widened, narrowed = told(old, new)
    assert widened == []
    assert narrowed == ["mes is believed without x509 (require) (fingerprints/devices/mes.yaml:1)"]


def test_a_new_device_is_told_by_the_rules_that_name_it() -> None:
    more = {**INVENTORY, "new": Device("new", "plc", None, None, origin(1))}
    assert told(plan(zone(PLAIN)), plan(zone(PLAIN), devices=more)) == ([], [])


DOOR = Door("cell", "0.0.0.0:802", "modbus", "plc", True)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (DOOR._replace(secured=False), "the door cell at 0.0.0.0:802 leads to plc (modbus, in the clear) [before:"),
        (DOOR._replace(device="robot"), "the door cell at 0.0.0.0:802 leads to robot"),
        (DOOR._replace(bind="0.0.0.0:803"), "the door cell at 0.0.0.0:803 leads to plc"),
    ],
)
def test_doors(after: Door, said: str) -> None:
    widened, narrowed = told(plan(doors=(DOOR,)), plan(doors=(after,)))
    assert len(widened) == len(narrowed) == 1
    assert widened[0].startswith(said)
    assert told(plan(doors=(DOOR,)), plan(doors=(DOOR._replace(name="other"),))) == ([], [])
    assert told(plan(doors=(DOOR,)), plan(doors=()))[0] == []


def test_what_a_door_asks_of_its_clients() -> None:
    """T51, T70: less security towards the clients is more access; another certificate of our own is none."""
    door = DOOR._replace(protocol="opcua", options=OpcUaListener())
    loose = door._replace(options=OpcUaListener(unsafe_none=True))
    widened, narrowed = told(plan(doors=(door,)), plan(doors=(loose,)))
    assert widened == ["the door cell at 0.0.0.0:802: unsafe_none is True [before: False]"]
    assert narrowed == []
    assert told(plan(doors=(loose,)), plan(doors=(door,)))[0] == []
    more = door._replace(options=OpcUaListener(trust=("opcua-ca", "hmi-1.der")))
    assert told(plan(doors=(door,)), plan(doors=(more,)))[0] == [
        "the door cell at 0.0.0.0:802: trust is hmi-1.der, opcua-ca [before: opcua-ca]"
    ]
    shown = door._replace(options=OpcUaListener(certificate="front"))
    assert told(plan(doors=(door,)), plan(doors=(shown,))) == ([], [])
    (line,) = told(plan(), plan(doors=(loose,)))[0]
    assert line.endswith("(opcua, clients show a certificate, but for unsafe_none)")


def test_another_application_uri_is_told() -> None:
    old, new = (
        plan(zone(PLAIN), devices={**INVENTORY, "mes": replace(INVENTORY["mes"], bindings=Bindings(opcua_uri=uri))})
        for uri in ("urn:a", "urn:b")
    )
    widened, narrowed = told(old, new)
    assert widened == ["mes is known by the ApplicationUri urn:b [before: urn:a] (fingerprints/devices/mes.yaml:1)"]
    assert len(narrowed) == 1


def test_little_of_much_is_compared_in_time() -> None:
    """100,000 rules of which 1,000 change: what has the same mark is not looked into."""
    inventory = devices(*(f"p{n}" for n in range(2000)), *(f"m{n}" for n in range(50)))

    def large(top: int) -> Plan:
        zones = []
        for at in range(2000):
            last = top if at % 100 == 0 else 9
            rules = (
                rule(
                    f"r{n}", [f"m{n}"], Spans("read", "holding", 10 * n, 10 * n + last), to=[f"p{at}"], surface=f"z{at}"
                )
                for n in range(50)
            )
            made = surface(*rules, name=f"z{at}", members=[f"p{at}"])
            zones.append(replace(made, mark=f"{at} {last}"))
        return Plan(tuple(zones), (), inventory)

    before, after = large(9), large(10)
    started = time.perf_counter()
    found = compare(before, after, beyond)
    took = time.perf_counter() - started
    assert len(found.widenings) == 1000
    assert not found.narrowings
    assert took < 4, f"{took:.2f} s"
