"""How to point one's own client at the running plant."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.demo.ua_papers import MES as UA_MES
from proxy.demo.workplace import MBAPS, PLAIN, ROBOT_DOOR, SENSORS
from proxy.pki.application import default_uri

if TYPE_CHECKING:
    from proxy.demo.workplace import Workplace

SCRIPT = "read_counters.py"
ROBOT_SCRIPT = "read_robot.py"
SHORT = 4
_PYTHON = """\
import pathlib, socket, ssl

certs = pathlib.Path(__file__).parent / "certs"
tls = ssl.create_default_context(cafile=certs / "site-ca.crt")
tls.load_cert_chain(certs / "scada.crt", certs / "scada.key")
with tls.wrap_socket(socket.create_connection(("{host}", {port})), server_hostname="{host}") as gateway:
    gateway.sendall(bytes.fromhex("0001 0000 0006 01 03 0000 0005"))  # read holding 0-4 of unit 1
    print(gateway.recv(260).hex(" "))
    gateway.sendall(bytes.fromhex("0002 0000 0006 01 06 0029 0007"))  # write holding 41 = 7: exception 01
    print(gateway.recv(260).hex(" "))
"""
_ROBOT = """\
import asyncio, logging, pathlib

from asyncua import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

certs = pathlib.Path(__file__).parent / "certs"
logging.disable()


async def main():
    robot = Client("opc.tcp://{host}:{port}")
    robot.application_uri = "{uri}"
    papers = (CertProperties(certs / name, "pem") for name in ("{name}.crt", "{name}.key"))
    await robot.set_security(SecurityPolicyBasic256Sha256, *papers)
    async with robot:
        print(await robot.get_node("ns=2;s=Line1.Speed").read_value())
        try:
            await robot.get_node("ns=2;s=Override").write_value(7.0)
        except Exception as fault:
            print(fault)


asyncio.run(main())
"""


class Guide:
    """Writes small Python clients into the working folder and knows the commands. Raises OSError."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._folder = Path(os.path.relpath(place.folder))
        bind = place.listener(MBAPS).bind
        (place.folder / SCRIPT).write_text(_PYTHON.format(host=bind.host, port=bind.port))
        bind = place.listener(ROBOT_DOOR).bind
        robot = _ROBOT.format(host=bind.host, port=bind.port, name=UA_MES, uri=default_uri(place.site.name, UA_MES))
        (place.folder / ROBOT_SCRIPT).write_text(robot)

    def lines(self, width: int, *, short: bool = False) -> list[str]:
        """Whole commands: one too long for ``width`` goes on in the next line as a shell would take it. ``short``:
        those with which one begins."""
        plain, mbaps, sensors = (self._place.listener(name).bind for name in (PLAIN, MBAPS, SENSORS))
        certs = self._folder / "certs"
        poll = f"mbpoll -1 -m tcp -p {plain.port} -a 1"
        openssl = (
            f"openssl s_client -connect {mbaps} -CAfile {certs}/site-ca.crt"
            f" -cert {certs}/scada.crt -key {certs}/scada.key"
        )
        mqtt = f"-h {sensors.host} -p {sensors.port}"
        commands = [
            ("read", f"{poll} -r 1 -c 5 {plain.host}"),
            ("write", f"{poll} -r 42 {plain.host} 7"),
            ("hear", f"mosquitto_sub {mqtt} -v -t 'bottling/hall-1/line-2/#'"),
            ("say", f"mosquitto_pub {mqtt} -t bottling/hall-1/line-2/news -m 7"),
            ("mbaps", f"python3 {self._folder / SCRIPT}"),
            ("mbaps", openssl),
            ("opc ua", f"{os.path.relpath(sys.executable)} {self._folder / ROBOT_SCRIPT}"),
            ("audit", f"tail -f {self._folder}/var/audit/*.jsonl"),
            (
                "tapped",
                " ".join(("tail -f", *(str(self._folder / record.name) for record in self._place.records))),
            ),
            ("status", f"curl -s http://{self._place.site.admin}/status"),
        ]
        lines = ["Your own client, from another terminal (Ctrl-C here ends the plant):"]
        for what, command in commands[: SHORT if short else None]:
            first, *more = textwrap.wrap(command, max(40, width - 12), break_long_words=False, break_on_hyphens=False)
            lines.append(f"  {what:<7} {first}" + (" \\" if more else ""))
            lines += [f"          {part}" + (" \\" if part != more[-1] else "") for part in more]
        return lines
