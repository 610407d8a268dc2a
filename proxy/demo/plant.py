"""The running plant: PLC, gateway, SCADA, and everything a step needs to act and to see what came of it."""

from __future__ import annotations

import signal
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.demo.audit_log import AuditLog
from proxy.demo.connection import Door, Speaker
from proxy.demo.errors import DemoError
from proxy.demo.keys import Keys
from proxy.demo.processes import Child, is_ready, python
from proxy.demo.recording import Recording
from proxy.demo.scada import Scada
from proxy.demo.workplace import MBAPS, OLD, PLAIN, PLC

if TYPE_CHECKING:
    from types import TracebackType

    from proxy.demo.tls import Papers
    from proxy.demo.workplace import Workplace

MASTER, STATION, OFFICE, ANNA, VISITOR, INTRUDER = (f"127.0.0.{n}" for n in (10, 20, 11, 30, 31, 66))
"""Where the speakers sit. On loopback anybody may take any address, as on a plant's flat network."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Doors:
    mbaps: Door
    old: Door
    plain: Door


class Plant:
    """A context manager: everything runs inside, nothing is left after it. Entering raises DemoError, OSError."""

    def __init__(self, place: Workplace, poll: float) -> None:
        self.place = place
        self.doors = Doors(
            self._door(MBAPS, ssl.TLSVersion.TLSv1_3), self._door(OLD, ssl.TLSVersion.TLSv1_2), self._door(PLAIN)
        )
        hosts = {listener.bind.host for listener in place.site.listeners}
        self.keys = Keys(place.site.certs, place.site.name, hosts)
        self.recording = Recording(place.record)
        self.audit = AuditLog(place.site.state / "audit")
        self.scada = Scada(Speaker(self.doors.mbaps, MASTER, self.keys.of("scada")), poll)
        self._running = ExitStack()
        self._children: list[Child] = []

    def __enter__(self) -> Plant:
        with self._running:
            self._start_plc()
            self._start_gateway()
            self.scada.start()
            self._running.callback(self.scada.stop)
            if not self.scada.polls_from_now():
                self.check()
                said = "\n".join(child.last_lines() for child in self._children)
                raise DemoError(f"the SCADA gets no answer through the gateway; PLC and gateway say:\n{said}")
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

    def check(self) -> None:
        """Raises DemoError if the PLC or the gateway is gone."""
        for child in self._children:
            child.raise_if_ended()

    def _door(self, name: str, version: ssl.TLSVersion | None = None) -> Door:
        bind = self.place.listener(name).bind
        return Door(bind.host, bind.port, version)

    def _start_plc(self) -> None:
        host, port = self.place.plc
        log = self.place.folder / "plc.log"
        plc = Child(f"the PLC ({PLC})", python("proxy.demo.plc", f"{host}:{port}", str(self.place.record)), log)
        self._running.callback(plc.stop)
        self._children.append(plc)
        plc.wait_until(lambda: plc.says("PLC on"))

    def _start_gateway(self) -> None:
        admin = self.place.site.admin
        words = python("proxy", "run", "--config", str(self.place.config))
        gateway = Child("the gateway", words, self.place.folder / "gateway.log")
        self._running.callback(gateway.stop)
        self._children.append(gateway)
        gateway.wait_until(lambda: is_ready(admin.host, admin.port))
