"""Who makes room for whom, and who is turned away (threats.md 7.3, T45, T48)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.gateway.links import Links
from proxy.gateway.ports import Limits

if TYPE_CHECKING:
    from proxy.gateway.link import Link


@dataclass
class Coming:
    """As much of a link as `Links` looks at."""

    number: int
    facts: ConnFacts
    links: Links
    principal: Principal | None = None
    gone: list[int] = field(default_factory=list)

    def evict(self) -> None:
        self.gone.append(self.number)
        self.links.gone(cast("Link", self))


class Door:
    def __init__(self, limits: Limits) -> None:
        self.links = Links(limits)
        self.gone: list[int] = []
        self._number = 0

    def arrives(self, source: str, *, who: str | None = None, certificate: str | None = None) -> Coming:
        self._number += 1
        shown = CertificateFacts(1, None, (), None, 0.0, 1.0, certificate) if certificate is not None else None
        facts = ConnFacts("door", source, self._number, certificate=shown)
        coming = Coming(self._number, facts, self.links, Principal(who), self.gone)
        self.links.arrive(cast("Link", coming))
        return coming

    def admitted(self, source: str, *, who: str | None = None, certificate: str | None = None) -> Coming | None:
        coming = self.arrives(source, who=who, certificate=certificate)
        if self.links.admit(cast("Link", coming)) is not None:
            self.links.gone(cast("Link", coming))
            return None
        return coming

    def leaves(self, coming: Coming) -> None:
        self.links.gone(cast("Link", coming))


class TestHandshakes:
    def test_the_oldest_of_the_source_that_holds_most_makes_room(self) -> None:
        door = Door(Limits(handshakes=5))
        for source in ("a", "b", "b", "b", "c"):
            door.arrives(source)
        door.arrives("d")
        assert door.gone == [2]
        assert door.links.unproved == 5 and door.links.evicted == 1

    def test_a_source_that_holds_none_is_never_turned_away(self) -> None:
        """Whatever others do: its own first connection is not the one that makes room for the next of somebody else."""
        chance = random.Random(3)
        door = Door(Limits(handshakes=8))
        for _ in range(2000):
            attacker = door.arrives(f"attacker-{chance.randrange(2)}")
            assert attacker.number not in door.gone
        honest = door.arrives("honest")
        for _ in range(200):
            door.arrives(f"attacker-{chance.randrange(2)}")
        assert honest.number not in door.gone
        assert door.links.admit(cast("Link", honest)) is None

    def test_each_of_a_full_house_of_sources_holds_one(self) -> None:
        """Then one of them has to go: the cap is a cap."""
        door = Door(Limits(handshakes=4))
        for at in range(10):
            door.arrives(f"s{at}")
        assert door.links.unproved == 4
        assert door.gone == [1, 2, 3, 4, 5, 6]

    def test_who_proved_himself_is_not_evicted(self) -> None:
        door = Door(Limits(handshakes=2))
        assert door.admitted("a", who="scada")
        for _ in range(10):
            door.arrives("a")
        assert 1 not in door.gone and len(door.links) == 1

    def test_never_more_than_the_cap(self) -> None:
        chance = random.Random(4)
        door = Door(Limits(handshakes=16, links=50))
        there: list[Coming] = []
        for _ in range(3000):
            what = chance.random()
            if what < 0.7 or not there:
                there.append(door.arrives(f"s{chance.randrange(6)}"))
            elif what < 0.8:
                coming = there.pop(chance.randrange(len(there)))
                if coming.number not in door.gone:
                    door.links.admit(cast("Link", coming))
            else:
                door.leaves(there.pop(chance.randrange(len(there))))
            assert door.links.unproved <= 16 and len(door.links) <= 50
            held = Counter(link.facts.peer_ip for link in door.links.everyone())
            assert sum(held.values()) == len(door.links) + door.links.unproved


class TestLimits:
    def test_in_all(self) -> None:
        door = Door(Limits(links=3))
        there = [door.admitted(f"s{at}", who=f"d{at}") for at in range(4)]
        assert [coming is not None for coming in there] == [True, True, True, False]
        assert there[0] is not None
        door.leaves(there[0])
        assert door.admitted("s9", who="d9")

    def test_per_source(self) -> None:
        door = Door(Limits(links_per_source=2))
        assert [door.admitted("s", who=f"d{at}") is not None for at in range(3)] == [True, True, False]
        assert door.admitted("t", who="d9")

    def test_per_identity_from_wherever(self) -> None:
        door = Door(Limits(links_per_identity=2))
        assert [door.admitted(f"s{at}", who="scada") is not None for at in range(3)] == [True, True, False]
        assert door.admitted("s0", who="mes")

    def test_unknown_holders_count_by_certificate_and_strangers_by_address(self) -> None:
        door = Door(Limits(links_per_identity=1))
        assert door.admitted("s1", certificate="aa") and door.admitted("s1", certificate="bb")
        assert door.admitted("s2", certificate="aa") is None
        assert door.admitted("s1") and door.admitted("s2")
        assert door.admitted("s1") is None

    def test_the_reason(self) -> None:
        door = Door(Limits(links=0))
        assert door.links.admit(cast("Link", door.arrives("s"))) is Reason.CONNECTION_LIMIT

    def test_leaving_twice_counts_once(self) -> None:
        door = Door(Limits(links_per_source=1))
        first = door.admitted("s", who="d")
        assert first is not None
        door.leaves(first)
        door.leaves(first)
        assert door.admitted("s", who="d") and door.admitted("s", who="d") is None
