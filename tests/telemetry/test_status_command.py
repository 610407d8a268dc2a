"""`bulkhead status` against a real admin listener, and against what is none."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.status import as_text, command
from proxy.telemetry.status import Check
from tests.telemetry.test_admin import Site


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    one.server.start()
    yield one
    one.server.stop()


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(command, arguments, env={"BULKHEAD_CONFIG": None, **environ}, standalone_mode=False)


def exit_code(result: Result) -> int:
    """As `proxy.cli.main.run` makes it."""
    if result.exception is not None:
        return int(getattr(result.exception, "exit_code", -1))
    assert isinstance(result.return_value, int)
    return result.return_value


def write_config(folder: Path, port: int, rest: str = "") -> str:
    """A config whose policy files are missing: status works all the same."""
    path = folder / "bulkhead.yaml"
    path.write_text(f'site: bottling\nadmin: {{ bind: "127.0.0.1:{port}" }}\nlisteners: {{}}\n{rest}')
    return str(path)


def test_text(site: Site, tmp_path: Path) -> None:
    result = run("--config", write_config(tmp_path, site.server.port))
    assert exit_code(result) == 0, result.exception
    assert result.stdout.splitlines() == [
        "site      bottling                    version 0.1.0",
        "started   2026-11-21T14:31:00.000Z    config bulkhead.yaml",
        "policy    3f2a9c0d1e4b                loaded 2026-11-21T14:31:00.000Z",
        "version   abababababababab            taken 2026-11-21T00:00:00.000Z (start)",
        "audit     healthy                     17 records, head abababababab",
        "mode      cell-3                      enforce",
        "listener  cell-3-modbus               modbus TLS 127.0.0.1:8802 -> plc-3a, 2 links",
        "device    plc-3a                      10.3.0.11:502 connected, 1 connections",
    ]


def test_json(site: Site) -> None:
    result = run("--address", f"127.0.0.1:{site.server.port}", "-o", "json")
    found = json.loads(result.stdout)
    assert exit_code(result) == 0
    assert found["kind"] == "Status" and found["readiness"]["ready"] is True


def test_a_gateway_that_is_not_ready_exits_with_1_and_says_why(site: Site) -> None:
    site.checks = (Check("audit", False, "disk full"),)
    result = run("--address", f"127.0.0.1:{site.server.port}")
    assert exit_code(result) == 1
    assert result.stdout.splitlines()[-1] == "not ready audit                       disk full"


def test_the_environment_overrides_the_file(site: Site, tmp_path: Path) -> None:
    config = write_config(tmp_path, 1)
    where = f'"127.0.0.1:{site.server.port}"'
    assert exit_code(run("--config", config, BULKHEAD_ADMIN__BIND=where)) == 0
    assert exit_code(run(BULKHEAD_CONFIG=config)) == 4


def test_nobody_there_is_4() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = run("--address", f"127.0.0.1:{port}")
    assert exit_code(result) == 4
    assert f"127.0.0.1:{port}" in str(result.exception)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b'HTTP/1.1 200 OK\r\n\r\n{"apiVersion": "bulkhead/v1"',
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"",
    ],
)
def test_somebody_else_there_is_4(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        result = run("--address", f"127.0.0.1:{other.getsockname()[1]}")
        thread.join()
    assert exit_code(result) == 4


def test_t80_whoever_answers_cannot_draw_on_the_terminal() -> None:
    text = as_text({"site": "\x1b[2Jx\n", "listeners": [{"name": "\u202e"}], "modes": {"a": "\x07"}}, {"checks": []})
    assert all(line.isprintable() for line in text.splitlines())
    assert as_text({}, {}).startswith("site      ?")


def test_t51_what_is_unsafe_is_shown_with_its_listener() -> None:
    row = {"name": "robot", "protocol": "opcua", "bind": "10.0.0.1:4840", "to": "robot-7", "links": 0, "tls": False}
    text = as_text({"listeners": [{**row, "channel": True, "unsafe": ["unsafe_none", "\x07"]}]}, {"checks": []})
    assert [line.split() for line in text.splitlines() if "robot" in line] == [
        ["listener", "robot", "opcua", "channel", "10.0.0.1:4840", "->", "robot-7,", "0", "links"],
        ["UNSAFE", "robot", "unsafe_none"],
        ["UNSAFE", "robot", "\\x07"],
    ]
    assert "UNSAFE" not in as_text({"listeners": [row]}, {"checks": []})


@pytest.mark.parametrize("bad", ["localhost:1", "127.0.0.1", "127.0.0.1:99999"])
def test_a_wrong_address_is_wrong_usage(bad: str) -> None:
    assert exit_code(run("--address", bad)) == 2


def test_no_config_is_3_and_a_broken_one_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(run()) == 3
    (tmp_path / "bulkhead.yaml").write_text("site: [")
    assert exit_code(run()) == 1
    (tmp_path / "bulkhead.yaml").write_text('site: a\nadmin: { bind: "here" }\n')
    assert exit_code(run()) == 1
