"""What has come of a packet that is not whole yet."""

from __future__ import annotations


class Inbox:
    """Keeps pieces apart until there are enough of them: a packet of 16 MiB in pieces of 2 KiB is copied once."""

    __slots__ = ("_need", "_pieces", "kept")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._need = 0
        self.kept = 0
        """Bytes."""

    def add(self, data: bytes) -> bytes:
        """Everything there is, from the start of a packet on; empty while that cannot be a whole one."""
        if not self._pieces:
            return data
        self._pieces.append(data)
        self.kept += len(data)
        return b"" if self.kept < self._need else self.take()

    def keep(self, rest: bytes, need: int) -> None:
        """``rest`` begins a packet, of which nothing can be said before there are ``need`` bytes."""
        self._pieces = [rest] if rest else []
        self._need = need
        self.kept = len(rest)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        self.kept = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
