"""Cells of the table of fail modes that need a whole gateway."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.master import read, write
from tests.support.mbaps import ask, dial, receive_frame
from tests.support.net import wait_until
from tests.support.plant import PLAIN, Builder
from tests.support.process import limited, running

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system


def test_when_the_process_dies_both_halves_close_and_nothing_goes_on(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    """Killed between two requests of an open link: the master sees the end of it, and so does the PLC."""
    plant = Builder(tmp_path / "plant", recorder.port).build()
    with running(plant) as gateway, dial(plant.ports[PLAIN]) as sock:
        assert ask(sock, read(5)) is not None
        assert recorder.open == 1
        began = time.monotonic()
        gateway.kill()
        assert ended(sock)
        wait_until(lambda: recorder.open == 0, 2.0, "the PLC sees the end")
        assert time.monotonic() - began < 2.0
        with pytest.raises(ConnectionRefusedError):
            dial(plant.ports[PLAIN])
        assert plc.pdus == [read(5)]
        gateway.start()
        with dial(plant.ports[PLAIN]) as again:
            assert ask(again, read(6)) is not None


def test_without_an_audit_log_writes_of_other_surfaces_go_on(
    recorder: RecordingPlc, plc: RecordingPlc, tmp_path: Path
) -> None:
    """A surface with `audit: after`: a control loop does not wait for a disk. The gap is on record afterwards."""
    plant = Builder(tmp_path / "plant", recorder.port).build()
    with running(plant) as gateway, dial(plant.ports[PLAIN]) as sock:
        assert ask(sock, write(53, 1)) == write(53, 1)
        with limited(gateway, resource.RLIMIT_FSIZE, 1):
            for value in range(2, 6):
                assert ask(sock, write(53, value)) == write(53, value)
                assert ask(sock, read(5)) is not None
        assert ask(sock, write(53, 9)) == write(53, 9)
    assert plc.writes == [write(53, value) for value in (1, 2, 3, 4, 5, 9)]


def ended(sock: socket.socket) -> bool:
    """The end of the connection, or its reset."""
    try:
        return receive_frame(sock) is None
    except ConnectionResetError:
        return True
