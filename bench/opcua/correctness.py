"""Checks of every OPC UA target, with the device as the judge of what got through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.correctness import Check
from bench.generator import WrongAnswers
from bench.opcua import names
from bench.opcua.link import Door, Link
from bench.opcua.operations import read_of, write_of
from proxy.protocols.opcua import status
from proxy.protocols.opcua.decode import decode, encode
from proxy.protocols.opcua.services.attribute import ReadResponse, WriteResponse
from proxy.protocols.opcua.services.messages import RequestHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.opcua.measure import Device
    from bench.opcua.programs import Target

REFUSED = status.BAD_USER_ACCESS_DENIED
CHECK_NAME = names.WRITE_NAMES[-1]
GOOD = [(names.first_value(name),) for name in names.READ_NAMES]


class OpcuaSuite:
    """All checks against one target."""

    def __init__(self, target: Target, device: Device) -> None:
        self.target = target
        self.device = device
        self.door = Door.of(target.door)

    def run(self) -> Iterator[Check]:
        yield self.check("read", self.read)
        yield self.check("coalesced", self.coalesced)
        yield self.check("fragmented", self.fragmented)
        yield self.check("write", self.write)
        if self.target.inspects:
            yield self.check("read with two refused between", self.mixed_read)
            yield self.check("write with two refused between", self.mixed_write)
            yield self.check("write of what is forbidden", self.forbidden)
            yield self.check("sequence number left out", self.gap)
            if self.door.own is not None:
                yield self.check("no security", self.no_security)

    def check(self, name: str, talk: Callable[[Link], str | None]) -> Check:
        link: Link | None = None
        try:
            link = Link(self.door)
            link.session()
            wrong = talk(link)
        except TimeoutError:
            wrong = "no answer in time"
        except (OSError, WrongAnswers) as error:
            wrong = str(error)
        finally:
            if link is not None:
                link.close()
        return Check(f"opcua {self.target.name}", name, wrong is None, wrong or "as expected")

    def seen(self, what: str) -> int:
        return int(self.device.counts()[what])

    def read(self, link: Link) -> str | None:
        before = self.seen("read_nodes")
        answer = link.ask(read_of(link), ReadResponse)
        arrived = self.seen("read_nodes") - before
        return read_wrong(answer) or (None if arrived == len(GOOD) else f"{arrived} nodes were read")

    def coalesced(self, link: Link) -> str | None:
        data = bytearray()
        for number in (1001, 1002, 1003):
            link.channel.send(number, encode(read_of(link)), data)
        link.socket.sendall(data)
        return self.answered(link, 3)

    def fragmented(self, link: Link) -> str | None:
        data = bytearray()
        link.channel.send(1001, encode(read_of(link)), data)
        for byte in data:
            link.socket.sendall(bytes((byte,)))
        return self.answered(link, 1)

    def answered(self, link: Link, count: int) -> str | None:
        found = list(link.answers())
        while len(found) < count:
            link.receive()
            found += link.answers()
        if [said.request_id for said in found] != list(range(1001, 1001 + count)):
            return f"answers to {[said.request_id for said in found]}"
        return next((wrong for said in found if (wrong := read_wrong(decode(said.body)))), None)

    def write(self, link: Link) -> str | None:
        for value in (31.0, 32.0):
            answer = link.ask(write_of(link, ((CHECK_NAME, value),)), WriteResponse)
            if answer.results != (0,) or self.value(CHECK_NAME) != value:
                return f"answered {answer.results}, the device has {self.value(CHECK_NAME)}"
        return None

    def value(self, name: str) -> float:
        return float(self.device.counts()["values"][name])

    def mixed_read(self, link: Link) -> str | None:
        wanted = (*names.READ_NAMES[:3], names.FORBIDDEN, *names.READ_NAMES[3:], names.FORBIDDEN)
        before = self.seen("read_nodes")
        answer = link.ask(read_of(link, wanted), ReadResponse)
        arrived = self.seen("read_nodes") - before
        told = [REFUSED if one.value is None and one.status == REFUSED else one.value for one in answer.results or ()]
        if [at for at, one in enumerate(told) if one == REFUSED] != [3, 11] or len(told) != len(wanted):
            return f"answered {answer.results}"
        kept = tuple(one for at, one in enumerate(answer.results or ()) if at not in (3, 11))
        return read_wrong(replace(answer, results=kept)) or (
            None if arrived == len(GOOD) else f"{arrived} nodes were read"
        )

    def mixed_write(self, link: Link) -> str | None:
        link.ask(write_of(link, ((CHECK_NAME, 40.0),)), WriteResponse)
        forbidden, before = self.value(names.FORBIDDEN), self.seen("write_nodes")
        values = ((names.FORBIDDEN, 1.0), (CHECK_NAME, 41.0), (names.FORBIDDEN, 2.0))
        answer = link.ask(write_of(link, values), WriteResponse)
        now = self.value(names.FORBIDDEN), self.value(CHECK_NAME), self.seen("write_nodes") - before
        if answer.results != (REFUSED, 0, REFUSED):
            return f"answered {answer.results}"
        return None if now == (forbidden, 41.0, 1) else f"the device has {now}"

    def forbidden(self, link: Link) -> str | None:
        before = self.seen("write_nodes")
        answer = link.ask(write_of(link, ((names.FORBIDDEN, 1.0),)), WriteResponse)
        arrived = self.seen("write_nodes") - before
        return None if (answer.results, arrived) == ((REFUSED,), 0) else f"{answer.results}, {arrived} arrived"

    def gap(self, link: Link) -> str | None:
        """The connection ends, and nothing arrives."""
        before = self.seen("read_nodes")
        link.channel._sent += 1
        try:
            link.asked(read_of(link))
        except (WrongAnswers, ConnectionError):
            arrived = self.seen("read_nodes") - before
            return f"{arrived} nodes were read" if arrived else None
        return "was answered"

    def no_security(self, link: Link) -> str | None:
        """A channel with policy None on the same port reads nothing, with or without another's session."""
        before = self.seen("read_nodes")
        try:
            plain = Link(Door(self.door.port))
        except (WrongAnswers, ConnectionError):
            return None
        try:
            plain.token = link.token
            found = plain.asked(replace(read_of(plain), header=RequestHeader.make(link.token, 9)))
        except (WrongAnswers, ConnectionError):
            found = None
        finally:
            plain.close()
        arrived = self.seen("read_nodes") - before
        return f"was served: {found}, {arrived} nodes were read" if isinstance(found, ReadResponse) or arrived else None


def read_wrong(answer: object) -> str | None:
    if not isinstance(answer, ReadResponse):
        return f"answered {answer}"
    found = [one.value.numbers() if one.value is not None else None for one in answer.results or ()]
    return None if found == GOOD else f"values {found}"
