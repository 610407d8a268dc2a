"""A publisher as an edge node of Sparkplug B (3.0.0, chapters 4 to 6), its device below it.

    spBv1.0/GROUP/NBIRTH|NDEATH|NCMD/EDGE     the publisher's name is EDGE
    spBv1.0/GROUP/DBIRTH|DDATA|DDEATH/EDGE/DEVICE    GROUP is the device's place, with ':' for '/'

QoS 0 and no retain, as the specification wants it; NDEATH is the Will, QoS 1. Metrics have names and no aliases, so
that a host that missed the birth still reads the data. Property `Quality` says 192 good, 0 bad, 500 stale; `Status`
names the OPC UA status if it is not Good, `Missed` how many values before this one are lost (-1: some).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.protocols.mqtt.packets import Will
from proxy.protocols.opcua.status import name_of
from proxy.uplink import sparkplug
from proxy.uplink.datatypes import D, DataType
from proxy.uplink.form import Message
from proxy.uplink.sample import Quality, milliseconds
from proxy.uplink.sparkplug import BDSEQ, REBIRTH, Malformed, Metric, Payload, topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.uplink.form import Address
    from proxy.uplink.sample import Sample
    from proxy.uplink.sparkplug import Property


class Edge:
    """See `proxy.uplink.form.Form`. ``bdSeq`` counts connections from 0, ``seq`` messages, both modulo 256."""

    qos = 0
    settles = True

    def __init__(self, address: Address) -> None:
        self._group = address.place.replace("/", ":")
        self._edge = address.publisher
        self._device = address.device
        self._bdseq = -1
        self._seq = 0
        self._now: dict[str, Sample] = {}
        """The newest of each node, whether it went out or not: what a birth tells."""
        self._types: dict[str, DataType] = {}
        self._born: dict[str, DataType] = {}
        self._in_birth: dict[str, int] = {}
        self._until = 0
        """Samples up to this number are told by the birth (``_in_birth``), or older than it: history."""

    @property
    def filters(self) -> tuple[str, ...]:
        return (topic(self._group, "NCMD", self._edge),)

    def connecting(self, ticks: int) -> Will | None:
        self._bdseq = (self._bdseq + 1) % 256
        self._born.clear()
        return Will(topic(self._group, "NDEATH", self._edge), self._death(ticks), qos=1)

    def opened(self, ticks: int) -> list[Message]:
        """NBIRTH, and DBIRTH if the device is there: also what a host gets that asks for a rebirth."""
        when = milliseconds(ticks)
        self._seq = 0
        metrics = (Metric(BDSEQ, D.Int64, self._bdseq, when), Metric(REBIRTH, D.Boolean, False, when))
        birth = sparkplug.encode(Payload(when, 0, metrics))
        found = [Message(topic(self._group, "NBIRTH", self._edge), birth)]
        if self._now and not any(one.stale for one in self._now.values()):
            found.append(self._birth(ticks))
        return found

    def arrived(self, sample: Sample) -> None:
        self._now[sample.name] = sample
        if sample.datatype is not None:
            self._types[sample.name] = sample.datatype

    def told(self, samples: Sequence[Sample], ticks: int) -> list[Message]:
        found: list[Message] = []
        run: list[Metric] = []
        for sample in samples:
            if sample.stale and self._now.get(sample.name, sample).number == sample.number:
                found += self._flush(run, ticks) + self._gone(ticks)
                continue
            if sample.number > self._until and self._born.get(sample.name) is not self._type(sample):
                found += self._flush(run, ticks) + [self._birth(ticks)]
            historical = sample.number <= self._until
            if not historical or self._in_birth.get(sample.name) != sample.number:
                run.append(self._metric(sample, historical))
        found += self._flush(run, ticks)
        if found:
            found[-1] = Message(found[-1].topic, found[-1].payload, samples[-1].number)
        return found

    def heard(self, topic: str, payload: bytes) -> bool:
        """A rebirth is the one command there is; anything else is nobody's business here."""
        command = sparkplug.decode(payload)
        if topic != self.filters[0] or isinstance(command, Malformed):
            return False
        return any(metric.name == REBIRTH and metric.value is True for metric in command.metrics)

    def leaving(self, ticks: int) -> list[Message]:
        """The Will is not sent after a clean goodbye, so its words are said."""
        return [Message(topic(self._group, "NDEATH", self._edge), self._death(ticks))]

    def _death(self, ticks: int) -> bytes:
        when = milliseconds(ticks)
        return sparkplug.encode(Payload(when, None, (Metric(BDSEQ, D.Int64, self._bdseq, when),)))

    def _type(self, sample: Sample) -> DataType:
        """A node without a value keeps the type it had; one that never had any is told as text that is null."""
        return self._types.get(sample.name, D.String) if sample.datatype is None else sample.datatype

    def _metric(self, sample: Sample, historical: bool) -> Metric:
        return _metric(sample, self._type(sample), historical)

    def _birth(self, ticks: int) -> Message:
        """All metrics with the newest value of each. What is older and goes out later is history."""
        self._born = {name: self._type(one) for name, one in self._now.items()}
        self._in_birth = {name: one.number for name, one in self._now.items()}
        self._until = max(self._in_birth.values())
        return self._message("DBIRTH", tuple(self._metric(one, False) for one in self._now.values()), ticks)

    def _flush(self, run: list[Metric], ticks: int) -> list[Message]:
        metrics = tuple(run)
        run.clear()
        return [self._message("DDATA", metrics, ticks)] if metrics else []

    def _gone(self, ticks: int) -> list[Message]:
        """DDEATH, once; the other nodes' samples that say the same add nothing."""
        if not self._born:
            return []
        self._born.clear()
        return [self._message("DDEATH", (), ticks)]

    def _message(self, kind: str, metrics: tuple[Metric, ...], ticks: int) -> Message:
        self._seq = (self._seq + 1) % 256
        payload = sparkplug.encode(Payload(milliseconds(ticks), self._seq, metrics))
        return Message(topic(self._group, kind, self._edge, self._device), payload)


def _metric(sample: Sample, datatype: DataType, historical: bool) -> Metric:
    told: list[Property] = [("Quality", D.Int32, sample.quality.value)]
    if sample.status or sample.quality is not Quality.GOOD:
        told.append(("Status", D.String, name_of(sample.status)))
    if sample.missed:
        told.append(("Missed", D.Int32, min(sample.missed, (1 << 31) - 1)))
    when = milliseconds(sample.time[0])
    return Metric(sample.name, datatype, sample.value, when, historical=historical, properties=tuple(told))
