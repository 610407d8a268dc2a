"""The shapes of the files under `policies/`; `proxy.site.shapes` has the others and makes room for protocols."""

from __future__ import annotations

from typing import Annotated, Literal

from proxy.site.shape import Evidence, Shape, key
from proxy.site.texts import (
    Because,
    ClockText,
    DayText,
    DeviceText,
    Id,
    InstantText,
    LocalText,
    OneOrMore,
    Present,
    RateText,
    Sentence,
    Speaker,
    StateText,
    Who,
    ZoneText,
)

Mode = Literal["enforce", "monitor"]
DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WRITTEN_OUT = "2026-12-01T06:00:00+01:00"


class RoleShape(Shape):
    """policies/roles/NAME.yaml: a name for several speakers."""

    role: Id = key("masters")
    members: Annotated[list[DeviceText], OneOrMore()] = key(["scada"])


class ShiftShape(Shape):
    """policies/shifts/NAME.yaml: hours that come back on days of the week, in the wall time of one zone."""

    shift: Id = key("early")
    zone: ZoneText = key("Europe/Berlin", doc="An IANA time zone.")
    days: Annotated[list[DayName], OneOrMore()] = key(["mon", "fri"], doc="The days on which it opens.")
    from_: ClockText = key("06:00", alias="from", doc="When it opens.")
    to: ClockText = key("14:00", doc="When it closes: on the next day if that is not later than it opens.")
    except_: Annotated[list[DayText] | None, Present(), OneOrMore()] = key(
        default=None, alias="except", doc="Days of its week on which it does not open."
    )
    extra: Annotated[list[DayText] | None, Present(), OneOrMore()] = key(
        default=None, doc="Other days on which it opens."
    )


class WindowShape(Shape):
    """policies/windows/NAME.yaml: hours that come once, in the wall time of one zone."""

    window: Id = key("stop")
    zone: ZoneText = key("Europe/Berlin", doc="An IANA time zone.")
    open: LocalText = key("2026-12-05 22:00")
    close: LocalText = key("2026-12-06 06:00")


class MonitorShape(Shape):
    """Watched instead of enforced: until when, why, and what comes after."""

    until: InstantText = key(_WRITTEN_OUT, doc="At most 14 days ahead.")
    why: Sentence = key("new recipe station")
    then: Literal["enforce", "alarm"] = key("alarm", doc="enforce, or alarm: it goes on being watched, loudly.")


class RuleShape(Shape):
    """Who may do what to which member. The section of a protocol says what."""

    from_: Annotated[list[Speaker], OneOrMore()] = key("scada", alias="from", doc="Who speaks.")
    to: Annotated[list[DeviceText], OneOrMore()] = key("plc-3a", doc="Members of the surface.")
    needs: list[Evidence] = key(default_factory=list, doc="Evidence that the speaker must have shown.")
    rate: Annotated[RateText | None, Present()] = key("6/min", default=None, doc="At most so many, for each speaker.")
    budget: Annotated[RateText | None, Present()] = key(
        "20/8h", default=None, doc="At most so many changes, for all speakers together."
    )
    when: Annotated[list[Id] | None, Present(), OneOrMore()] = key(
        "early", default=None, doc="Shifts or windows of which one must be open."
    )
    while_: Annotated[list[StateText] | None, Present(), OneOrMore()] = key(
        "modbus holding 10 == 0 within 5s", default=None, alias="while", doc="What the process must be like."
    )
    mode: Mode = key(default="enforce", doc="monitor: it allows nothing, and what it would allow is counted.")
    monitor: Annotated[MonitorShape | None, Present()] = None
    replaces: Annotated[list[Id] | None, Present(), OneOrMore()] = key(
        default=None, doc="Rules of this surface in whose place a monitored rule would stand."
    )


class NeverShape(Shape):
    """What nobody may do (or, with `from`, not these), whatever else allows it. `to`: any devices of the site."""

    from_: Annotated[list[Speaker] | None, Present(), OneOrMore()] = key(default=None, alias="from")
    to: Annotated[list[DeviceText], OneOrMore()] = key("plc-*")
    mode: Mode = key(default="enforce", doc="monitor: it forbids nothing, and what it would forbid is counted.")
    monitor: Annotated[MonitorShape | None, Present()] = None


class TestShape(Shape):
    """One question to the policy and the answer it must give."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    who: Who = key("scada")
    to: Id = key("plc-3a")
    expect: Literal["allow", "refuse"] = key("allow")
    because: Annotated[Id | None, Present()] = key(default=None, doc="The rule or never that must decide.")
    at: Annotated[InstantText | None, Present()] = key(
        _WRITTEN_OUT, default=None, doc="When it is asked. Left out: at a time when all hours are open."
    )
    evidence: Annotated[list[Evidence] | None, Present()] = key(
        default=None, doc="What the speaker shows. Left out: all that it is bound to."
    )
    state: Annotated[dict[str, float] | None, Present()] = key(
        {"modbus holding 10": 0}, default=None, doc="What points were just seen to be."
    )


class CaseShape(TestShape):
    """One question to the policy and the answer it must give."""

    __test__ = False

    because: Annotated[Because | None, Present()] = key(
        default=None, doc="The rule or never that must decide, with or without its surface."
    )


class CasesShape(Shape):
    """policies/tests/NAME.yaml: questions to the whole policy."""

    test: Id = key("night-shift")
    cases: list[CaseShape] = key(
        [{"who": "scada", "to": "plc-3a", "modbus": "read holding 0", "expect": "allow"}], min_length=1
    )


class SurfaceShape(Shape):
    """policies/surfaces/NAME.yaml: a small zone, and all that may cross its edge."""

    surface: Id = key("cell-3")
    members: Annotated[list[DeviceText], OneOrMore()] = key(["plc-3a"], doc="The devices inside.")
    mode: Mode = key(default="enforce", doc="monitor: what its rules would refuse is counted and let through.")
    monitor: Annotated[MonitorShape | None, Present()] = None
    needs: list[Evidence] = key(default_factory=list, doc="Evidence that each of its rules needs.")
    audit: Literal["before", "after"] = key(default="after", doc="before: recorded first, written then.")
    unsafe_writes_without_proof: bool = key(default=False, doc="Writes without a certificate.")
    safety: bool = False
    rules: dict[Id, RuleShape] = key({})
    never: dict[Id, NeverShape] = key(default_factory=dict)
    tests: list[TestShape] = key(default_factory=list)
