"""The UNS publisher in a real gateway, between a robot of asyncua and mosquitto, through the policy on both sides."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.support.mosquitto import Mosquitto, running_mosquitto
from tests.support.opcua import names
from tests.support.opcua.robot_process import Robot, Yard, running_robot
from tests.support.process import GatewayProcess, running
from tests.system.opcua.uns import SUBSCRIBED, Listener, UnsSite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from proxy.uplink.sparkplug import Payload


class Line:
    """All that stands in it."""

    def __init__(self, site: UnsSite, robot: Robot, broker: Mosquitto, gateway: GatewayProcess, uns: Listener) -> None:
        self.site, self.robot, self.broker, self.gateway, self.uns = site, robot, broker, gateway, uns

    def status(self) -> dict[str, Any]:
        (one,) = json.loads(self.gateway.admin("/status"))["publishers"]
        return dict(one)

    def numbers(self) -> list[object]:
        return [one["value"] for one in self.uns.samples("speed")]

    def reload(self) -> None:
        os.kill(self.gateway.pid, signal.SIGHUP)


@contextmanager
def a_line(yard: Yard, folder: Path, form: str) -> Iterator[Line]:
    for part in ("robot", "broker", "site"):
        (folder / part).mkdir()
    with running_robot(yard, folder / "robot") as robot, running_mosquitto(folder / "broker") as broker:
        site = UnsSite(folder / "site", (robot.setting.host, robot.port), broker.port, form)
        plant = site.build()
        uns = Listener(broker.port)
        try:
            with running(plant) as gateway:
                yield Line(site, robot, broker, gateway, uns)
        finally:
            uns.close()


def value_of(payload: Payload, name: str) -> object:
    metric = payload.metric(name)
    assert metric is not None
    return metric.value


def test_json_values_refusal_and_a_lost_right(yard: Yard, tmp_path: Path) -> None:
    """T26: what a rule does not name is not published; and what it names no more stops, while the rest goes on."""
    with a_line(yard, tmp_path, "json") as line:
        uns = line.uns
        uns.until(lambda: all(uns.samples(name) for name in ("speed", "count", "secret")))
        before = datetime.now(UTC)
        for number in range(1, 21):
            line.robot.set(names.SPEED, float(number))
        after = datetime.now(UTC)
        uns.until(lambda: 20.0 in line.numbers())
        told = uns.samples("speed")[1:]
        assert [one["value"] for one in told] == [float(number) for number in range(1, 21)], "all of them, in order"
        assert [one["seq"] for one in uns.samples("speed")] == sorted(one["seq"] for one in uns.samples("speed"))
        assert {(one["quality"], one["clock"], one["type"]) for one in told} == {("good", "source", "Double")}
        times = [datetime.fromisoformat(one["timestamp"]) for one in told]
        assert before <= times[0] and times == sorted(times) and times[-1] <= after, "the robot's own times"
        (secret,) = uns.samples("secret")
        assert (secret["value"], secret["status"]) == (None, "Bad_UserAccessDenied")
        assert line.status()["refused"] == {"secret": "Bad_UserAccessDenied"}
        assert "Secret" not in str(line.robot.items("CreateMonitoredItems")), "the robot was never asked for it"
        assert line.gateway.metric("bulkhead_publisher_nodes_refused", publisher="line") == 1
        record = line.gateway.recorded(what="connect", listener="line/opcua")
        assert (record["who"], record["evidence"], record["rule"]) == ("gateway-1", ["inside"], "cell/line")
        record = line.gateway.recorded(what="refuse", listener="line/opcua")
        assert record["action"] == f"subscribe {names.node_id(names.SECRET)}"

        line.site.allow(SUBSCRIBED[1:])
        line.reload()
        line.gateway.recorded(10.0, what="reload")
        line.robot.set(names.SPEED, 99.0)
        uns.until(lambda: uns.samples("speed")[-1]["status"] == "Bad_UserAccessDenied")
        line.robot.set(names.SPEED, 98.0)
        line.robot.set(names.COUNT, 8)
        uns.until(lambda: uns.samples("count")[-1]["value"] == 8)
        assert not {98.0, 99.0} & set(line.numbers())
        assert line.status()["device"] == "up", "it lost one right, and not its session"


def test_sparkplug_restarts_on_both_sides(yard: Yard, tmp_path: Path) -> None:
    with a_line(yard, tmp_path, "sparkplug") as line:
        uns = line.uns
        uns.until(lambda: bool(uns.payloads("DBIRTH")))
        (node,) = uns.payloads("NBIRTH")
        assert (node.seq, value_of(node, "bdSeq")) == (0, 0)
        birth = uns.payloads("DBIRTH")[0]
        assert {one.name: one.value for one in birth.metrics} == {"speed": 12.5, "count": 7, "secret": None}
        line.robot.set(names.SPEED, 1.0)
        uns.until(lambda: bool(uns.payloads("DDATA")))
        assert [one.seq for one in uns.payloads("DDATA")] == [2]

        line.robot.restart()
        uns.until(lambda: len(uns.payloads("DBIRTH")) == 2)
        assert len(uns.payloads("DDEATH")) == 1

        line.broker.stop()
        line.broker.start()
        again = Listener(line.broker.port)
        try:
            again.until(lambda: bool(again.payloads("DBIRTH")))
            assert value_of(again.payloads("NBIRTH")[0], "bdSeq") == 1
            line.robot.set(names.SPEED, 2.0)
            again.until(lambda: bool(again.payloads("DDATA")))
            assert value_of(again.payloads("DDATA")[0], "speed") == 2.0
            line.site.publish({"speed": names.SPEED})
            line.reload()
            again.until(lambda: len(again.payloads("DBIRTH")) == 2)
            assert [value_of(one, "bdSeq") for one in again.payloads("NDEATH")] == [1], "a publisher that changed"
            assert [one.name for one in again.payloads("DBIRTH")[1].metrics] == ["speed"]
            line.gateway.terminate()
            again.until(lambda: len(again.payloads("NDEATH")) == 2)
            line.gateway.wait()
        finally:
            again.close()
