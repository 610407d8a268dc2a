"""Subjects, a clock, and disks that fail or lose power on demand."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from proxy.audit.file import OsSegment, SegmentFile
from proxy.audit.record import Record, Subject
from proxy.audit.writer import AuditWriter
from proxy.core.evidence import Evidence, Outcome, Strength
from proxy.core.facts import CertificateFacts, ConnFacts
from proxy.core.origin import Origin, RuleRef
from proxy.core.principal import Principal
from proxy.core.reason import Reason
from proxy.core.verdict import Verdict

RULE = RuleRef("cell-3", "setpoint", Origin("policies/surfaces/cell-3.yaml", 14, 3))
DEFAULT = RuleRef("cell-3", "default", Origin("policies/surfaces/cell-3.yaml", 1))
ALLOW = Verdict(RULE)
DENY = Verdict(DEFAULT, Reason.DEFAULT_DENY, nearest=RULE)
SCADA = Principal("scada", frozenset({"mbaps:Operator"}), (Evidence("x509", Outcome.MATCH, Strength.PROOF),))


def subject(link: int = 1, ip: str = "10.3.0.5", who: Principal = SCADA, to: str = "plc-3a") -> Subject:
    facts = ConnFacts("cell-3-modbus", ip, 49152 + link, certificate=certificate())
    return Subject(link=link, facts=facts, principal=who, to=to, protocol="modbus", policy="3f2a9c0d1e4b5a69" * 4)


def certificate() -> CertificateFacts:
    return CertificateFacts(7, "scada", ("spiffe://bottling/device/scada",), "Operator", 0.0, 4e9, "ab" * 32)


def refusal(number: int = 0, *, about: Subject | None = None) -> Record:
    return Record(
        "refuse", about or subject(), reason=Reason.DEFAULT_DENY, verdict=DENY, action=f"write holding {number}"
    )


def act(number: int = 0) -> Record:
    return Record("act", subject(), verdict=ALLOW, action=f"write holding 40 = {number} (unit 1)")


def note(number: int) -> Record:
    """A record that is never merged with another."""
    return Record("connect", subject(link=number, ip=f"10.0.{number >> 8 & 255}.{number & 255}"), verdict=ALLOW)


class Clock:
    """Wall and monotonic time that move when told."""

    def __init__(self, wall: float = 1_795_271_460.125) -> None:
        self._wall = wall
        self._now = 1000.0

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._now

    def pass_time(self, seconds: float) -> None:
        self._wall += seconds
        self._now += seconds


class Faults:
    """Opens real segments; the calls for which `fails` says so raise ``error`` instead."""

    def __init__(self, fails: Callable[[int, str], bool], error: int = errno.ENOSPC) -> None:
        self.fails = fails
        self.error = error
        self.calls: list[str] = []

    def __call__(self, path: Path, create: bool) -> SegmentFile:
        self.check("create" if create else "open")
        return FaultySegment(OsSegment(path, create), self)

    def check(self, name: str) -> None:
        self.calls.append(name)
        if self.fails(len(self.calls), name):
            raise OSError(self.error, errno.errorcode[self.error])


class FaultySegment:
    def __init__(self, inner: SegmentFile, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def write(self, data: bytes) -> None:
        """A write that fails has written half, as one on a full disk does."""
        try:
            self._faults.check("write")
        except OSError:
            self._inner.write(data[: len(data) // 2])
            raise
        self._inner.write(data)

    def sync(self) -> None:
        """Fails or not; nothing is flushed, because nobody cuts the power here and flushing is slow."""
        self._faults.check("sync")

    def truncate(self, size: int) -> None:
        self._faults.check("truncate")
        self._inner.truncate(size)

    def close(self) -> None:
        self._inner.close()


class Power:
    """Opens real segments and knows what of each was flushed; `cut` takes the rest away, as a power cut may."""

    def __init__(self) -> None:
        self.segments: dict[Path, PoweredSegment] = {}

    def __call__(self, path: Path, create: bool) -> SegmentFile:
        segment = self.segments[path] = PoweredSegment(path, create)
        return segment

    def cut(self, survives: Callable[[bytes], bytes]) -> None:
        """``survives`` says what is left of the bytes that were not flushed."""
        for path, segment in self.segments.items():
            data = path.read_bytes()
            path.write_bytes(data[: segment.flushed] + survives(data[segment.flushed :]))


class PoweredSegment:
    def __init__(self, path: Path, create: bool) -> None:
        self._inner = OsSegment(path, create)
        self._size = path.stat().st_size
        self.flushed = self._size

    def write(self, data: bytes) -> None:
        self._inner.write(data)
        self._size += len(data)

    def sync(self) -> None:
        self.flushed = self._size

    def truncate(self, size: int) -> None:
        self._inner.truncate(size)
        self._size = size
        self.flushed = min(self.flushed, size)

    def close(self) -> None:
        self._inner.close()


class Ledger:
    """What `AuditWriter.durable` answered, by number."""

    def __init__(self) -> None:
        self.answers: dict[int, bool] = {}
        self._lock = threading.Condition()

    def done(self, number: int) -> Callable[[bool], None]:
        def answer(on_disk: bool) -> None:
            with self._lock:
                assert number not in self.answers, "answered twice"
                self.answers[number] = on_disk
                self._lock.notify_all()

        return answer

    def wait(self, count: int, seconds: float = 10.0) -> None:
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.answers) >= count, seconds), f"{len(self.answers)} of {count}"


def at_once(callback: Callable[[], None]) -> None:
    """Stands for `loop.call_soon_threadsafe`."""
    callback()


def new_writer(folder: Path, **settings: object) -> AuditWriter:
    given: dict[str, object] = {"wall": time.time, "monotonic": time.monotonic, "call_soon": at_once}
    return AuditWriter(folder, **{**given, **settings})  # type: ignore[arg-type]  # a shorthand for tests


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"), key=lambda path: path.name[17:])


def lines(folder: Path) -> list[dict[str, object]]:
    """Every record on disk, in order."""
    return [json.loads(line) for path in segments(folder) for line in path.read_bytes().splitlines()]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
