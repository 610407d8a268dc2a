"""Generated Modbus: requests of every function built from the specification's tables, spoilt ones, and rules.

Addresses crowd around a few places, so that rules and requests meet at their edges.
"""

from __future__ import annotations

import struct
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.modbus.frames import frame

u8 = st.integers(0, 255)
u16 = st.integers(0, 65535)
addresses = st.one_of(st.integers(0, 24), st.integers(65500, 65535), u16)
registers = st.one_of(
    st.sampled_from([0, 1, 99, 100, 101, 0x7FFF, 0x8000, 0xFFFF, 0x7F80, 0x7FC0, 0xFF80, 0x3F80]), u16
)
units = st.one_of(st.sampled_from([0, 1, 1, 1, 2, 247, 248, 254, 255]), u8)


FUNCTIONS = (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43, 90)


def quantities(most: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(1, 8), st.integers(1, most), st.just(most))


@st.composite
def reads(draw: st.DrawFn) -> bytes:
    function = draw(st.integers(1, 4))
    return struct.pack(">BHH", function, draw(addresses), draw(quantities(2000 if function < 3 else 125)))


@st.composite
def single_writes(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return struct.pack(">BHH", 5, draw(addresses), draw(st.sampled_from([0, 0xFF00])))
    return struct.pack(">BHH", 6, draw(addresses), draw(registers))


@st.composite
def coil_writes(draw: st.DrawFn) -> bytes:
    quantity = draw(quantities(1968))
    data = draw(st.integers(0, (1 << quantity) - 1)).to_bytes((quantity + 7) // 8, "little")
    return struct.pack(">BHHB", 15, draw(addresses), quantity, len(data)) + data


@st.composite
def register_writes(draw: st.DrawFn) -> bytes:
    values = draw(st.lists(registers, min_size=1, max_size=draw(st.sampled_from([2, 8, 123]))))
    count = len(values)
    return struct.pack(f">BHHB{count}H", 16, draw(addresses), count, 2 * count, *values)


@st.composite
def mask_writes(draw: st.DrawFn) -> bytes:
    masks = st.one_of(st.sampled_from([0, 0xFFFF, 0xFFF0, 0x000F]), u16)
    return struct.pack(">BHHH", 22, draw(addresses), draw(masks), draw(masks))


@st.composite
def read_writes(draw: st.DrawFn) -> bytes:
    values = draw(st.lists(registers, min_size=1, max_size=draw(st.sampled_from([2, 8, 121]))))
    count = len(values)
    head = (23, draw(addresses), draw(quantities(125)), draw(addresses), count, 2 * count)
    return struct.pack(f">BHHHHB{count}H", *head, *values)


file_numbers = st.sampled_from([1, 4, 65535])


@st.composite
def file_reads(draw: st.DrawFn) -> bytes:
    body = b""
    for _ in range(draw(st.integers(1, 4))):
        body += struct.pack(">BHHH", 6, draw(file_numbers), draw(st.integers(0, 9990)), draw(st.integers(1, 10)))
    return bytes((20, len(body))) + body


@st.composite
def file_writes(draw: st.DrawFn) -> bytes:
    body = b""
    for _ in range(draw(st.integers(1, 4))):
        values = draw(st.lists(registers, min_size=1, max_size=10))
        head = struct.pack(">BHHH", 6, draw(file_numbers), draw(st.integers(0, 9990)), len(values))
        body += head + struct.pack(f">{len(values)}H", *values)
    return bytes((21, len(body))) + body


@st.composite
def diagnostics(draw: st.DrawFn) -> bytes:
    sub = draw(st.sampled_from([0, 1, 2, 3, 4, 10, *range(11, 19), 20]))
    if sub == 0:
        data = draw(st.binary(min_size=1, max_size=20)) * 2
    else:
        data = draw({1: st.sampled_from([b"\0\0", b"\xff\0"]), 3: u8.map(lambda c: bytes((c, 0)))}.get(sub, _zero))
    return struct.pack(">BH", 8, sub) + data


_zero = st.just(b"\0\0")
others = st.one_of(
    st.sampled_from([b"\x07", b"\x0b", b"\x0c", b"\x11"]),
    u16.map(lambda pointer: struct.pack(">BH", 24, pointer)),
    st.tuples(st.integers(1, 4), u8).map(lambda pair: bytes((43, 14, *pair))),
    st.tuples(st.sampled_from([40, 42, 90, 125, 126, 65, 72, 100, 110]), st.binary(max_size=30)).map(
        lambda pair: bytes((pair[0],)) + pair[1]
    ),
)
requests = st.one_of(
    reads(), single_writes(), coil_writes(), register_writes(), mask_writes(), read_writes(), file_reads(),
    file_writes(), diagnostics(), others,
)  # fmt: skip
"""PDUs of the right shape; some run past the last address."""


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A request with a byte changed, cut off or added, still 1..253 bytes."""
    pdu = bytearray(draw(requests))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 3))
        at = draw(st.integers(0, len(pdu) - 1))
        if kind == 0:
            pdu[at] = draw(st.one_of(u8, st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF])))
        elif kind == 1:
            del pdu[max(at, 1) :]
        elif kind == 2:
            pdu += draw(st.binary(min_size=1, max_size=9))
        else:
            pdu[0] = draw(u8)
    return bytes(pdu[:253])


def _made(seed: int) -> bytes:
    """A request of some function, cheaply: for tests that need many at a time."""
    random = Random(seed)
    start = random.choice([random.randrange(24), random.randrange(65500, 65536), random.randrange(65536)])
    few = random.choice([1, 1, 2, 3, 8])
    values = [random.choice([0, 1, 100, 0x8000, 0xFFFF, random.randrange(65536)]) for _ in range(few)]
    data = struct.pack(f">{few}H", *values)
    function = random.choice([1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 11, 12, 15, 16, 16, 17, 20, 21, 22, 23, 24, 40, 43, 65, 90])
    record = struct.pack(">BHHH", 6, random.choice([1, 4]), random.randrange(20), few)
    body = {
        5: struct.pack(">HH", start, random.choice([0, 0xFF00])),
        6: struct.pack(">HH", start, values[0]),
        8: struct.pack(">HH", random.choice([0, 1, 2, 4, 10, 11, 20]), 0),
        15: struct.pack(">HHBB", start, few, 1, random.randrange(1 << few)),
        16: struct.pack(">HHB", start, few, 2 * few) + data,
        20: bytes((7,)) + record,
        21: bytes((7 + 2 * few,)) + record + data,
        22: struct.pack(">HHH", start, random.choice([0, 0xFFF0, 0xFFFF]), values[0]),
        23: struct.pack(">HHHHB", start, few, random.randrange(24), few, 2 * few) + data,
        24: struct.pack(">H", start),
        43: bytes((14, random.randint(1, 4), random.choice([0, 3, 128]))),
        90: b"\0\2",
    }
    plain = b"" if function in (7, 11, 12, 17, 40, 65) else struct.pack(">HH", start, few)
    return bytes((function,)) + body.get(function, plain)


BOX = [_made(seed) for seed in range(600)]
ready_made = st.sampled_from(BOX)
"""Requests out of a box: every function, small, quick to draw."""
many_pdus = st.one_of(ready_made, ready_made, ready_made, spoilt())
any_pdus = st.one_of(requests, spoilt(), st.binary(min_size=1, max_size=253))
"""Whatever fits into a frame."""


def adus(
    pdus: st.SearchStrategy[bytes] = any_pdus, tids: st.SearchStrategy[int] = u16, to: st.SearchStrategy[int] = units
) -> st.SearchStrategy[bytes]:
    return st.builds(frame, tids, to, pdus)


@st.composite
def cuts(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The stream in pieces."""
    points = sorted(draw(st.sets(st.integers(0, len(stream)), max_size=12)) | {0, len(stream)})
    return [stream[low:high] for low, high in zip(points, points[1:], strict=False)] or [stream]


def _pool(spaces: tuple[str, ...], *, even: bool = False) -> st.SearchStrategy[str]:
    """Spans with edges near each other. Sampled, not composed: rules are made of many."""
    firsts = (*range(8), 12, 20, 24, 65490, 65524, 65534, 65535)
    sizes = (2, 4, 8, 12) if even else (1, 2, 3, 5, 8, 12)
    ends = [(first, first + size - 1) for first in firsts for size in sizes if first + size <= 65536]
    return st.sampled_from(
        [f"{space} {low}" if low == high else f"{space} {low}-{high}" for space in spaces for low, high in ends]
    )


_READABLE = _pool(("holding", "holding", "input", "coil", "discrete"))
_WRITABLE = _pool(("holding", "coil"))
_HOLDING = _pool(("holding",))
_PAIRS = _pool(("holding",), even=True)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """A value window with its `type`; for 32 bits the span must be even."""
    window: dict[str, Any] = {}
    kind = draw(st.sampled_from(["u16", "i16", "u32", "i32", "f32"]))
    if kind != "u16" or draw(st.booleans()):
        window["type"] = kind
    bound = st.one_of(
        st.integers(-70000, 70000), st.sampled_from([0, 1, 100, 65535, -1, 1.5, -0.5, 4294967295, 2147483648, 3.4e38])
    )
    bounds = sorted(draw(st.lists(bound, max_size=2)))
    if bounds:
        window["max"] = bounds[-1]
        if len(bounds) == 2 or draw(st.booleans()):
            window["min"] = bounds[0]
    if draw(st.integers(0, 3)) == 0:
        window["scale"] = draw(st.sampled_from([0.1, 10, -1, 2.5, 1e300]))
    for key in ("step", "ramp"):
        if draw(st.integers(0, 5)) == 0:
            window[key] = draw(st.sampled_from([1, 2, 0.5, 200]))
    if kind.endswith("32") and draw(st.booleans()):
        window["order"] = draw(st.sampled_from(["big", "little"]))
    return window


@st.composite
def bit_windows(draw: st.DrawFn) -> dict[str, Any]:
    """Some bits, now and then together with a bound."""
    window: dict[str, Any] = {"bits": draw(st.one_of(st.sampled_from([0, 0xFFFF, 0xFFFF, 0x000F, 0xFFF0]), u16))}
    if draw(st.integers(0, 3)) == 0:
        window[draw(st.sampled_from(["min", "max"]))] = draw(st.sampled_from([0, 100, 0x8000]))
    return window


@st.composite
def write_rules(draw: st.DrawFn) -> object:
    if draw(st.booleans()):
        return draw(st.one_of(st.just("all"), st.lists(_WRITABLE, min_size=1, max_size=4)))
    section: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 4))):
        window = draw(st.one_of(st.just({}), windows(), windows(), bit_windows()))
        wide = str(window.get("type", "")).endswith("32")
        plain = not set(window) - {"min", "max", "scale"}
        section[draw(_PAIRS if wide else _WRITABLE if plain else _HOLDING)] = window
    return section


unit_rules = st.lists(st.sampled_from([0, 1, 2, 247, 255]), min_size=1, max_size=3)


_RULE_PARTS: dict[str, st.SearchStrategy[Any]] = {
    "units": unit_rules,
    "read": st.just("all"),
    "write": write_rules(),
    "read-fifo": st.lists(_HOLDING, min_size=1, max_size=2),
    "read-file": st.lists(st.sampled_from(["1 0-9999", "4 0-9", "4 5-20", "65535 3"]), min_size=1, max_size=2),
    "write-file": st.lists(st.sampled_from(["1 0-9999", "4 0-9", "4 5-20", "65535 3"]), min_size=1, max_size=2),
    "identify": st.sampled_from(["basic", "regular", "extended"]),
    "diagnose": st.lists(st.sampled_from([0, 2, 11, 18, "function 7", "function 11"]), min_size=1, max_size=3),
    "control": st.lists(st.sampled_from([1, 3, 4, 10, 20]), min_size=1, max_size=3),
    "program": st.lists(st.sampled_from([40, 42, 90, 125, 126]), min_size=1, max_size=3),
    "vendor": st.lists(st.sampled_from([65, 72, 100, 110]), min_size=1, max_size=3),
}
_RULE_KEYS = st.sets(st.sampled_from(sorted(_RULE_PARTS)), max_size=5)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A `modbus:` section that the parser takes."""
    section: dict[str, Any] = {"read": draw(st.lists(_READABLE, min_size=1, max_size=3))}
    for key in sorted(draw(_RULE_KEYS)):
        section[key] = draw(_RULE_PARTS[key])
    return section


nevers = st.fixed_dictionaries(
    {},
    optional={
        "units": unit_rules,
        "write": st.lists(_WRITABLE, min_size=1, max_size=2),
        "read": st.lists(_READABLE, min_size=1, max_size=2),
        "function": st.lists(st.one_of(st.sampled_from(FUNCTIONS), st.integers(1, 127)), min_size=1, max_size=3),
    },
).filter(lambda section: set(section) - {"units"})
