"""The demo's Modbus clients: one real connection each, sending any bytes they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo import frames
from proxy.demo.connection import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.demo.connection import Speaker
    from proxy.demo.tls import Memory

ANSWERED = "answered"


class Client(Connection):
    """An answer's kind is ``answered`` or ``exception NN``."""

    def __init__(self, speaker: Speaker, memory: Memory | None = None) -> None:
        super().__init__(speaker, memory)
        self._transaction = 0

    def ask(self, *pdus: bytes, unit: int = 1) -> list[Answer]:
        """Sends all of them at once and waits for the answer to each; the answers are in the order of the questions."""
        first = self._transaction + 1
        self._transaction += len(pdus)
        numbers = range(first, first + len(pdus))
        self.send(b"".join(frames.adu(number, pdu, unit=unit) for number, pdu in zip(numbers, pdus, strict=True)))
        return self.answers(numbers)

    def answers(self, transactions: Sequence[int]) -> list[Answer]:
        """One answer for each of these transaction ids, whatever order they come in."""
        found: dict[int, Answer] = {}
        for _ in transactions:
            answer = self.answer()
            number = int.from_bytes(answer.data[:2], "big") if answer.data else -1
            if number >= 0 and (number not in transactions or number in found):
                answer = Answer("answer to another question", answer.seconds, answer.data)
                number = -1
            found[number if number >= 0 else next(n for n in transactions if n not in found)] = answer
        return [found[number] for number in transactions]

    def _size(self, data: bytes) -> int | None:
        if len(data) < frames.HEADER:
            return None
        return max(frames.HEADER + int.from_bytes(data[4:6], "big"), frames.HEADER + 2)

    def _kind(self, frame: bytes) -> str:
        function = frame[frames.HEADER + 1]
        if not function & frames.EXCEPTION:
            return ANSWERED
        return f"exception {frame[frames.HEADER + 2]:02X}"
