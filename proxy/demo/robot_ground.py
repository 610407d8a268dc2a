"""The ground of the steps at the robot: the record in front of it, and the panel that reads all the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.demo import robot_words as words
from proxy.demo.grounds import LOOK, PATIENCE, Sums
from proxy.demo.robot_recording import RobotRecording
from proxy.demo.side import ROBOT
from proxy.demo.step import Claim, Result, Seen, Step

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.panel import Panel, PanelHealth
    from proxy.demo.recording import Arrived


class RobotCell:
    """The robot and its panel. ``patience``: seconds that the gateway may take to end its connections to the robot."""

    UNDISTURBED = "the panel reads on"

    def __init__(
        self, record: Path, recording: RobotRecording, panel: Panel, *, alone: bool, patience: float = PATIENCE
    ) -> None:
        self._record = record
        self._recording = recording
        self._panel = panel
        self._alone = alone
        self._patience = patience
        self._sums = Sums()
        self._health: PanelHealth = panel.health()

    def before(self) -> None:
        self._recording.take()  # the step before has accounted for it
        self._health = self._panel.health()

    def after(self, step: Step) -> tuple[Arrived, Claim]:
        left = self._left_open()
        read = self._panel.reads_from_now()
        arrived = self._recording.take()
        arrived.left_open = left
        before, now = self._health, self._panel.health()
        quiet = read and now.failures == before.failures and now.connections == before.connections
        text = self.UNDISTURBED if quiet else f"the panel was disturbed ({now.failures - before.failures} failures)"
        return arrived, Claim(self.UNDISTURBED, text, quiet)

    def note(self, step: Step, seen: Seen) -> None:
        self._sums.note(step, seen)

    def account(self, *, alone: bool) -> Result:
        """The robot's record from its first byte: what the steps may bring through, and what the panel has asked."""
        began = time.perf_counter()
        self._panel.reads_from_now()
        whole_record = RobotRecording(self._record, self._recording.bystander)
        whole = whole_record.take()
        reads = whole_record.said[words.read(words.SPEED)]
        asked = self._panel.health().asked
        # One question may be under way while we count.
        ok = self._sums.fits(whole, alone=alone) and (not alone or asked - 1 <= reads <= asked)
        return self._sums.result(
            ROBOT, "its whole record, every request", "the panel's", whole, "the panel's", ok, began
        )

    def _left_open(self) -> int:
        """Connections that outlive the step's clients. In company they may be somebody else's."""
        until = time.monotonic() + self._patience
        while self._alone and (left := self._recording.open_links()):
            if time.monotonic() > until:
                return left
            time.sleep(LOOK)
        return 0
