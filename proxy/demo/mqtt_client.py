"""The demo's raw MQTT clients: one real connection each, sending packets that no client library would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo import packets
from proxy.demo.connection import Answer, Connection

if TYPE_CHECKING:
    from proxy.demo.connection import Speaker

ACCEPTED = "CONNACK 00"


class MqttClient(Connection):
    """Opens with CONNECT by itself: ``opened`` is the answer. An answer's kind is as `packets.answer` says."""

    def __init__(
        self,
        speaker: Speaker,
        client_id: str,
        *,
        level: int = packets.V311,
        will: packets.Will | None = None,
        along: bytes = b"",
    ) -> None:
        """``along`` is sent in one go with the CONNECT, before any answer to it."""
        super().__init__(speaker)
        self._level = level
        self._dropped = False
        self.send(packets.connect(client_id, level=level, will=will) + along)
        self.opened = self.answer()

    def __exit__(self, *_: object) -> None:
        if self._dropped:
            self.sock.close()
            return
        self.send(packets.FAREWELL)
        super().__exit__()

    def drop(self) -> None:
        """Will leave without a farewell: to a broker that is a client that died."""
        self._dropped = True

    def ask(self, *requests: bytes) -> list[Answer]:
        """One answer for each of these, sent when the one before was answered."""
        answers = []
        for request in requests:
            self.send(request)
            answers.append(self.answer())
        return answers

    def _size(self, data: bytes) -> int | None:
        return packets.size(data)

    def _kind(self, frame: bytes) -> str:
        return packets.answer(frame, self._level)
