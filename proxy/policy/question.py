"""What is asked of a policy: by whom, of whom, for what, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.core.action import Action
    from proxy.core.principal import Principal
    from proxy.core.process import Point


@dataclass(frozen=True, slots=True)
class Question:
    """``text`` is the line that was asked, without its protocol; ``actions`` what it means, by ``parse``. ``wall`` is
    when it is asked, seconds since 1970 (None: left open), ``dated``: somebody said so. ``state`` was just seen."""

    principal: Principal
    device: str
    protocol: str
    text: str
    actions: tuple[Action, ...]
    wall: float | None = None
    dated: bool = False
    state: tuple[tuple[str, Point, float], ...] = ()
    parse: Callable[[str], tuple[Action, ...]] | None = None
