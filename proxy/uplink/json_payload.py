"""A sample as JSON, in the strict subset that every parser reads alike (protocols.md 3.4).

    {"value": 1480.5, "type": "Double", "quality": "good", "status": "Good",
     "timestamp": "2026-11-21T23:44:13.1234567Z", "clock": "source", "seq": 17}

No NaN and no Infinity: ``value`` is null then and ``special`` names it. Whole numbers beyond 2**53 are text, since half
of all parsers would round them. Bytes are base64, times RFC 3339. ``missed`` is there if values before this one are
lost: how many, or -1 for some.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from proxy.protocols.opcua.status import name_of
from proxy.protocols.opcua.wire import EPOCH
from proxy.uplink.datatypes import D

if TYPE_CHECKING:
    from proxy.uplink.datatypes import DataType, Scalar
    from proxy.uplink.sample import Sample

SAFE = 1 << 53
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2_650_467_743_990_000_000
"""9999-12-31T23:59:59, where RFC 3339 ends."""


def encode(sample: Sample) -> bytes:
    """UTF-8, one object, no line end."""
    ticks, clock = sample.time
    value, special = _value(sample)
    told: dict[str, object] = {"value": value}
    if special:
        told["special"] = special
    if sample.datatype is not None:
        told["type"] = sample.datatype.name
    told |= {
        "quality": sample.quality.name.lower(),
        "status": name_of(sample.status),
        "timestamp": rfc3339(ticks),
        "clock": clock,
        "seq": sample.number,
    }
    if sample.missed:
        told["missed"] = sample.missed
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def rfc3339(ticks: int) -> str:
    """UTC, with all seven digits that OPC UA has behind the second; times outside 0001..9999 are cut to the edge."""
    ticks = min(max(ticks, 0), _LATEST)
    seconds, rest = divmod(ticks - EPOCH, 10_000_000)
    return f"{_1970 + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:07d}Z"


def _value(sample: Sample) -> tuple[object, str]:
    value, datatype = sample.value, sample.datatype
    if value is None or datatype is None:
        return None, ""
    if isinstance(value, tuple):
        return [_scalar(one, datatype)[0] for one in value], ""
    return _scalar(value, datatype)


def _scalar(value: Scalar, datatype: DataType) -> tuple[object, str]:
    if datatype in (D.DateTime, D.DateTimeArray) and isinstance(value, int):
        return rfc3339(value * 10_000 + EPOCH), ""
    if isinstance(value, float) and not math.isfinite(value):
        return None, "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode(), ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > SAFE:
        return str(value), ""
    return value, ""
