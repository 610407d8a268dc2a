"""Checks before and after the measurement: a proxy that is fast because it is wrong is not fast.

Every target must carry requests whole, joined and cut, and must want a client certificate. Those that
inspect must also refuse with exception 01, and must close on a malformed frame; the PLC's own count says
what arrived.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.certificates import Certificates
    from bench.processes import Plc

TIMEOUT = 5.0
SETTLE = 0.05  # what leaked would reach the PLC on the same machine well within this
QUANTITY = 10


@dataclass(frozen=True, slots=True)
class Check:
    target: str
    name: str
    ok: bool
    detail: str


def adu(tid: int, pdu: bytes, *, pid: int = 0, length: int | None = None, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", tid, pid, len(pdu) + 1 if length is None else length, unit) + pdu


def read(address: int, quantity: int = QUANTITY) -> bytes:
    return struct.pack(">BHH", 3, address, quantity)


def write(address: int, value: int) -> bytes:
    return struct.pack(">BHH", 6, address, value)


def registers(address: int, quantity: int = QUANTITY) -> bytes:
    """The PDU that answers `read`: what modbus.h calls initial_register."""
    values = [(each * 7 + 13) & 0xFFFF for each in range(address, address + quantity)]
    return struct.pack(f">BB{quantity}H", 3, 2 * quantity, *values)


class Client:
    """A blocking client that sends exactly the bytes it is told to, each call in a TLS record of its own."""

    def __init__(self, port: int, certificates: Certificates, *, with_certificate: bool = True) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(certificates.ca)
        if with_certificate:
            context.load_cert_chain(certificates.client, certificates.client_key)
        raw = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link = context.wrap_socket(raw)
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def send(self, *records: bytes) -> None:
        for record in records:
            self.link.sendall(record)

    def answer(self) -> bytes | None:
        """The next whole ADU; None when the other side ended the connection."""
        while len(self.buffer) < 6 or len(self.buffer) < 6 + int.from_bytes(self.buffer[4:6]):
            try:
                data = self.link.recv(4096)
            except (ssl.SSLError, ConnectionError):
                return None
            if not data:
                return None
            self.buffer += data
        size = 6 + int.from_bytes(self.buffer[4:6])
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found


class Suite:
    """All checks against one target."""

    def __init__(self, name: str, port: int, inspects: bool, certificates: Certificates, plc: Plc) -> None:
        self.name = name
        self.port = port
        self.inspects = inspects
        self.certificates = certificates
        self.plc = plc

    def run(self) -> Iterator[Check]:
        yield self.exchange("allowed", [adu(7, read(20))], {7: registers(20)}, arrive=1)
        yield self.exchange("allowed write", [adu(8, write(300, 77))], {8: write(300, 77)}, arrive=1)
        pair = adu(9, read(0)) + adu(10, read(200))
        yield self.exchange("coalesced", [pair], {9: registers(0), 10: registers(200)}, arrive=2)
        cut = [bytes([byte]) for byte in adu(11, read(40))]
        yield self.exchange("fragmented", cut, {11: registers(40)}, arrive=1)
        yield self.check("no certificate", self.no_certificate)
        if self.inspects:
            yield from self.inspecting()

    def inspecting(self) -> Iterator[Check]:
        yield self.exchange("refused read", [adu(12, read(1000))], {12: b"\x83\x01"}, arrive=0)
        yield self.exchange("range half allowed", [adu(13, read(95))], {13: b"\x83\x01"}, arrive=0)
        yield self.exchange("refused write", [adu(14, write(40, 1))], {14: b"\x86\x01"}, arrive=0)
        hiding = struct.pack(">BHHHHBH", 23, 0, 1, 40, 1, 2, 1)
        yield self.exchange("FC 23 hiding a write", [adu(15, hiding)], {15: b"\x97\x01"}, arrive=0)
        mixed = adu(16, read(0)) + adu(17, write(40, 1)) + adu(18, read(20))
        expected = {16: registers(0), 17: b"\x86\x01", 18: registers(20)}
        yield self.exchange("refused between allowed", [mixed], expected, arrive=2)
        yield self.check("protocol id 1", lambda: self.malformed(adu(19, read(0), pid=1)))
        yield self.check("length 0", lambda: self.malformed(adu(20, read(0), length=0)))
        yield self.check("length 255", lambda: self.malformed(adu(21, read(0), length=255)))
        yield self.exchange("allowed after all that", [adu(22, read(60))], {22: registers(60)}, arrive=1)

    def exchange(self, name: str, records: list[bytes], expected: dict[int, bytes], *, arrive: int) -> Check:
        """Send the records, collect the expected number of answers, ask the PLC how many requests arrived."""

        def talk() -> str | None:
            before = self.plc.counts()["frames"]
            with Client(self.port, self.certificates) as client:
                client.send(*records)
                answers = [client.answer() for _ in expected]
                time.sleep(SETTLE)
            arrived = self.plc.counts()["frames"] - before
            wanted = {adu(tid, pdu) for tid, pdu in expected.items()}
            if set(answers) != wanted:
                return "answered " + ", ".join(each.hex() if each else "by closing" for each in answers)
            return None if arrived == arrive else f"{arrived} requests reached the PLC, not {arrive}"

        return self.check(name, talk)

    def malformed(self, frame: bytes) -> str | None:
        """The connection ends without an answer, and not one byte of the frame reaches the PLC."""
        before = self.plc.counts()["bytes"]
        with Client(self.port, self.certificates) as client:
            client.send(frame)
            answer = client.answer()
        time.sleep(SETTLE)
        arrived = self.plc.counts()["bytes"] - before
        if answer is not None:
            return f"answered {answer.hex()}"
        return f"{arrived} bytes reached the PLC" if arrived else None

    def no_certificate(self) -> str | None:
        """In TLS 1.3 the client learns of the refusal only when it reads."""
        before = self.plc.counts()["frames"]
        try:
            with Client(self.port, self.certificates, with_certificate=False) as client:
                client.send(adu(23, read(0)))
                answer = client.answer()
        except (ssl.SSLError, ConnectionError):
            answer = None
        arrived = self.plc.counts()["frames"] - before
        return None if answer is None and not arrived else "was served"

    def check(self, name: str, talk: Callable[[], str | None]) -> Check:
        try:
            wrong = talk()
        except TimeoutError:
            wrong = "no answer within 5 s"
        except OSError as error:
            wrong = str(error)
        return Check(self.name, name, wrong is None, wrong or "as expected")
