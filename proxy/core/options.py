"""What a change of an option of a service does to access: declared where a protocol declares the option.

Most options say how a device wants to be spoken to and let nobody do more. Of those that say nothing every change is
taken for more access (T70).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields, is_dataclass
from typing import Any

Widens = Callable[[Any, Any], bool]
"""``widens(now, before)``: more may get through, or to another device, than before."""
_KEY = "widens"


def access(widens: Widens) -> dict[str, Any]:
    """``metadata`` of a dataclass field: ``field(default=1, metadata=access(operator.gt))``."""
    return {_KEY: widens}


def no_access(now: object, before: object) -> bool:
    """Whatever it is, nobody may do more."""
    return False


def widens(option: Field[Any], now: object, before: object) -> bool:
    if now == before:
        return False
    known: Widens | None = option.metadata.get(_KEY)
    return known is None or known(now, before)


def narrows(now: object, before: object) -> bool:
    """Something that ``before`` let through, ``now`` may not. Both are options of one type, or None."""
    if now == before:
        return False
    if not is_dataclass(now) or isinstance(now, type) or type(now) is not type(before):
        return True
    return any(widens(one, getattr(before, one.name), getattr(now, one.name)) for one in fields(now) if one.compare)
