"""What goes between the gateway and the process that judges for it: one question, and an answer in frames.

Frames are small enough to be taken in between two messages of live links. What the gateway has already (surfaces with
the same mark) is only named.
"""

from __future__ import annotations

import copyreg
import pickle
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.change.judge import Question
    from proxy.core.inventory import Device
    from proxy.core.surface import Surface

HEAD = struct.Struct(">I")
"""Length of the pickle that follows."""


@dataclass(frozen=True, slots=True)
class Job:
    """``marks``: of the surfaces that the gateway has."""

    question: Question
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unable:
    """Instead of a `Judged`: there was no room to judge it in. ``why`` is for people."""

    why: str


@dataclass(frozen=True, slots=True)
class Rest:
    """A part of the site that follows its `Judged`. ``same`` names surfaces that the gateway has."""

    surfaces: tuple[Surface, ...] = ()
    devices: tuple[Device, ...] = ()
    same: tuple[str, ...] = ()
    last: bool = False


def packed(value: object) -> bytes:
    copyreg.pickle(MappingProxyType, _plain)
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpacked(data: bytes) -> Any:
    """Of what our own parent or child sent, over a pipe that nobody else has."""
    return pickle.loads(data)  # noqa: S301


def _plain(view: MappingProxyType[Any, Any]) -> tuple[Any, tuple[dict[Any, Any]]]:
    return view_of, (dict(view),)


def view_of(value: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """The type has no name that a pickle could look up."""
    return MappingProxyType(value)
