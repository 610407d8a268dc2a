"""MQTT.js, unchanged, through `bulkhead run` to Mosquitto. The client's side of each test is mqttjs/client.mjs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import mqtt
from tests.support.campaign import in_ci
from tests.support.net import wait_until
from tests.support.tools import tool
from tests.support.uns import DESK, PLAIN, TLS

if TYPE_CHECKING:
    from tests.support.broker_tap import BrokerTap, Flow
    from tests.support.mqtt_client import Witness
    from tests.support.plant import Plant
    from tests.support.process import GatewayProcess

pytestmark = pytest.mark.system

FOLDER = Path(__file__).parent / "mqttjs"
LOCK = FOLDER / "package-lock.json"
SECONDS = 12.0


def locked() -> str:
    return str(json.loads(LOCK.read_text())["packages"]["node_modules/mqtt"]["version"])


@pytest.fixture(scope="module")
def node() -> str:
    program = tool("node", "nodejs")
    package = FOLDER / "node_modules" / "mqtt" / "package.json"
    if not package.exists() or json.loads(package.read_text())["version"] != locked():
        reason = f"MQTT.js is not installed (cd {FOLDER.name}; npm ci --ignore-scripts)"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@dataclass(frozen=True)
class Scripts:
    """The scenes of client.mjs at one listener, as one device."""

    node: str
    door: str
    v5: bool
    who: str

    def start(self, *scenes: str) -> subprocess.Popen[str]:
        command = [self.node, str(FOLDER / "client.mjs"), ",".join(scenes), self.door]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def told(self, child: subprocess.Popen[str]) -> dict[str, Any]:
        """What the client was told in each scene, when it has ended."""
        with child:
            try:
                said, _ = child.communicate(timeout=SECONDS)
            finally:
                child.kill()
        assert child.returncode == 0, said
        told: dict[str, Any] = json.loads(said.splitlines()[-1])
        return told


@pytest.fixture(scope="module", params=["plain-4", "plain-5", "tls-4", "tls-5"])
def scripts(request: pytest.FixtureRequest, node: str, uns: Plant, gateway: GatewayProcess) -> Scripts:
    listener, version = request.param.split("-")
    door: dict[str, object] = {"port": uns.ports[PLAIN if listener == "plain" else TLS], "version": int(version)}
    if listener == "tls":
        keys = uns.keys.issue("sensor-1")
        door |= {"ca": str(uns.keys.ca), "cert": str(keys.certificate), "key": str(keys.key)}
    return Scripts(node, json.dumps(door), version == "5", DESK if listener == "plain" else "sensor-1")


@dataclass(frozen=True)
class Played:
    """``told`` to the client, and what the broker got: ``topics`` of one client id, all bytes, and who said goodbye."""

    told: dict[str, Any]
    flows: dict[str, Flow]
    up: bytes

    def topics(self, client_id: str) -> list[str]:
        return [one.topic for one in self.flows[client_id].asked if one.kind == mqtt.PUBLISH]


@pytest.fixture(scope="module")
def played(scripts: Scripts, recorder: BrokerTap) -> Played:
    """The scenes that need nothing from outside, by one process: starting node takes longer than most of them."""
    recorder.forget()
    told = scripts.told(scripts.start("everyQos", "burst", "session", "pings", "refusals"))
    prefix = len(scripts.who) + 1
    wait_until(lambda: all(flow.over for flow in recorder.flows if flow.client_id))
    flows = {flow.client_id[prefix:]: flow for flow in recorder.flows}
    return Played(told, flows, recorder.up)


def test_the_lock_names_no_registry() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []


def test_every_qos_and_unsubscribe(scripts: Scripts, played: Played) -> None:
    told = played.told["everyQos"]
    assert told["granted"] == [2]
    wanted = [{"topic": f"ok/a/{qos}", "payload": str(qos), "qos": qos, "retain": False} for qos in range(3)]
    assert told["messages"] == [*wanted, {"topic": "ok/b", "payload": "wanted", "qos": 1, "retain": False}]
    assert played.topics("js-both") == ["ok/a/0", "ok/a/1", "ok/a/2", "ok/a/1", "ok/b"]
    assert played.flows["js-both"].said_goodbye


def test_bursts_of_every_qos(played: Played) -> None:
    assert played.told["burst"] == list(range(150))


def test_persistent_session(played: Played) -> None:
    assert played.told["session"] == {"present": True, "messages": ["1", "2"]}


def test_pings(played: Played) -> None:
    assert played.told["pings"] == "pong"


def test_refusals(scripts: Scripts, played: Played) -> None:
    told = played.told["refusals"]
    assert (told["honest"], told["message"]) == ("done", "honest")
    if scripts.v5:
        refused = [["puback", 0x87], ["pubrec", 0x87], ["suback", 0x87]]
        assert told["publishes"] == ["done", 0x87, 0x87]
        assert (told["subscribe"], told["will"]) == ("Subscribe error: Not authorized", 0x87)
    else:
        refused = [["puback", 0], ["pubrec", 0], ["suback", 0x80]]
        assert told["publishes"] == ["done", "done", "done"]
        assert (told["subscribe"], told["will"]) == ("Subscribe error: Unspecified error", 5)
    assert told["codes"][:3] == refused
    assert played.topics("js-thief") == ["ok/x"]
    assert b"smuggled" not in played.up and b"no/#" not in played.up


def test_reconnect_by_itself(scripts: Scripts, tap: BrokerTap) -> None:
    child = scripts.start("reconnects")
    assert child.stdout is not None and child.stdout.readline() == "cut\n"
    tap.cut()
    assert scripts.told(child)["reconnects"] == "after"


def test_will(scripts: Scripts, witness: Witness) -> None:
    with scripts.start("mortal") as child:
        heard = witness.heard("ok/last", SECONDS)
        child.wait(SECONDS)
    assert (heard.payload, heard.qos) == (b"gone", 1)
