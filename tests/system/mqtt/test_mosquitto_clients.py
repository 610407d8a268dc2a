"""mosquitto_pub and mosquitto_sub as Debian ships them, unchanged, through `bulkhead run` to Mosquitto."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support import mqtt
from tests.support.net import LOCAL, wait_until
from tests.support.tools import run, tool
from tests.support.uns import DESK, PLAIN, TLS, upstream_id

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap
    from tests.support.keys import KeyFiles
    from tests.support.mqtt_client import Witness
    from tests.support.plant import Plant

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]


class Subscriber:
    """A running mosquitto_sub -d. ``said`` is all it printed."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child

    def ends(self, seconds: float = 8.0) -> list[str]:
        """What it printed, line by line, when it has ended by itself."""
        try:
            out, _ = self.child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            out, _ = self.child.communicate()
            raise AssertionError(f"it did not end: {out}") from None
        return out.splitlines()


@dataclass(frozen=True)
class Programs:
    """Both programs with the words that lead to one listener. ``who`` is the device that they are."""

    words: tuple[str, ...]
    version: str
    who: str
    broker: BrokerTap

    def pub(self, *words: str) -> str:
        """What it printed with -d."""
        done = run([tool("mosquitto_pub", "mosquitto-clients"), "-d", *self.words, *words])
        return f"{done.stdout.decode()}exit {done.returncode}"

    @contextmanager
    def sub(self, client_id: str, *words: str, subscribed: bool = True) -> Iterator[Subscriber]:
        """Running, and subscribed to all it asked for."""
        command = [tool("mosquitto_sub", "mosquitto-clients"), "-i", client_id, *self.words, *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
            try:
                if subscribed:
                    self._wait_for_suback(client_id)
                yield Subscriber(child)
            finally:
                child.kill()

    def upstream_id(self, client_id: str) -> str:
        return upstream_id(self.who, client_id)

    def _wait_for_suback(self, client_id: str) -> None:
        name = self.upstream_id(client_id)

        def answered() -> bool:
            flows = [flow for flow in self.broker.flows if flow.client_id == name]
            return bool(flows) and any(one.kind == mqtt.SUBACK for one in flows[-1].answered)

        wait_until(answered, 5, f"{name} has subscribed")


@pytest.fixture(scope="module")
def machine(uns: Plant) -> KeyFiles:
    return uns.keys.issue("sensor-1")


@pytest.fixture(params=["plain-311", "plain-5", "tls-311", "tls-5"])
def programs(request: pytest.FixtureRequest, uns: Plant, machine: KeyFiles, tap: BrokerTap) -> Programs:
    listener, version = request.param.split("-")
    words = ["-h", LOCAL, "-p", str(uns.ports[PLAIN if listener == "plain" else TLS]), "-V", f"mqttv{version}"]
    if listener == "tls":
        words += ["--tls-version", "tlsv1.3", "--cafile", str(uns.keys.ca)]
        words += ["--cert", str(machine.certificate), "--key", str(machine.key)]
    return Programs(tuple(words), version, DESK if listener == "plain" else "sensor-1", tap)


def test_every_qos(programs: Programs, tap: BrokerTap) -> None:
    with programs.sub("ear", "-q", "2", "-t", "ok/a/+", "-C", "3", "-F", "%t %q %p") as ear:
        for qos in "012":
            said = programs.pub("-i", "mouth", "-t", f"ok/a/{qos}", "-q", qos, "-m", f"message {qos}")
            assert said.endswith("exit 0"), said
        assert ear.ends() == [f"ok/a/{qos} {qos} message {qos}" for qos in "012"]
    assert tap.topics() == ["ok/a/0", "ok/a/1", "ok/a/2"]
    wait_until(lambda: tap.flow(programs.upstream_id("mouth")).said_goodbye)


def test_many_lines(programs: Programs) -> None:
    """-l: one message a line over one connection, more than any window is wide.

    Taken with QoS 1: mosquitto_sub 2.0.11 miscounts its own Receive Maximum with QoS 2, also straight at the broker.
    """
    lines = [f"line {at}" for at in range(100)]
    with programs.sub("ear", "-q", "1", "-t", "ok/lines", "-C", "100") as ear:
        command = [tool("mosquitto_pub", "mosquitto-clients"), *programs.words, "-t", "ok/lines", "-q", "2", "-l"]
        assert run(command, stdin="\n".join(lines).encode()).returncode == 0
        assert ear.ends() == lines


def test_retained(programs: Programs) -> None:
    assert programs.pub("-t", "ok/kept", "-r", "-q", "1", "-m", "kept").endswith("exit 0")
    with programs.sub("late", "-q", "1", "-t", "ok/kept", "-C", "1", "-F", "%r %q %p") as late:
        assert late.ends() == ["1 1 kept"]
    assert programs.pub("-t", "ok/kept", "-q", "1", "-r", "-n").endswith("exit 0")
    with programs.sub("later", "-t", "ok/kept", "-t", "ok/live", "-C", "1", "-F", "%r %t") as later:
        programs.pub("-t", "ok/live", "-m", "now")
        assert later.ends() == ["0 ok/live"]


def test_will(programs: Programs, witness: Witness) -> None:
    last = ["--will-topic", "ok/last", "--will-payload", "gone", "--will-qos", "1", "--will-retain"]
    with programs.sub("mortal", "-t", "ok/x", *last) as mortal:
        mortal.child.kill()
        heard = witness.heard("ok/last")
    assert (heard.payload, heard.qos, heard.retain) == (b"gone", 1, True)
    assert programs.pub("-t", "ok/last", "-q", "1", "-r", "-n").endswith("exit 0")


def test_persistent_session(programs: Programs) -> None:
    expiry = ["-x", "60"] if programs.version == "5" else []
    with programs.sub("keeper", "-c", *expiry, "-q", "1", "-t", "ok/later", "-E") as first:
        first.ends()
    for at in range(3):
        assert programs.pub("-t", "ok/later", "-q", "1", "-m", f"while away {at}").endswith("exit 0")
    # Another filter: what comes for the old one shows that the broker kept it.
    with programs.sub("keeper", "-c", *expiry, "-q", "1", "-t", "ok/other", "-C", "3") as again:
        assert again.ends() == [f"while away {at}" for at in range(3)]
    with programs.sub("keeper", "-t", "ok/other", "-E") as last:  # a clean session ends it
        last.ends()


def test_share(programs: Programs) -> None:
    command = [tool("mosquitto_pub", "mosquitto-clients"), *programs.words, "-t", "ok/work", "-q", "1", "-l"]
    shared = ["-t", "$share/workers/ok/work", "-q", "1", "-C", "5"]
    with programs.sub("one", *shared) as one, programs.sub("two", *shared) as two:
        assert run(command, stdin=b"\n".join(b"%d" % at for at in range(10))).returncode == 0
        assert sorted(one.ends() + two.ends(), key=int) == [str(at) for at in range(10)]


def test_unsubscribe(programs: Programs, tap: BrokerTap) -> None:
    with programs.sub("fickle", "-t", "ok/a", "-t", "ok/b", "-U", "ok/b", "-C", "1") as fickle:
        flow = tap.flow(programs.upstream_id("fickle"))
        wait_until(lambda: any(one.kind == mqtt.UNSUBACK for one in flow.answered))
        (unsubscribed,) = [one for one in flow.asked if one.kind == mqtt.UNSUBSCRIBE]
        assert unsubscribed.payload == mqtt.text("ok/b")
        programs.pub("-t", "ok/b", "-m", "not wanted")
        programs.pub("-t", "ok/a", "-m", "wanted")
        assert fickle.ends() == ["wanted"]


def test_refused_publish(programs: Programs, tap: BrokerTap) -> None:
    said = programs.pub("-t", "no/x", "-q", "1", "-m", "smuggled")
    if programs.version == "5":
        assert "Not authorized" in said, said
    else:
        assert re.search(r"received PUBACK", said) and said.endswith("exit 0"), said
    said = programs.pub("-t", "no/x", "-q", "2", "-m", "smuggled")
    if programs.version == "5":
        assert "Not authorized" in said, said
    else:
        assert re.search(r"received PUBCOMP", said) and said.endswith("exit 0"), said
    assert programs.pub("-t", "ok/x", "-q", "2", "-m", "honest").endswith("exit 0")
    assert tap.topics() == ["ok/x"]
    assert b"smuggled" not in tap.up


def test_refused_subscribe(programs: Programs, tap: BrokerTap) -> None:
    with programs.sub("curious", "-d", "-t", "no/#", subscribed=False) as curious:
        said = "\n".join(curious.ends())
    assert "All subscription requests were denied" in said, said
    with programs.sub("half", "-d", "-t", "no/#", "-t", "ok/half", "-C", "1", subscribed=False) as half:
        wait_until(lambda: b"ok/half" in tap.up)
        programs.pub("-t", "ok/half", "-r", "-m", "here")
        said = "\n".join(half.ends())
    refused = "135" if programs.version == "5" else "128"
    assert f"Subscribed (mid: 1): {refused}, 0" in said, said
    assert b"no/#" not in tap.up
    programs.pub("-t", "ok/half", "-q", "1", "-r", "-n")


def test_refused_will(programs: Programs, tap: BrokerTap) -> None:
    said = programs.pub("-t", "ok/x", "-m", "x", "--will-topic", "no/last", "--will-payload", "smuggled")
    assert "Not authorized" in said or "not authorised" in said, said
    assert not said.endswith("exit 0")
    assert b"smuggled" not in tap.up


def test_pings(uns: Plant, machine: KeyFiles, tap: BrokerTap) -> None:
    """-k 5 is the least that it takes: two of them wait at the same time."""
    words = ("-h", LOCAL, "-p", str(uns.ports[PLAIN]), "-k", "5", "-d")
    both = [Programs((*words, "-V", f"mqttv{version}"), version, DESK, tap) for version in ("311", "5")]
    with both[0].sub("idle-311", "-t", "ok/x", "-W", "7") as one, both[1].sub("idle-5", "-t", "ok/x", "-W", "7") as two:
        for idle in (one, two):
            said = "\n".join(idle.ends(12))
            assert "received PINGRESP" in said and "Timed out" in said, said
