"""How samples look on the broker: what a `Form` has to say when, and the plain one, JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from proxy.protocols.mqtt.packets import Will
from proxy.uplink import json_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.uplink.sample import Sample


@dataclass(frozen=True, slots=True)
class Message:
    """``last``: with this one all samples up to that number have been said; None if it is not about samples."""

    topic: str
    payload: bytes
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Whose values, and who says them: device and place from the inventory, the publisher's name from the site."""

    place: str
    device: str
    publisher: str


class Form(Protocol):
    """One publisher's way of speaking. ``ticks`` is our clock, 100 ns since 1601. What it returns goes out in order."""

    @property
    def qos(self) -> int: ...

    @property
    def settles(self) -> bool:
        """It wants to know all nodes before it begins to tell of them."""
        ...

    @property
    def filters(self) -> tuple[str, ...]:
        """What it listens to."""
        ...

    def connecting(self, ticks: int) -> Will | None:
        """A connection to the broker begins; its Will."""
        ...

    def opened(self, ticks: int) -> list[Message]: ...

    def arrived(self, sample: Sample) -> None:
        """It is in the backlog now; `told` comes when it goes out."""
        ...

    def told(self, samples: Sequence[Sample], ticks: int) -> list[Message]:
        """As many samples as go at once, in order."""
        ...

    def heard(self, topic: str, payload: bytes) -> bool:
        """Whether somebody asks to be told everything again, by `opened`."""
        ...

    def leaving(self, ticks: int) -> list[Message]: ...


class JsonForm:
    """One topic for each node, ``PLACE/DEVICE/NAME``, one object for each sample (`json_payload`), QoS 1. On
    ``PLACE/DEVICE/uplink/PUBLISHER`` it says whether anybody is there to tell: the Will says when nobody is."""

    qos = 1
    settles = False
    filters: tuple[str, ...] = ()

    def __init__(self, address: Address) -> None:
        self._base = f"{address.place}/{address.device}"
        self._state = f"{self._base}/uplink/{address.publisher}"

    def connecting(self, ticks: int) -> Will | None:
        return Will(self._state, _state(False, ticks), qos=1)

    def opened(self, ticks: int) -> list[Message]:
        return [Message(self._state, _state(True, ticks))]

    def arrived(self, sample: Sample) -> None:
        pass

    def told(self, samples: Sequence[Sample], ticks: int) -> list[Message]:
        return [Message(f"{self._base}/{one.name}", json_payload.encode(one), one.number) for one in samples]

    def heard(self, topic: str, payload: bytes) -> bool:
        return False

    def leaving(self, ticks: int) -> list[Message]:
        return [Message(self._state, _state(False, ticks))]


def _state(online: bool, ticks: int) -> bytes:
    """``timestamp`` of a Will is when the connection began: the broker adds none."""
    told = {"online": online, "timestamp": json_payload.rfc3339(ticks)}
    return json.dumps(told, separators=(",", ":")).encode()
