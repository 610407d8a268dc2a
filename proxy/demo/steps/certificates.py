"""Those who are nobody here: an address no device has, and certificates that prove nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo.frames import read_holding
from proxy.demo.plant import INTRUDER
from proxy.demo.step import Step
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker
    from proxy.demo.plant import Plant

QUESTION = read_holding(10, 5)
"""What is allowed to any master: it is the speaker that is wrong here."""


def steps() -> list[Step]:
    return [
        Step("intruder", "plain, from an unknown address", c.knocks(_plain, QUESTION), c.ended(c.UNKNOWN_DEVICE)),
        Step(
            "intruder", "no certificate", c.knocks(_none, QUESTION), c.ended(c.TLS_FAILED, "alert certificate required")
        ),
        Step(
            "intruder",
            "certificate of another CA",
            c.knocks(_foreign, QUESTION),
            c.ended(c.TLS_FAILED, "alert unknown ca"),
        ),
        Step(
            "intruder",
            "SCADA's expired certificate",
            c.knocks(_expired, QUESTION),
            c.ended(c.CERTIFICATE_ENDED, "alert certificate expired"),
        ),
    ]


def _plain(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, None, plant.doors.plain)


def _none(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, plant.keys.without)


def _foreign(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, plant.keys.foreign())


def _expired(plant: Plant) -> Speaker:
    return plant.speaker(INTRUDER, plant.keys.expired())
