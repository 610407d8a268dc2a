"""``python -m tests.fuzz.opcua_corpus``: writes `corpus/opcua`, messages of every service.

Three sizes of each from the codec's strategies, and the codec's vectors. Files are added and replaced, never removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from proxy.protocols.opcua.decode import encode
from proxy.protocols.opcua.node_id import NodeId
from proxy.protocols.opcua.services import SERVICES
from tests.fuzz.opcua_requests import Maker
from tests.house.repository import ROOT
from tests.opcua.codec_notation import load, message
from tests.opcua.codec_strategies import structs

FOLDER = ROOT / "tests" / "fuzz" / "corpus" / "opcua"
MOST = 600
"""Bytes of a seed: in longer ones few changes matter."""


def made(kind: Any) -> list[bytes]:
    """The shortest, one in the middle, and the longest of some."""
    found: set[bytes] = set()

    @seed(1)
    @settings(max_examples=40, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(structs(kind))
    def take(one: Any) -> None:
        found.add(encode(one))

    take()
    some = sorted((body for body in found if len(body) <= MOST), key=len)
    return [some[0], some[len(some) // 2], some[-1]]


def vectors() -> Iterator[tuple[str, bytes]]:
    """Whole messages among them, right and wrong."""
    for vector in load("codec"):
        if vector["as"] == "message":
            for at, (_, text, _) in enumerate(vector["rows"]):
                yield f"vector-{re.sub('[^A-Za-z]+', '-', vector['name'])}-{at:02}", message(text)


def asked() -> Iterator[tuple[str, bytes]]:
    """What clients ask of `tests.opcua.inspector_world`, the longest of some of each service."""
    maker = Maker(Random("corpus"), (NodeId.numeric(1, 101),))
    found: dict[str, bytes] = {}
    for _ in range(3000):
        request = maker.one()
        name, body = type(request).__name__, encode(request)
        if len(found.get(name, b"")) < len(body) <= MOST:
            found[name] = body
    yield from ((f"asked-{name}", body) for name, body in found.items())


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind in SERVICES.values():
        for size, body in zip(("short", "middle", "long"), made(kind), strict=True):
            (FOLDER / f"{kind.__name__}-{size}.bin").write_bytes(body)
    for name, body in (*vectors(), *asked()):
        (FOLDER / f"{name}.bin").write_bytes(body)


if __name__ == "__main__":
    main()
