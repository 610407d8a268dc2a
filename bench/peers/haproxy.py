"""HAProxy: TLS termination only, the peer that the project's targets are stated against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.environment import free_port
from bench.peers.base import LINKS, Setting, find_program
from bench.processes import start

if TYPE_CHECKING:
    from bench.processes import Running

CONFIGURATION = """\
global
    nbthread 1
    maxconn {links}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384
    ssl-default-bind-curves P-256
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
listen bench
    bind 127.0.0.1:{port} ssl crt {pem} ca-file {ca} verify required
    server plc 127.0.0.1:{plc}
"""


class HAProxy:
    name = "haproxy"
    title = "HAProxy"
    inspects = False

    def missing(self) -> str | None:
        return None if find_program("haproxy") else "haproxy is not installed (Debian package haproxy)"

    def start(self, setting: Setting) -> Running:
        port, pem = free_port(), setting.folder / "gateway.pem"
        files = setting.certificates
        pem.touch(mode=0o600)
        pem.write_text(files.gateway.read_text() + files.gateway_key.read_text())
        configuration = setting.folder / "haproxy.cfg"
        configuration.write_text(
            CONFIGURATION.format(links=LINKS, port=port, pem=pem, ca=files.ca, plc=setting.plc_port)
        )
        command = [find_program("haproxy") or "haproxy", "-db", "-f", configuration]
        return start(self.name, command, port=port, core=setting.core, log=setting.folder / "log")
