"""How CONNECT and CONNACK change on their way, and nothing else does.

Towards the broker the session is ours: our client id for the client's (T11), our credentials, no aliases, our limits.
Towards the client the broker's answer is told as it holds through us. Every edit is listed in docs/mqtt.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from proxy.protocols.mqtt.properties import P, get, number_of, replaced, without

if TYPE_CHECKING:
    from proxy.protocols.mqtt.packets import Connack, Connect, Will
    from proxy.protocols.mqtt.service import MqttService

ALIASES = 32
"""Topic aliases that a client may set; we resolve them, the broker sees none."""
DEFAULT_RECEIVE_MAXIMUM = 65535
_ODD = str.maketrans({"%": "%25", "/": "%2F", "+": "%2B", "#": "%23"})


class Login(NamedTuple):
    user: str | None = None
    password: bytes | None = None


def read_login(content: bytes) -> Login:
    """A login file: user name in the first line, password in the second. Raises ValueError."""
    user, _, password = content.partition(b"\n")
    return Login(user.rstrip(b"\r").decode(), password.rstrip(b"\r\n") or None)


def upstream_id(device: str, client_id: str) -> str:
    """The broker's name for a client of ``device``.

    No two devices can come to the same name, since no device id contains a colon; so nobody inherits another's
    session or throws it off, whatever client id it sends (T11, mochi#504). Characters that brokers read as
    wildcards or levels in `%c` patterns are escaped (CVE-2017-7650).
    """
    return device if client_id == device else f"{device}:{client_id.translate(_ODD)}"


class Opening:
    """What was asked and what was changed, until the broker has answered."""

    def __init__(self, asked: Connect, service: MqttService, device: str, login: Login, fresh_id: str) -> None:
        self.asked = asked
        self._service = service
        self._given_id = "" if asked.client_id else fresh_id
        self._device = device
        self._login = Login(asked.user, asked.password) if service.login_of_client else login
        self.keep_alive = _capped(asked.keep_alive, service.keep_alive)
        properties = asked.properties
        self.session_expiry = min(number_of(properties, P.SESSION_EXPIRY, 0), service.session_expiry)
        self.outlives = number_of(properties, P.SESSION_EXPIRY, 0) > 0
        """The client asked for a session that lasts longer than its connection."""
        self.problem_information = number_of(properties, P.REQUEST_PROBLEM_INFORMATION, 1) != 0
        self.client_packet_limit = number_of(properties, P.MAXIMUM_PACKET_SIZE, 1 << 28)

    def connect(self, will: Will | None) -> Connect:
        """For the broker; ``will`` is what policy left of the client's."""
        asked = self.asked
        properties = asked.properties
        if asked.level == 5:
            properties = without(properties, P.TOPIC_ALIAS_MAXIMUM, P.REQUEST_RESPONSE_INFORMATION)
            properties = self._lowered(properties)
            if will is not None:
                will = replace(will, properties=_at_most(will.properties, P.WILL_DELAY, self._service.will_delay))
        return replace(
            asked,
            client_id=upstream_id(self._device, asked.client_id or self._given_id),
            keep_alive=self.keep_alive,
            properties=properties,
            will=will,
            user=self._login.user,
            password=self._login.password,
        )

    def _lowered(self, properties: Properties) -> Properties:
        service = self._service
        properties = _at_most(properties, P.SESSION_EXPIRY, service.session_expiry)
        receive = min(number_of(properties, P.RECEIVE_MAXIMUM, DEFAULT_RECEIVE_MAXIMUM), service.receive_maximum)
        properties = replaced(properties, P.RECEIVE_MAXIMUM, receive)
        size = min(self.client_packet_limit, service.max_packet)
        return replaced(properties, P.MAXIMUM_PACKET_SIZE, size)

    def connack(self, answer: Connack) -> Connack:
        """For the client (MQTT 5; 3.1.1 has nothing to change). Aliases are ours; where the broker would lead the
        client past us (Server Reference, Response Information) it is not told."""
        service = self._service
        properties = without(
            answer.properties,
            P.SERVER_REFERENCE,
            P.RESPONSE_INFORMATION,
            P.AUTHENTICATION_METHOD,
            P.AUTHENTICATION_DATA,
            P.ASSIGNED_CLIENT_ID,
        )
        if answer.code != 0:
            return replace(answer, properties=properties)
        properties = replaced(properties, P.TOPIC_ALIAS_MAXIMUM, ALIASES)
        size = min(number_of(properties, P.MAXIMUM_PACKET_SIZE, 1 << 28), service.max_packet)
        properties = replaced(properties, P.MAXIMUM_PACKET_SIZE, size)
        receive = min(number_of(properties, P.RECEIVE_MAXIMUM, DEFAULT_RECEIVE_MAXIMUM), service.receive_maximum)
        properties = replaced(properties, P.RECEIVE_MAXIMUM, receive)
        keep_alive = self.kept_alive(answer)
        if keep_alive != self.asked.keep_alive or get(properties, P.SERVER_KEEP_ALIVE) is not None:
            properties = replaced(properties, P.SERVER_KEEP_ALIVE, keep_alive)
        if self._given_id:
            properties = replaced(properties, P.ASSIGNED_CLIENT_ID, self._given_id)
        told = number_of(properties, P.SESSION_EXPIRY, self.session_expiry)
        if told != number_of(self.asked.properties, P.SESSION_EXPIRY, 0):
            properties = replaced(properties, P.SESSION_EXPIRY, told)
        return replace(answer, properties=properties)

    def kept_alive(self, answer: Connack) -> int:
        """Seconds that hold for the session: the broker's word, ours, or the client's, whichever is shortest."""
        server = number_of(answer.properties, P.SERVER_KEEP_ALIVE, self.keep_alive)
        return _capped(server, self._service.keep_alive)


def _capped(seconds: int, most: int) -> int:
    """0 means never, which is longer than anything (CVE-2020-13849)."""
    return min(seconds, most) if seconds else most


def _at_most(properties: Properties, number: P, most: int) -> Properties:
    value = number_of(properties, number, 0)
    return replaced(properties, number, most) if value > most else properties


if TYPE_CHECKING:
    from proxy.protocols.mqtt.properties import Properties
