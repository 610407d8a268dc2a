"""Plays the steps one after the other and calls the four witnesses for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from proxy.demo.grounds import Cell, Ground, Namespace
from proxy.demo.side import PLC, ROBOT, UNS
from proxy.demo.step import Ruling, judge

if TYPE_CHECKING:
    from proxy.demo.plant import Plant
    from proxy.demo.step import Result, Seen, Step


class Runner:
    """``alone``: nobody but the demo uses the plant, so the whole records are accounted for, frame by frame."""

    def __init__(self, plant: Plant, *, alone: bool) -> None:
        from proxy.demo.robot_ground import RobotCell  # asyncua takes its time to load, and here it is loaded already

        self._plant = plant
        self._alone = alone
        self._grounds: dict[str, Ground] = {
            PLC.name: Cell(plant.place.record, plant.recording, plant.scada),
            UNS.name: Namespace(plant.place.uns_record, plant.uns_recording, plant.floor, alone=alone),
            ROBOT.name: RobotCell(plant.place.robot_record, plant.robot_recording, plant.panel, alone=alone),
        }

    def perform(self, step: Step) -> Result:
        """Raises OSError or DemoError if the plant itself fails."""
        if step.without5 is not None and not self._plant.broker.version5:
            step = replace(step, expect=step.without5)
        ground = self._grounds[step.side.name]
        ground.before()
        self._plant.audit.forget()
        seen = self._play(step)
        ruling = Ruling.of(self._plant.audit.of(seen.peers))
        arrived, undisturbed = ground.after(step)
        ground.note(step, seen)
        return judge(step, seen, arrived, ruling, undisturbed, alone=self._alone)

    def accounts(self) -> list[Result]:
        """The whole records, from their first byte."""
        return [ground.account(alone=self._alone) for ground in self._grounds.values()]

    def _play(self, step: Step) -> Seen:
        try:
            return step.play(self._plant)
        except OSError:
            self._plant.check()  # says more than "connection refused"
            raise
