"""What stands in front of Mosquitto: nothing, Bulkhead, HAProxy or nginx, each with TLS on both sides.

All of them: one worker on one core, TLS 1.3 with a required client certificate towards the device, and towards the
broker's TLS listener TLS 1.3 with a client certificate of their own and a checked chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bench.certificates import BROKER, TO_BROKER
from bench.environment import free_port
from bench.peers.base import LINKS, find_program
from bench.peers.nginx import Nginx, module, run_as
from bench.processes import start

if TYPE_CHECKING:
    from pathlib import Path

    from bench.certificates import Certificates
    from bench.mqtt.broker import Broker
    from bench.processes import Running


@dataclass(frozen=True, slots=True)
class Setting:
    """What a peer is given: a folder for its files, the broker, the certificates, its core."""

    folder: Path
    broker: Broker
    certificates: Certificates
    core: int


class MqttPeer(Protocol):
    name: str
    title: str
    inspects: bool

    def missing(self) -> str | None: ...

    def start(self, setting: Setting) -> Running:
        """Raises Unmeasurable when it does not come up."""


HAPROXY = """\
global
    nbthread 1
    maxconn {links}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384
    ssl-default-bind-curves P-256
    ssl-default-server-options ssl-min-ver TLSv1.3
    ssl-default-server-ciphersuites TLS_AES_256_GCM_SHA384
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
listen bench
    bind 127.0.0.1:{port} ssl crt {pem} ca-file {ca} verify required
    server broker 127.0.0.1:{broker} ssl crt {own} ca-file {ca} verify required verifyhost {name}
"""


class HAProxy:
    name = "haproxy"
    title = "HAProxy"
    inspects = False

    def missing(self) -> str | None:
        return None if find_program("haproxy") else "haproxy is not installed (Debian package haproxy)"

    def start(self, setting: Setting) -> Running:
        port, files, folder = free_port(), setting.certificates, setting.folder
        pem = joined(files, "gateway", folder)
        own = joined(files, TO_BROKER, folder)
        configuration = folder / "haproxy.cfg"
        configuration.write_text(
            HAPROXY.format(
                links=LINKS, port=port, pem=pem, own=own, ca=files.ca, broker=setting.broker.tls, name=BROKER
            )
        )
        command = [find_program("haproxy") or "haproxy", "-db", "-f", configuration]
        return start(self.name, command, port=port, core=setting.core, log=folder / "log")


def joined(files: Certificates, name: str, folder: Path) -> Path:
    """Certificate and key in one file, as HAProxy wants them."""
    pem = folder / f"{name}.pem"
    pem.touch(mode=0o600)
    pem.write_text(files.certificate(name).read_text() + files.key(name).read_text())
    return pem


NGINX = """\
{modules}
daemon off;
{user}worker_processes 1;
worker_rlimit_nofile {descriptors};
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections {descriptors}; }}
stream {{
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_client_certificate {ca};
        ssl_verify_client on;
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve prime256v1;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        proxy_pass 127.0.0.1:{broker};
        proxy_timeout 10m;
        proxy_ssl on;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        proxy_ssl_certificate {own};
        proxy_ssl_certificate_key {own_key};
        proxy_ssl_trusted_certificate {ca};
        proxy_ssl_verify on;
        proxy_ssl_name {name};
    }}
}}
"""


class NginxTls(Nginx):
    """`missing` is that of the Modbus peer: the same program and module."""

    def start(self, setting: Setting) -> Running:  # type: ignore[override]  # another setting, not another peer
        port, files, folder = free_port(), setting.certificates, setting.folder
        loads = "\n".join(f"load_module {path};" for name in self.modules if (path := module(name)))
        configuration = folder / "nginx.conf"
        configuration.write_text(
            NGINX.format(
                modules=loads, user=run_as(), folder=folder, descriptors=2 * LINKS + 64, port=port,
                certificate=files.gateway, key=files.gateway_key, ca=files.ca, broker=setting.broker.tls,
                own=files.certificate(TO_BROKER), own_key=files.key(TO_BROKER), name=BROKER,
            )
        )  # fmt: skip
        command = [find_program("nginx") or "nginx", "-p", folder, "-e", "stderr", "-c", configuration]
        return start(self.name, command, port=port, core=setting.core, log=folder / "log")
