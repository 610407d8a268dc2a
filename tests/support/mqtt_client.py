"""A blocking MQTT client that does only what a test tells it to, byte by byte if need be. It acknowledges nothing."""

from __future__ import annotations

import socket
import ssl
import time
from types import TracebackType
from typing import Self

from tests.support import mqtt
from tests.support.mbaps import reset
from tests.support.mqtt import PING, V4, V5, Packet, Will
from tests.support.net import LOCAL

SECONDS = 5.0


class MqttClient:
    """``received``: all packets that came, those too that a test did not wait for."""

    def __init__(
        self, port: int, level: int = V4, *, source: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.level = level
        self.received: list[Packet] = []
        self.closed = False
        self._data = b""
        self._unread: list[Packet] = []
        plain = socket.create_connection((LOCAL, port), SECONDS, (source, 0) if source is not None else None)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock: socket.socket = plain
        if tls is not None:
            try:
                self.sock = tls.wrap_socket(plain, server_hostname="gateway")
            except BaseException:
                plain.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.sock.close()

    @property
    def raw(self) -> bytes:
        """All bytes of all packets received."""
        return b"".join(one.raw for one in self.received)

    def lose(self) -> None:
        """A pulled plug: no DISCONNECT, and RST instead of FIN."""
        reset(self.sock)

    def send(self, *packets: bytes) -> None:
        self.sock.sendall(b"".join(packets))

    def next(self, seconds: float = SECONDS) -> Packet | None:
        """The next packet. None when the connection is closed; TimeoutError when nothing comes."""
        ends = time.monotonic() + seconds
        while not self._unread:
            if self.closed:
                return None
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing came within {seconds:g} s")
            self.sock.settimeout(left)
            self._take()
        return self._unread.pop(0)

    def expect(self, kind: int, seconds: float = SECONDS) -> Packet:
        """The next packet, which must be of this kind."""
        found = self.next(seconds)
        assert found is not None, f"closed instead of packet type {kind}"
        assert found.kind == kind, f"{found} instead of packet type {kind}"
        return found

    def until(self, kind: int, seconds: float = SECONDS) -> list[Packet]:
        """All packets up to the first of this kind, which is the last of the list."""
        ends = time.monotonic() + seconds
        found: list[Packet] = []
        while not found or found[-1].kind != kind:
            one = self.next(max(0.01, ends - time.monotonic()))
            assert one is not None, f"closed before packet type {kind} came: {found}"
            found.append(one)
        return found

    def to_the_end(self, seconds: float = SECONDS) -> list[Packet]:
        """All packets until the connection closes."""
        ends = time.monotonic() + seconds
        found: list[Packet] = []
        while (one := self.next(max(0.01, ends - time.monotonic()))) is not None:
            found.append(one)
        return found

    def opened(
        self,
        client_id: str,
        *,
        clean: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        properties: bytes = b"",
        seconds: float = SECONDS,
    ) -> Packet:
        """CONNECT, which must be accepted; the CONNACK."""
        self.send(
            mqtt.connect(
                client_id, level=self.level, clean=clean, keep_alive=keep_alive, will=will, properties=properties
            )
        )
        answer = self.expect(mqtt.CONNACK, seconds)
        assert answer.code == 0, answer
        return answer

    def publish(
        self, topic: str, payload: bytes = b"", *, qos: int = 0, pid: int = 1, retain: bool = False, dup: bool = False
    ) -> None:
        self.send(mqtt.publish(topic, payload, level=self.level, qos=qos, pid=pid, retain=retain, dup=dup))

    def subscribed(self, *filters: str | tuple[str, int], pid: int = 900) -> tuple[int, ...]:
        """The codes of the SUBACK. A filter alone is asked for with QoS 2."""
        asked = [(one, 2) if isinstance(one, str) else one for one in filters]
        self.send(mqtt.subscribe(pid, *asked, level=self.level))
        answer = self.until(mqtt.SUBACK)[-1]
        assert answer.pid == pid
        return answer.codes

    def pinged(self) -> list[Packet]:
        """What came before the PINGRESP."""
        self.send(PING)
        return self.until(mqtt.PINGRESP)[:-1]

    def published(self, topic: str, payload: bytes, *, pid: int = 77) -> None:
        """A whole QoS 2 exchange; nothing may come in between."""
        self.publish(topic, payload, qos=2, pid=pid)
        received = self.expect(mqtt.PUBREC)
        assert (received.pid, received.code) == (pid, 0), received
        self.send(mqtt.ack(mqtt.PUBREL, pid))
        done = self.expect(mqtt.PUBCOMP)
        assert (done.pid, done.code) == (pid, 0), done

    def takes(self, seconds: float = SECONDS) -> Packet:
        """The next message, acknowledged to its end."""
        message = self.expect(mqtt.PUBLISH, seconds)
        self.acknowledge(message)
        return message

    def acknowledge(self, message: Packet) -> None:
        if message.qos == 1:
            self.send(mqtt.ack(mqtt.PUBACK, message.pid))
        elif message.qos == 2:
            self.send(mqtt.ack(mqtt.PUBREC, message.pid))
            assert self.expect(mqtt.PUBREL).pid == message.pid
            self.send(mqtt.ack(mqtt.PUBCOMP, message.pid))

    def quiet(self, seconds: float = 0.3) -> None:
        """AssertionError if anything comes."""
        try:
            found = self.next(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"{found or 'the end'} came")

    def goodbye(self) -> None:
        self.send(mqtt.disconnect())

    def _take(self) -> None:
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            self.closed = True
            return
        whole, self._data = mqtt.split(self._data + data)
        found = [mqtt.read(raw, self.level) for raw in whole]
        self.received += found
        self._unread += found


class Witness(MqttClient):
    """Subscribed at the broker itself to everything, with the codes of MQTT 5: what the world sees."""

    def __init__(self, port: int) -> None:
        super().__init__(port, V5)
        self._messages: list[Packet] = []
        self.opened("witness")
        assert self.subscribed(("#", 0x2A)) == (2,)  # retain as published; nothing that is retained already

    def heard(self, topic: str, seconds: float = SECONDS) -> Packet:
        """The next message on this topic; others before it are passed over."""
        ends = time.monotonic() + seconds
        while True:
            found = self._next_message(max(0.01, ends - time.monotonic()))
            if found.topic == topic:
                return found

    def heard_any(self, seconds: float = SECONDS) -> Packet:
        """The next message, whatever it is about."""
        return self._next_message(seconds)

    def say(self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False, pid: int = 600) -> None:
        """Publishes at the broker; with QoS 1 or 2 the broker has taken it when this returns."""
        self.publish(topic, payload, qos=qos, pid=pid, retain=retain)
        if qos:
            self._awaited(mqtt.PUBACK if qos == 1 else mqtt.PUBREC, pid)
        if qos == 2:
            self.send(mqtt.ack(mqtt.PUBREL, pid))
            self._awaited(mqtt.PUBCOMP, pid)

    def up_to(self, mark: bytes) -> list[Packet]:
        """Everything before a message of ours, which the broker sends behind all it had for us."""
        self.publish("witness/mark", mark)
        found = []
        while (one := self._next_message(SECONDS)).payload != mark:
            found.append(one)
        return found

    def _next_message(self, seconds: float) -> Packet:
        while not self._messages:
            self._step(seconds)
        return self._messages.pop(0)

    def _awaited(self, kind: int, pid: int) -> None:
        while (found := self._step(SECONDS)).kind != kind:
            pass
        assert (found.pid, found.code & 0x80) == (pid, 0), found

    def _step(self, seconds: float) -> Packet:
        """One packet; messages are acknowledged and kept."""
        found = self.next(seconds)
        assert found is not None, "the broker closed"
        if found.kind == mqtt.PUBLISH:
            self._messages.append(found)
            if found.qos:
                self.send(mqtt.ack(mqtt.PUBACK if found.qos == 1 else mqtt.PUBREC, found.pid))
        elif found.kind == mqtt.PUBREL:
            self.send(mqtt.ack(mqtt.PUBCOMP, found.pid))
        return found
