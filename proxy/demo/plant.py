"""The running plant: PLC, broker, robot, gateway, those who use it all the time, and all a step needs to act and to
see what came of it."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.demo import broker
from proxy.demo.audit_log import AuditLog
from proxy.demo.connection import Door, Speaker
from proxy.demo.control import Control
from proxy.demo.errors import DemoError
from proxy.demo.floor import EDGE, MES, VOICES, Floor, Setup
from proxy.demo.keys import Keys
from proxy.demo.processes import Child, is_ready, python
from proxy.demo.recording import Recording
from proxy.demo.scada import Scada
from proxy.demo.ua_papers import PANEL, UaKeys, UaSpeaker
from proxy.demo.uns_recording import UnsRecording
from proxy.demo.workplace import MBAPS, OLD, PLAIN, PLC, ROBOT, ROBOT_DOOR, SENSORS, UNS_DOOR

if TYPE_CHECKING:
    from types import TracebackType

    from proxy.demo.broker import Broker
    from proxy.demo.panel import Panel
    from proxy.demo.robot_recording import RobotRecording
    from proxy.demo.tls import Papers
    from proxy.demo.workplace import Workplace

MASTER, STATION, OFFICE, ANNA, VISITOR, INTRUDER = (f"127.0.0.{n}" for n in (10, 20, 11, 30, 31, 66))
FIRST, SECOND, THIRD = (f"127.0.0.{n}" for n in (41, 42, 43))
BESIDE, WORKSHOP = "127.0.0.71", "127.0.0.72"
"""Where the speakers sit. On loopback anybody may take any address, as on a plant's flat network."""

Wait = Callable[[], None]
"""Returns when a child is ready. Raises DemoError if it does not become so."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Doors:
    mbaps: Door
    old: Door
    plain: Door
    sensors: Door
    uns: Door
    robot: Door


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds between two polls of the SCADA, and between two readings of a sensor."""

    poll: float
    reading: float


class Plant:
    """A context manager: everything runs inside, nothing is left after it. Entering raises DemoError, OSError.

    ``own``: a broker that the person named, looked at before; else one is started. Then ``broker``, ``control``,
    ``floor``, ``panel`` and ``robot_recording`` are there once it is entered.
    """

    broker: Broker
    control: Control
    floor: Floor
    panel: Panel
    robot_recording: RobotRecording

    def __init__(self, place: Workplace, paces: Paces, own: Broker | None = None) -> None:
        self.place = place
        self.doors = Doors(
            self._door(MBAPS, ssl.TLSVersion.TLSv1_3),
            self._door(OLD, ssl.TLSVersion.TLSv1_2),
            self._door(PLAIN),
            self._door(SENSORS),
            self._door(UNS_DOOR, ssl.TLSVersion.TLSv1_3),
            self._door(ROBOT_DOOR),
        )
        hosts = {listener.bind.host for listener in place.site.listeners}
        self.keys = Keys(place.site.certs, place.site.name, hosts)
        self.ua_keys = UaKeys(place.site.certs, place.site.name, hosts)
        self.recording = Recording(place.record)
        self.uns_recording = UnsRecording(place.uns_record, VOICES)
        self.audit = AuditLog(place.site.state / "audit")
        self.scada = Scada(Speaker(self.doors.mbaps, MASTER, self.keys.of("scada")), paces.poll)
        self._paces = paces
        self._own = own
        self._running = ExitStack()
        self._children: list[Child] = []

    def __enter__(self) -> Plant:
        with self._running:
            # All are started before any is waited for: the gateway dials nobody before it has to.
            robot = self._start_robot()
            for wait in (self._start_plc(), self._start_uns(), self._start_gateway()):
                wait()
            self.scada.start()
            self._running.callback(self.scada.stop)
            self._start_floor()
            robot()  # the last to be ready: its address space takes seconds
            self._start_panel()
            if not self.scada.polls_from_now():
                raise self._mute("the SCADA gets no answer through the gateway")
            if not self.floor.heard_from_now():
                raise self._mute("the MES does not hear the sensors through the gateway")
            if not self.panel.reads_from_now():
                raise self._mute("the panel gets no answer of the robot through the gateway")
            self._running = self._running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave half of the children behind.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
        try:
            self._running.__exit__(kind, fault, trace)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def speaker(self, source: str, papers: Papers | None, door: Door | None = None) -> Speaker:
        """At the mbaps door with TLS 1.3, unless said otherwise."""
        return Speaker(door or self.doors.mbaps, source, papers)

    def ua_speaker(self, source: str, name: str, *, secured: bool = True) -> UaSpeaker:
        """At the robot's door, with the certificate of that name, or with nothing but its word."""
        door = self.doors.robot
        papers = self.ua_keys.of(name) if secured else None
        return UaSpeaker(f"opc.tcp://{door.host}:{door.port}", source, self.ua_keys.uri(name), papers)

    def check(self) -> None:
        """Raises DemoError if the PLC, the broker, the robot or the gateway is gone."""
        for child in self._children:
            child.raise_if_ended()

    def _mute(self, what: str) -> DemoError:
        self.check()
        said = "\n".join(child.last_lines() for child in self._children)
        return DemoError(f"{what}; what its parts say:\n{said}")

    def _door(self, name: str, version: ssl.TLSVersion | None = None) -> Door:
        bind = self.place.listener(name).bind
        return Door(bind.host, bind.port, version)

    def _start_plc(self) -> Wait:
        host, port = self.place.plc
        log = self.place.folder / "plc.log"
        plc = Child(f"the PLC ({PLC})", python("proxy.demo.plc", f"{host}:{port}", str(self.place.record)), log)
        self._keep(plc)
        return lambda: plc.wait_until(lambda: plc.says("PLC on"))

    def _start_robot(self) -> Wait:
        host, port = self.place.robot
        words = python("proxy.demo.robot", f"{host}:{port}", str(self.place.robot_record))
        robot = Child(f"the robot ({ROBOT})", words, self.place.folder / "robot.log")
        self._keep(robot)
        return lambda: robot.wait_until(lambda: robot.says("robot on"))

    def _start_panel(self) -> None:
        from proxy.demo.panel import Panel  # asyncua takes its time to load: meanwhile the children start
        from proxy.demo.robot_recording import RobotRecording

        speaker = self.ua_speaker(BESIDE, PANEL)
        self.robot_recording = RobotRecording(self.place.robot_record, speaker.uri)
        self.panel = Panel(speaker, self._paces.reading)
        self.panel.start()
        self._running.callback(self.panel.stop)

    def _start_uns(self) -> Wait:
        self.broker = self._own or broker.start(self.place.folder, self._keep)
        here, there = (broker.text_of(address) for address in (self.place.uns, self.broker.address))
        words = python("proxy.demo.tap", here, there, str(self.place.uns_record))
        tap = Child("the tap in front of the broker", words, self.place.folder / "tap.log")
        self._keep(tap)
        return lambda: tap.wait_until(lambda: tap.says("tap on"))

    def _start_gateway(self) -> Wait:
        admin = self.place.site.admin
        words = python("proxy", "run", "--config", str(self.place.config))
        gateway = Child("the gateway", words, self.place.folder / "gateway.log")
        self._keep(gateway)
        self.control = Control(self.place, gateway)
        return lambda: gateway.wait_until(lambda: is_ready(admin.host, admin.port))

    def _start_floor(self) -> None:
        uns, keys = self.doors.uns, self.keys
        speakers = {
            "sensor-3-1": Speaker(self.doors.sensors, FIRST),
            "sensor-3-2": Speaker(uns, SECOND, keys.of("sensor-3-2")),
            EDGE: Speaker(uns, THIRD, keys.of(EDGE)),
            MES: Speaker(uns, OFFICE, keys.of(MES)),
        }
        cell = self.place.site.devices[EDGE].place or ""
        self.floor = Floor(Setup(speakers, cell, self._paces.reading, self.broker.version5))
        self.floor.start()
        self._running.callback(self.floor.stop)

    def _keep(self, child: Child) -> None:
        self._running.callback(child.stop)
        self._children.append(child)
