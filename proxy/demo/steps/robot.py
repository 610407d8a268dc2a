"""At the robot, which speaks OPC UA and knows no security: what its clients may ask, and three who go too far.

asyncua is loaded when the first of them plays: it takes its time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from proxy.demo import robot_words as w
from proxy.demo.plant import INTRUDER, OFFICE, WORKSHOP
from proxy.demo.side import ROBOT
from proxy.demo.step import Claim, Expect, Seen, Step
from proxy.demo.steps import common as c
from proxy.demo.ua_papers import MAINTENANCE, MES, PANEL

if TYPE_CHECKING:
    from proxy.demo.plant import Plant
    from proxy.demo.ua_client import Talk

Script = Callable[["Talk"], Awaitable[None]]

LOOK, SERVICE = "robot/look", "robot/service"
GOOD, DENIED = "Good", "BadUserAccessDenied"
INSUFFICIENT, NO_SESSION = "BadSecurityModeInsufficient", "BadSessionIdInvalid"
PER_CENT, TOP, OFFSET = 80.0, 130.0, 1.5
SAFE = 250.0


def steps() -> list[Step]:
    return [*_allowed(), *_refused()]


def _allowed() -> list[Step]:
    return [
        Step(
            "MES",
            "reads line values",
            _reads_line,
            Expect((f"{GOOD} {GOOD}",), (LOOK,), arrives=w.session(w.read(w.SPEED), w.read(w.COUNT))),
            ROBOT,
        ),
        Step(
            "maintenance",
            "slows it down, resets it",
            _in(WORKSHOP, MAINTENANCE, _maintains),
            Expect((GOOD, GOOD), (SERVICE,), arrives=w.session(w.write(w.OVERRIDE, PER_CENT), w.call(w.RESET))),
            ROBOT,
        ),
    ]


def _refused() -> list[Step]:
    return [
        Step(
            "maintenance",
            "3 writes, 2 calls: 2 of 5 may",
            _in(WORKSHOP, MAINTENANCE, _goes_too_far),
            Expect(
                (f"{GOOD} {DENIED} {DENIED}", f"{DENIED} {GOOD}"),
                (SERVICE,),
                c.DEFAULT_DENY,
                w.session(w.write(w.OFFSET, OFFSET), w.call(w.RESET)),
            ),
            ROBOT,
        ),
        Step(
            "intruder",
            "policy None at the secured door",
            _without_security,
            Expect((INSUFFICIENT,), reason=c.CHANNEL_REFUSED),
            ROBOT,
        ),
        Step(
            "intruder as panel",
            "maintenance's session token",
            _takes_token,
            Expect((NO_SESSION, GOOD), (SERVICE,), c.CHANNEL_REFUSED, w.session(w.read(w.OVERRIDE))),
            ROBOT,
        ),
    ]


async def _maintains(talk: Talk) -> None:
    await talk.write({w.OVERRIDE: PER_CENT})
    await talk.call(w.RESET)


async def _goes_too_far(talk: Talk) -> None:
    """A value too high, a node that is forbidden, a method that no rule names; each beside one that is allowed."""
    await talk.write({w.OFFSET: OFFSET, w.OVERRIDE: TOP, w.SAFETY: SAFE})
    await talk.call(w.START, w.RESET)


def _in(source: str, name: str, script: Script) -> Callable[[Plant], Seen]:
    """One session from there, with the certificate of that name."""

    def play(plant: Plant) -> Seen:
        from proxy.demo.ua_client import seated, talking

        async def session() -> Talk:
            async with talking(plant.ua_speaker(source, name)) as talk:
                await script(talk)
            return talk

        talk, peers = seated(source, session)
        return Seen(tuple(talk.answers), peers, (talk.stream,))

    return play


def _reads_line(plant: Plant) -> Seen:
    """What the robot has held since it started."""
    found: list[float] = []

    async def read(talk: Talk) -> None:
        found.extend(await talk.read(w.SPEED, w.COUNT))

    seen = _in(OFFICE, MES, read)(plant)
    good = found == [w.VALUES[w.SPEED], w.VALUES[w.COUNT]]
    claim = Claim("values as the robot has them", f"values {', '.join(map(str, found))}", good)
    return Seen(seen.answers, seen.peers, seen.sent, (claim,))


def _without_security(plant: Plant) -> Seen:
    """It says that it is the maintenance station; nothing proves it."""
    from proxy.demo.ua_client import knock, seated

    speaker = plant.ua_speaker(INTRUDER, MAINTENANCE, secured=False)
    answer, peers = seated(INTRUDER, lambda: knock(speaker))
    return Seen((answer,), peers, (w.write(w.OVERRIDE, 0.0),))


def _takes_token(plant: Plant) -> Seen:
    """With the key of the panel it opens a channel of its own, and there it uses the token of somebody else's session.
    The session's owner reads on."""
    from proxy.demo.ua_client import channel, seated, talking

    async def both() -> tuple[Talk, Talk]:
        async with talking(plant.ua_speaker(WORKSHOP, MAINTENANCE)) as owner:
            async with channel(plant.ua_speaker(INTRUDER, PANEL)) as thief:
                thief.take_token(owner)
                await thief.write({w.OVERRIDE: 0.0})
            await owner.read(w.OVERRIDE)
        return owner, thief

    (owner, thief), peers = seated(WORKSHOP, both)
    return Seen((*thief.answers, *owner.answers), peers, (owner.stream, thief.stream))
