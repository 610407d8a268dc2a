"""What a client sent while one of its packets waits."""

from __future__ import annotations


class Backlog:
    """Costs its bytes and no more, in however small pieces they came; what is put back comes out first."""

    __slots__ = ("_behind", "_front", "kept")

    def __init__(self) -> None:
        self._front = b""
        self._behind = bytearray()
        self.kept = 0
        """Bytes."""

    def push(self, data: bytes) -> None:
        self._behind += data
        self.kept += len(data)

    def put_back(self, data: bytes) -> None:
        self._front = data + self._front
        self.kept += len(data)

    def take(self, most: int) -> bytes:
        """What came first: what was put back, and behind it up to ``most`` bytes in all."""
        data, self._front = self._front, b""
        if len(data) < most:
            more = most - len(data)
            data += self._behind[:more]
            del self._behind[:more]
        self.kept -= len(data)
        return data
