"""TLS towards the device: who is believed, what is told when one is not, and that nothing is said before."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from proxy import keys as files
from proxy.core.inventory import ServiceTls
from proxy.core.reason import Reason
from proxy.gateway.tls import DeviceTls, device_tls
from proxy.pki.leaf import Leaf
from proxy.protocols.modbus import PROTOCOL
from proxy.site import load_site
from tests.gateway.test_one_to_one import MIB, pattern, pour, same, take_exactly
from tests.support.inside import QUICK, Inside
from tests.support.keys import DAY, TLS12, TLS13, KeyFiles, Keys
from tests.support.net import until
from tests.support.pipe import SEGMENT, Broker, Line, PipeProtocol
from tests.support.plant import Builder
from tests.support.raw import Raw
from tests.support.toy import ToyDevice, ToyProtocol

HOST = "127.0.0.9"
SERVER = Leaf("plc", dns=("plc.plant.example",), ips=(ip_address(HOST),))


@pytest.fixture(scope="module")
def plc(keys: Keys) -> KeyFiles:
    return keys.issue(SERVER)


def serving(shown: KeyFiles, *, newest: ssl.TLSVersion = TLS13, clients_of: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    context.load_cert_chain(shown.certificate, shown.key)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of)
    return context


def trusting(keys: Keys, name: str = HOST, ours: KeyFiles | None = None) -> DeviceTls:
    if ours is None:
        return device_tls(ca=keys.ca, name=name)
    return device_tls(ca=keys.ca, name=name, certificate=ours.certificate, key=ours.key)


async def ask(inside: Inside, line: bytes = b"get 1\n") -> bytes:
    async with await Raw.to(inside.port) as raw:
        await raw.send(line)
        return await raw.recv()


class TestWhoIsBelieved:
    @pytest.mark.parametrize("shared", [True, False], ids=["shared", "one to one"])
    @pytest.mark.parametrize("newest", [TLS12, TLS13], ids=["tls12", "tls13"])
    @pytest.mark.parametrize("name", [HOST, "plc.plant.example"])
    async def test_the_right_one(
        self, name: str, newest: ssl.TLSVersion, shared: bool, toy: ToyProtocol, keys: Keys, plc: KeyFiles
    ) -> None:
        async with ToyDevice(tls=serving(plc, newest=newest)) as device:
            async with Inside(toy, device.port, shared=shared, device_tls=trusting(keys, name)) as inside:
                assert await ask(inside) == b"1 is 0\n"
                assert inside.device_counts.dial_failures == 0

    @pytest.mark.parametrize(
        ("who", "why"),
        [
            ("wrong address", "ip address mismatch"),
            ("wrong name", "hostname mismatch"),
            ("other authority", "self-signed certificate in certificate chain"),
            ("expired", "certificate has expired"),
            ("a client", "unsuitable certificate purpose"),
        ],
    )
    async def test_nobody_else(self, who: str, why: str, toy: ToyProtocol, keys: Keys, tmp_path: Path) -> None:
        """It is told why, and hears nothing of what the client said."""
        name = "other.plant.example" if who == "wrong name" else HOST
        shown = {
            "wrong address": lambda: keys.issue(Leaf("other", ips=(ip_address("127.0.0.8"),))),
            "wrong name": lambda: keys.issue(replace(SERVER, name="named")),
            "other authority": lambda: Keys(tmp_path, "elsewhere").issue(SERVER),
            "expired": lambda: keys.issue(replace(SERVER, name="late", life=DAY), since=2 * DAY),
            "a client": lambda: keys.issue("anna"),
        }[who]()
        async with ToyDevice(tls=serving(shown)) as device:
            async with Inside(toy, device.port, device_tls=trusting(keys, name)) as inside:
                assert await ask(inside) == b"device refused\n"
                assert device.received == []
                [(_, event)] = inside.journal.events
                assert event.reason is Reason.UPSTREAM_UNREACHABLE
                assert "TLS: " in event.detail and why in event.detail.lower(), event.detail
                assert (inside.device_counts.open, inside.device_counts.dial_failures) == (0, 1)

    async def test_a_device_without_tls(self, toy: ToyProtocol, keys: Keys) -> None:
        async with Broker() as broker, Inside(toy, broker.port, device_tls=trusting(keys)) as inside:
            asking = asyncio.create_task(ask(inside))
            line = await broker.accept()
            await line.take()
            await line.say(b"who are you?\r\n" * 3)
            assert await asking == b"device refused\n"
            assert "TLS: wrong version number" in inside.journal.events[0][1].detail

    async def test_t45_a_handshake_that_does_not_end(self, toy: ToyProtocol, keys: Keys) -> None:
        """TCP and TLS together have the time of one dial."""
        async with Broker() as broker, Inside(toy, broker.port, device_tls=trusting(keys)) as inside:
            began = time.monotonic()
            assert await ask(inside) == b"device refused\n"
            assert QUICK.dial - 0.05 < time.monotonic() - began < QUICK.dial + 0.3
            assert "TLS: no handshake in time" in inside.journal.events[0][1].detail
            hello = await (await broker.accept()).take()
            assert hello.startswith(b"\x16\x03") and b"get 1" not in hello

    async def test_it_leaves_during_the_handshake(self, toy: ToyProtocol, keys: Keys) -> None:
        async with Broker() as broker, Inside(toy, broker.port, device_tls=trusting(keys)) as inside:
            asking = asyncio.create_task(ask(inside))
            line = await broker.accept()
            await line.take()
            line.sock.close()
            assert await asking == b"device refused\n"
            assert "during the handshake" in inside.journal.events[0][1].detail


class TestOurOwnCertificate:
    @pytest.mark.parametrize("newest", [TLS12, TLS13], ids=["tls12", "tls13"])
    async def test_is_shown(self, newest: ssl.TLSVersion, toy: ToyProtocol, keys: Keys, plc: KeyFiles) -> None:
        context = serving(plc, newest=newest, clients_of=keys.ca)
        async with ToyDevice(tls=context) as device:
            tls = trusting(keys, ours=keys.issue("gate"))
            async with Inside(toy, device.port, device_tls=tls) as inside:
                assert await ask(inside) == b"1 is 0\n"

    async def test_is_missed(self, toy: ToyProtocol, keys: Keys, plc: KeyFiles) -> None:
        context = serving(plc, newest=TLS12, clients_of=keys.ca)
        async with ToyDevice(tls=context) as device:
            async with Inside(toy, device.port, device_tls=trusting(keys)) as inside:
                assert await ask(inside) == b"device refused\n"
                assert device.received == []
                assert "TLS: closed the connection during the handshake" in inside.journal.events[0][1].detail

    async def test_is_missed_in_tls_1_3(self, toy: ToyProtocol, keys: Keys, plc: KeyFiles) -> None:
        """There our handshake is done before the device has looked at our certificate: its no comes as an alert."""
        async with Broker() as broker, Inside(toy, broker.port, device_tls=trusting(keys)) as inside:
            asking = asyncio.create_task(ask(inside))
            sealed = Sealed(await broker.accept(), serving(plc, clients_of=keys.ca))
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                await sealed.shake()
            await sealed.flush()
            assert await asking == b"device lost\n"
            assert "TLS: tlsv13 alert certificate required" in inside.journal.events[0][1].detail


class Sealed:
    """The device's side of TLS by hand, over a line that reads what it is told to."""

    def __init__(self, line: Line, context: ssl.SSLContext) -> None:
        self.line = line
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def shake(self, behind: bytes = b"") -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.line.say(self._out.read())
                self._in.write(await self.line.take())
                continue
            break
        if behind:
            self._tls.write(behind)
        await self.flush()

    async def flush(self) -> None:
        await self.line.say(self._out.read())

    async def say(self, data: bytes) -> None:
        self._tls.write(data)
        await self.flush()

    async def to_close_notify(self) -> bytes:
        """Raises AssertionError when the stream ends without one: then it may have been cut."""
        data = bytearray()
        while True:
            try:
                if not (part := self._tls.read(65536)):
                    return bytes(data)
                data += part
            except ssl.SSLWantReadError:
                more = await self.line.take()
                assert more, "no close_notify"
                self._in.write(more)
            except ssl.SSLZeroReturnError:
                return bytes(data)


class TestTheStream:
    async def test_large_both_ways(self, keys: Keys, plc: KeyFiles) -> None:
        data = pattern(8 * MIB)
        async with Broker() as broker:
            async with Inside(PipeProtocol(), broker.port, shared=False, device_tls=trusting(keys)) as inside:
                async with await Raw.to(inside.port) as client:
                    sending = asyncio.create_task(client._loop.sock_sendall(client.sock, data))
                    sealed = Sealed(await broker.accept(), serving(plc))
                    await sealed.shake()
                    hearing = asyncio.create_task(sealed.to_close_notify())
                    saying = asyncio.create_task(sealed.say(data))
                    assert same(await take_exactly(client, len(data)), data)
                    await asyncio.gather(saying, sending)
                    client.finish()
                    assert same(await hearing, data + b"the end")

    async def test_what_it_says_right_behind_its_handshake(self, keys: Keys, plc: KeyFiles) -> None:
        async with Broker() as broker:
            async with Inside(PipeProtocol(), broker.port, shared=False, device_tls=trusting(keys)) as inside:
                async with await Raw.to(inside.port) as client:
                    await client.send(b"hello")
                    await Sealed(await broker.accept(), serving(plc)).shake(behind=b"welcome")
                    assert await client.recv() == b"welcome"

    async def test_a_client_that_leaves_during_the_handshake(self, keys: Keys, plc: KeyFiles) -> None:
        async with Broker() as broker:
            async with Inside(PipeProtocol(), broker.port, shared=False, device_tls=trusting(keys)) as inside:
                async with await Raw.to(inside.port) as client:
                    await client.send(b"one word")
                    client.finish()
                    assert await client.to_the_end() == b""
                sealed = Sealed(await broker.accept(), serving(plc))
                await asyncio.sleep(0.1)
                await sealed.shake()
                assert await sealed.to_close_notify() == b"one word" + b"the end"
                sealed.line.sock.close()
                await until(lambda: not inside.gateway.links.everyone())

    async def test_nothing_is_taken_from_a_client_that_nobody_hears_yet(self, keys: Keys) -> None:
        async with Broker() as broker:
            async with Inside(PipeProtocol(), broker.port, shared=False, device_tls=trusting(keys)) as inside:
                async with await Raw.to(inside.port, segment=SEGMENT) as client:
                    data = pattern(16 * MIB)
                    assert await pour(client.sock, data, still=0.1) < len(data)
                    assert inside.links[0].bytes_in < 100_000

    async def test_a_burst_before_its_goodbye(self, keys: Keys, plc: KeyFiles) -> None:
        data = pattern(MIB // 4)
        async with Broker() as broker:
            async with Inside(PipeProtocol(), broker.port, shared=False, device_tls=trusting(keys)) as inside:
                async with await Raw.to(inside.port, receive_buffer=65536, segment=SEGMENT) as client:
                    await client.send(b"hello")
                    sealed = Sealed(await broker.accept(), serving(plc))
                    await sealed.shake()
                    await sealed.say(data)
                    sealed.line.finish()
                    assert same(await client.to_the_end(), data)


class TestFilesAtTheStart:
    """`bulkhead run` says which file, for what, and how to mend it, before anything listens."""

    @pytest.fixture
    def start(self, tmp_path: Path) -> Start:
        return Start(tmp_path)

    def test_all_there(self, start: Start) -> None:
        start.keys.issue("gate")
        assert start.tls("{ certificate: gate }") == ""

    @pytest.mark.parametrize(
        ("tls", "says"),
        [
            (
                "{ ca: broker-ca }",
                "certs/broker-ca.crt is missing; put the certificate of",
            ),
            ("{ certificate: gate }", "certs/gate.crt is missing; make it with: bulkhead certs issue gate"),
        ],
    )
    def test_missing(self, tls: str, says: str, start: Start) -> None:
        told = start.tls(tls)
        assert told.startswith("device plc, services.modbus.tls: ") and says in told

    def test_not_private(self, start: Start) -> None:
        start.keys.issue("gate").key.chmod(0o644)
        assert "gate.key may be read or changed by others" in start.tls("{ certificate: gate }")

    def test_no_certificates_in_it(self, start: Start) -> None:
        (start.keys.folder / "broker-ca.crt").write_text("hello\n")
        assert "certs/broker-ca.crt cannot be used" in start.tls("{ ca: broker-ca }")

    def test_not_the_key_of_the_certificate(self, start: Start) -> None:
        gate, other = start.keys.issue("gate"), start.keys.issue("other")
        shutil.copy(other.key, gate.key)
        assert "gate.crt and .key cannot be used" in start.tls("{ certificate: gate }")

    def test_secrets(self, start: Start) -> None:
        assert "is missing; write it there, then: chmod 600 certs/uns.login" in start.secret("uns.login")
        login = start.keys.folder / "uns.login"
        login.write_text("gate\nsecret\n")
        login.chmod(0o640)
        assert "may be read or changed by others" in start.secret("uns.login")
        login.chmod(0o600)
        assert start.secret("uns.login") == "gate\nsecret\n"
        login.write_bytes(bytes(70_000))
        assert "longer than" in start.secret("uns.login")
        assert "no name of a file" in start.secret("../bulkhead.yaml")


class Start:
    """The files of a plant, asked for as the gateway does when it starts."""

    def __init__(self, folder: Path) -> None:
        plant = Builder(folder, 502, plc_host="10.3.0.11").build()
        self.keys = plant.keys
        site = load_site(plant.config, {"modbus": PROTOCOL}).site
        assert site is not None
        self._site, self._device = site, site.devices["plc"]

    def tls(self, text: str) -> str:
        """What is wrong, "" if nothing is."""
        given = dict(part.split(": ") for part in text.strip("{ }").split(", "))
        tls = ServiceTls(given.get("ca", "site-ca"), "10.3.0.11", given.get("certificate"))
        try:
            made = files.towards_device(self._site, self._device, replace(self._device.services["modbus"], tls=tls))
        except files.UnusableError as error:
            return str(error)
        assert made is not None
        return ""

    def secret(self, name: str) -> str:
        """The content, or what is wrong."""
        try:
            return files.secret(self._site, self._device, name).decode()
        except files.UnusableError as error:
            return str(error)
