"""Which acts on a node a target speaks of: pairs of a verb and attributes."""

from __future__ import annotations

from proxy.protocols.opcua.actions import WRITE
from proxy.protocols.opcua.words import VALUE

OTHERS = -1
"""As an attribute: every one but the Value."""
Claims = tuple[tuple[str, int | None], ...]
"""None for the attribute: any."""


def forbidden_by(verb: str, attribute: int | None) -> Claims:
    """What a `never` of ``verb`` means besides: every way to learn the value, every way to change it, all that tells
    of what is hidden. History is of the Value."""
    of_value: Claims = ()
    if attribute is None or attribute == VALUE:
        of_value = {"read": (("history-read", None),), WRITE: (("history-write", None),)}.get(verb, ())
    told: Claims = (("subscribe", attribute),) if verb == "read" else ()
    shown: Claims = (("read", OTHERS),) if verb == "browse" else ()
    return ((verb, attribute), *shown, *told, *of_value)


def fits(attribute: int | None, asked: int) -> bool:
    """An act on the attribute ``asked`` is one that ``attribute`` of a target speaks of."""
    return attribute is None or attribute == asked or (attribute == OTHERS and asked != VALUE)


def claims_within(inner: Claims, outer: Claims) -> bool:
    """Each act of ``inner`` is one of ``outer``."""
    return all(
        any(verb == other and _inside(attribute, theirs) for other, theirs in outer) for verb, attribute in inner
    )


def claims_meet(one: Claims, other: Claims) -> bool:
    return any(verb == theirs and _meet(a, b) for verb, a in one for theirs, b in other)


def _inside(one: int | None, other: int | None) -> bool:
    return other is None or one == other or (other == OTHERS and one not in (None, VALUE))


def _meet(one: int | None, other: int | None) -> bool:
    if one is None or other is None or one == other:
        return True
    return OTHERS in (one, other) and VALUE not in (one, other)
