"""Random clients against a real Mosquitto, through `bulkhead run`. Judged at the tap in front of the broker, at the
clients, and by what the broker writes into its log."""

from __future__ import annotations

import random
import select
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.attacks.mqtt.attacker import Attacker, complaints, may_receive, pieces
from tests.support import mqtt
from tests.support.broker_tap import BrokerTap, tapped
from tests.support.mosquitto import Mosquitto, running_mosquitto
from tests.support.mqtt import CONNECT, PUBLISH, V5, split
from tests.support.mqtt_client import MqttClient
from tests.support.net import LOCAL, wait_until
from tests.support.process import GatewayProcess, running
from tests.support.uns import DESK, PLAIN, UnsBuilder, upstream_id

if TYPE_CHECKING:
    from tests.support.plant import Plant

pytestmark = pytest.mark.system

SESSIONS = 150
AT_ONCE = 6
NOISE = ("no/a", "ok/a", "ok/b", "ok/secret/y", "mute/b", "narrow/b", "okay", "hall-1/line-2/desk/t", "hall-1/x")
IDS = ("a", "stored", DESK, "x:y", "%3A")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("broker")) as mosquitto:
        yield mosquitto


@pytest.fixture(scope="module")
def tap(broker: Mosquitto) -> Iterator[BrokerTap]:
    with tapped(broker.port) as tap:
        yield tap


@pytest.fixture(scope="module")
def uns(tap: BrokerTap, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return UnsBuilder(tmp_path_factory.mktemp("uns"), tap.port, listeners=(PLAIN,)).build()


@pytest.fixture(scope="module")
def gateway(uns: Plant) -> Iterator[GatewayProcess]:
    with running(uns) as process:
        yield process


class Run:
    """One client's session: sends its pieces while it reads, or while it does not."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self.attacker = Attacker(dice)
        self.dice = dice
        self.client_id = dice.choice((*IDS, ""))
        self.sock = socket.create_connection((LOCAL, port), 5)
        self.sock.setblocking(False)
        self.pieces = pieces(dice, self._packets())
        self.answers: list[bytes] = []
        self.deaf = dice.random() < 0.1
        self.waiting = b""
        self.sent = 0
        self.got = self.read = b""
        self.over = False
        self.until = time.monotonic() + 5

    def step(self) -> None:
        try:
            if not self.deaf:
                self._read()
            if not self.waiting:
                self.waiting = next(self.pieces, b"")
                if not self.waiting:
                    self._leave()
                    return
            done = self.sock.send(self.waiting)
            self.sent += done
            self.waiting = self.waiting[done:]
        except BlockingIOError:
            pass
        except OSError:
            self._close()
        if time.monotonic() > self.until:
            self._close()

    def _read(self) -> None:
        while True:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            if not data:
                self._close()
                return
            self.got += data
            self.read += data
            whole, self.read = split(self.read)
            self.answers += [self.attacker.answer(mqtt.read(raw, self.attacker.level)) for raw in whole]

    def _packets(self) -> Iterator[bytes]:
        for packet in self.attacker.session(self.client_id):
            answers, self.answers = self.answers, []
            yield from answers
            yield packet

    def _leave(self) -> None:
        how = self.dice.random()
        if how < 0.4:
            self.sock.shutdown(socket.SHUT_WR)
            ends = time.monotonic() + 0.05
            while time.monotonic() < ends and select.select([self.sock], [], [], 0.01)[0]:
                self._read()
                if self.over:
                    return
        elif how < 0.6:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            time.sleep(0.01)
            self._read()
        self._close()

    def _close(self) -> None:
        self.over = True
        self.sock.close()


def leave_too_wide_a_session(port: int) -> None:
    """A stored session of `desk` that is subscribed to everything: from before there was a gateway."""
    for client_id in ("stored", "a"):
        with MqttClient(port, V5) as client:
            client.opened(upstream_id(DESK, client_id), clean=False, properties=mqtt.prop(mqtt.SESSION_EXPIRY, 3600))
            client.subscribed("#", "$SYS/broker/uptime", ("ok/#", 1))
            client.goodbye()


def attack(port: int, broker_port: int, seed: int, sessions: int) -> list[Run]:
    """While somebody else publishes at the broker itself on topics of all kinds."""
    with MqttClient(broker_port, V5) as other:
        other.opened("other")
        return _attack(port, other, seed, sessions)


def _attack(port: int, other: MqttClient, seed: int, sessions: int) -> list[Run]:
    dice = random.Random(seed)
    runs: list[Run] = []
    live: list[Run] = []
    while live or len(runs) < sessions:
        while len(live) < AT_ONCE and len(runs) < sessions:
            run = Run(port, random.Random(dice.random()))
            runs.append(run)
            live.append(run)
        dice.choice(live).step()
        live = [run for run in live if not run.over]
        if dice.random() < 0.1:
            qos = dice.randrange(2)
            other.publish(dice.choice(NOISE), b"noise", qos=qos, pid=dice.randrange(1, 9), retain=dice.random() < 0.1)
    return runs


def judge(tap: BrokerTap, runs: list[Run]) -> tuple[int, int]:
    """How many packets came up, and how many deliveries down."""
    wrong: list[str] = []
    up, down = 0, 0
    expected = tuple(upstream_id(DESK, one.replace("%", "%25")) for one in IDS)
    for flow in tap.flows:
        packets = flow.asked
        up += len(packets)
        assert split(bytes(flow.up))[1] == b"", "an unfinished packet went to the broker"
        assert [one.kind for one in packets].count(CONNECT) == (packets[0].kind == CONNECT) == 1
        ids = (*expected, *(one.client_id for one in packets[:1] if one.client_id.startswith(f"{DESK}:bh-")))
        for one in packets:
            wrong += complaints(one, packets[0].level, ids)
    for run in runs:
        for raw in split(run.got)[0]:
            one = mqtt.read(raw, run.attacker.level)
            if one.kind == PUBLISH:
                down += 1
                if not may_receive(one.topic):
                    wrong.append(f"delivered {one.topic}")
    assert wrong == []
    return up, down


@pytest.mark.parametrize("seed", [1])
def test_nothing_forbidden_passes(
    seed: int, broker: Mosquitto, tap: BrokerTap, uns: Plant, gateway: GatewayProcess
) -> None:
    leave_too_wide_a_session(broker.port)
    runs = attack(uns.ports[PLAIN], broker.port, seed, SESSIONS)
    wait_until(lambda: gateway.links() == 0 and all(flow.over for flow in tap.flows), 10, "all connections are gone")
    up, down = judge(tap, runs)
    sent = sum(run.sent for run in runs)
    print(f"{len(runs)} sessions, {sent} bytes; {up} packets reached the broker, {down} deliveries the clients")
    assert up > 1000 and down > 100
    said = broker.said().splitlines()
    assert [line for line in said if "malformed" in line.lower()] == []
    # A packet id of QoS 2 used for another message while it is under way is the client's own fault.
    found = [before for before, line in zip(said, said[1:], strict=False) if "protocol error" in line]
    assert [line for line in found if "Received PUBLISH" not in line or ", q2, " not in line] == []
    assert gateway.alive and "Traceback" not in gateway.said()
