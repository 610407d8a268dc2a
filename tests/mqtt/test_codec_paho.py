"""A client that is not ours agrees: paho-mqtt's packets are strict enough for us, and it understands what we write."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from proxy.protocols.mqtt import packets as p

PATIENCE = 10.0
PROTOCOLS = {4: paho.MQTTv311, 5: paho.MQTTv5}
USER = p.Property(p.P.USER_PROPERTY, ("naïve", "välue"))


@dataclass
class Hand:
    """A broker of one link that answers by the codec alone and keeps what it was told."""

    level: int
    port: int = 0
    told: list[p.Packet] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        try:
            link, _ = self._listener.accept()
            link.settimeout(PATIENCE)
            with link, self._listener:
                self._talk(link)
        except OSError as error:
            self.faults.append(str(error))
        finally:
            self.over.set()

    def _talk(self, link: socket.socket) -> None:
        held = b""
        while chunk := link.recv(4096):
            held += chunk
            while held:
                end = p.frame_end(held, 0, 1 << 20)
                if not isinstance(end, int) or end > len(held):
                    break
                link.sendall(b"".join(p.encode(answer, self.level) for answer in self._take(held[:end])))
                held = held[end:]

    def _take(self, frame: bytes) -> list[p.Packet]:
        packet = p.decode(frame, self.level, to_broker=True)
        if isinstance(packet, p.Malformed):
            self.faults.append(f"{packet.what}: {frame.hex()}")
            return []
        if p.encode(packet, self.level) != frame:
            self.faults.append(f"another encoding: {frame.hex()}")
        self.told.append(packet)
        return self._answers(packet)

    def _answers(self, packet: p.Packet) -> list[p.Packet]:
        five = self.level == 5
        match packet:
            case p.Connect():
                given = (p.Property(p.P.RECEIVE_MAXIMUM, 32), p.Property(p.P.ASSIGNED_CLIENT_ID, "given"), USER)
                return [p.Connack(False, 0, given if five else ())]
            case p.Subscribe(packet_id, filters):
                codes = tuple(each.qos for each in filters[:-1]) + (0x87 if five else 0x80,)
                why = (p.Property(p.P.REASON_STRING, "the last may not"),)
                return [p.Suback(packet_id, codes, why if five else ()), *self.deliveries()]
            case p.Unsubscribe(packet_id, filters):
                return [p.Unsuback(packet_id, (0x11,) * len(filters) if five else ())]
            case p.Publish(qos=1, packet_id=int(packet_id)):
                return [p.Ack(p.PUBACK, packet_id, 0x10 if five else 0, (USER,) if five else ())]
            case p.Publish(qos=2, packet_id=int(packet_id)):
                return [p.Ack(p.PUBREC, packet_id)]
            case p.Ack(p.PUBREC, packet_id):
                return [p.Ack(p.PUBREL, packet_id)]
            case p.Ack(p.PUBREL, packet_id):
                return [p.Ack(p.PUBCOMP, packet_id, longhand=2 if five else 0)]
            case p.Ping():
                return [p.Ping(response=True)]
        return []

    def deliveries(self) -> list[p.Packet]:
        found: list[p.Packet] = []
        for qos in range(3):
            properties: p.Properties = ()
            if self.level == 5:
                properties = (p.Property(p.P.SUBSCRIPTION_ID, 300), p.Property(p.P.RESPONSE_TOPIC, "re/ply"), USER)
            packet_id = 65535 - qos if qos else None
            found.append(p.Publish("bäck/x", b"x" * qos, qos, qos == 0, packet_id=packet_id, properties=properties))
        return found


@dataclass
class Caller:
    """paho-mqtt, saying everything it can say."""

    hand: Hand
    got: Queue[Any] = field(default_factory=Queue)

    def __post_init__(self) -> None:
        level = self.hand.level
        clean = True if level == 4 else None
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "cäller", clean, protocol=PROTOCOLS[level])
        self.client.username_pw_set("user", "secret")
        will = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=5, UserProperty=("k", "v"))
        self.client.will_set("gone/x", b"gone", 1, True, will if level == 5 else None)
        self.client.on_connect = lambda *said: self.got.put(("connect", said[3].value))
        self.client.on_subscribe = lambda *said: self.got.put(("subscribe", [code.value for code in said[3]]))
        self.client.on_unsubscribe = lambda *said: self.got.put(("unsubscribe", [code.value for code in said[3]]))
        self.client.on_publish = lambda *said: self.got.put(("publish", said[3].value))
        self.client.on_message = lambda _, __, said: self.got.put((said.topic, said.qos, said.payload, said.retain))

    def speak(self) -> list[Any]:
        """Everything once; what the callbacks were told, in order."""
        client, five = self.client, self.hand.level == 5
        about = _properties(PacketTypes.CONNECT, SessionExpiryInterval=60, ReceiveMaximum=20, UserProperty=("k", "v"))
        client.connect("127.0.0.1", self.hand.port, 60, properties=about if five else None)
        client.loop_start()
        heard = [self.next()]
        for qos in range(3):
            about = _properties(
                PacketTypes.PUBLISH, PayloadFormatIndicator=1, MessageExpiryInterval=9, ResponseTopic="re/ply",
                CorrelationData=b"\0\xff", ContentType="text", UserProperty=("k", "v"),
            )  # fmt: skip
            client.publish(f"say/{qos}", b"hello" * qos, qos, qos == 1, about if five else None)
            heard.append(self.next())
        self._subscribe()
        heard += [self.next() for _ in range(4)]
        client.unsubscribe(["a/#", "b"])
        heard.append(self.next())
        client.disconnect()
        client.loop_stop()
        self.hand.join()
        return heard

    def _subscribe(self) -> None:
        if self.hand.level == 4:
            self.client.subscribe([("bäck/#", 2), ("$share/g/+/b", 0), ("no", 1)])
            return
        options = [SubscribeOptions(2, True, True, 1), SubscribeOptions(0, retainHandling=2), SubscribeOptions(1)]
        about = _properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=300, UserProperty=("k", "v"))
        self.client.subscribe(list(zip(["bäck/#", "$share/g/+/b", "no"], options, strict=True)), properties=about)

    def next(self) -> Any:
        return self.got.get(timeout=PATIENCE)


def _properties(kind: int, **values: Any) -> PahoProperties:
    found = PahoProperties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize("level", [4, 5])
def test_paho_understands_what_the_codec_writes(level: int) -> None:
    hand = Hand(level)
    heard = Caller(hand).speak()
    assert hand.faults == []
    assert heard[:4] == [("connect", 0), ("publish", 0), ("publish", 0x10 if level == 5 else 0), ("publish", 0)]
    assert heard[4] == ("subscribe", [2, 0, 0x87 if level == 5 else 0x80])
    assert sorted(heard[5:8]) == [("bäck/x", qos, b"x" * qos, qos == 0) for qos in range(3)]
    assert heard[8] == ("unsubscribe", [0x11, 0x11] if level == 5 else [])


@pytest.mark.parametrize("level", [4, 5])
def test_the_codec_understands_what_paho_writes(level: int) -> None:
    hand = Hand(level)
    Caller(hand).speak()
    connect, *said = hand.told
    assert isinstance(connect, p.Connect)
    assert (connect.level, connect.client_id, connect.user, connect.password) == (level, "cäller", "user", b"secret")
    will = connect.will
    assert will is not None
    assert (will.topic, will.payload, will.qos, will.retain) == ("gone/x", b"gone", 1, True)
    published = [each for each in said if isinstance(each, p.Publish)]
    assert [(each.topic, each.payload, each.qos, each.retain) for each in published] == [
        (f"say/{qos}", b"hello" * qos, qos, qos == 1) for qos in range(3)
    ]
    subscribe = next(each for each in said if isinstance(each, p.Subscribe))
    assert [each.filter for each in subscribe.filters] == ["bäck/#", "$share/g/+/b", "no"]
    assert subscribe.filters[0] == p.Subscription("bäck/#", 2, *((True, True, 1) if level == 5 else ()))
    lists = [connect.properties, will.properties, subscribe.properties, *(each.properties for each in published)]
    assert all(bool(each) is (level == 5) for each in lists)
    kinds = {p.Publish, p.Ack, p.Subscribe, p.Unsubscribe, p.Disconnect}
    assert {type(each) for each in said} == kinds


CODES = {
    PacketTypes.CONNACK: "2003 00{:02x} 00",
    PacketTypes.PUBACK: "4003 0001{:02x}",
    PacketTypes.PUBREC: "5003 0001{:02x}",
    PacketTypes.PUBREL: "6203 0001{:02x}",
    PacketTypes.PUBCOMP: "7003 0001{:02x}",
    PacketTypes.SUBACK: "9004 0001 00{:02x}",
    PacketTypes.UNSUBACK: "b004 0001 00{:02x}",
    PacketTypes.DISCONNECT: "e001 {:02x}",
    PacketTypes.AUTH: "f006 {:02x} 04 15 0001 6d",
}
ONE_WAY = {(PacketTypes.DISCONNECT, 4): True, (PacketTypes.AUTH, 0): False, (PacketTypes.AUTH, 0x19): True}
BESIDE = {(PacketTypes.CONNACK, 0x99)}
"""What paho's table lacks and table 3-1 has: the Will's payload is not of its format."""


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("to_broker", [True, False])
def test_every_reason_code_is_in_the_packets_that_paho_knows_it_in(kind: int, to_broker: bool) -> None:
    names = ReasonCode(PacketTypes.CONNACK).names
    known = {code for code, lists in names.items() if any(kind in kinds for kinds in lists.values())}
    known |= {code for where, code in BESIDE if where == kind}
    known = {code for code in known if ONE_WAY.get((kind, code), to_broker) is to_broker}
    if to_broker and kind in (PacketTypes.CONNACK, PacketTypes.SUBACK, PacketTypes.UNSUBACK):
        known = set()
    frames = {code: bytes.fromhex(CODES[kind].format(code)) for code in range(256)}
    found = {code: p.decode(frame, 5, to_broker=to_broker) for code, frame in frames.items()}
    assert {code for code, packet in found.items() if not isinstance(packet, p.Malformed)} == known
