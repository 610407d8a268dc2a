"""Keep alive, on both sides of us [MQTT-3.1.2-20 .. 3.1.2-22].

The client must be heard within 1.5 times its interval. The broker must hear *us* as well: a client whose packets were
all refused is alive, and is not to be thrown out by a broker that was told nothing of it.
"""

from __future__ import annotations

PING_AFTER = 0.75
"""Part of the interval after which we ping the broker for such a client."""


class KeepAlive:
    """Times are monotonic seconds. ``interval`` 0: not agreed yet."""

    __slots__ = ("_behind", "_ours", "_pings", "heard", "interval", "told")

    def __init__(self, opened: float) -> None:
        self.interval = 0
        self.heard = opened
        self.told = opened
        # PINGRESP comes in the order of the PINGREQ: the client's before ours, ours, the client's behind it.
        self._pings = 0
        self._ours = False
        self._behind = 0

    @property
    def lost_at(self) -> float:
        return self.heard + 1.5 * self.interval if self.interval else float("inf")

    @property
    def ping_at(self) -> float:
        """When the broker would begin to wonder; never, as long as it was told all that was heard."""
        return self.told + PING_AFTER * self.interval if self.interval and self.heard > self.told else float("inf")

    def client_pings(self) -> None:
        if self._ours:
            self._behind += 1
        else:
            self._pings += 1

    def we_ping(self, now: float) -> bool:
        """False: our last one is not answered yet."""
        self.told = now
        first, self._ours = not self._ours, True
        return first

    def answered(self) -> bool:
        """A PINGRESP came. True: it is the client's."""
        if self._pings:
            self._pings -= 1
            return True
        self._ours = False
        self._pings, self._behind = self._behind, 0
        return False
