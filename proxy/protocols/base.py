"""The seam between protocol logic and everything that touches a socket, a clock or a file.

An `Inspector` judges one client connection, an `Upstream` speaks to one device (or broker) for one or many clients.
Both are sans-IO: bytes and the time go in, and what is to be done comes out in an effects object that the driver
(`proxy.gateway.link`, `proxy.gateway.upstream`) carries out and empties. A *message* is what passes between the two:
for Modbus an ADU, for MQTT a packet, for OPC UA a decoded service request. It is bytes that were fully accounted for.

    client bytes -> Inspector --message--> Upstream -> device bytes
    client bytes <- Inspector <--message-- Upstream <- device bytes

`docs/seam.md` walks a shared PLC socket, a held MQTT session and a terminated OPC UA channel through it.
Nothing here may raise because of input. An inspector or upstream that raises has a bug, and its link is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from proxy.core.action import Action, Target
    from proxy.core.events import Event
    from proxy.core.names import Names
    from proxy.core.process import Point
    from proxy.core.reason import Reason
    from proxy.core.verdict import Verdict

Decide = Callable[..., "Verdict"]
"""``decide(actions, now, recorded=False)`` judges all actions of one message at a time (monotonic seconds): one
refused refuses all. ``recorded``: the message was held for its record, and this is the second time, after which it
goes on. A rate is charged once, when the message goes.

Synchronous, in memory, total: it never raises and never waits.
"""

Path = tuple[str | int, ...]
"""A place inside a YAML value: keys and list indexes, from the value that the parser was given."""


class UpstreamState(Enum):
    """What became of the far side, for inspectors whose protocol has to tell its client."""

    OPEN = "open"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who a client says it is, in a protocol that brings a handshake of its own (OPC UA's secure channel).

    ``certificate``: the DER of its leaf, of which it was shown that the client has the key and that the listener trusts
    it. ``application_uri``: what it calls itself; proved by the certificate if that has it.
    """

    certificate: bytes | None = None
    application_uri: str | None = None


class Effects:
    """What an inspector wants done. The driver carries it out and clears it: messages for the upstream first, then
    bytes for the client, so that what the client is told of has been handed on; then events, holds and the end.

    ``held``: (token, event). The inspector keeps the message; when the record of the event is on disk (or cannot
    be) the driver calls `Inspector.resume` with the token, and reads nothing more from the client until then.
    ``closing``: write what is in ``client``, say goodbye on the transport, close both halves; ``why`` is None for an
    ordinary end. ``wake``: `tick` is wanted at this time (monotonic seconds) or earlier than was asked for before; an
    inspector sets it when its earliest deadline moves forward, so that nobody has to ask after every message.
    ``seen``: values of points that `Client.watched` asks for, in the order in which the device told them.
    ``introduced``: the client's own handshake is over; the driver identifies it and calls `Inspector.identified`, or
    `Inspector.end` if it may not come in. Only from a protocol that `ProtocolSpec.introduces`, and once.
    """

    __slots__ = ("client", "closing", "events", "held", "introduced", "seen", "upstream", "wake", "why")

    def __init__(self) -> None:
        self.client: list[bytes] = []
        self.upstream: list[bytes] = []
        self.events: list[Event] = []
        self.held: list[tuple[int, Event]] = []
        self.seen: list[tuple[Point, float]] = []
        self.introduced: Introduction | None = None
        self.closing = False
        self.why: Reason | None = None
        self.wake: float | None = None

    def close(self, why: Reason | None = None) -> None:
        self.closing = True
        self.why = why


class Inspector(Protocol):
    """One per client connection. ``now`` is monotonic seconds."""

    def identified(self, names: Names, now: float, out: Effects) -> None:
        """It introduced itself and may come in, as ``names``. From here on it may ask `decide`, and not before. Never
        called where `ProtocolSpec.introduces` says no: then `Client.names` has it from the start."""
        ...

    def from_client(self, data: bytes, now: float, out: Effects) -> None:
        """Bytes in any cut. Three outcomes: incomplete (kept), message (judged), malformed (``out.closing``)."""
        ...

    def from_upstream(self, message: bytes, now: float, out: Effects) -> None:
        """An answer, or something the far side sends by itself. Judged where the protocol says so (MQTT delivery)."""
        ...

    def upstream_is(self, state: UpstreamState, now: float, out: Effects) -> None: ...

    def eof(self, now: float, out: Effects) -> None:
        """The client sent its last byte. Answers still owed are delivered before ``out.closing``."""
        ...

    def decide_again(self, now: float, out: Effects) -> None:
        """A new epoch that concerns this link: forget cached verdicts, re-check whatever stands (subscriptions)."""
        ...

    def resume(self, token: int, recorded: bool, now: float, out: Effects) -> None:
        """The record of a held act is on disk (or cannot be): decide once more, then forward or refuse it."""
        ...

    def end(self, reason: Reason, now: float, out: Effects) -> None:
        """Say goodbye in the peer's language and set ``out.closing``. Called once; nothing else follows."""
        ...

    def deadline(self) -> float | None:
        """When `tick` is due, monotonic seconds. Asked when a timer rang; in between `Effects.wake` tells."""
        ...

    def tick(self, now: float, out: Effects) -> None: ...

    def tally(self) -> Mapping[Hashable, int]:
        """How many messages went on under each `Verdict.tag`, since the link opened."""
        ...


class UpstreamEffects:
    """What an upstream wants done. ``device`` maps a connection number to the byte strings to send on it, in order.

    An upstream may have several connections to its device (``connections`` of a PLC); it numbers them itself.
    ``dial`` and ``hang_up`` list connection numbers, ``clients`` pairs a client with a message for its inspector,
    ``states`` pairs a client with news of the far side. What is in ``device`` for a connection in ``hang_up`` is
    delivered first, as long as the device takes it. ``wake`` as in `Effects`.
    """

    __slots__ = ("clients", "device", "dial", "events", "hang_up", "states", "wake")

    def __init__(self) -> None:
        self.device: dict[int, list[bytes]] = {}
        self.clients: list[tuple[int, bytes]] = []
        self.dial: list[int] = []
        self.hang_up: list[int] = []
        self.states: list[tuple[int, UpstreamState]] = []
        self.events: list[tuple[int | None, Event]] = []
        self.wake: float | None = None


class Upstream(Protocol):
    """The far side: one device or broker session, for one or many clients. Outlives its clients if it is shared."""

    def submit(self, client: int, message: bytes, now: float, out: UpstreamEffects) -> None: ...

    def opened(self, connection: int, now: float, out: UpstreamEffects) -> None:
        """A dialled connection is up (TLS and all)."""
        ...

    def from_device(self, connection: int, data: bytes, now: float, out: UpstreamEffects) -> None: ...

    def lost(self, connection: int, now: float, out: UpstreamEffects) -> None:
        """A dial failed, or the device ended a connection. Not called for a connection that `hang_up` named."""
        ...

    def leave(self, client: int, now: float, out: UpstreamEffects) -> None:
        """The client is gone: unsent messages of it are dropped, answers to sent ones are swallowed."""
        ...

    def deadline(self) -> float | None: ...

    def tick(self, now: float, out: UpstreamEffects) -> None: ...


class Report(Protocol):
    """Tells the operator of a mistake inside a value. ``path`` starts at the value that the parser was given."""

    def __call__(self, path: Path, wrong: str, mend: str = "") -> None: ...


class Setting(Protocol):
    """What a listener says to its inspectors besides policy."""

    @property
    def name(self) -> str: ...
    @property
    def options(self) -> object:
        """What `ProtocolSpec.parse_listener` made."""
        ...

    @property
    def secured(self) -> bool:
        """The client side runs inside TLS."""
        ...

    @property
    def deny_style(self) -> str: ...

    def secret(self, name: str) -> bytes:
        """The content of one of the files that `ProtocolSpec.secrets` named."""
        ...


class Watched:
    """The points of one device that some rule looks at. One object for all links to the device; a reload changes
    ``points``, and an inspector that keeps something made from it compares ``points`` by identity."""

    __slots__ = ("points",)

    def __init__(self, points: frozenset[Point] = frozenset()) -> None:
        self.points = points


def _no_clock() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Client:
    """Who an inspector is made for. ``names``: the proved identity. ``entropy(n)`` gives n random bytes. ``opened``:
    when the link opened, monotonic seconds. ``watched``: what to report in `Effects.seen`. ``memory``: what
    `ProtocolSpec.memory` made for the device. ``wall``: time of day, seconds since 1970, which certificates are dated
    in and which some protocols put into their answers; no deadline is ever reckoned with it."""

    names: Names
    entropy: Callable[[int], bytes]
    opened: float = 0.0
    watched: Watched = field(default_factory=Watched)
    memory: object = None
    wall: Callable[[], float] = _no_clock


@dataclass(frozen=True, slots=True)
class Far:
    """What an upstream is made with besides the device's options. ``setting``: of the listener that it is for; of the
    first one if it is shared. ``address``: the device's host:port, for protocols whose messages name it. The rest as
    in `Client`."""

    setting: Setting
    entropy: Callable[[int], bytes]
    memory: object = None
    wall: Callable[[], float] = _no_clock
    watched: Watched = field(default_factory=Watched)
    address: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What `ProtocolSpec.learn` proposes: ``section`` is for `parse_rule`. ``acts``: it changes a device or puts
    something where others take it for true, so a person has to say yes first. ``notes``: sentences for that person,
    such as what it would allow that nobody asked for. With an empty section the notes say what was left out."""

    section: Mapping[str, object]
    acts: bool
    notes: tuple[str, ...] = ()


class ProtocolSpec(Protocol):
    """What a protocol folder exports as ``PROTOCOL``: its vocabulary for policy files, and its two machines.

    Its targets and options, and itself, can be pickled: a changed policy is judged in a process of its own.
    """

    @property
    def name(self) -> str: ...
    @property
    def ports(self) -> frozenset[int]:
        """Usual ports, plain and TLS: a `tcp` service on one of these would go round the inspector."""
        ...

    def deny_styles(self, *, secured: bool) -> tuple[str, ...]:
        """What `deny_style` of a listener may say, with TLS and without; the first is the default."""
        ...

    @property
    def shareable(self) -> bool:
        """One connection to the device may serve several clients (``services: NAME: { shared: true }``)."""
        ...

    def answers_strangers(self, *, secured: bool) -> bool:
        """A speaker whom no rule lets in keeps its link and gets each message refused in its own language, instead of
        a close: what MB-TCP-Security demands of a certificate without a role (R-31)."""
        ...

    def parse_service(self, value: object, report: Report) -> object | None:
        """The protocol's part of ``services: NAME: {...}``, without `port` and `shared`. None after a report."""
        ...

    def parse_listener(self, value: object, report: Report) -> object | None:
        """The section of a listener that has the protocol's name; ``value`` is None if there is none. A protocol
        without such settings gives None and reports any value."""
        ...

    def secrets(self, options: object) -> tuple[str, ...]:
        """Names of files in the site's ``certs/`` that hold what the gateway proves itself with, or knows others by:
        to the device if ``options`` are those of a service, to the clients if they are those of a listener. Names that
        end in .crt, .der or .pem are no secrets, and may be read by others."""
        ...

    def introduces(self, options: object) -> bool:
        """Clients of such a listener tell who they are in the protocol's own handshake (`Effects.introduced`), so that
        nothing is decided when they connect. ``options`` are the listener's."""
        ...

    def memory(self, options: object) -> object:
        """What all links to one device share and what outlives them, made once: sessions that a client may take up
        again. None for a protocol without. ``options`` are the service's."""
        ...

    def parse_rule(self, value: object, report: Report) -> tuple[Target, ...]: ...
    def parse_never(self, value: object, report: Report) -> tuple[Target, ...]: ...

    def parse_actions(self, text: str) -> tuple[Action, ...]:
        """``write holding 40 = 77`` as used by tests and `explain`. Raises ValueError with a mend."""
        ...

    def text_of(self, asked: Sequence[Action]) -> str:
        """The line that `parse_actions` reads as exactly ``asked``, which an inspector put to policy as one message:
        whole, however long, while `Action.describe` is short."""
        ...

    def parse_point(self, text: str) -> Point:
        """``holding 10 i16 (unit 1)``: one value of a device that a rule may depend on. Raises ValueError with a mend;
        a protocol that shows no values says so."""
        ...

    def beyond(self, targets: tuple[Target, ...], others: tuple[Target, ...]) -> tuple[Target, ...]:
        """What ``targets`` admit and ``others`` together do not, in as few targets as can say it. Both are of rules,
        and not bound. May err towards too much: this is what a change of policy is judged by (T70)."""
        ...

    def outright(self, asked: tuple[Action, ...], options: object) -> tuple[Reason, str] | None:
        """Why a request to such a device is refused before any rule is asked, whatever the rules say; else None.

        The inspector holds the same: `explain` and the policy's tests must not promise what no message gets.
        """
        ...

    def sections(self, text: str, refused: tuple[Action, ...]) -> Iterable[object]:
        """What `parse_rule` might be given to allow ``refused``, narrowest first; `explain` proposes the first that
        helps. ``text`` is the line that `parse_actions` took. Guesses will do: what does not parse is dropped."""
        ...

    def learn(self, asked: Sequence[Action], names: Names) -> Iterable[Proposal]:
        """The fewest lines that allow what one speaker, called ``names``, asked of one device; what acts apart from
        what does not. Without ``acts`` they allow exactly that, or a note says what else. The order of ``asked`` does
        not matter; of values the smallest and the largest are among them."""
        ...

    def pointless(self, target: Target, options: object) -> tuple[str, str] | None:
        """Why a rule's target can never come to anything at such a device, and how to mend it; else None."""
        ...

    def schema(self) -> Mapping[str, Mapping[str, object]]:
        """JSON Schema of ``service``, ``rule`` and ``never``, and of ``listener`` if it has settings."""
        ...

    def inspector(self, decide: Decide, setting: Setting, options: object, client: Client) -> Inspector:
        """``options`` is what `parse_service` made for the device behind."""
        ...

    def upstream(self, options: object, far: Far) -> Upstream: ...
