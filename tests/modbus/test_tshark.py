"""An independent decoder agrees: what leaves for the PLC means to Wireshark what it means to our codec."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxy.protocols.modbus import pdu as p
from proxy.protocols.modbus.service import ModbusService
from tests.house.repository import need_program
from tests.modbus.capture import capture
from tests.modbus.frames import cut, frame, hexes
from tests.modbus.harness import Client, Policy, connected
from tests.modbus.strategies import BOX
from tests.modbus.vectors import load

FIELDS = (
    "mbtcp.trans_id", "mbtcp.prot_id", "mbtcp.len", "mbtcp.unit_id", "modbus.func_code", "modbus.reference_num",
    "modbus.bit_cnt", "modbus.word_cnt", "modbus.byte_cnt", "modbus.and_mask", "modbus.or_mask",
    "modbus.read_reference_num", "modbus.read_word_cnt", "modbus.write_reference_num", "modbus.write_word_cnt",
    "modbus.reference_type", "modbus.diagnostic_code", "modbus.mei", "modbus.read_device_id", "modbus.object_id",
    "_ws.malformed",
)  # fmt: skip
HEX = {"modbus.and_mask", "modbus.or_mask"}
Decoded = dict[str, list[int]]
STREAM = 9999
"""The client port of the capture's last part: everything again, as one stream in segments of 1,400 bytes."""


def sent_to_the_plc() -> list[bytes]:
    """Every request of the vectors and of the box that passes, through inspector and device, as the PLC receives it."""
    rows = [row for vector in load("requests") for row in vector["rows"] if row[2] == "forward"]
    pdus = [hexes(row[1]) for row in rows] + BOX
    sent = []
    for number, pdu in enumerate(pdus):
        client = Client(Policy())
        client.send(frame(number, 1 + number % 247, pdu))
        for message in client.look().device:
            device = connected(ModbusService(pipeline=64))
            device.submit(1, message)
            sent += [number.to_bytes(2, "big") + one[2:] for one in device.look().sends[0]]
    return sent


def ours(one: bytes) -> Decoded:
    """The fields of one ADU by our codec, under Wireshark's names."""
    found: dict[str, Any] = {
        "mbtcp.trans_id": one[0] << 8 | one[1], "mbtcp.prot_id": 0, "mbtcp.len": len(one) - 6,
        "mbtcp.unit_id": one[6], "modbus.func_code": one[7],
    }  # fmt: skip
    match p.decode(one[7:]):
        case p.Read(function, start, quantity):
            count = "modbus.bit_cnt" if function <= 2 else "modbus.word_cnt"
            found |= {"modbus.reference_num": start, count: quantity}
        case p.WriteOne(_, address, _):
            found |= {"modbus.reference_num": address}
        case p.WriteCoils(start, bits):
            found |= {"modbus.reference_num": start, "modbus.bit_cnt": len(bits)}
            found |= {"modbus.byte_cnt": (len(bits) + 7) // 8}
        case p.WriteRegisters(start, values):
            found |= {"modbus.reference_num": start, "modbus.word_cnt": len(values), "modbus.byte_cnt": 2 * len(values)}
        case p.MaskWrite(address, and_mask, or_mask):
            found |= {"modbus.reference_num": address, "modbus.and_mask": and_mask, "modbus.or_mask": or_mask}
        case p.ReadWrite(read_start, quantity, write_start, values):
            found |= {"modbus.read_reference_num": read_start, "modbus.read_word_cnt": quantity}
            found |= {"modbus.write_reference_num": write_start, "modbus.write_word_cnt": len(values)}
            found |= {"modbus.byte_cnt": 2 * len(values)}
        case p.ReadFifo(pointer):
            found |= {"modbus.reference_num": pointer}
        case p.ReadFile(records) | p.WriteFile(records):
            found |= {"modbus.byte_cnt": one[8], "modbus.reference_type": [6] * len(records)}
            found |= {"modbus.word_cnt": [record.count for record in records]}
        case p.Diagnostics(sub, _):
            found |= {"modbus.diagnostic_code": sub}
        case p.DeviceId(code, object_id):
            found |= {"modbus.mei": 14, "modbus.read_device_id": code, "modbus.object_id": object_id}
    return {name: value if isinstance(value, list) else [value] for name, value in found.items()}


def tsharks(sent: list[bytes], folder: Path) -> tuple[list[Decoded], list[int]]:
    """Per ADU its fields by tshark, and the transaction ids that it finds in the stream of all."""
    tshark = need_program("tshark")
    stream = b"".join(sent)
    alone = [(10_000 + number, one) for number, one in enumerate(sent)]
    together = [(STREAM, stream[at : at + 1400]) for at in range(0, len(stream), 1400)]
    file = folder / "sent.pcap"
    file.write_bytes(capture(alone + together))
    fields = [option for name in ("tcp.srcport", *FIELDS) for option in ("-e", name)]
    command = [tshark, "-r", str(file), "-n", "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,", *fields]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    decoded, ids = [], []
    for line in run.stdout.splitlines():
        source, *columns = line.split("\t")
        values = {
            name: [int(value, 16 if name in HEX else 0) for value in column.split(",")]
            if name != "_ws.malformed"
            else [1]
            for name, column in zip(FIELDS, columns, strict=True)
            if column
        }
        if int(source) == STREAM:
            ids += values.get("mbtcp.trans_id", [])
        else:
            decoded.append(values)
    return decoded, ids


@pytest.mark.timeout(90)
def test_tshark_agrees_on_every_frame(tmp_path: Path) -> None:
    sent = sent_to_the_plc()
    assert len(sent) > 300
    assert len({one[7] for one in sent}) == 28, "every function of the table"
    decoded, ids = tsharks(sent, tmp_path)
    assert ids == [one[0] << 8 | one[1] for one in cut(b"".join(sent))], "where one frame ends and the next begins"
    wrong = [(one.hex(), ours(one), theirs) for one, theirs in zip(sent, decoded, strict=True) if ours(one) != theirs]
    assert wrong == []


def test_tshark_would_disagree(tmp_path: Path) -> None:
    """The comparison bites: one changed bit in what it is shown is seen."""
    sent = [frame(1, 1, hexes("03 0000 0001")), frame(2, 1, hexes("06 0005 0007"))]
    spoilt = [sent[0], frame(2, 1, hexes("06 0004 0007"))]
    decoded, _ = tsharks(spoilt, tmp_path)
    assert [ours(one) == theirs for one, theirs in zip(sent, decoded, strict=True)] == [True, False]
