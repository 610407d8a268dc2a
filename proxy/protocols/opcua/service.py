"""``services: opcua:`` of a device: how the gateway speaks to its server.

opcua:
  port: 4840
  security: Basic256Sha256            # default None: a server of the cell that knows no better
  mode: sign_and_encrypt              # or sign
  server: robot-7.der                 # certs/robot-7.der: the server's own certificate, and no other is taken
  certificate: opcua                  # certs/opcua.crt and .key: what the gateway shows
  login: robot-7.login                # certs/robot-7.login, user and password by line: replaces the client's token
  path: /UA/Server                    # of the server's URL
  timeout: 10s                        # until a request without answer is answered Bad_Timeout
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.options import access, no_access
from proxy.protocols.opcua.reading import MODES, POLICIES, Reader, certificate_file, policy_fault, quoted

if TYPE_CHECKING:
    from proxy.protocols.base import Report

NO_SECURITY = "None"
PATH = r"(/[A-Za-z0-9._~%!$&'()*+,;=:@-]{1,255}){0,8}/?"
KEYS = ("security", "mode", "server", "certificate", "login", "path", "timeout")


def _without_security(now: str, before: str) -> bool:
    return now == NO_SECURITY


@dataclass(frozen=True, slots=True)
class OpcUaService:
    """``security``: None or a policy, ``mode`` of the channel if there is one. ``server`` names the certificate that
    the server must show. ``login`` names the file with the user name and password for the server; None: the client's
    own token is passed on. ``path`` of the URL, empty or from its ``/``. ``timeout_ms`` until an answer is overdue."""

    security: str = field(default=NO_SECURITY, metadata=access(_without_security))
    mode: str = field(default="sign_and_encrypt", metadata=access(no_access))
    server: str | None = None
    certificate: str = "opcua"
    login: str | None = None
    path: str = ""
    timeout_ms: int = field(default=10_000, metadata=access(no_access))

    @property
    def secured(self) -> bool:
        return self.security != NO_SECURITY

    @property
    def certificate_file(self) -> str:
        return certificate_file(self.certificate)

    @property
    def key_file(self) -> str:
        return f"{self.certificate}.key"

    @property
    def server_file(self) -> str | None:
        return None if self.server is None else certificate_file(self.server)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Files of ``certs/`` that are read when the gateway starts."""
        own = (self.certificate_file, self.key_file) if self.secured else ()
        return tuple(name for name in (*own, self.server_file, self.login) if name is not None)


class Login(NamedTuple):
    """What the gateway says to the server instead of the client's own token."""

    user: str
    password: str


def read_login(content: bytes) -> Login:
    """A login file: user name in the first line, password in the second. Raises ValueError."""
    user, _, password = content.partition(b"\n")
    login = Login(user.rstrip(b"\r").decode(), password.rstrip(b"\r\n").decode())
    if not login.user:
        raise ValueError("the login file has no user name in its first line")
    return login


def parse_service(value: object, report: Report) -> OpcUaService | None:
    """``value`` is the mapping without `port`, `shared` and `tls`. None after a report."""
    if not isinstance(value, Mapping):
        report((), "is not a section", "write opcua: { port: 4840 }")
        return None
    reader = Reader(value, report, KEYS, ("port",))
    service = OpcUaService(
        security=_security(reader),
        mode=reader.choice("mode", MODES, "sign_and_encrypt"),
        server=reader.name("server", None, "robot-7.der means certs/robot-7.der, robot-7 means certs/robot-7.crt"),
        certificate=_certificate(reader),
        login=reader.name("login", None, "name a file in certs/: first line user name, second line password"),
        path=_path(reader),
        timeout_ms=reader.milliseconds("timeout", 10_000, 100, 600_000, "100ms to 10min"),
    )
    if reader.good:
        _fits(service, reader)
    return service if reader.good else None


def _fits(service: OpcUaService, reader: Reader) -> None:
    if service.secured and service.server is None:
        mend = "copy the server's certificate to certs/ and write server: NAME.der"
        reader.wrong("security", "nothing says which certificate the server must show", mend)
    if not service.secured:
        for key in ("mode", "certificate"):
            if key in reader.value:
                mend = f"write security: {POLICIES[0]}, or take it out"
                reader.wrong(key, "says nothing without security", mend)


def _security(reader: Reader) -> str:
    given = reader.value.get("security", NO_SECURITY)
    if given is None:  # `security: None` is text in YAML, `null` and an empty value are not
        reader.wrong("security", "is empty", f"write None, or one of {', '.join(POLICIES)}")
    elif not isinstance(given, str) or given not in (NO_SECURITY, *POLICIES):
        reader.wrong("security", *policy_fault(given))
    else:
        return given
    return NO_SECURITY


def _certificate(reader: Reader) -> str:
    mend = "write the name alone: opcua means certs/opcua.crt and certs/opcua.key"
    name = reader.name("certificate", "opcua", mend) or "opcua"
    if certificate_file(name) == name:
        reader.wrong("certificate", f"{quoted(name)} names one file, and two are needed", mend)
    return name


def _path(reader: Reader) -> str:
    given = reader.value.get("path", "")
    if not isinstance(given, str) or re.fullmatch(PATH, given) is None:
        reader.wrong("path", f"{quoted(given)} is not the path of a URL", "write for example /UA/Server")
        return ""
    return given
