"""What is on record when something went wrong, and what may not happen without a record."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.modbus.frames import frame
from tests.support.master import read, refusal, write
from tests.support.mbaps import ask, dial, receive_frame
from tests.support.net import wait_until
from tests.support.plant import PLAIN, Builder, Plant
from tests.support.process import GatewayProcess, limited, running

if TYPE_CHECKING:
    from tests.support.plc import RecordingPlc

pytestmark = pytest.mark.system


class TestOneBadFrame:
    @pytest.mark.parametrize(
        "bytes_", [b"\0\1\0\7\0\6\1\3\0\5\0\1", b"\0\1\0\0\0\0", b"\0\1\0\0\1\0", b"\0\1\0\0\xff\xff"], ids=bytes.hex
    )
    def test_it_ends_its_own_link_with_a_record(
        self, bytes_: bytes, plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
    ) -> None:
        with dial(plant.ports[PLAIN]) as bad, dial(plant.ports[PLAIN]) as good:
            mine = bad.getsockname()[1]
            assert ask(good, read(5)) is not None
            bad.sendall(frame(9, 1, read(6)))
            assert receive_frame(bad) is not None
            bad.sendall(bytes_ + frame(2, 1, write(40, 1)))
            assert receive_frame(bad) is None
            assert ask(good, read(7)) is not None
        assert plc.pdus == [read(5), read(6), read(7)]
        malformed = gateway.recorded(what="malformed", peer=f"127.0.0.1:{mine}")
        assert malformed["reason"] == "BH-1102" and malformed["detail"]
        assert gateway.recorded(what="close", peer=f"127.0.0.1:{mine}")["reason"] == "BH-1102"


@pytest.fixture(scope="module")
def strict(recorder: RecordingPlc, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return Builder(tmp_path_factory.mktemp("strict"), recorder.port, audit="before").build()


@pytest.fixture(scope="module")
def careful(strict: Plant) -> Iterator[GatewayProcess]:
    with running(strict) as process:
        yield process


class TestAuditFirst:
    """A surface with ``audit: before``: no record, no write."""

    def test_the_record_is_on_disk_when_the_write_arrives(
        self, strict: Plant, careful: GatewayProcess, plc: RecordingPlc
    ) -> None:
        with dial(strict.ports[PLAIN]) as sock:
            for value in range(20):
                assert ask(sock, write(51, value), tid=value) == write(51, value)
                acts = [r["action"] for r in careful.audit() if r["what"] == "act"]
                assert acts[-1].startswith("write holding 51") and f"= {value} " in acts[-1]
        assert plc.writes == [write(51, value) for value in range(20)]

    def test_order_is_kept_around_held_writes(self, strict: Plant, careful: GatewayProcess, plc: RecordingPlc) -> None:
        asked = [pdu for at in range(5) for pdu in (write(52, at), read(52), read(at))]
        with dial(strict.ports[PLAIN]) as sock:
            sock.sendall(b"".join(frame(tid, 1, pdu) for tid, pdu in enumerate(asked)))
            answers = [receive_frame(sock) for _ in asked]
        assert plc.pdus == asked
        read_back = [frame(3 * at + 1, 1, b"\x03\x02" + at.to_bytes(2, "big")) for at in range(5)]
        assert [answers[3 * at + 1] for at in range(5)] == read_back

    def test_without_an_audit_log_writes_are_refused_06_and_reads_go_on(
        self, strict: Plant, careful: GatewayProcess, plc: RecordingPlc
    ) -> None:
        with dial(strict.ports[PLAIN]) as sock:
            assert ask(sock, write(53, 1)) == write(53, 1)
            with limited(careful, resource.RLIMIT_FSIZE, 1):
                for value in range(2, 6):
                    assert ask(sock, write(53, value)) == refusal(write(53, value), 6)
                    assert ask(sock, read(5)) is not None
                assert "audit" in careful.admin("/readyz")
            wait_until(lambda: ask(sock, write(53, 9)) == write(53, 9), 10, "writes are allowed again")
            assert ask(sock, read(53)) == b"\x03\x02\0\x09"
        assert plc.writes == [write(53, 1), write(53, 9)]
        assert careful.recorded(what="gap")["detail"]
