"""stunnel: TLS termination only, a thread per connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.environment import free_port
from bench.peers.base import Setting, find_program
from bench.processes import start

if TYPE_CHECKING:
    from bench.processes import Running

CONFIGURATION = """\
foreground = yes
debug = err
pid =
[bench]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{plc}
cert = {certificate}
key = {key}
CAfile = {ca}
verifyChain = yes
requireCert = yes
sslVersionMin = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
curves = P-256
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


class Stunnel:
    name = "stunnel"
    title = "stunnel"
    inspects = False

    def missing(self) -> str | None:
        return None if find_program("stunnel") else "stunnel is not installed (Debian package stunnel4)"

    def start(self, setting: Setting) -> Running:
        port, files = free_port(), setting.certificates
        configuration = setting.folder / "stunnel.conf"
        configuration.write_text(
            CONFIGURATION.format(
                port=port, plc=setting.plc_port, certificate=files.gateway, key=files.gateway_key, ca=files.ca
            )
        )
        command = [find_program("stunnel") or "stunnel", configuration]
        return start(self.name, command, port=port, core=setting.core, log=setting.folder / "log")
