"""``publishers:`` of `bulkhead.yaml`: which nodes of which device are told to which broker, as whom and how.

publishers:
  robot-7-line:
    from: robot-7            # a device with the service opcua
    to: uns                  # a device with the service mqtt
    as: gateway-1            # the device that speaks, for the policy on both sides
    format: sparkplug        # or json
    every: 500ms
    nodes:
      speed: "nsu=urn:robot:7;s=Line1.Speed"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.site.problem import Finding
from proxy.site.publisher_shape import MOST_NODES
from proxy.site.quantities import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.core.inventory import Device
    from proxy.core.origin import Origin
    from proxy.protocols.base import ProtocolSpec
    from proxy.site.draft import Voice
    from proxy.site.inventory import Inventory
    from proxy.site.publisher_shape import PublisherShape

Path = tuple[str | int, ...]

SOURCE, SINK = "opcua", "mqtt"


@dataclass(frozen=True, slots=True)
class Publisher:
    """``nodes`` maps names on the UNS to nodes as policy writes them, in the order of the file; ``every`` in seconds.
    ``source``, ``sink`` and ``speaker`` are devices of the inventory."""

    name: str
    source: Device
    sink: Device
    speaker: Device
    format: str
    every: float
    nodes: Mapping[str, str]
    backlog: int
    origin: Origin


def publishers(
    shapes: Mapping[str, PublisherShape], inventory: Inventory, protocols: Mapping[str, ProtocolSpec], voice: Voice
) -> tuple[Publisher, ...]:
    """In name order. Leaves out what has faults, which are told."""
    found = (_publisher(name, shapes[name], inventory, protocols, voice) for name in sorted(shapes))
    return tuple(one for one in found if one is not None)


def _publisher(
    name: str, shape: PublisherShape, inventory: Inventory, protocols: Mapping[str, ProtocolSpec], voice: Voice
) -> Publisher | None:
    path: Path = ("publishers", name)
    source = _device(shape.from_, (*path, "from"), SOURCE, inventory, voice)
    sink = _device(shape.to, (*path, "to"), SINK, inventory, voice)
    speaker = _speaker(shape, path, inventory, voice)
    if source is not None and source.place is None:
        wrong = f"{source.id} has no place, and the topics are made of it"
        mend = f"add for example 'place: bottling/hall-1/cell-3' to {inventory.declared[source.id].file}"
        voice.error(Finding.MISSING, (*path, "from"), wrong, mend)
    good = _check_nodes(shape, path, protocols, voice)
    if source is None or sink is None or speaker is None or not good:
        return None
    origin = voice.origin(path, key=True)
    every = duration(shape.every)
    return Publisher(name, source, sink, speaker, shape.format, every, dict(shape.nodes), shape.backlog, origin)


def _device(name: str, path: Path, service: str, inventory: Inventory, voice: Voice) -> Device | None:
    if name not in inventory.declared:
        voice.unknown(path, "device", name, inventory.declared)
        return None
    if name in inventory.safety:
        wrong = f"{name} is a safety function ({inventory.declared[name].file})"
        voice.error(Finding.SAFETY, path, wrong, "safety functions never pass through Bulkhead")
        return None
    if not inventory.offers(name, service):
        wrong = f"{name} has no service {service}"
        mend = f"add 'services: {{ {service}: {{ port: ... }} }}' to {inventory.declared[name].file}"
        voice.error(Finding.CONTRADICTION, path, wrong, mend)
        return None
    return inventory.devices.get(name)


def _speaker(shape: PublisherShape, path: Path, inventory: Inventory, voice: Voice) -> Device | None:
    if shape.as_ is not None:
        if shape.as_ not in inventory.declared:
            voice.unknown((*path, "as"), "device", shape.as_, inventory.declared)
        return inventory.devices.get(shape.as_)
    gateways = [device for device in inventory.devices.values() if device.kind == "gateway"]
    if len(gateways) == 1:
        return gateways[0]
    wrong = "as is missing, and no device or more than one is of kind gateway"
    voice.error(Finding.MISSING, path, wrong, "add for example 'as: gateway-1': who speaks, for the policy", key=True)
    return None


def _check_nodes(shape: PublisherShape, path: Path, protocols: Mapping[str, ProtocolSpec], voice: Voice) -> bool:
    spec, good = protocols.get(SOURCE), True
    count = len(shape.nodes)
    if not 1 <= count <= MOST_NODES:
        wrong = "no node: nothing would be published" if not count else f"{count} nodes, more than {MOST_NODES}"
        voice.error(Finding.BAD_VALUE, (*path, "nodes"), wrong, "list 1 to 1000 nodes", key=True)
        good = False
    lower: dict[str, str] = {}
    for name, text in shape.nodes.items():
        if (other := lower.setdefault(name.lower(), name)) != name:
            wrong = f"{name} and {other} differ in case alone"
            voice.error(Finding.DUPLICATE, (*path, "nodes", name), wrong, "give one of them another name", key=True)
            good = False
        try:
            if spec is not None:
                spec.parse_point(text)
        except ValueError as fault:
            wrong, _, mend = str(fault).partition("; ")
            voice.error(Finding.BAD_VALUE, (*path, "nodes", name), wrong, mend or "write nsu=URI;s=NAME")
            good = False
    return good
