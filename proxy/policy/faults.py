"""Decisions that failed. Each is a bug of ours, refused (BH-1606), counted and logged."""

from __future__ import annotations

import logging
import traceback


class Faults:
    """``count`` is for the metrics, ``last`` the newest traceback for `status`.

    The log gets the 1st, 2nd, 4th, 8th... fault: a peer that has found a way to cause one must not fill the disk.
    """

    def __init__(self, log: logging.Logger | None = None) -> None:
        self.count = 0
        self.last = ""
        self._log = log or logging.getLogger("bulkhead.policy")

    def note(self, error: Exception) -> None:
        self.count += 1
        self.last = "".join(traceback.format_exception(error))
        if self.count & (self.count - 1) == 0:
            self._log.error("decision failed (%d so far), the message was refused\n%s", self.count, self.last)
