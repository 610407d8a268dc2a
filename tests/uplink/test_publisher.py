"""The publisher between an OPC UA server and a broker, as data: order, gaps, refusals, and both sides coming back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.protocols.mqtt.packets import Disconnect
from proxy.protocols.opcua import status
from proxy.protocols.opcua.services.monitor import CreateMonitoredItemsRequest, DeleteMonitoredItemsRequest
from proxy.protocols.opcua.services.session import CloseSessionRequest, CreateSessionRequest
from proxy.protocols.opcua.services.subscription import CreateSubscriptionRequest, RepublishRequest
from proxy.protocols.opcua.values import DataValue, Variant
from proxy.uplink.datatypes import D
from proxy.uplink.publisher import Side
from proxy.uplink.sample import milliseconds
from proxy.uplink.sparkplug import Metric, Payload, decode, encode
from tests.uplink.peers import TIME, Broker, Server, value
from tests.uplink.world import BASE, EDGE, World


def told(world: World, name: str = "speed") -> list[dict[str, Any]]:
    return [json.loads(one.payload) for one in world.broker.messages(f"{BASE}/{name}")]


def numbers(world: World, name: str = "speed") -> list[float | None]:
    return [one["value"] for one in told(world, name)]


def metrics(world: World, kind: str = "DDATA") -> list[Metric]:
    return [metric for payload in world.payloads(kind) for metric in payload.metrics]


def quality(metric: Metric) -> object:
    return {key: value for key, _, value in metric.properties}["Quality"]


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_json_tells_values_with_source_time_quality_and_order(piece: int) -> None:
    world = World(json=True, piece=piece)
    world.server.tell([("Speed", value(1)), ("Axis1", value(2, status.UNCERTAIN))])
    world.server.tell_numbers("Speed", 3, 4)
    world.settle()
    assert told(world) == [
        {
            "value": number,
            "type": "Double",
            "quality": "good",
            "status": "Good",
            "timestamp": f"2019-04-17T18:40:00.{int(number):07d}Z",
            "clock": "source",
            "seq": seq,
        }
        for number, seq in ((1.0, 1), (3.0, 3), (4.0, 4))
    ]
    assert told(world, "axis/1")[0] | {"quality": "bad", "status": "Uncertain"} == told(world, "axis/1")[0]
    assert all(one.qos == 1 and not one.retain for one in world.broker.published)
    assert len(world.ring) == 0
    assert world.publisher.figures.published == 4


def test_sparkplug_births_then_data() -> None:
    world = World()
    will = world.broker.connects[0].will
    assert will is not None
    assert (will.topic, will.qos, will.retain) == (f"{EDGE}/NDEATH/line", 1, False)
    assert decode(will.payload) == Payload(milliseconds_now(world), None, (bdseq(0, world),))
    world.server.tell([("Speed", value(1)), ("Axis1", value(2))])
    world.settle()
    world.server.tell_numbers("Speed", 3)
    world.settle()
    assert [one.topic for one in world.broker.published] == [
        f"{EDGE}/NBIRTH/line",
        f"{EDGE}/DBIRTH/line/robot-7",
        f"{EDGE}/DDATA/line/robot-7",
    ]
    payloads = [decode(one.payload) for one in world.broker.published]
    assert [one.seq for one in payloads if isinstance(one, Payload)] == [0, 1, 2]
    assert all(one.qos == 0 and not one.retain for one in world.broker.published)
    (birth,) = world.payloads("NBIRTH")
    assert birth.metric("bdSeq") == bdseq(0, world)
    (device,) = world.payloads("DBIRTH")
    assert [(one.name, one.datatype, one.value) for one in device.metrics] == [
        ("speed", D.Double, 1.0),
        ("axis/1", D.Double, 2.0),
    ]
    (data,) = metrics(world)
    assert (data.name, data.value, data.timestamp, quality(data)) == ("speed", 3.0, milliseconds(TIME + 3), 192)
    assert not data.historical


def milliseconds_now(world: World) -> int:
    return int((1_795_000_000 + world.now) * 1000)


def bdseq(number: int, world: World) -> Metric:
    return Metric("bdSeq", D.Int64, number, milliseconds_now(world))


def test_a_birth_waits_for_all_nodes_but_not_for_ever() -> None:
    world = World()
    world.server.tell_numbers("Speed", 1)
    world.settle()
    assert world.births() == ["NBIRTH"]
    world.wait(2.1)
    assert world.births() == ["NBIRTH", "DBIRTH"]
    world.server.tell_numbers("Axis1", 5)
    world.settle()
    assert world.births() == ["NBIRTH", "DBIRTH", "DBIRTH"], "a node that is new is born, and not slipped into data"


def test_seq_goes_round_after_255() -> None:
    world = World(nodes={"speed": "nsu=urn:robot:7;s=Speed"})
    for number in range(300):
        world.server.tell_numbers("Speed", number)
        world.settle()
    found = [one.seq for one in (decode(p.payload) for p in world.broker.published) if isinstance(one, Payload)]
    assert found == [at % 256 for at in range(301)]


def test_a_refused_node_is_told_and_the_rest_flows() -> None:
    world = World(json=True, server=Server({"Axis1": status.BAD_USER_ACCESS_DENIED}))
    world.server.tell_numbers("Speed", 1)
    world.settle()
    assert numbers(world) == [1.0]
    (axis,) = told(world, "axis/1")
    assert (axis["value"], axis["quality"], axis["status"]) == (None, "bad", "Bad_UserAccessDenied")
    assert world.publisher.figures.refused == {"axis/1": "Bad_UserAccessDenied"}
    assert "node axis/1 (nsu=urn:robot:7;s=Axis1) is refused: Bad_UserAccessDenied" in world.notes


def test_a_refused_node_is_in_the_birth_as_bad_and_asked_for_again() -> None:
    world = World(server=Server({"Axis1": status.BAD_USER_ACCESS_DENIED}))
    world.server.tell_numbers("Speed", 1)
    world.settle()
    (birth,) = world.payloads("DBIRTH")
    axis = birth.metric("axis/1")
    assert axis is not None
    assert axis.value is None
    assert quality(axis) == 0
    world.server.refused.clear()
    world.wait(31)
    world.server.tell_numbers("Axis1", 7)
    world.settle()
    assert world.publisher.figures.refused == {}
    newest = world.payloads("DBIRTH")[-1].metric("axis/1")
    assert newest is not None
    assert newest.value == 7.0
    assert len(world.server.requests(CreateMonitoredItemsRequest)) == 2


def test_a_lost_right_is_told_once_and_the_item_made_anew_later() -> None:
    world = World(json=True)
    world.server.tell_numbers("Speed", 1)
    world.server.tell([("Speed", DataValue(None, status.BAD_USER_ACCESS_DENIED))])
    world.settle()
    assert [one["status"] for one in told(world)] == ["Good", "Bad_UserAccessDenied"]
    world.wait(31)
    assert len(world.server.requests(DeleteMonitoredItemsRequest)) == 1
    world.server.tell_numbers("Speed", 2)
    world.settle()
    assert [(one["value"], one.get("missed")) for one in told(world)] == [(1.0, None), (None, None), (2.0, -1)]


def test_a_lost_right_is_data_and_no_new_birth() -> None:
    world = World()
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    world.server.tell([("Speed", DataValue(None, status.BAD_USER_ACCESS_DENIED))])
    world.settle()
    assert world.births() == ["NBIRTH", "DBIRTH", "DDATA"]
    (speed,) = metrics(world)
    assert (speed.datatype, speed.value, quality(speed)) == (D.Double, None, 0)


def test_a_namespace_that_the_server_has_not_refuses_its_nodes() -> None:
    server = Server()
    server.namespaces = ("http://opcfoundation.org/UA/",)
    world = World(json=True, server=server)
    assert world.publisher.figures.refused == {"speed": "Bad_NodeIdUnknown", "axis/1": "Bad_NodeIdUnknown"}


def test_without_the_namespace_array_it_says_what_it_needs() -> None:
    server = Server()
    server.readable = False
    world = World(server=server)
    assert "i=2255, the server's NamespaceArray, is not to be read: Bad_UserAccessDenied" in world.notes[-1]
    assert world.publisher.figures.device.state == "down"


def test_a_missing_notification_is_asked_for_again_and_comes_in_its_place() -> None:
    world = World(json=True)
    world.server.tell_numbers("Speed", 1)
    world.server.tell_numbers("Speed", 2, lose=True)
    world.server.tell_numbers("Speed", 3)
    world.settle()
    assert numbers(world) == [1.0, 2.0, 3.0]
    assert len(world.server.requests(RepublishRequest)) == 1
    assert not any("missed" in one for one in told(world))
    world.server.keep_alive()
    world.settle()
    assert sorted(world.server.acknowledged) == [1, 2, 3]


def test_a_missing_notification_is_noticed_by_the_keep_alive() -> None:
    world = World(json=True)
    world.server.tell_numbers("Speed", 1)
    world.server.tell_numbers("Speed", 2, lose=True)
    world.settle()
    world.server.keep_alive()
    world.settle()
    assert numbers(world) == [1.0, 2.0]


def test_what_the_server_has_not_any_more_is_a_gap_that_is_told() -> None:
    world = World(json=True)
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.server.tell_numbers("Speed", 2, lose=True, forget=True)
    world.server.tell([("Speed", value(3)), ("Axis1", value(3))])
    world.server.tell_numbers("Speed", 4)
    world.settle()
    assert [(one["value"], one.get("missed")) for one in told(world)] == [(1.0, None), (3.0, -1), (4.0, None)]
    assert [one.get("missed") for one in told(world, "axis/1")] == [None, -1], "nobody knows which nodes it was about"
    assert (world.publisher.figures.gaps, world.publisher.figures.missed) == (1, 1)


def test_an_overflow_in_the_server_is_a_gap() -> None:
    world = World(json=True)
    world.server.tell_numbers("Speed", 1)
    world.server.tell([("Speed", value(9, 0x0480))])
    world.settle()
    assert told(world)[-1]["missed"] == -1
    assert world.publisher.figures.gaps == 1


def test_a_lost_device_is_told_and_comes_back() -> None:
    world = World(json=True)
    world.server.tell_numbers("Speed", 1)
    world.settle()
    world.up[Side.DEVICE] = False
    world.cut(Side.DEVICE)
    last = told(world)[-1]
    assert (last["value"], last["quality"], last["clock"]) == (1.0, "stale", "gateway")
    world.wait(20)
    assert len(told(world)) == 2, "it is told once"
    world.up[Side.DEVICE] = True
    world.wait(31)
    world.server.tell_numbers("Speed", 2)
    world.settle()
    assert told(world)[-1]["value"] == 2.0
    assert told(world)[-1]["missed"] == -1
    assert len(world.server.requests(CreateSessionRequest)) == 2
    assert world.publisher.figures.device.losses == 1


def test_a_lost_device_dies_and_is_born_again() -> None:
    world = World()
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    world.cut(Side.DEVICE)
    assert world.births() == ["NBIRTH", "DBIRTH", "DDEATH"]
    world.wait(1)
    world.server.tell([("Speed", value(2)), ("Axis1", value(2))])
    world.settle()
    assert world.births() == ["NBIRTH", "DBIRTH", "DDEATH", "DBIRTH"]
    assert [one.value for one in world.payloads("DBIRTH")[-1].metrics] == [2.0, 2.0]


def test_a_subscription_that_is_silent_is_begun_anew() -> None:
    world = World(json=True)
    world.alive = False
    world.wait(30)
    assert len(world.server.requests(CreateSubscriptionRequest)) >= 2
    assert any("silent" in note for note in world.notes)


def test_the_server_ends_the_subscription() -> None:
    world = World(json=True)
    world.server.end(status.BAD_NO_SUBSCRIPTION)
    world.settle()
    assert world.publisher.figures.device.why == "the server ended the subscription: Bad_NoSubscription"
    world.wait(1)
    assert world.publisher.figures.device.state == "up"


def test_while_the_broker_is_away_samples_wait_and_come_in_order() -> None:
    world = World(json=True)
    world.server.tell_numbers("Speed", 1)
    world.settle()
    world.up[Side.BROKER] = False
    world.cut(Side.BROKER)
    for number in range(2, 40):
        world.server.tell_numbers("Speed", number)
        world.settle()
    assert world.publisher.figures.waiting == 38
    world.up[Side.BROKER] = True
    world.wait(31)
    assert numbers(world) == list(range(1, 40))
    assert [one["seq"] for one in told(world)] == list(range(1, 40))


def test_what_was_not_acknowledged_is_said_again_in_order() -> None:
    world = World(json=True)
    world.broker.acknowledges = False
    for number in range(5):
        world.server.tell_numbers("Speed", number)
        world.settle()
    assert numbers(world) == [0, 1, 2, 3, 4]
    world.broker.acknowledges = True
    world.cut(Side.BROKER)
    world.wait(1)
    assert numbers(world) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4], "again, with the same seq: twice is better than never"
    assert world.publisher.figures.published == 5


def test_no_more_than_the_window_is_under_way() -> None:
    world = World(json=True)
    world.broker.acknowledges = False
    for number in range(40):
        world.server.tell_numbers("Speed", number)
        world.settle()
    assert len(world.broker.messages(f"{BASE}/speed")) == 16


def test_a_full_backlog_drops_the_oldest_and_says_how_many() -> None:
    world = World(json=True, backlog=10)
    world.up[Side.BROKER] = False
    world.cut(Side.BROKER)
    for number in range(25):
        world.server.tell_numbers("Speed", number)
        world.settle()
    world.up[Side.BROKER] = True
    world.wait(31)
    assert numbers(world) == list(range(15, 25))
    assert [one.get("missed") for one in told(world)] == [15] + [None] * 9
    assert world.publisher.figures.dropped == 15


def test_after_the_broker_was_away_the_birth_says_what_is_and_the_rest_is_history() -> None:
    world = World()
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    world.up[Side.BROKER] = False
    world.cut(Side.BROKER)
    for number in (2, 3, 4):
        world.server.tell_numbers("Speed", number)
        world.settle()
    world.broker.published.clear()
    world.up[Side.BROKER] = True
    world.wait(31)
    assert world.births() == ["NBIRTH", "DBIRTH", "DDATA"]
    assert world.payloads("NBIRTH")[0].metric("bdSeq") == Metric(
        "bdSeq", D.Int64, 1, world.payloads("NBIRTH")[0].timestamp
    )
    assert [one.value for one in world.payloads("DBIRTH")[0].metrics] == [4.0, 1.0]
    assert [(one.value, one.historical) for one in metrics(world)] == [(2.0, True), (3.0, True)]
    world.server.tell_numbers("Speed", 5)
    world.settle()
    assert [(one.value, one.historical) for one in metrics(world)][-1] == (5.0, False)
    assert [one.seq for one in (decode(p.payload) for p in world.broker.published) if isinstance(one, Payload)] == [
        0, 1, 2, 3,
    ]  # fmt: skip


def test_a_device_that_died_while_the_broker_was_away_is_dead_when_it_is_back() -> None:
    world = World()
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    world.up = {Side.DEVICE: False, Side.BROKER: False}
    world.cut(Side.BROKER)
    world.server.tell_numbers("Speed", 2)
    world.settle()
    world.cut(Side.DEVICE)
    world.broker.published.clear()
    world.up[Side.BROKER] = True
    world.wait(31)
    assert world.births()[0] == "NBIRTH"
    assert world.births()[-1] == "DDEATH"
    assert all(quality(one) == 500 for one in metrics(world, "DBIRTH"))
    assert [(one.value, one.historical) for one in metrics(world)] == [(2.0, True)]


def test_a_rebirth_on_command_and_not_too_often() -> None:
    world = World()
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    topic = f"{EDGE}/NCMD/line"
    command = encode(Payload(1, None, (Metric("Node Control/Rebirth", D.Boolean, True),)))
    for _ in range(3):
        world.broker.command(topic, command)
        world.settle()
    assert world.births() == ["NBIRTH", "DBIRTH", "NBIRTH", "DBIRTH"]
    world.wait(1.1)
    world.broker.command(topic, encode(Payload(1, None, (Metric("Node Control/Reboot", D.Boolean, True),))))
    world.broker.command(topic, b"\xff")
    world.broker.command(topic.replace("line", "other"), command)
    world.settle()
    assert len(world.births()) == 4
    world.broker.command(topic, command)
    world.settle()
    assert [one.metric("bdSeq") is not None for one in world.payloads("NBIRTH")] == [True] * 3
    assert world.publisher.figures.rebirths == 2


def test_a_message_that_is_refused_is_counted_and_the_rest_goes_on() -> None:
    broker = Broker()
    broker.refuses = {f"{BASE}/speed"}
    world = World(json=True, broker=broker)
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    assert (world.publisher.figures.unpublished, world.publisher.figures.published) == (1, 1)
    assert "a message was refused by the broker or the policy: 0x87" in world.notes
    assert len(world.ring) == 0


def test_a_broker_that_speaks_3_1_1_alone_is_spoken_to_like_that() -> None:
    world = World(json=True, broker=Broker(level=4))
    world.wait(1)
    assert [one.level for one in world.broker.connects] == [5, 4]
    world.server.tell_numbers("Speed", 1)
    world.settle()
    assert numbers(world) == [1.0]


def test_a_session_that_is_refused_is_tried_again_more_and_more_seldom() -> None:
    broker = Broker()
    broker.code = 0x87
    world = World(json=True, broker=broker)
    assert world.publisher.figures.broker.why == "the broker refused the session, code 0x87"
    world.wait(600)
    assert 20 < len(world.broker.connects) < 60, "30 s apart at most, with half of it as chance has it"
    assert sum("0x87" in note for note in world.notes) == 1, "it is news once"


def test_a_refused_subscription_is_noted_and_nothing_else_changes() -> None:
    broker = Broker()
    broker.subscribed = 0x87
    world = World(broker=broker)
    assert any("NCMD/line" in note and "0x87" in note for note in world.notes)
    world.server.tell([("Speed", value(1)), ("Axis1", value(1))])
    world.settle()
    assert world.births() == ["NBIRTH", "DBIRTH"]


def test_it_says_goodbye_on_both_sides() -> None:
    world = World()
    world.publisher.stop(world.now)
    world.settle()
    assert world.births()[-1] == "NDEATH"
    assert isinstance(world.broker.said[-1], Disconnect)
    assert len(world.server.requests(CloseSessionRequest)) == 1


def test_what_has_no_place_on_the_uns_is_bad_and_not_made_up() -> None:
    world = World(json=True)
    structure = Variant(bytes.fromhex("16" + "01000100" + "01" + "00000000"))
    world.server.tell([("Speed", DataValue(structure, None))])
    world.server.tell([("Speed", DataValue(Variant.of_double(float("nan")), None))])
    world.settle()
    assert [(one["value"], one["status"], one.get("special")) for one in told(world)] == [
        (None, "Bad_NotSupported", None),
        (None, "Good", "NaN"),
    ]
