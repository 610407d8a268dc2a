"""What a publisher counts and shows. Plain values, written by the event loop and read by the admin thread."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class SideFigures:
    """``state``: ``connecting``, ``up`` or ``down``; ``why`` it is down, printable. ``losses``: how often it was up and
    is no more."""

    state: str = "connecting"
    why: str = ""
    losses: int = 0

    @property
    def up(self) -> bool:
        return self.state == "up"


@dataclass(slots=True)
class Figures:
    """``samples`` came from the device, ``published`` are with the broker (QoS 0: were handed to it), ``dropped`` made
    room in the backlog, ``unpublished`` were refused for good. ``gaps``: how often values were lost before they came;
    ``missed``: how many notifications are known to be. ``refused``: node -> StatusCode by name."""

    device: SideFigures = field(default_factory=SideFigures)
    broker: SideFigures = field(default_factory=SideFigures)
    samples: int = 0
    published: int = 0
    dropped: int = 0
    unpublished: int = 0
    gaps: int = 0
    missed: int = 0
    rebirths: int = 0
    waiting: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What somebody has to see to."""
        found = [f"{name}: {one.why}" for name, one in (("device", self.device), ("broker", self.broker)) if one.why]
        found += [f"node {name}: {code}" for name, code in sorted(self.refused.items())]
        return tuple(found)
