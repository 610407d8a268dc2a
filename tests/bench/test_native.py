"""The compiled tools: the generator's count is the PLC's count, and a wrong answer ends the run."""

from __future__ import annotations

import os
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

from bench import native_tools
from bench.certificates import Certificates
from bench.environment import Unmeasurable
from bench.generator import Generator, WrongAnswers
from bench.processes import Plc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> native_tools.Tools:
    try:
        return native_tools.build(tmp_path_factory.mktemp("native"))
    except Unmeasurable as error:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(str(error))


@pytest.fixture
def plc(tools: native_tools.Tools) -> Iterator[Plc]:
    running = Plc.start(tools.plc, min(os.sched_getaffinity(0)))
    yield running
    running.stop()


def generator(tools: native_tools.Tools, plc: Plc, folder: Path) -> Generator:
    return Generator(tools.loadgen, min(os.sched_getaffinity(0)), Certificates(folder), plc)


def test_every_answer_is_a_request_at_the_plc(tools: native_tools.Tools, plc: Plc, tmp_path: Path) -> None:
    found = generator(tools, plc, tmp_path).load(None, 16, 0.2, 0.05)
    assert found.cpu_us is None
    assert found.rate > 100
    assert 0 < found.p50_us <= found.p99_us <= found.p999_us
    counts = plc.counts()
    assert set(counts["functions"]) == {"3"}
    assert (counts["opened"], counts["open"], counts["malformed"]) == (16, 0, 0)


class WrongRegister(socketserver.StreamRequestHandler):
    """Answers every request with ten registers that all hold 0."""

    def handle(self) -> None:
        while request := self.rfile.read(12):
            self.wfile.write(request[:4] + b"\0\x17" + request[6:8] + b"\x14" + bytes(20))


def test_a_wrong_value_ends_the_run(tools: native_tools.Tools, tmp_path: Path, plc: Plc) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), WrongRegister) as liar:
        threading.Thread(target=liar.serve_forever, daemon=True).start()
        plc.port = liar.server_address[1]
        with pytest.raises(WrongAnswers, match="a wrong register value"):
            generator(tools, plc, tmp_path).load(None, 1, 0.2, 0)
        liar.shutdown()


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Unmeasurable, match="apt-get install gcc"):
        native_tools.build(tmp_path)
