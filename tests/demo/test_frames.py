"""The judge's own reading of a stream: whole frames, and whatever explains nothing."""

from __future__ import annotations

import pytest

from proxy.demo.frames import adu, content, cut, read_holding, registers, write_register, write_registers
from proxy.protocols.modbus import pdu as codec

READ, WRITE = read_holding(10, 5), write_register(40, 700)


def test_what_the_clients_send_is_what_the_specification_says() -> None:
    # MODBUS Application Protocol 1.1b3, 6.3, 6.6 and 6.12, the examples' shapes.
    assert adu(1, read_holding(107, 3)).hex() == "00010000000601" + "03006b0003"
    assert write_register(1, 3).hex() == "0600010003"
    assert write_registers(1, 0x000A, 0x0102).hex() == "100001000204000a0102"


@pytest.mark.parametrize("pdu", [READ, WRITE, write_registers(60, 1, 2)])
def test_the_gateways_codec_reads_them_as_well(pdu: bytes) -> None:
    request = codec.decode(pdu)
    assert not isinstance(request, codec.Malformed | codec.Unknown | codec.Wrong)
    assert request.encode() == pdu


def test_frames_are_cut_and_keep_unit_and_pdu() -> None:
    assert cut(adu(1, READ) + adu(2, WRITE, unit=7)) == ([content(READ), content(WRITE, 7)], b"")


@pytest.mark.parametrize(
    "strange",
    [
        adu(1, READ, protocol=1),
        adu(1, READ, length=1),
        adu(1, READ, length=255),
        adu(1, READ)[:-1],
        b"\0\0",
    ],
)
def test_what_is_no_frame_stays_in_the_rest(strange: bytes) -> None:
    assert cut(adu(1, WRITE) + strange) == ([content(WRITE)], strange)


def test_values_of_an_answer() -> None:
    assert registers(bytes.fromhex("00010000000701030400010203")) == (1, 0x0203)
    assert registers(b"") == ()
