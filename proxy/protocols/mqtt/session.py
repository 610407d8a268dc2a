"""One client's session with the broker: what both directions know, and the ways in which it ends."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING

from proxy.core.events import Event
from proxy.core.reason import Reason
from proxy.protocols.mqtt import answers, reasons
from proxy.protocols.mqtt.alive import KeepAlive
from proxy.protocols.mqtt.publishing import Publishing
from proxy.protocols.mqtt.receiving import Receiving
from proxy.protocols.mqtt.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from proxy.protocols.base import Decide, Effects
    from proxy.protocols.mqtt.asking import Asked
    from proxy.protocols.mqtt.framing import Malformed
    from proxy.protocols.mqtt.opening import Opening
    from proxy.protocols.mqtt.service import MqttService

LEAVES_WITHIN = 2.0
"""Seconds that the broker has for its last answers and its close, after the client's DISCONNECT."""
EARLY_LIMIT = 1024
"""Answers of ours that wait for the broker's CONNACK, which must be the first packet [MQTT-3.2.0-1]."""
DISCONNECT = b"\xe0\0"
"""A clean goodbye in both versions: the broker throws the Will away [MQTT-3.14.4-3]."""


class Phase(Enum):
    """From CONNECT on the broker knows of the session, from CONNACK on the client does."""

    WAITING = "no CONNECT yet"
    ASKED = "CONNECT sent"
    OPEN = "CONNACK passed on"
    OVER = "over"


class Session:
    """``held``: the packet that waits for its record; ``parked``: one waits for its packet id to be free."""

    def __init__(self, decide: Decide, service: MqttService, deny_style: str, opened: float) -> None:
        self.decide = decide
        self.service = service
        self.phase = Phase.WAITING
        self.level = 4
        self.opening: Opening | None = None
        self.standing: list[Asked] = []
        """What CONNECT asked for; the Will, if there is one, is the second."""
        self.publishing = Publishing(4, decide, service, deny_style, say_why=False)
        self.receiving = Receiving(4, decide)
        self.subscriptions = Subscriptions()
        self.alive = KeepAlive(opened)
        self.counted: Counter[Hashable] = Counter()
        self.held: bytes | None = None
        self.parked = False
        self.leaves_by: float | None = None
        """The client said DISCONNECT. What the broker still has to say to it comes until then."""
        self._deny_style = deny_style
        self._early: list[bytes] = []
        self._token = 0
        self._wordy = True

    @property
    def over(self) -> bool:
        return self.phase is Phase.OVER

    @property
    def waits(self) -> bool:
        """Nothing more of the client is looked at for now."""
        return self.held is not None or self.parked

    @property
    def token(self) -> int:
        """Of the packet that is held."""
        return self._token

    # How it opens.

    def ask(self, opening: Opening) -> None:
        """CONNECT goes to the broker."""
        self._wordy = opening.client_packet_limit >= answers.WITH_REASON
        say_why = self._wordy and opening.problem_information
        self.opening = opening
        self.phase = Phase.ASKED
        self.publishing = Publishing(self.level, self.decide, self.service, self._deny_style, say_why=say_why)
        self.receiving = Receiving(self.level, self.decide)
        self.alive.interval = opening.keep_alive

    def greet(self, out: Effects) -> None:
        """CONNACK went to the client: what we had to say waited for it."""
        self.phase = Phase.OPEN
        out.client += self._early
        self._early.clear()

    # Saying things.

    def to_broker(self, data: bytes, now: float, out: Effects) -> None:
        """Nothing follows a DISCONNECT [MQTT-3.14.4-2], no acknowledgement of ours either."""
        if self.leaves_by is None:
            out.upstream.append(data)
            self.alive.told = now

    def say(self, data: bytes, out: Effects) -> None:
        """An answer of ours to the client."""
        if self.phase is Phase.OPEN:
            out.client.append(data)
        elif len(self._early) < EARLY_LIMIT:
            self._early.append(data)
        else:
            self.cut(Reason.OVERLOAD, "too much to answer before the broker did", out)

    def hold(self, frame: bytes, event: Event, out: Effects) -> None:
        self._token += 1
        self.held = frame
        out.held.append((self._token, event))

    def kept_back(self, out: Effects) -> None:
        """The client was heard and the broker was told nothing: it must not take the client for lost."""
        wake(self.alive.ping_at, out)

    # How it ends.

    def leave(self, now: float, out: Effects) -> None:
        """The client said goodbye. It is the broker that closes then, behind all that it has to say: a sensor may send
        everything from CONNECT to DISCONNECT at once and read its CONNACK only then."""
        self.leaves_by = now + LEAVES_WITHIN
        wake(self.leaves_by, out)

    def refuse(self, code: int, reason: Reason | None, out: Effects) -> None:
        """The CONNECT."""
        text = "" if reason is None else answers.why(reason)
        if (answer := answers.connack(self.level, code, text)) is not None:
            out.client.append(answer)
        self.finish(reason, out)

    def goodbye(self, code: int, reason: Reason, out: Effects) -> None:
        """As far as the client has words for it; what follows is `finish`."""
        say = answers.disconnect if self.phase is Phase.OPEN else answers.connack
        answer = say(self.level, code, answers.why(reason) if self._wordy else "")
        if answer is not None:
            out.client.append(answer)

    def malformed(self, fault: Malformed, out: Effects) -> None:
        out.events.append(Event("malformed", reason=Reason.MALFORMED, detail=fault.what))
        answer = None
        if self.phase is Phase.OPEN:
            answer = answers.disconnect(self.level, fault.code)
        elif self.phase is Phase.ASKED or self.level == 5 or fault.code != reasons.MALFORMED:
            answer = answers.connack(self.level, fault.code)
        if answer is not None:
            out.client.append(answer)
        self.finish(Reason.MALFORMED, out)

    def cut(self, reason: Reason, detail: str, out: Effects) -> None:
        """The client is too slow, too much, or silent. Its Will fires, as it would at the broker itself."""
        if reason is not Reason.IDLE:
            out.events.append(Event("malformed", reason=reason, detail=detail))
        if self.opening is not None:
            self.goodbye(answers.goodbye_code(reason), reason, out)
        self.finish(reason, out)

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        """Cut by policy: the broker is told goodbye too, so that no Will fires (T28)."""
        if self.opening is not None:
            self.to_broker(DISCONNECT, now, out)
            self.goodbye(answers.goodbye_code(reason), reason, out)
        self.finish(reason, out)

    def broker_broke(self, what: str, out: Effects) -> None:
        out.events.append(Event("device", reason=Reason.UPSTREAM_INVALID, detail=what))
        code = answers.IMPLEMENTATION if self.phase is Phase.OPEN else answers.SERVER_UNAVAILABLE
        self.goodbye(code, Reason.UPSTREAM_INVALID, out)
        self.finish(Reason.UPSTREAM_INVALID, out)

    def finish(self, why: Reason | None, out: Effects) -> None:
        self.phase = Phase.OVER
        out.close(why)

    def tally(self) -> Mapping[Hashable, int]:
        return self.counted + Counter(self.publishing.scanner.tally()) + Counter(self.receiving.scanner.tally())


def wake(at: float, out: Effects) -> None:
    if at != float("inf") and (out.wake is None or at < out.wake):
        out.wake = at
