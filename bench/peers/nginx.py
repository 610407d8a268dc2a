"""nginx as a stream proxy: TLS termination only, and with an njs filter that inspects each Modbus request."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import free_port
from bench.peers.base import LINKS, READABLE, WRITABLE, Setting, find_program
from bench.processes import start

if TYPE_CHECKING:
    from bench.processes import Running

FILTER = Path(__file__).with_name("modbus_filter.js")
MODULE_FOLDERS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/lib/nginx/modules")
CONFIGURATION = """\
{modules}
daemon off;
{user}worker_processes 1;
worker_rlimit_nofile {descriptors};
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections {descriptors}; }}
stream {{
    {before}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_client_certificate {ca};
        ssl_verify_client on;
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve prime256v1;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        proxy_pass 127.0.0.1:{plc};
        proxy_timeout 10m;
        {inside}
    }}
}}
"""


def module(name: str) -> Path | None:
    return next((path for folder in MODULE_FOLDERS if (path := Path(folder, name)).exists()), None)


def built_in(nginx: str, option: str) -> bool:
    """Whether `nginx -V` names the option as compiled in, not as a module to load."""
    flags = subprocess.run([nginx, "-V"], capture_output=True, text=True).stderr
    return re.search(rf"{option}(\s|$)", flags) is not None


class Nginx:
    name = "nginx"
    title = "nginx stream"
    inspects = False
    modules: tuple[str, ...] = ("ngx_stream_module.so",)

    def missing(self) -> str | None:
        nginx = find_program("nginx")
        if not nginx:
            return "nginx is not installed (Debian package nginx)"
        if not module("ngx_stream_module.so") and not built_in(nginx, "--with-stream"):
            return "nginx has no stream module (Debian package libnginx-mod-stream)"
        return None

    def inside(self, folder: Path) -> tuple[str, str]:
        """Extra lines for the stream block and for its server."""
        return "", ""

    def start(self, setting: Setting) -> Running:
        folder = setting.folder
        port, files = free_port(), setting.certificates
        before, inside = self.inside(folder)
        loads = "\n".join(f"load_module {path};" for name in self.modules if (path := module(name)))
        configuration = folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                modules=loads, user=run_as(), folder=folder, descriptors=2 * LINKS + 64, port=port,
                certificate=files.gateway, key=files.gateway_key, ca=files.ca,
                plc=setting.plc_port, before=before, inside=inside,
            )
        )  # fmt: skip
        command = [find_program("nginx") or "nginx", "-p", folder, "-e", "stderr", "-c", configuration]
        return start(self.name, command, port=port, core=setting.core, log=folder / "log")


def run_as() -> str:
    """A worker of root would change to nobody, who cannot read the run's folder."""
    return "user root;\n" if os.geteuid() == 0 else ""


class NginxNjs(Nginx):
    """The peer that does the same work: every request's MBAP header, function and range is judged."""

    name = "nginx-njs"
    title = "nginx + njs"
    inspects = True
    modules = ("ngx_stream_module.so", "ngx_stream_js_module.so")

    def missing(self) -> str | None:
        lacking = super().missing()
        if lacking is None and not module("ngx_stream_js_module.so"):
            return "nginx has no njs stream module (Debian package libnginx-mod-stream-js)"
        return lacking

    def inside(self, folder: Path) -> tuple[str, str]:
        script = folder / "modbus_filter.js"
        ranges = f"const READABLE = {as_js(READABLE)}, WRITABLE = {as_js(WRITABLE)};\n"
        script.write_text(ranges + FILTER.read_text())
        return f"js_import filter from {script};", "js_filter filter.requests;"


def as_js(ranges: tuple[tuple[int, int], ...]) -> str:
    return str([list(pair) for pair in ranges])
