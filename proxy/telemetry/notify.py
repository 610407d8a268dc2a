"""Tells systemd how the service is (sd_notify(3)). Without ``NOTIFY_SOCKET`` it does nothing."""

from __future__ import annotations

import socket
from collections.abc import Mapping


class ServiceManager:
    """``environ`` is that of the process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # A leading @ is a socket in the abstract namespace, whose address starts with a zero byte.
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self.watchdog = int(environ.get("WATCHDOG_USEC", "0") or 0) / 1e6

    def tell(self, state: str) -> None:
        """``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``. A manager that is gone is not our failure."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            try:
                sock.sendto(state.encode(), self._address)
            except OSError:
                return
