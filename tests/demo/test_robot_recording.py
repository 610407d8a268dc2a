"""What reached the robot, read from the tap's bytes; and what its bystander notices."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from proxy.demo import robot_words as words
from proxy.demo.panel import Panel, PanelHealth
from proxy.demo.robot_ground import RobotCell
from proxy.demo.robot_recording import RobotRecording, cut
from proxy.demo.side import ROBOT
from proxy.demo.step import Expect, Seen, Step
from proxy.demo.ua_papers import UaSpeaker

PANEL = "urn:panel"
HELLO = b"HELF" + (32).to_bytes(4, "little") + bytes(24)


def message(request: Any, kind: bytes = b"MSGF") -> bytes:
    return chunk(struct_to_binary(request), kind)


def chunk(body: bytes, kind: bytes = b"MSGF") -> bytes:
    return kind + (24 + len(body)).to_bytes(4, "little") + bytes(16) + body


def create(uri: str) -> bytes:
    request = ua.CreateSessionRequest()
    request.Parameters.ClientDescription.ApplicationUri = uri
    return message(request)


def write(name: str, value: float) -> bytes:
    request = ua.WriteRequest()
    node, data = ua.NodeId(name, words.INDEX), ua.DataValue(ua.Variant(value, ua.VariantType.Double))
    request.Parameters.NodesToWrite = [ua.WriteValue(NodeId=node, AttributeId=ua.AttributeIds.Value, Value=data)]
    return message(request)


def read(name: str) -> bytes:
    request = ua.ReadRequest()
    node = ua.NodeId(name, words.INDEX)
    request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value)]
    return message(request)


def call(name: str) -> bytes:
    request = ua.CallRequest()
    ids = (ua.NodeId(one, words.INDEX) for one in (words.ROBOT, name))
    request.Parameters.MethodsToCall = [ua.CallMethodRequest(*ids)]
    return message(request)


class Record:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def passes(self, link: int, *chunks: bytes, ends: bool = True) -> None:
        with self.path.open("a") as file:
            file.writelines(json.dumps({"link": link, "bytes": one.hex()}) + "\n" for one in chunks)
            if ends:
                file.write(json.dumps({"link": link, "end": True}) + "\n")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """With the panel's connection, on which it has read twice."""
    made = Record(tmp_path / "record")
    made.passes(1, HELLO, create(PANEL), read(words.SPEED), read(words.SPEED), ends=False)
    return made


def test_one_word_for_each_node_and_nothing_of_the_panel(record: Record) -> None:
    record.passes(2, HELLO, create("urn:other"), write(words.OVERRIDE, 80.0) + call(words.RESET))
    recording = RobotRecording(record.path, PANEL)
    expected = [b"HEL", b"CreateSession", words.write(words.OVERRIDE, 80.0), words.call(words.RESET)]
    assert recording.take().frames == dict.fromkeys(expected, 1)
    assert recording.said[words.read(words.SPEED)] == 2
    assert not recording.take().frames


def test_who_calls_itself_the_panel_is_not(record: Record) -> None:
    """A second connection with a session of that name is somebody else."""
    record.passes(2, HELLO, create(PANEL), write(words.OVERRIDE, 0.0))
    assert RobotRecording(record.path, PANEL).take().frames[words.write(words.OVERRIDE, 0.0)] == 1


def test_a_message_in_three_chunks_and_in_single_bytes(record: Record) -> None:
    body = write(words.OFFSET, 1.5)[24:]
    parts = chunk(body[:9], b"MSGC") + chunk(body[9:40], b"MSGC") + chunk(body[40:])
    record.passes(2, *(bytes([one]) for one in parts))
    arrived = RobotRecording(record.path, PANEL).take()
    assert arrived.frames == {words.write(words.OFFSET, 1.5): 1}
    assert arrived.rest == b""


@pytest.mark.parametrize(
    "stray", [b"GET / HTTP/1.1\r\n", HELLO[:-1], write(words.OFFSET, 1.5)[:-1]], ids=["http", "a hello", "a message"]
)
def test_bytes_that_are_no_whole_message(record: Record, stray: bytes) -> None:
    record.passes(2, stray)
    assert RobotRecording(record.path, PANEL).take().rest == stray
    assert cut(stray) == ([], stray)


class Still(Panel):
    """Nobody runs. ``found`` is how it does; ``reads``: whether it is answered."""

    found = PanelHealth(2, 0, 1, (0.001,), 12.5)
    reads = True

    def health(self) -> PanelHealth:
        return self.found

    def reads_from_now(self) -> bool:
        return self.reads


def never_played(plant: object) -> Seen:
    raise AssertionError


GOOD, BAD = words.write(words.OFFSET, 1.5), words.write(words.OVERRIDE, 130.0)
STEP = Step("maintenance", "writes", never_played, Expect((), arrives=(b"HEL", GOOD)), ROBOT)
SEEN = Seen((), (), (GOOD + b"\n" + BAD,))


class Scene:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.panel = Still(UaSpeaker("opc.tcp://127.0.0.1:1", "127.0.0.71", PANEL), 1.0)
        recording = RobotRecording(record.path, PANEL)
        self.ground = RobotCell(record.path, recording, self.panel, alone=True, patience=0.05)
        self.ground.before()
        self.ground.note(STEP, SEEN)


@pytest.fixture
def scene(record: Record) -> Scene:
    return Scene(record)


def test_a_quiet_step(scene: Scene) -> None:
    scene.record.passes(2, HELLO, write(words.OFFSET, 1.5))
    arrived, bystander = scene.ground.after(STEP)
    assert arrived.frames == {b"HEL": 1, GOOD: 1} and not arrived.left_open
    assert bystander.ok
    assert scene.ground.account(alone=True).ok


def test_what_the_panel_notices(scene: Scene) -> None:
    scene.panel.reads = False
    assert not scene.ground.after(STEP)[1].ok
    scene.panel.reads = True
    scene.panel.found = replace(scene.panel.found, failures=1)
    assert not scene.ground.after(STEP)[1].ok
    scene.ground.before()
    scene.panel.found = replace(scene.panel.found, connections=2)
    assert not scene.ground.after(STEP)[1].ok


def test_a_connection_that_outlives_its_client(scene: Scene) -> None:
    scene.record.passes(2, HELLO, write(words.OFFSET, 1.5), ends=False)
    assert scene.ground.after(STEP)[0].left_open == 1


def test_a_forbidden_request_in_the_record(scene: Scene) -> None:
    scene.record.passes(2, HELLO, write(words.OFFSET, 1.5), write(words.OVERRIDE, 130.0))
    result = scene.ground.account(alone=True)
    assert not result.ok
    assert BAD.decode() in result.observed
    assert not scene.ground.account(alone=False).ok


def test_a_request_in_the_panels_name_that_it_never_made(scene: Scene) -> None:
    scene.record.passes(2, HELLO, write(words.OFFSET, 1.5))
    scene.record.passes(1, read(words.SPEED), ends=False)
    assert not scene.ground.account(alone=True).ok
