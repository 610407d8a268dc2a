"""A model of one shared PLC and its masters: whatever the PLC does, each answer reaches the one who asked, once."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.protocols.modbus.device import QUEUE
from proxy.protocols.modbus.service import ModbusService
from tests.modbus.frames import frame
from tests.modbus.harness import Device
from tests.modbus.plc import KINDS, WRONGS, Ask, Line, ask, truth, wrong

BUSY, NO_PATH, NO_ANSWER = 0x06, 0x0A, 0x0B
BY_PLC = 0x04
"""The code of the PLC's own exceptions here: none that the gateway gives."""
picks = st.integers(0, 1000)


class SharedPlc(RuleBasedStateMachine):
    @initialize(connections=st.integers(1, 3), pipeline=st.integers(1, 4))
    def plug_in(self, connections: int, pipeline: int) -> None:
        self.service = ModbusService(connections=connections, pipeline=pipeline)
        self.device = Device(self.service)
        self.masters: dict[int, list[Ask]] = {}
        self.lines: dict[int, Line] = {}
        self.asks: list[Ask] = []
        self.joined = 0

    # Masters.

    @rule()
    @precondition(lambda self: len(self.masters) < 4)
    def join(self) -> None:
        self.joined += 1
        self.masters[self.joined] = []

    @rule(who=picks, kind=st.sampled_from(KINDS), tid=st.integers(0, 20), times=st.sampled_from([1, 1, 1, 2, 18]))
    @precondition(lambda self: self.masters)
    def submit(self, who: int, kind: str, tid: int, times: int) -> None:
        """As an inspector does: an id is in use once at a time, except by what has no answer."""
        master = self._pick(self.masters, who)
        for _ in range(times):
            owed = {one.tid for one in self.masters[master]}
            while tid in owed and kind not in ("broadcast", "listen only"):
                tid += 1
            new = ask(kind, master, tid, len(self.asks))
            self.asks.append(new)
            if not new.silent:
                self.masters[master].append(new)
            self.device.submit(master, new.message)
            self._carry()

    @rule(who=picks)
    @precondition(lambda self: self.masters)
    def leave(self, who: int) -> None:
        master = self._pick(self.masters, who)
        del self.masters[master]
        for one in self.asks:
            one.over |= one.master == master
        self.device.leave(master)
        self._carry()

    # The network.

    @rule(which=picks)
    @precondition(lambda self: self._dialling())
    def dial_succeeds(self, which: int) -> None:
        number = self._pick(self._dialling(), which)
        self.lines[number].open = True
        self.device.opened(number)
        self._carry()

    @rule(which=picks)
    @precondition(lambda self: self._dialling())
    def dial_fails(self, which: int) -> None:
        number = self._pick(self._dialling(), which)
        del self.lines[number]
        self.device.lost(number)
        self._carry()

    @rule(which=picks)
    @precondition(lambda self: self._open())
    def connection_breaks(self, which: int) -> None:
        number = self._pick(self._open(), which)
        del self.lines[number]
        self.device.lost(number)
        self._carry()

    @rule(which=picks, count=st.sampled_from([1, 5, 9, 100]))
    @precondition(lambda self: self._talking())
    def bytes_arrive(self, which: int, count: int) -> None:
        self._arrive(self._pick(self._talking(), which), count)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self._until(self.device.now + seconds)

    @rule()
    @precondition(lambda self: self.device.machine.deadline() is not None)
    def deadline_comes(self) -> None:
        self._until(self.device.machine.deadline() or 0.0)

    # The PLC.

    @rule(which=picks, what=picks, twice=st.sampled_from([False, False, False, True]))
    @precondition(lambda self: self._asked())
    def answers(self, which: int, what: int, twice: bool) -> None:
        line, tid, one = self._question(which, what)
        self._answer(line, tid, one, truth(one.pdu))
        if twice:
            line.wire += frame(tid, one.unit, truth(one.pdu))

    @rule(which=picks, what=picks)
    @precondition(lambda self: self._asked())
    def answers_an_exception(self, which: int, what: int) -> None:
        line, tid, one = self._question(which, what)
        self._answer(line, tid, one, bytes((one.pdu[0] | 0x80, BY_PLC)))

    @rule(which=picks, what=picks, how=st.sampled_from(WRONGS))
    @precondition(lambda self: self._asked())
    def answers_wrongly(self, which: int, what: int, how: str) -> None:
        """To the gateway that is an answer too: one that came late makes room, another one costs the connection."""
        line, tid, one = self._question(which, what)
        del line.asked[tid]
        line.wire += wrong(one.pdu, one.unit, tid, how)

    @rule(which=picks, tid=st.integers(0xF000, 0xFFFF))
    @precondition(lambda self: self._open())
    def talks_unasked(self, which: int, tid: int) -> None:
        self.lines[self._pick(self._open(), which)].wire += frame(tid, 1, b"\x03\x02\x66\x66")

    @rule(which=picks, noise=st.binary(min_size=1, max_size=12))
    @precondition(lambda self: self._open())
    def talks_rubbish(self, which: int, noise: bytes) -> None:
        """Ends in a header that no frame has, so that nothing behind it counts."""
        self.lines[self._pick(self._open(), which)].wire += noise + b"\xff" * 300

    # What must hold.

    @invariant()
    def holds_no_more_than_it_may(self) -> None:
        if not hasattr(self, "device"):
            return
        assert len(self.lines) <= self.service.connections
        for line in self.lines.values():
            assert len(line.asked) <= self.service.pipeline
        for owed in self.masters.values():
            assert sum(one.sent_on is None for one in owed) <= QUEUE
        machine = self.device.machine
        assert set(machine._masters) <= set(self.masters)
        assert sum(len(master.queue) for master in machine._masters.values()) <= QUEUE * len(self.masters)
        assert all(connection.load() <= self.service.pipeline for connection in machine._connections.values())
        assert set(machine._connections) == set(self.lines)
        assert all(len(connection.rest) < 260 for connection in machine._connections.values())

    def teardown(self) -> None:
        """The PLC comes to its senses: then everybody who is still there gets the answers owed."""
        if not hasattr(self, "device"):
            return
        for _ in range(500):
            if not any(self.masters.values()):
                return
            self._settle()
        raise AssertionError(f"never answered: {[one.message.hex() for owed in self.masters.values() for one in owed]}")

    def _settle(self) -> None:
        moves = self._dialling() or self._talking() or self._asked()
        deadline = self.device.machine.deadline()
        assert moves or deadline is not None, "stuck: answers are owed and nothing will happen"
        if not moves and deadline is not None:
            self._until(deadline)
        for number in self._dialling():
            self.lines[number].open = True
            self.device.opened(number)
            self._carry()
        for number in self._talking():
            self._arrive(number, 10_000)
        for number in self._open():
            line = self.lines.get(number)
            for tid, one in list(line.asked.items()) if line is not None else ():
                self._answer(self.lines[number], tid, one, truth(one.pdu))

    # How it is done.

    def _pick(self, some: dict[int, object] | list[int] | dict[int, list[Ask]], which: int) -> int:
        keys = list(some)
        return keys[which % len(keys)]

    def _dialling(self) -> list[int]:
        return [number for number, line in self.lines.items() if not line.open]

    def _open(self) -> list[int]:
        return [number for number, line in self.lines.items() if line.open]

    def _talking(self) -> list[int]:
        return [number for number, line in self.lines.items() if line.wire]

    def _asked(self) -> list[int]:
        return [number for number, line in self.lines.items() if line.asked]

    def _question(self, which: int, what: int) -> tuple[Line, int, Ask]:
        line = self.lines[self._pick(self._asked(), which)]
        tid = list(line.asked)[what % len(line.asked)]
        return line, tid, line.asked[tid]

    def _answer(self, line: Line, tid: int, one: Ask, pdu: bytes) -> None:
        del line.asked[tid]
        one.answered_by_plc = pdu
        line.wire += frame(tid, one.unit, pdu)

    def _arrive(self, number: int, count: int) -> None:
        line = self.lines[number]
        data, line.wire = line.wire[:count], line.wire[count:]
        self.device.receive(number, data)
        self._carry()

    def _until(self, now: float) -> None:
        deadline = self.device.machine.deadline()
        self.device.now = now
        if deadline is not None and now >= deadline:
            self.device.tick(now)
            self._carry()

    def _carry(self) -> None:
        """In the order in which one call of the machine comes to them: whoever is answered makes room."""
        told = self.device.look()
        for master, message in told.answers:
            self._delivered(master, message)
        for number in told.hangs_up:
            del self.lines[number]
        for number in told.dials:
            assert number not in self.lines, "dialled what is there"
            self.lines[number] = Line()
        for number, frames in told.sends.items():
            for one in frames:
                self._sent(number, one)

    def _sent(self, number: int, message: bytes) -> None:
        """A frame has reached the PLC: it must be a request's own bytes, for the first time, and in order."""
        line = self.lines[number]
        assert line.open, "sent on a connection that is not up"
        tid = int.from_bytes(message[:2], "big")
        assert tid not in line.asked, "an id is used again that the PLC has not answered"
        unsent = [o for o in self.asks if o.sent_on is None and not o.over]
        same = [o for o in unsent if o.message[2:] == message[2:]]
        assert same, "sent twice, or never asked, or its master is gone"
        # All listen only are alike: one that fits will do.
        in_turn = [o for o in same if all(e.silent or e.master != o.master for e in unsent[: unsent.index(o)])]
        assert in_turn, "overtakes an earlier request of its master"
        one = next((o for o in in_turn if all(u.sent_on in (None, number) for u in self.masters[o.master])), None)
        assert one is not None, "its master is on two connections at a time"
        one.sent_on = number
        if one.silent:
            one.over = True
        else:
            line.asked[tid] = one

    def _delivered(self, master: int, message: bytes) -> None:
        """A master got an answer: to a request it waits for, and as the PLC gave it or with a cause of ours."""
        assert master in self.masters, "answered somebody who is gone"
        tid = int.from_bytes(message[:2], "big")
        one = next((one for one in self.masters[master] if one.tid == tid), None)
        assert one is not None, "answered what was not asked, or twice"
        assert message == frame(tid, one.unit, message[7:])
        pdu = message[7:]
        if pdu != one.answered_by_plc:
            assert pdu[0] == one.pdu[0] | 0x80
            assert len(pdu) == 2
            assert pdu[1] in ((BUSY, NO_PATH) if one.sent_on is None else (NO_ANSWER,))
        else:
            assert one.sent_on is not None
        one.over = True
        self.masters[master].remove(one)


TestSharedPlc = SharedPlc.TestCase
TestSharedPlc.settings = settings(stateful_step_count=50)
pytestmark = [pytest.mark.grows("properties"), pytest.mark.timeout(120)]
