"""Who speaks, in the form policy looks at: exactly what a decision may depend on, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from proxy.core.names import NOBODY, Names

if TYPE_CHECKING:
    from proxy.core.principal import Principal

ROLE = "role:"
MBAPS = "mbaps:"
NULL_ROLE = "mbaps-null"
"""The attribute of a certificate without an mbaps role. It matches a rule only by this name (MB-TCP-Security R-23)."""


class Speaker(NamedTuple):
    """The parts of a `Principal` that decide. It is the key of the memo of `Policy.open`, so whatever is not in
    here cannot change an answer."""

    id: str | None
    attributes: frozenset[str]
    matched: frozenset[str]
    proved: bool
    names: Names = NOBODY

    @classmethod
    def of(cls, principal: Principal) -> Speaker:
        return cls(principal.id, principal.attributes, principal.matched, principal.proved, principal.names)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Casbin subjects, in an order that depends on nothing but the speaker."""
        own = () if self.id is None else (f"id:{self.id}",)
        return (*own, *sorted(f"attribute:{a}" for a in self.attributes))

    @property
    def budget(self) -> str:
        """Who a rate counts for: the device, or all who show the same attributes when no id is known."""
        return " ".join(self.subjects) if self.id is None else f"id:{self.id}"


def subject(name: str) -> str:
    """The Casbin subject of a name in `from:` or of a role's member.

    Each kind has its own prefix: a device called ``role:x``, or a certificate whose role reads like an inventory id,
    cannot be taken for the other (T12). It also means that no subject is ever empty, which Casbin's listing takes as
    *any subject*.
    """
    if name.startswith(ROLE):
        return name
    if name.startswith(MBAPS) or name == NULL_ROLE:
        return f"attribute:{name}"
    return f"id:{name}"
