"""Steps, ramps and states with real Modbus: what a master's requests and the device's answers come to, in bytes."""

from __future__ import annotations

from proxy.core.process import Predicate
from proxy.core.surface import Rate
from proxy.policy.circumstances import Circumstances
from proxy.policy.compile import compile_policy
from proxy.protocols.base import Watched
from proxy.protocols.modbus.service import ModbusService
from proxy.protocols.modbus.spec import PROTOCOL
from tests.modbus.frames import frame, hexes
from tests.modbus.harness import Client, targets
from tests.policy.toy import devices, rule, surface, who

INVENTORY = devices("plc", "scada")


class Plant:
    """One PLC whose registers the test holds, one master, and the policy between."""

    def __init__(self, window: str, *, while_stopped: bool = False, budget: Rate | None = None) -> None:
        section = {"units": [1], "read": ["holding 0-99"], "write": {window.partition(":")[0]: _window(window)}}
        stopped = Predicate("plc", PROTOCOL.parse_point("holding 10"), "==", 0.0, 5.0)
        zone = surface(
            rule("read", ["scada"], *targets({"read": ["holding 0-99"]})),
            rule("speed", ["scada"], *targets(section), whilst=[stopped] if while_stopped else [], budget=budget),
        )
        self.known = Circumstances()
        policy = compile_policy([zone], (), INVENTORY, circumstances=self.known)
        self.known.watch(policy.watched())
        self.watched = Watched(frozenset(point for device, point in policy.watched() if device == "plc"))
        authority = policy.open(who("scada", "x509"), "plc", "modbus")
        self.master = Client(authority.decide_all, service=ModbusService(units=frozenset({1})), watched=self.watched)
        self.tid = 0

    def ask(self, request: str, answer: str) -> bytes:
        """What the master gets; the device gives ``answer`` if it is asked at all. A tenth of a second goes by."""
        self.tid += 1
        self.master.now += 0.1
        self.master.send(frame(self.tid, 1, hexes(request)))
        told = self.master.look()
        if told.device:
            self.master.now += 0.01
            self.master.reply(frame(self.tid, 1, hexes(answer)))
            told.answers += self.master.look().answers
            for name, value in self.master.seen:
                self.known.observe("plc", PROTOCOL.parse_point(name), value, self.master.now)
            self.master.seen.clear()
        (got,) = told.answers
        return got[7:]

    def write(self, value: int, *, works: bool = True) -> bool:
        """``write holding 40``; whether it reached the device."""
        request = f"06 0028 {value:04X}"
        return self.ask(request, request if works else "86 04") != hexes("86 01")

    def read(self, value: int, address: int = 40) -> None:
        assert self.ask(f"03 {address:04X} 0001", f"03 02 {value:04X}") == hexes(f"03 02 {value:04X}")


def _window(text: str) -> dict[str, object]:
    """``holding 40: min 0 step 50`` as a window."""
    words = text.partition(":")[2].split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return {key: value if key in ("type", "order") else float(value) for key, value in pairs}


def test_a_master_goes_step_by_step_from_what_was_read() -> None:
    plant = Plant("holding 40: min 0 max 1500 step 50")
    assert [str(point) for point in plant.watched.points] == ["modbus holding 40 u16 (unit 1)"]
    assert not plant.write(10), "never seen"
    plant.read(100)
    assert [plant.write(value) for value in (150, 201, 200, 149)] == [True, False, True, False]
    plant.read(1000)
    assert not plant.write(200)
    assert plant.write(1050)


def test_a_device_that_refuses_is_led_nowhere() -> None:
    plant = Plant("holding 40: step 50")
    plant.read(0)
    assert plant.write(50, works=False)
    assert [plant.write(value, works=False) for value in (100, 51)] == [False, False]
    assert plant.write(50)
    assert plant.write(100), "confirmed: from there it goes on"


def test_a_ramp_over_many_writes() -> None:
    plant = Plant("holding 40: ramp 200")
    plant.read(1000)
    assert all(plant.write(1000 + 20 * at) for at in range(1, 11))
    assert not plant.write(1220)
    plant.master.now += 61.5
    assert plant.write(1220)


def test_a_value_of_two_registers() -> None:
    plant = Plant("holding 40-41: type f32 step 1.5")
    write = "10 0028 0002 04 3FC0 0000"  # 1.5
    plant.ask("03 0028 0001", "03 02 0000")
    plant.ask("03 0029 0001", "03 02 0000")
    assert plant.ask(write, "10 0028 0002") == hexes("90 01"), "its halves were seen one by one"
    plant.ask("03 0028 0002", "03 04 0000 0000")
    assert plant.ask(write, "10 0028 0002") == hexes("10 0028 0002")
    assert plant.ask("10 0028 0002 04 4048 0000", "10 0028 0002") == hexes("90 01"), "3.125 from 1.5"


def test_a_write_while_the_machine_stands_still() -> None:
    plant = Plant("holding 40: max 100", while_stopped=True)
    assert not plant.write(1)
    plant.read(0, address=10)
    assert plant.write(1)
    plant.read(3, address=10)
    assert not plant.write(2)
    plant.read(0, address=10)
    plant.master.now += 5.1
    assert not plant.write(2), "seen too long ago"


def test_a_budget_is_asked_for_each_message_however_often_the_same() -> None:
    plant = Plant("holding 40: max 100", budget=Rate(2, 60.0))
    assert [plant.write(1) for _ in range(4)] == [True, True, False, False]
    plant.read(1)
