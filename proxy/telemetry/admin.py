"""The admin listener: metrics, health, readiness, status. Reads only, in a thread and on an event loop of its own.

It answers GET (and POST to `RELOAD`, where the site allows it), needs no log-in and tells no secret; it belongs on
loopback or on a management network. A page in a browser cannot read it through a name that it controls: only addresses,
``localhost`` and names that the operator listed are accepted as Host (DNS rebinding). Connections are bounded in number
and in age.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from proxy.telemetry.heartbeat import STALL, Heartbeat
from proxy.telemetry.status import Check, Status, ready_as_json

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler
    from prometheus_client import CollectorRegistry

CONNECTIONS = 64
"""Connections at a time; further ones are closed at once. *"""
AGE = 30.0
"""Seconds after which a connection may finish its request and no more. *"""
GRACE = 5.0
"""Seconds that it gets to finish. *"""
RELOAD = "/-/reload"
LINE = 4096
"""Bytes of a request line or header. *"""

_COMMON = {"Server": "bulkhead", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class AdminBindError(Exception):
    """The admin listener cannot have its address. Operator's fault: the text names address and cause."""


@dataclass(frozen=True, slots=True)
class Probes:
    """What the admin listener asks. It calls them in its own thread: they must be quick and only read.

    ``hosts``: names, besides addresses and ``localhost``, by which scrapers may call this listener. ``reload`` asks
    for the files to be taken into use, and is False where the site does not allow that from here.
    """

    registry: CollectorRegistry
    heartbeat: Heartbeat
    readiness: Callable[[], tuple[Check, ...]]
    status: Callable[[], Status]
    hosts: frozenset[str] = frozenset()
    reload: Callable[[], bool] = lambda: False


class AdminServer:
    def __init__(self, host: str, port: int, probes: Probes) -> None:
        """``host`` is a literal address; port 0 takes any free one."""
        self._host = host
        self._port = port
        self._answers = Answers(probes)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._running = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """Binds in the caller's thread, then serves in its own. Raises AdminBindError."""
        sock = self._bind()
        self._port = sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(sock,), name="bulkhead-admin", daemon=True)
        self._thread.start()
        self._running.wait(5.0)

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(5.0)

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._host, self._port))
            sock.listen(16)
        except OSError as error:
            sock.close()
            host = f"[{self._host}]" if ":" in self._host else self._host
            cause = os.strerror(error.errno) if error.errno is not None else str(error)
            mend = "; is another gateway running?" if error.errno == errno.EADDRINUSE else ""
            raise AdminBindError(f"admin listener: cannot bind {host}:{self._port}: {cause}{mend}") from None
        sock.setblocking(False)
        return sock

    def _run(self, sock: socket.socket) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = web.Server(self._answers, access_log=None, max_line_size=LINE, max_field_size=LINE, lingering_time=1.0)
        doors = Doors(server, self._loop.time)
        listening = await self._loop.create_server(doors.enter, sock=sock)
        self._running.set()
        while not self._stop.is_set():
            doors.sweep()
            try:
                await asyncio.wait_for(self._stop.wait(), GRACE)
            except TimeoutError:
                continue
        listening.close()
        await server.shutdown(1.0)


class Doors:
    """How many connections there may be, and for how long: one that never finishes its request must not stay."""

    def __init__(self, server: web.Server, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._since: dict[RequestHandler, float] = {}

    def enter(self) -> asyncio.BaseProtocol:
        if len(self._server.connections) >= CONNECTIONS:
            return _TurnedAway()
        handler = self._server()
        self._since[handler] = self._clock()
        return handler

    def sweep(self) -> None:
        now = self._clock()
        here = set(self._server.connections)
        self._since = {one: since for one, since in self._since.items() if one in here}
        for one, since in self._since.items():
            if now - since >= AGE + GRACE:
                one.force_close()
            elif now - since >= AGE:
                one.close()


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Answers:
    """Request in, response out."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._routes: dict[str, Callable[[web.BaseRequest], web.Response]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthy,
            "/-/healthy": self._healthy,
            "/readyz": self._ready,
            "/-/ready": self._ready,
            "/status": self._status,
        }

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        response = self._answer(request)
        response.headers.update(_COMMON)
        return response

    def _answer(self, request: web.BaseRequest) -> web.Response:
        if not host_is_ours(request.headers.get("Host"), self._probes.hosts):
            return _text(421, "this name is not one of the admin listener's: use its address")
        if request.path == RELOAD:
            return self._reload(request)
        if request.method != "GET":
            return _only("GET")
        route = self._routes.get(request.path)
        return route(request) if route is not None else _text(404, "no such page: try " + " ".join(self._routes))

    def _metrics(self, request: web.BaseRequest) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.Response(body=encode(self._probes.registry))
        response.headers["Content-Type"] = content_type
        return response

    def _healthy(self, request: web.BaseRequest) -> web.Response:
        silent = self._probes.heartbeat.age
        if silent >= STALL:
            return _text(503, f"the data loop has been silent for {silent:.1f} s")
        return _text(200, "ok")

    def _ready(self, request: web.BaseRequest) -> web.Response:
        checks = self._probes.readiness()
        missing = [check for check in checks if not check.ok]
        status = 503 if missing else 200
        if "verbose" in request.query:
            return _json(status, ready_as_json(checks))
        return _text(status, "; ".join(f"{c.name}: {c.detail or 'no'}" for c in missing) or "ok")

    def _reload(self, request: web.BaseRequest) -> web.Response:
        """Only asks: what the files may widen is acknowledged on disk, by who may write there."""
        if request.method != "POST":
            return _only("POST")
        if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
            return _text(403, "not from a page in a browser")
        if not self._probes.reload():
            return _text(403, "not allowed from here: set admin: { reload: true } in bulkhead.yaml, or send SIGHUP")
        return _text(202, "asked; /status tells what became of it")

    def _status(self, request: web.BaseRequest) -> web.Response:
        return _json(200, self._probes.status().as_json())


def host_is_ours(header: str | None, names: frozenset[str]) -> bool:
    """Whether a Host header is an address, ``localhost`` or one of ``names`` (lower case), with or without a port."""
    if header is None:
        return False
    host, closed, port = header.rpartition(":")
    if not closed or "]" in port:
        host = header
    elif not port.isascii() or not port.isdigit():
        return False
    if host.lower() in names | {"localhost"}:
        return True
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        return ipaddress.ip_address(host[1:-1] if bracketed else host).version == (6 if bracketed else 4)
    except ValueError:
        return False


def _only(method: str) -> web.Response:
    response = _text(405, f"only {method}")
    response.headers["Allow"] = method
    return response


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")


def _json(status: int, value: dict[str, object]) -> web.Response:
    return web.Response(status=status, text=json.dumps(value, indent=2) + "\n", content_type="application/json")
