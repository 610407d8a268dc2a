"""The reader of the tap's record, and the tap itself over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from proxy.demo.frames import adu, content, read_holding, write_register
from proxy.demo.recording import Recording
from proxy.demo.relay import Relay

if TYPE_CHECKING:
    from pathlib import Path

READ, WRITE = read_holding(10, 5), write_register(40, 700)


def line(data: bytes, link: int = 1) -> str:
    return json.dumps({"time": 1.5, "link": link, "bytes": data.hex()}) + "\n"


def test_nothing_is_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.write_text(line(adu(1, READ) + adu(2, READ)))
    recording = Recording(path)
    assert recording.take().frames == {content(READ): 2}
    assert not recording.take().frames


def test_a_line_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path, text = tmp_path / "record", line(adu(1, READ))
    path.write_text(text[:20])
    recording = Recording(path)
    assert not recording.take().frames
    path.write_text(text)
    assert recording.take().frames == {content(READ): 1}


def test_a_frame_cut_over_two_chunks_is_one_frame(tmp_path: Path) -> None:
    path, frame = tmp_path / "record", adu(1, READ)
    path.write_text(line(frame[:5]))
    recording = Recording(path)
    assert recording.take().rest == frame[:5]
    path.write_text(line(frame[:5]) + line(frame[5:]))
    arrived = recording.take()
    assert arrived.frames == {content(READ): 1}
    assert not arrived.rest


def test_connections_are_not_mixed_up(tmp_path: Path) -> None:
    path, one, two = tmp_path / "record", adu(1, READ), adu(2, WRITE)
    path.write_text(line(one[:7], 1) + line(two[:7], 2) + line(one[7:], 1) + line(two[7:], 2))
    assert Recording(path).take().frames == {content(READ): 1, content(WRITE): 1}


async def test_the_tap_has_written_before_the_other_side_answers(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(b"answer to " + data)
        writer.close()
        ended.set()

    path, ended = tmp_path / "record", asyncio.Event()
    with path.open("w") as record:
        behind = await asyncio.start_server(echo, "127.0.0.1", 0)
        tap = await Relay(behind.sockets[0].getsockname(), record).serve("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*tap.sockets[0].getsockname())
        for number in range(50):
            frame = adu(number, READ)
            writer.write(frame)
            assert await reader.readexactly(10 + len(frame)) == b"answer to " + frame
            assert json.loads(path.read_text().splitlines()[-1])["bytes"] == frame.hex()
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""
        await ended.wait()
        for server in (tap, behind):
            server.close()
            await server.wait_closed()
