"""MB-TCP-Security v36, requirement by requirement (protocols.md 5.6), against `bulkhead run`."""

from __future__ import annotations

import re
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from proxy.pki.leaf import Leaf
from tests.modbus.frames import frame
from tests.support.keys import TLS12, TLS13, KeyFiles, trusting
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, connect, dial, receive_frame, try_to
from tests.support.net import LOCAL
from tests.support.plant import MBAPS, OLD, PLAIN, Plant
from tests.support.tools import run, tool

if TYPE_CHECKING:
    from tests.support.plc import RecordingPlc
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

VERSIONS = {"tls12": (OLD, TLS12), "tls13": (MBAPS, TLS13)}
BOTH = pytest.mark.parametrize("version", VERSIONS)

NULL_ROLES = {
    "no_extension": (),
    "two_extensions": (b"\x0c\x08Operator", b"\x0c\x08Operator"),
    "two_different": (b"\x0c\x08Operator", b"\x0c\x06Viewer"),
    "printable_string": (b"\x13\x08Operator",),
    "raw_bytes_without_tag": (b"Operator",),
    "empty_value": (b"",),
    "empty_string": (b"\x0c\x00",),
    "trailing_byte": (b"\x0c\x08Operator\x00",),
    "length_too_long": (b"\x0c\x09Operator",),
    "length_not_minimal": (b"\x0c\x81\x08Operator",),
    "invalid_utf8": (b"\x0c\x08Operato\xff",),
}
OTHER_ROLES = {
    "other_case": b"\x0c\x08operator",
    "space_behind": b"\x0c\x09Operator ",
    "list_of_roles": b"\x0c\x0fOperator,Viewer",
    "nul_behind": b"\x0c\x09Operator\x00",
}


def port_and_client(plant: Plant, version: str, keys: KeyFiles | None) -> tuple[int, ssl.SSLContext]:
    listener, number = VERSIONS[version]
    make = trusting if keys is None else keys.trusting
    return plant.ports[listener], make(plant.keys.ca, oldest=number, newest=number)


def client_hello(version: int) -> bytes:
    """One without extensions: no way to offer anything newer than ``version``."""
    body = version.to_bytes(2, "big") + b"\x42" * 32 + b"\0" + b"\0\x04\xc0\x09\xc0\x2b" + b"\x01\0"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


def s_client(plant: Plant, version: str, *words: str) -> list[str]:
    keys = plant.keys.issue("scada")
    listener, flag = (OLD, "-tls1_2") if version == "tls12" else (MBAPS, "-tls1_3")
    command = [tool("openssl"), "s_client", flag, "-CAfile", str(plant.keys.ca), "-cert", str(keys.certificate)]
    return [*command, "-key", str(keys.key), "-connect", f"{LOCAL}:{plant.ports[listener]}", *words]


@pytest.fixture(autouse=True)
def the_plc_is_left_alone(plc: RecordingPlc) -> RecordingPlc:
    return plc


class TestWhoGetsIn:
    @pytest.mark.parametrize(("version", "alert"), [("tls12", "HANDSHAKE_FAILURE"), ("tls13", "CERTIFICATE_REQUIRED")])
    def test_r02_r06_no_certificate(self, version: str, alert: str, plant: Plant, plc: RecordingPlc) -> None:
        answer, said = try_to(*port_and_client(plant, version, None), read(5))
        assert answer is None and alert in said
        assert plc.received == []

    @BOTH
    def test_r08_expired(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        answer, said = try_to(*port_and_client(plant, version, plant.keys.expired("mes")), read(5))
        assert answer is None and "CERTIFICATE_EXPIRED" in said
        assert plc.received == []

    @BOTH
    def test_r08_of_another_authority(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        answer, said = try_to(*port_and_client(plant, version, plant.keys.of_another_authority("mes")), read(5))
        assert answer is None and "UNKNOWN_CA" in said
        assert plc.received == []

    @BOTH
    def test_revoked(self, version: str, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
        keys = plant.keys.issue("mes")
        port, tls = port_and_client(plant, version, keys)
        assert try_to(port, tls, read(5))[0] is not None
        plant.keys.revoke(keys)
        time.sleep(1.0)
        plc.forget()
        assert try_to(port, tls, read(5)) == (None, "")
        assert plc.received == []
        gateway.recorded(what="connect", reason="BH-1004", who=None)

    @BOTH
    def test_a_known_device(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        port, tls = port_and_client(plant, version, plant.keys.issue("scada"))
        with connect(port, tls) as sock:
            assert ask(sock, read(5)) == b"\x03\x02" + plc.holding_at(5).to_bytes(2, "big")
            assert ask(sock, write(40, 9)) == write(40, 9)
        assert plc.pdus == [read(5), write(40, 9)]


class TestVersionsAndSuites:
    @pytest.mark.parametrize("listener", [MBAPS, OLD])
    @pytest.mark.parametrize("hello", [0x0300, 0x0301, 0x0302], ids=["ssl30", "tls10", "tls11"])
    def test_r01_r32_r35_too_old(self, listener: str, hello: int, plant: Plant) -> None:
        with dial(plant.ports[listener]) as sock:
            sock.sendall(client_hello(hello))
            alert = sock.recv(100)
        assert alert[:1] == b"\x15" and alert[5:] in (b"\x02\x46", b"\x02\x28"), alert.hex()

    def test_r33_tls12_only_where_the_listener_says_so(self, plant: Plant) -> None:
        client = plant.keys.issue("scada").trusting(plant.keys.ca, newest=TLS12)
        assert try_to(plant.ports[OLD], client, read(5))[0] is not None
        answer, said = try_to(plant.ports[MBAPS], client, read(5))
        assert answer is None and "PROTOCOL_VERSION" in said

    @pytest.mark.parametrize("listener", [MBAPS, OLD])
    def test_tls13_everywhere(self, listener: str, plant: Plant) -> None:
        with connect(plant.ports[listener], plant.keys.issue("scada").trusting(plant.keys.ca)) as sock:
            assert sock.version() == "TLSv1.3"

    def test_r14_r39_r61_the_suite_of_an_ecc_device(self, plant: Plant) -> None:
        client = plant.keys.issue("scada").trusting(plant.keys.ca, newest=TLS12)
        client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        client.set_ecdh_curve("prime256v1")
        assert try_to(plant.ports[OLD], client, read(5))[0] is not None

    @pytest.mark.parametrize(
        "suite",
        [
            "ECDHE-ECDSA-AES128-SHA256",
            "ECDHE-ECDSA-AES256-SHA",
            "ECDHE-ECDSA-NULL-SHA",
            "NULL-SHA256",
            "ADH-AES128-SHA",
        ],
    )
    def test_r37_r48_r50_r55_suites_refused(self, suite: str, plant: Plant) -> None:
        client = plant.keys.issue("scada").trusting(plant.keys.ca, newest=TLS12)
        client.set_ciphers(f"{suite}:@SECLEVEL=0")
        answer, said = try_to(plant.ports[OLD], client, read(5))
        assert answer is None and "HANDSHAKE_FAILURE" in said

    @BOTH
    def test_r47_the_whole_chain_is_sent(self, version: str, plant: Plant) -> None:
        said = run(s_client(plant, version, "-showcerts")).stdout.decode()
        assert said.count("BEGIN CERTIFICATE") == 2, said
        assert "Verify return code: 0 (ok)" in said

    @BOTH
    def test_r59_no_compression(self, version: str, plant: Plant) -> None:
        with connect(*port_and_client(plant, version, plant.keys.issue("scada"))) as sock:
            assert sock.compression() is None

    def test_r60_secure_renegotiation_is_known(self, plant: Plant) -> None:
        assert "Secure Renegotiation IS supported" in run(s_client(plant, "tls12")).stdout.decode()

    def test_r60_renegotiation_is_refused_at_once(self, plant: Plant) -> None:
        """`R` makes s_client renegotiate. It must hear the refusal, not wait for ever."""
        with subprocess.Popen(
            s_client(plant, "tls12"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as client:
            assert client.stdin is not None
            try:
                time.sleep(0.5)
                said, _ = client.communicate(b"R\n", timeout=4)
            finally:
                client.kill()
        assert b"RENEGOTIATING" in said and b"no renegotiation" in said, said[-600:]

    @BOTH
    def test_r57_r58_max_fragment_length_512(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        command = s_client(plant, version, "-maxfraglen", "512", "-msg", "-quiet")
        asked = b"".join(frame(tid, 1, read(0, 100)) for tid in range(4))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as it:
            assert it.stdin is not None
            try:
                it.stdin.write(asked)
                it.stdin.flush()
                time.sleep(1.0)
            finally:
                it.kill()
            said = it.stdout.read() if it.stdout is not None else b""
        assert len(plc.received) == 4
        headers = re.findall(rb"<<<[^\n]*RecordHeader[^\n]*\n\s+(?:[0-9a-f]{2} ){3}([0-9a-f]{2}) ([0-9a-f]{2})", said)
        lengths = [int(high + low, 16) for high, low in headers]
        assert len(lengths) > 4 and max(lengths) <= 512 + 64, lengths


class TestRoles:
    @BOTH
    @pytest.mark.parametrize("values", NULL_ROLES.values(), ids=NULL_ROLES)
    def test_r65_r23_null_role(self, values: tuple[bytes, ...], version: str, plant: Plant, plc: RecordingPlc) -> None:
        """The connection stays up and every request is answered 01 (SunSpec TCP-32)."""
        with connect(*port_and_client(plant, version, plant.keys.with_roles("vendor", *values))) as sock:
            for tid, pdu in enumerate([read(200), write(200, 1), read(5), b"\x2b\x0e\x01\x00", read(200)]):
                assert ask(sock, pdu, tid=tid) == refusal(pdu)
        assert plc.received == [] and plc.accepted == 0

    @pytest.mark.parametrize("value", OTHER_ROLES.values(), ids=OTHER_ROLES)
    def test_r65_the_whole_string_is_one_role(self, value: bytes, plant: Plant, plc: RecordingPlc) -> None:
        with connect(*port_and_client(plant, "tls13", plant.keys.with_roles("vendor", value))) as sock:
            assert ask(sock, read(200)) == refusal(read(200))
        assert plc.received == []

    @BOTH
    def test_r20_r22_the_role_that_a_rule_names(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        with connect(*port_and_client(plant, version, plant.keys.issue(Leaf("vendor", role="Operator")))) as sock:
            assert ask(sock, write(200, 5)) == write(200, 5)
            assert ask(sock, write(40, 5)) == refusal(write(40, 5))
        assert plc.pdus == [write(200, 5)]

    @pytest.mark.parametrize("pdu", [write(40, 1501), write(41, 1), write(900, 1), read(99, 2), b"\x5a\x01"])
    def test_r31_refusal_is_exception_01(self, pdu: bytes, plant: Plant, plc: RecordingPlc) -> None:
        with connect(*port_and_client(plant, "tls13", plant.keys.issue("scada"))) as sock:
            assert ask(sock, pdu) == refusal(pdu, 1)
        assert plc.received == []


class TestFraming:
    @BOTH
    def test_r05_r56_a_record_per_byte(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        with connect(*port_and_client(plant, version, plant.keys.issue("scada"))) as sock:
            for byte in frame(7, 1, read(5)):
                sock.send(bytes((byte,)))
            assert receive_frame(sock) == frame(7, 1, b"\x03\x02" + plc.holding_at(5).to_bytes(2, "big"))

    @BOTH
    def test_r05_r56_many_messages_in_a_record(self, version: str, plant: Plant, plc: RecordingPlc) -> None:
        with connect(*port_and_client(plant, version, plant.keys.issue("scada"))) as sock:
            sock.sendall(b"".join(frame(tid, 1, read(tid)) for tid in range(10)))
            answers = [receive_frame(sock) for _ in range(10)]
        expected = [frame(tid, 1, b"\x03\x02" + plc.holding_at(tid).to_bytes(2, "big")) for tid in range(10)]
        assert answers == expected

    def test_plain_modbus_on_the_mbaps_port(self, plant: Plant, plc: RecordingPlc) -> None:
        """T51: no way down to plain text."""
        with dial(plant.ports[MBAPS]) as sock:
            sock.sendall(frame(1, 1, read(5)))
            assert receive_frame(sock) is None
        assert plc.received == []

    def test_tls_on_the_plain_port(self, plant: Plant, plc: RecordingPlc) -> None:
        with dial(plant.ports[PLAIN]) as sock:
            sock.sendall(client_hello(0x0303))
            assert sock.recv(100) == b""
        assert plc.received == []
