"""Who is in which role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.policy.rows import enforcer, links
from proxy.policy.speaker import ROLE, subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.core.surface import Role


class Graph:
    """Casbin's graph, which rules go by, and our own copy: `never` must not depend on a row that Casbin might lose."""

    __slots__ = ("_members", "_of", "casbin")

    def __init__(self, roles: Sequence[Role]) -> None:
        self.casbin = enforcer([], members=links(roles))
        self._members = _members(roles)
        self._of: dict[str, list[str]] = {}
        for role in roles:
            for member in role.members:
                self._of.setdefault(subject(member), []).append(ROLE + role.name)

    def of(self, subject: str) -> list[str]:
        """The roles of ``subject``, by our own copy."""
        return self._of.get(subject, [])

    def implied(self, subject: str) -> list[str]:
        """The roles of ``subject``, by Casbin. It is asked only about who is in some role: it keeps every name that
        it ever heard."""
        found: list[str] = self.casbin.get_implicit_roles_for_user(subject) if subject in self._of else []
        return found

    def knows(self, subject: str) -> bool:
        return subject in self._of

    @property
    def subjects(self) -> frozenset[str]:
        return frozenset(self._of)

    def replaced(self, roles: Sequence[Role]) -> Graph:
        """Itself if everybody is still in the same roles."""
        return self if self._members == _members(roles) else Graph(roles)

    def differing(self, other: Graph) -> frozenset[str]:
        """The roles, as ``role:NAME``, that do not have the same members in both."""
        if other is self:
            return frozenset()
        names = self._members.keys() | other._members.keys()
        return frozenset(ROLE + name for name in names if self._members.get(name) != other._members.get(name))


def _members(roles: Sequence[Role]) -> dict[str, frozenset[str]]:
    return {role.name: frozenset(role.members) for role in roles}
