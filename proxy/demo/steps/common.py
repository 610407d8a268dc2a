"""What the steps share: who can speak, and the usual ways to speak and to be answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.demo.client import ANSWERED, Client
from proxy.demo.connection import CLOSED
from proxy.demo.plant import ANNA, INTRUDER, MASTER, OFFICE, STATION, VISITOR
from proxy.demo.step import Expect, Seen

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker
    from proxy.demo.plant import Plant

Who = Callable[["Plant"], "Speaker"]
Play = Callable[["Plant"], Seen]

COUNTERS = "cell-3/counters"
REFUSED = "exception 01"

DEFAULT_DENY = "BH-1201"
NEVER = "BH-1202"
VALUE_OUTSIDE = "BH-1205"
PART_REFUSED = "BH-1207"
BROADCAST = "BH-1208"
UNKNOWN_DEVICE = "BH-1001"
NO_PROOF = "BH-1002"
CERTIFICATE_ENDED = "BH-1004"
TLS_FAILED = "BH-1007"
CHANNEL_REFUSED = "BH-1008"
MALFORMED = "BH-1102"
UNKNOWN_FUNCTION = "BH-1103"
OUTSIDE_HOURS = "BH-1401"
POLICY_CHANGED = "BH-1711"


def scada(plant: Plant) -> Speaker:
    return plant.speaker(MASTER, plant.keys.of("scada"))


def mes(plant: Plant) -> Speaker:
    return plant.speaker(OFFICE, plant.keys.of("mes"))


def engineer(plant: Plant) -> Speaker:
    """The engineering station with its certificate."""
    return plant.speaker(STATION, plant.keys.of("engineer"))


def station(plant: Plant) -> Speaker:
    """The same station through the plain door: an address is all it has."""
    return plant.speaker(STATION, None, plant.doors.plain)


def operator(plant: Plant) -> Speaker:
    return plant.speaker(ANNA, plant.keys.of("anna"))


def visitor(plant: Plant) -> Speaker:
    return plant.speaker(VISITOR, plant.keys.of("visitor"))


def as_mes(plant: Plant) -> Speaker:
    """An intruder who has the key of the MES: inside, and with the rights of a master."""
    return plant.speaker(INTRUDER, plant.keys.of("mes"))


def as_scada(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, plant.keys.of("scada"))


def asks(who: Who, *pdus: bytes, unit: int = 1) -> Play:
    """One connection; each question is sent when the one before was answered."""

    def play(plant: Plant) -> Seen:
        with Client(who(plant)) as client:
            answers = [client.ask(pdu, unit=unit)[0] for pdu in pdus]
        return Seen.of([client], answers)

    return play


def sends(who: Who, data: bytes) -> Play:
    """One connection; these bytes, in one go, then whatever comes back first."""

    def play(plant: Plant) -> Seen:
        with Client(who(plant)) as client:
            client.send(data)
            answer = client.answer()
        return Seen.of([client], [answer])

    return play


def knocks(who: Who, *pdus: bytes) -> Play:
    """Opens a connection that should come to nothing, and asks all the same. Its time is that of all of it."""

    def play(plant: Plant) -> Seen:
        began = time.perf_counter()
        with Client(who(plant)) as client:
            answer = replace(client.ask(*pdus)[-1], seconds=time.perf_counter() - began)
        return Seen.of([client], [answer])

    return play


def allowed(rule: str, *arrives: bytes) -> Expect:
    return Expect((ANSWERED,) * len(arrives), allowed=(rule,), arrives=arrives)


def refused(reason: str, *, times: int = 1) -> Expect:
    """Exception 01, and the connection goes on."""
    return Expect((REFUSED,) * times, reason=reason)


def ended(reason: str, how: str = CLOSED) -> Expect:
    return Expect((how,), reason=reason)
