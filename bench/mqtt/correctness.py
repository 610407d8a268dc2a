"""Checks of every MQTT target, with the broker as the judge of what got through.

A subscriber on a plain connection of its own sees all that the broker took. After each exchange it publishes a mark
and reads up to it, so that what arrived is known and not guessed from silence.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

from bench.certificates import CLIENT
from bench.correctness import SETTLE, TIMEOUT, Check
from bench.mqtt import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.certificates import Certificates

ALLOWED = "check/line-1"
FORBIDDEN = "forbidden/line-1"
MARK = "mark"
PAYLOAD = b'{"value": 21.5}'


class Link:
    """A blocking connection that sends exactly the bytes it is told to, each call in a TLS record of its own."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        raw = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw) if context else raw
        self.buffer = b""

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *records: bytes) -> None:
        for record in records:
            self.socket.sendall(record)

    def next(self) -> bytes | None:
        """The next packet; None when the other side ended the connection."""
        while True:
            found, _ = wire.split(self.buffer)
            if found:
                self.buffer = self.buffer[len(found[0]) :]
                return found[0]
            try:
                data = self.socket.recv(65536)
            except (ssl.SSLError, ConnectionError):
                return None
            if not data:
                return None
            self.buffer += data


class Judge:
    """Sees all that the broker took, until the context ends: the broker would pay for it while others measure."""

    def __init__(self, port: int) -> None:
        self.link = Link(port)
        self.marks = 0
        self.link.send(wire.connect("judge-of-checks", 4), wire.subscribe(1, "#"))
        if self.link.next() != wire.connack(4) or self.link.next() != wire.suback(1):
            raise ConnectionError("the broker takes no subscriber")

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.socket.close()

    def arrived(self) -> list[bytes]:
        """Since the last call."""
        time.sleep(SETTLE)
        self.marks += 1
        mark = wire.publish(MARK, str(self.marks).encode())
        self.link.send(mark)
        found = []
        while (packet := self.link.next()) != mark:
            if packet is None:
                raise ConnectionError("the broker ended the subscriber")
            found.append(packet)
        return found


class MqttSuite:
    """All checks against one target."""

    def __init__(self, name: str, port: int, inspects: bool, certificates: Certificates, judge: Judge) -> None:
        self.name = name
        self.port = port
        self.inspects = inspects
        self.certificates = certificates
        self.judge = judge
        self.connections = 0

    def run(self) -> Iterator[Check]:
        good = [wire.publish(ALLOWED, PAYLOAD + str(number).encode()) for number in range(3)]
        yield self.exchange("QoS 0", [good[0]], [], good[:1])
        yield self.exchange("coalesced", [b"".join(good)], [], good)
        yield self.exchange("fragmented", [bytes([byte]) for byte in good[1]], [], good[1:2])
        for level in (4, 5):
            one = wire.publish(ALLOWED, PAYLOAD, qos=1, packet_id=7, level=level)
            # Mosquitto tells a v5 client that it has no subscriber but the judge has: code 0 or nothing.
            yield self.exchange(f"QoS 1, level {level}", [one], [wire.ack(wire.PUBACK, 7)], self.as_seen(1), level)
        yield self.check("no certificate", self.no_certificate)
        if self.inspects:
            yield from self.inspecting(good)

    def inspecting(self, good: list[bytes]) -> Iterator[Check]:
        bad = wire.publish(FORBIDDEN, PAYLOAD)
        yield self.exchange("refused QoS 0", [bad, good[0]], [], good[:1])
        yield self.exchange("refused between allowed", [good[0] + bad + good[1]], [], good[:2])
        for level, code in ((4, 0), (5, 0x87)):
            one = wire.publish(FORBIDDEN, PAYLOAD, qos=1, packet_id=9, level=level)
            yield self.exchange(f"refused QoS 1, level {level}", [one], [wire.ack(wire.PUBACK, 9, code)], [], level)
        retained = bytes([good[0][0] | 1]) + good[0][1:]
        yield self.exchange("retained without the right", [retained, good[2]], [], good[2:])
        yield self.exchange(
            "subscribed without the right", [wire.subscribe(5, f"{FORBIDDEN}/#")], [b"\x90\x03\0\5\x80"], []
        )
        yield self.check("QoS 3", lambda: self.malformed(bytes([good[0][0] | 6]) + good[0][1:]))
        long = good[0][:1] + bytes([good[0][1] | 128, 0]) + good[0][2:]
        yield self.check("length not minimal", lambda: self.malformed(long))
        yield self.exchange("allowed after all that", [good[2]], [], good[2:])

    @staticmethod
    def as_seen(count: int) -> list[bytes]:
        """What was published with QoS 1 comes to the judge, who subscribed with QoS 0."""
        return [wire.publish(ALLOWED, PAYLOAD)] * count

    def connect(self, level: int) -> Link:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.certificates.ca)
        context.load_cert_chain(self.certificates.client, self.certificates.client_key)
        link = Link(self.port, context)
        self.connections += 1
        link.send(wire.connect(f"{CLIENT}-check-{self.connections}", level))
        answer = link.next()
        if answer is None or answer[0] != wire.CONNACK << 4 or answer[3]:
            raise ConnectionError(f"CONNECT answered {answer.hex() if answer else 'by closing'}")
        return link

    def exchange(
        self, name: str, records: list[bytes], answers: list[bytes], arrive: list[bytes], level: int = 4
    ) -> Check:
        """Send the records, read the answers, then ask the judge what arrived."""

        def talk() -> str | None:
            self.judge.arrived()
            with self.connect(level) as link:
                link.send(*records)
                got = [wire.short(answer) if (answer := link.next()) else None for _ in answers]
                arrived = self.judge.arrived()
            if got != answers:
                return "answered " + ", ".join(each.hex() if each else "by closing" for each in got)
            return None if arrived == arrive else f"arrived: {[each.hex() for each in arrived]}"

        return self.check(name, talk)

    def malformed(self, frame: bytes) -> str | None:
        """The connection ends without an answer, and nothing arrives."""
        self.judge.arrived()
        with self.connect(4) as link:
            link.send(frame)
            answer = link.next()
            arrived = self.judge.arrived()
        if answer is not None:
            return f"answered {answer.hex()}"
        return f"arrived: {[each.hex() for each in arrived]}" if arrived else None

    def no_certificate(self) -> str | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.certificates.ca)
        try:
            with Link(self.port, context) as link:
                link.send(wire.connect(f"{CLIENT}-nobody", 4))
                answer = link.next()
        except (ssl.SSLError, ConnectionError):
            answer = None
        return None if answer is None else "was served"

    def check(self, name: str, talk: Callable[[], str | None]) -> Check:
        try:
            wrong = talk()
        except TimeoutError:
            wrong = "no answer within 5 s"
        except OSError as error:
            wrong = str(error)
        return Check(f"mqtt {self.name}", name, wrong is None, wrong or "as expected")
