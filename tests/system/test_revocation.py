"""T20, T21: a right that has ended, ends on live links: cut within a second, and nothing goes through afterwards."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from typing import TYPE_CHECKING

import pytest

from proxy.pki.certificate import certificate_facts
from tests.support.keys import KeyFiles
from tests.support.master import Master, read, write
from tests.support.mbaps import ask, connect, receive_frame, try_to
from tests.support.net import until
from tests.support.plant import MBAPS, OLD, Plant
from tests.support.tools import run

if TYPE_CHECKING:
    from tests.support.plc import RecordingPlc
    from tests.support.process import GatewayProcess

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("gateway")]

LINKS = 20
PROMISE = 1.0


class Writing:
    """A master that writes rising numbers to its own register as fast as they are answered, until it is cut."""

    def __init__(self, register: int) -> None:
        self.register = register
        self.sent = 0
        self.cut_at = 0.0

    async def until_cut(self, plant: Plant, listener: str, keys: KeyFiles) -> None:
        tls = keys.trusting(plant.keys.ca)
        async with await Master.open(plant.ports[listener], tls=tls) as master:
            try:
                while (await master.ask(write(self.register, self.sent & 0xFFFF), seconds=10.0))[0] == 6:
                    self.sent += 1
                    await asyncio.sleep(0.005)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            self.cut_at = time.monotonic()


async def bystander(plant: Plant, stop: asyncio.Event) -> int:
    """Of another identity; must not notice."""
    served = 0
    async with await Master.open(plant.ports[MBAPS], tls=plant.keys.issue("scada").trusting(plant.keys.ca)) as master:
        while not stop.is_set():
            assert (await master.ask(read(5)))[0] == 3
            served += 1
            await asyncio.sleep(0.005)
    return served


async def test_revoke_live(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
    keys = plant.keys.issue("mes")
    writers = [Writing(50 + at) for at in range(LINKS)]
    listeners = [MBAPS, OLD] * (LINKS // 2)
    tasks = [
        asyncio.create_task(writer.until_cut(plant, listener, keys))
        for writer, listener in zip(writers, listeners, strict=True)
    ]
    stop = asyncio.Event()
    other = asyncio.create_task(bystander(plant, stop))
    await until(lambda: all(writer.sent for writer in writers), 10)
    await asyncio.sleep(0.5)
    began = time.monotonic()
    plant.keys.revoke(keys)
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    await asyncio.sleep(0.1)  # what was on the wire at the cut is written down
    received = len(plc.writes)
    slowest = max(writer.cut_at - began for writer in writers)
    print(f"{LINKS} links cut within {slowest * 1000:.0f} ms; {received} writes before")
    assert slowest < PROMISE
    await asyncio.sleep(0.3)
    assert len(plc.writes) == received, "a write arrived after the cut"
    stop.set()
    assert await other > 50
    # What the device received is what the masters were told, but for those whose outcome the cut left open.
    for writer in writers:
        arrived = sum(pdu[1:3] == writer.register.to_bytes(2, "big") for pdu in plc.writes)
        assert writer.sent <= arrived <= writer.sent + 1
    assert try_to(plant.ports[MBAPS], keys.trusting(plant.keys.ca), read(5)) == (None, "")
    ends = [r for r in gateway.audit() if r["what"] == "close" and r.get("reason") == "BH-1004"]
    assert sum(r.get("count", 1) for r in ends) == LINKS


async def test_the_end_of_a_certificate_cuts_its_live_link(
    plant: Plant, gateway: GatewayProcess, plc: RecordingPlc
) -> None:
    keys = plant.keys.ending_in("mes", 3.0)
    pem = keys.certificate.read_text()
    ends = certificate_facts(ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END") + 26])).not_after
    writer = Writing(50)
    await asyncio.wait_for(writer.until_cut(plant, MBAPS, keys), 10)
    late = time.time() - ends
    print(f"cut {late * 1000:.0f} ms after the certificate's end")
    assert writer.sent and -0.1 < late < PROMISE
    await asyncio.sleep(0.3)
    assert writer.sent <= len(plc.writes) <= writer.sent + 1
    gateway.recorded(what="close", reason="BH-1004", who="mes")


async def test_a_broken_deny_list_changes_nothing(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
    """The last good list stays in force: nobody who was revoked comes back, nobody else is cut, and it is loud."""
    revoked, good = plant.keys.issue("mes"), plant.keys.issue("scada")
    plant.keys.revoke(revoked)
    await asyncio.sleep(0.8)
    deny = plant.keys.folder / "revoked.yaml"
    whole = deny.read_bytes()
    async with await Master.open(plant.ports[MBAPS], tls=good.trusting(plant.keys.ca)) as master:
        for broken in (b"", b"revoked: []\n", whole[:-5], b"\xff" * 100):
            deny.write_bytes(broken)
            await asyncio.sleep(0.6)
            assert (await master.ask(read(5)))[0] == 3
            assert try_to(plant.ports[MBAPS], revoked.trusting(plant.keys.ca), read(5))[0] is None
            assert "deny_list" in gateway.admin("/readyz")
        deny.write_bytes(whole)
        await asyncio.sleep(0.6)
        assert "deny_list" not in gateway.admin("/readyz")
        assert try_to(plant.ports[MBAPS], revoked.trusting(plant.keys.ca), read(5))[0] is None


def test_bulkhead_certs_revoke_is_heard(plant: Plant, gateway: GatewayProcess, plc: RecordingPlc) -> None:
    """The command that an operator has, down to the master that is cut."""

    def certs(*words: str) -> None:
        done = run([sys.executable, "-m", "proxy", "certs", *words, "--config", str(plant.config)], seconds=20)
        assert done.returncode == 0, done.stdout

    certs("issue", "mes", "--force")
    folder = plant.keys.folder
    keys = KeyFiles(folder / "mes.crt", folder / "mes.key", 0, "mes")
    with connect(plant.ports[MBAPS], keys.trusting(plant.keys.ca)) as sock:
        assert ask(sock, read(5)) is not None
        certs("revoke", "mes", "--reason", "a test")
        began = time.monotonic()
        assert receive_frame(sock) is None
        assert time.monotonic() - began < PROMISE
