"""A site whose gateway publishes a robot's values on a broker, and a subscriber at the broker itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy.uplink.sparkplug import Payload, decode
from tests.support import mqtt
from tests.support.keys import SITE, Keys
from tests.support.mqtt_client import MqttClient
from tests.support.net import LOCAL, free_port
from tests.support.opcua import names
from tests.support.plant import Plant

PLACE = "bottling/hall-1/line-2/cell-3"
EDGE = f"spBv1.0/{PLACE.replace('/', ':')}"
SUBSCRIBED = [names.node_id(one) for one in (names.SPEED, names.COUNT)]
NODES = {"speed": names.SPEED, "count": names.COUNT, "secret": names.SECRET}

_RULES = """\
  line:
    from: gateway-1
    to: robot-7
    needs: [inside]
    opcua: {{ read: ["i=2255"], subscribe: [{subscribed}] }}
  publish:
    from: gateway-1
    to: uns
    mqtt:
      publish: ["{place}/robot-7/#", "{edge}/+/line/#"]
      will: ["{place}/robot-7/uplink/line", "{edge}/NDEATH/line"]
      subscribe: ["{edge}/NCMD/line"]
"""


class UnsSite:
    """``robot`` is host and port, ``broker`` a port, ``form`` the publisher's format."""

    def __init__(self, folder: Path, robot: tuple[str, int], broker: int, form: str) -> None:
        self.folder = folder
        self._robot, self._broker, self._form = robot, broker, form
        self.admin, self._port = free_port(), free_port()

    def build(self) -> Plant:
        self.publish(NODES)
        self.allow(SUBSCRIBED)
        host, port = self._robot
        self._device(
            "robot-7", f"kind: robot\nplace: {PLACE}\naddress: {host}\nservices: {{ opcua: {{ port: {port} }} }}"
        )
        self._device("uns", f"kind: broker\naddress: {LOCAL}\nservices: {{ mqtt: {{ port: {self._broker} }} }}")
        self._device("gateway-1", "kind: gateway\nplace: bottling/hall-1")
        return Plant(self.folder, Keys(self.folder / "certs"), {"relay": self._port}, self.admin)

    def publish(self, nodes: dict[str, str]) -> None:
        """Names on the UNS, and identifiers of the robot."""
        listed = ", ".join(f'{name}: "{names.node_id(node)}"' for name, node in nodes.items())
        publisher = f"{{ from: robot-7, to: uns, format: {self._form}, every: 100ms, nodes: {{ {listed} }} }}"
        self._write(
            "bulkhead.yaml",
            f'site: {SITE}\nadmin: {{ bind: "{LOCAL}:{self.admin}" }}\npolicy: {{ require_ack: false }}\nlisteners:\n'
            f'  relay: {{ bind: "{LOCAL}:{self._port}", protocol: opcua, to: robot-7, '
            f"opcua: {{ mode: relay, unsafe_none: true }} }}\npublishers:\n  line: {publisher}\n",
        )

    def allow(self, subscribe: list[str]) -> None:
        """The nodes that the rule lets the gateway subscribe to."""
        rules = _RULES.format(subscribed=", ".join(f'"{one}"' for one in subscribe), place=PLACE, edge=EDGE)
        self._write("policies/surfaces/cell.yaml", f"surface: cell\nmembers: [robot-7, uns]\nrules:\n{rules}")

    def _device(self, name: str, body: str) -> None:
        self._write(f"fingerprints/devices/{name}.yaml", f"device: {name}\n{body}\n")

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        """In one step: a gateway that runs never sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)


class Listener:
    """Everything that the broker hands out, from the first moment on."""

    def __init__(self, port: int) -> None:
        self._client = MqttClient(port)
        self._client.opened("listener")
        self._client.send(mqtt.subscribe(1, ("#", 0)))
        self._client.until(mqtt.SUBACK)
        self._seen: list[tuple[str, bytes]] = []

    def close(self) -> None:
        self._client.sock.close()

    def until(self, there: Callable[[], bool], seconds: float = 15.0) -> None:
        """Reads until ``there()``."""
        ends = time.monotonic() + seconds
        while not there():
            try:
                packet = self._client.next(max(0.01, ends - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"it is not among {self._seen[-20:]}") from None
            assert packet is not None, "the broker ended the connection"
            if packet.kind == mqtt.PUBLISH:
                self._seen.append((packet.topic, packet.payload))

    def samples(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for topic, payload in self._seen if topic == f"{PLACE}/robot-7/{name}"]

    def payloads(self, kind: str) -> list[Payload]:
        found = [decode(payload) for topic, payload in self._seen if f"/{kind}/" in topic]
        assert all(isinstance(one, Payload) for one in found)
        return [one for one in found if isinstance(one, Payload)]
