"""The admin listener: its answers, whom it answers, and that nobody can hold it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from proxy.telemetry import admin
from proxy.telemetry.admin import AdminBindError, AdminServer, Probes, host_is_ours
from proxy.telemetry.metrics import registry
from proxy.telemetry.status import AuditStatus, Check, DeviceStatus, ListenerStatus, ReloadStatus, Status
from tests.telemetry.kit import Clock, sources

STATUS = Status(
    site="bottling",
    version="0.1.0",
    config="bulkhead.yaml",
    started="2026-11-21T14:31:00.000Z",
    policy="3f2a9c0d1e4b",
    policy_loaded="2026-11-21T14:31:00.000Z",
    audit=AuditStatus(True, "var/audit", 17, "ab" * 32, 0),
    reload=ReloadStatus("ab" * 8, 1, "taken", "start", "2026-11-21T00:00:00.000Z", 0.2),
    listeners=(ListenerStatus("cell-3-modbus", "127.0.0.1:8802", "modbus", "plc-3a", True, 2),),
    devices=(DeviceStatus("plc-3a", "10.3.0.11:502", 1, "connected"),),
    modes={"cell-3": "enforce"},
)


class Site:
    """A served admin listener whose answers a test can change."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.checks: tuple[Check, ...] = (Check("policy", True), Check("audit", True))
        of = sources(self.clock)
        self.reloads = False
        self.asked = 0
        hosts = frozenset({"gateway.plant"})
        probes = Probes(registry(of), of.heartbeat, lambda: self.checks, lambda: STATUS, hosts, self._reload)
        self.server = AdminServer("127.0.0.1", 0, probes)

    def _reload(self) -> bool:
        self.asked += self.reloads
        return self.reloads

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()


@pytest.fixture
def site() -> Iterator[Site]:
    one = Site()
    one.server.start()
    yield one
    one.server.stop()


def test_metrics(site: Site) -> None:
    status, text, headers = site.get("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'bulkhead_messages_refused_total{listener="cell-3-modbus",reason="BH-1201"} 2.0' in text
    _, text, headers = site.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/healthz", "/-/healthy"])
def test_t78_healthy_while_the_data_loop_beats(site: Site, path: str) -> None:
    assert site.get(path)[:2] == (200, "ok\n")
    site.clock.now += 2.5
    assert site.get(path)[:2] == (503, "the data loop has been silent for 2.5 s\n")


@pytest.mark.parametrize("path", ["/readyz", "/-/ready"])
def test_ready_with_reasons(site: Site, path: str) -> None:
    assert site.get(path)[:2] == (200, "ok\n")
    site.checks = (Check("policy", True), Check("audit", False, "disk full"), Check("listeners", False))
    assert site.get(path)[:2] == (503, "audit: disk full; listeners: no\n")
    status, text, _ = site.get(path + "?verbose")
    assert status == 503
    assert json.loads(text) == {
        "apiVersion": "bulkhead/v1",
        "kind": "Readiness",
        "ready": False,
        "checks": [
            {"name": "policy", "ok": True, "detail": ""},
            {"name": "audit", "ok": False, "detail": "disk full"},
            {"name": "listeners", "ok": False, "detail": ""},
        ],
    }


def test_status(site: Site) -> None:
    status, text, headers = site.get("/status")
    found = json.loads(text)
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    assert found["apiVersion"] == "bulkhead/v1" and found["kind"] == "Status"
    assert found["listeners"][0]["links"] == 2
    assert found["devices"][0] == {"id": "plc-3a", "address": "10.3.0.11:502", "connections": 1, "state": "connected"}
    assert found["audit"]["records"] == 17 and found["modes"] == {"cell-3": "enforce"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_only_get(site: Site, method: str) -> None:
    status, _, headers = site.get("/status", method)
    assert (status, headers["Allow"]) == (405, "GET")


def test_unknown_paths_and_no_version_in_headers(site: Site) -> None:
    for path in ("/", "/metrics/..", "//status", "/STATUS", "/-/nothing"):
        status, _, headers = site.get(path)
        assert status == 404
        assert headers["Server"] == "bulkhead"
        assert headers["Cache-Control"] == "no-store"


def test_a_page_cannot_read_it_through_a_name_of_its_own(site: Site) -> None:
    """DNS rebinding: the attacker's name resolves to 127.0.0.1, but the Host header still is the attacker's."""
    assert site.get("/status", Host="evil.example:9464")[0] == 421
    assert site.get("/status", Host="gateway.plant:9464")[0] == 200


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("127.0.0.1:9464", True),
        ("127.0.0.1", True),
        ("[::1]:9464", True),
        ("[::1]", True),
        ("10.1.2.3", True),
        ("localhost", True),
        ("LocalHost:9464", True),
        ("gateway.plant", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:9464", False),
        ("127.0.0.1:80:80", False),
        ("127.0.0.1:x", False),
        ("::1", False),
        ("[127.0.0.1]", False),
        ("0x7f000001", False),
        ("2130706433", False),
        ("", False),
        (":9464", False),
        (None, False),
    ],
)
def test_which_hosts_are_ours(header: str | None, ours: bool) -> None:
    assert host_is_ours(header, frozenset({"gateway.plant"})) is ours


def test_a_request_without_host_is_refused(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as raw:
        raw.sendall(b"GET /status HTTP/1.0\r\n\r\n")
        assert b" 421 " in raw.recv(100)


@pytest.mark.parametrize(
    "bad",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /status HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(100) + b"\r\n\r\n",
    ],
)
def test_oversized_and_foreign_input_is_refused(site: Site, bad: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=5) as raw:
        raw.sendall(bad)
        answer = raw.recv(100)
        assert answer == b"" or b" 400 " in answer
    assert site.get("/healthz")[0] == 200


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        of = sources()
        server = AdminServer("127.0.0.1", port, Probes(registry(of), of.heartbeat, lambda: (), lambda: STATUS))
        with pytest.raises(AdminBindError, match=f"cannot bind 127.0.0.1:{port}: Address already in use"):
            server.start()
        server.stop()


def test_an_address_of_another_machine_is_a_clear_error() -> None:
    of = sources()
    server = AdminServer("192.0.2.1", 0, Probes(registry(of), of.heartbeat, lambda: (), lambda: STATUS))
    with pytest.raises(AdminBindError, match="192.0.2.1"):
        server.start()


def test_it_answers_while_the_callers_loop_is_blocked(site: Site) -> None:
    """It has a thread and a loop of its own: a stuck data loop is reported, not waited for."""
    answered: list[int] = []
    asked = threading.Thread(target=lambda: answered.append(site.get("/healthz")[0]))
    asked.start()
    asked.join(5)
    assert answered == [200]
    assert any(thread.name == "bulkhead-admin" for thread in threading.enumerate())


def test_stop_frees_the_port_and_ends_the_thread() -> None:
    one = Site()
    one.server.start()
    port = one.server.port
    idle = socket.create_connection(("127.0.0.1", port), timeout=5)
    one.server.stop()
    assert not any(thread.name == "bulkhead-admin" for thread in threading.enumerate())
    idle.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_connections_are_bounded_in_number_and_in_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent connections fill all places, and are gone soon after: an honest caller is served again."""
    monkeypatch.setattr(admin, "CONNECTIONS", 8)
    monkeypatch.setattr(admin, "AGE", 0.3)
    monkeypatch.setattr(admin, "GRACE", 0.2)
    one = Site()
    one.server.start()
    silent = [socket.create_connection(("127.0.0.1", one.server.port), timeout=5) for _ in range(8)]
    for connection in silent[:4]:
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: loc")
    try:
        until_true(lambda: not served(one))
        until_true(lambda: served(one))
    finally:
        for connection in silent:
            connection.close()
        one.server.stop()


def served(site: Site) -> bool:
    try:
        return site.get("/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def until_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_no_secret_can_be_in_the_status() -> None:
    """The model has named fields alone; anything new in it must be looked at here."""
    found = replace(STATUS).as_json()
    assert set(found) == {
        *("apiVersion", "kind", "site", "version", "config", "started", "policy", "policy_loaded"),
        *("audit", "listeners", "devices", "modes", "reload", "monitors", "flows", "degraded", "publishers"),
    }


def test_a_reload_is_only_asked_for_and_not_by_a_page(site: Site) -> None:
    """What the files may widen is acknowledged on disk. A browser says where a request comes from."""
    assert site.get("/-/reload")[0] == 405
    assert site.get("/-/reload", "POST")[0] == 403
    site.reloads = True
    assert site.get("/-/reload", "POST", Origin="http://evil.example")[0] == 403
    assert site.get("/-/reload", "POST", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert site.asked == 0
    assert site.get("/-/reload", "POST")[0] == 202
    assert site.asked == 1
