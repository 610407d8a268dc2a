"""Seeded mutations that know how Modbus/TCP is built, so that most inputs get past the first check.

Everything comes from the `random.Random` that is passed in: a shard and a number name an input for ever.
"""

from __future__ import annotations

from random import Random

NUMBERS = (0, 1, 2, 3, 6, 7, 8, 0x7C, 0x7D, 0x7E, 0x7F, 0x80, 0xF5, 0xFB, 0xFD, 0xFE, 0xFF)
WORDS = (
    0,
    1,
    0x7B,
    0x7C,
    0x7D,
    0x7E,
    0x7B0,
    0x7B1,
    0x7D0,
    0x7D1,
    0x270F,
    0x2710,
    0x7FFF,
    0x8000,
    0xFF00,
    0xFFFE,
    0xFFFF,
)
FUNCTIONS = (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43, 90, 100, 0, 9, 0x80, 0x83, 0xFF)
UNITS = (0, 1, 2, 247, 248, 255)


def mutated(stream: bytes, others: list[bytes], random: Random) -> bytes:
    """``stream`` with one to six changes. ``others`` are streams to splice from."""
    frames = loose_frames(stream)
    changes = random.choice((1, 1, 2, 3, 6))
    for _ in range(changes):
        change = random.choice(_CHANGES)
        change(frames, others, random)
        if not frames:
            break
    return b"".join(frames)[:4096]


def pieces(stream: bytes, random: Random) -> list[bytes]:
    """The stream in one to five parts."""
    points = sorted(random.randrange(len(stream) + 1) for _ in range(random.choice((0, 0, 1, 2, 4))))
    return [stream[low:high] for low, high in zip([0, *points], [*points, len(stream)], strict=True)]


def loose_frames(stream: bytes) -> list[bytearray]:
    """Cuts by the length field; what does not fit stays in one piece."""
    frames = []
    while len(stream) >= 8:
        size = 6 + int.from_bytes(stream[4:6], "big")
        frames.append(bytearray(stream[:size]))
        stream = stream[size:]
    return [*frames, bytearray(stream)] if stream else frames


def _set_byte(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    frame[random.randrange(len(frame))] = random.choice((random.choice(NUMBERS), random.randrange(256)))


def _flip_bit(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)


def _set_word(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    """In the PDU, where most fields are words."""
    frame = random.choice(frames)
    if len(frame) >= 10:
        at = random.randrange(8, len(frame) - 1)
        frame[at : at + 2] = random.choice(WORDS).to_bytes(2, "big")


def _set_function(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    if len(frame) > 7:
        frame[7] = random.choice(FUNCTIONS)


def _set_unit(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    if len(frame) > 6:
        frame[6] = random.choice(UNITS)


def _set_length(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    if len(frame) >= 6:
        length = int.from_bytes(frame[4:6], "big") + random.choice((-2, -1, 1, 2, 256))
        frame[4:6] = random.choice((length, random.choice(WORDS))).__and__(0xFFFF).to_bytes(2, "big")


def _same_id(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    frame[:2] = random.choice(frames)[:2]


def _grow(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    """More bytes, with the length field as it should be or as it was."""
    frame = random.choice(frames)
    at = random.randrange(min(7, len(frame)), len(frame) + 1)
    frame[at:at] = random.randbytes(random.choice((1, 2, 7, 40)))
    _maybe_fix(frame, random)


def _shrink(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    at = random.randrange(len(frame))
    del frame[at : at + random.choice((1, 1, 2, 7))]
    if frame:
        _maybe_fix(frame, random)
    else:
        frames.remove(frame)


def _maybe_fix(frame: bytearray, random: Random) -> None:
    if 8 <= len(frame) <= 260 and random.random() < 0.8:
        frame[4:6] = (len(frame) - 6).to_bytes(2, "big")


def _repeat(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frame = random.choice(frames)
    frames[random.randrange(len(frames) + 1) :] += [bytearray(frame) for _ in range(random.choice((1, 1, 2, 20)))]


def _reorder(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    random.shuffle(frames)


def _drop(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frames.pop(random.randrange(len(frames)))


def _splice(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frames.insert(random.randrange(len(frames) + 1), random.choice(loose_frames(random.choice(others))))


def _noise(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    frames.insert(random.randrange(len(frames) + 1), bytearray(random.randbytes(random.randrange(1, 30))))


def _cut_end(frames: list[bytearray], others: list[bytes], random: Random) -> None:
    last = frames[-1]
    del last[random.randrange(1, len(last) + 1) :]


_CHANGES = (
    _set_byte, _set_byte, _flip_bit, _set_word, _set_word, _set_function, _set_unit, _set_length, _same_id, _grow,
    _shrink, _repeat, _reorder, _drop, _splice, _noise, _cut_end,
)  # fmt: skip
