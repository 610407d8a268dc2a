"""One client connection: its phases, their deadlines, and how it ends. Real sockets, fakes around them."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from proxy.gateway.link import CUT_AT, HELLO_LIMIT, READ, Link
from proxy.gateway.sockets import KEEPALIVE
from tests.support.inside import DEFAULT, QUICK, RULE, Inside, allow_all
from tests.support.net import until
from tests.support.raw import Raw, Tls, shaken

if TYPE_CHECKING:
    from proxy.core.action import Action
    from tests.support.keys import Keys
    from tests.support.toy import ToyDevice, ToyProtocol

REFUSED = b"no BH-1201\n"


def refuse(actions: tuple[Action, ...], now: float) -> Verdict:
    return Verdict(DEFAULT, Reason.DEFAULT_DENY)


def record_first(actions: tuple[Action, ...], now: float) -> Verdict:
    return Verdict(RULE, record_first=True)


class TestHandshake:
    async def test_t45_its_deadline_covers_the_whole_of_it(
        self, toy: ToyProtocol, device: ToyDevice, keys: Keys
    ) -> None:
        """A byte now and then does not buy time."""
        hello, _ = Tls(keys.issue("anna").trusting(keys.ca)).shake()
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as slow:
            began = time.monotonic()
            with pytest.raises((ConnectionError, AssertionError)):
                for byte in hello:
                    await slow.send(bytes((byte,)))
                    await asyncio.sleep(0.02)
                    assert inside.gateway.links.everyone()
            assert QUICK.handshake - 0.05 < time.monotonic() - began < QUICK.handshake + 0.3
            assert inside.counts.too_slow == 1
            assert inside.journal.reasons("connect") == [Reason.TOO_SLOW]

    async def test_a_silent_connection(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as silent:
            assert await silent.to_the_end(QUICK.handshake + 0.3) == b""
            assert inside.counts.too_slow == 1

    async def test_t50_a_hello_without_end(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as big:
            record = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + bytes(16380)
            with pytest.raises(ConnectionError):
                for _ in range(50):
                    await big.send(record)
                    await asyncio.sleep(0.01)
            await until(lambda: not inside.gateway.links.everyone())
            assert inside.journal.reasons("connect") == [Reason.TLS_FAILED]
            assert inside.counts.bytes_in <= HELLO_LIMIT + READ

    async def test_the_client_leaves(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys) as inside:
            async with await Raw.to(inside.port):
                pass
            await until(lambda: inside.journal.reasons("connect") == [Reason.TLS_FAILED])
            assert inside.counts.handshake_failures == 1
            assert not inside.gateway.links.everyone()

    @pytest.mark.parametrize("versions", [("1.3",), ("1.2",)], ids=["tls13", "tls12"])
    async def test_a_request_right_behind_it(
        self, versions: tuple[str, ...], toy: ToyProtocol, device: ToyDevice, keys: Keys
    ) -> None:
        context = keys.issue("anna").trusting(keys.ca)
        async with Inside(toy, device.port, keys=keys, versions=versions) as inside:
            async with await Raw.to(inside.port) as raw:
                tls = await shaken(raw, context, behind=b"get 1\nget 2\n")
                answers = b""
                while answers.count(b"\n") < 2:
                    answers += tls.open(await raw.recv())
                assert answers == b"1 is 0\n2 is 0\n"


class TestWayIn:
    async def test_refused_by_its_standing(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port, standing=Reason.DIFFERS_FROM_PIN) as inside:
            async with await Raw.to(inside.port) as raw:
                assert await raw.to_the_end() == b""
            assert inside.journal.reasons("connect") == [Reason.DIFFERS_FROM_PIN]
            assert inside.journal.opened_links == []
        assert device.accepted == 0

    async def test_no_rule_to_connect(self, toy: ToyProtocol, device: ToyDevice) -> None:
        no = Verdict(DEFAULT, Reason.NO_CONNECT_RULE)
        async with Inside(toy, device.port, connect=no) as inside:
            async with await Raw.to(inside.port) as raw:
                await raw.send(b"get 1\n")
                assert await raw.to_the_end() == b""
            assert inside.journal.reasons("connect") == [Reason.NO_CONNECT_RULE]
            assert inside.counts.refused_links == 1 and inside.counts.live == 0
        assert device.accepted == 0

    async def test_t49_keep_alive_on_both_sides(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port) as inside, await Raw.to(inside.port) as raw:
            await raw.send(b"get 1\n")
            await raw.recv()
            fds = [fd for fd in _sockets() if _peer(fd) in {raw.sock.getsockname(), (device.host, device.port)}]
            # Ours of the client, and ours to the device.
            checked = 0
            for fd in fds:
                with socket.socket(fileno=socket.dup(fd)) as ours:
                    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                    for option, value in KEEPALIVE:
                        assert ours.getsockopt(socket.IPPROTO_TCP, option) == value
                    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                    checked += 1
            assert checked == 2
            idle, interval, count = (value for _, value in KEEPALIVE)
            assert idle + interval * count <= 30


class TestCertificate:
    @pytest.fixture
    async def context(self, keys: Keys) -> tuple[int, object]:
        issued = keys.issue("anna")
        return issued.serial, issued.trusting(keys.ca)

    async def test_its_end_cuts_a_live_link(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        issued = keys.ending_in("anna", 2.0)
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as raw:
            tls = await shaken(raw, issued.trusting(keys.ca), behind=b"get 1\n")
            while not tls.open(await raw.recv()):
                pass
            ends = inside.links[0].facts.certificate
            assert ends is not None
            said = tls.open(await raw.to_the_end())
            assert abs(time.time() - ends.not_after) < 0.3
            assert said == b"bye BH-1004\n"
            assert [end.why for end in inside.journal.ends] == [Reason.CERTIFICATE_ENDED]

    async def test_revoked_on_a_live_link(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        issued = keys.issue("anna")
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as raw:
            tls = await shaken(raw, issued.trusting(keys.ca))
            await until(lambda: inside.links)
            inside.revoked.add(issued.serial)
            await inside.gateway.decide_again()
            await raw.send(tls.seal(b"put 1 1\n"))
            assert tls.open(await raw.to_the_end()) == b"bye BH-1004\n"
        assert device.received == []

    async def test_looked_at_now_and_then_by_itself(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        issued = keys.issue("anna")
        timing = replace(QUICK, recheck=0.2)
        async with Inside(toy, device.port, keys=keys, timing=timing) as inside, await Raw.to(inside.port) as raw:
            tls = await shaken(raw, issued.trusting(keys.ca))
            await until(lambda: inside.links)
            await asyncio.sleep(0.5)
            assert len(inside.links) == 1
            inside.revoked.add(issued.serial)
            assert tls.open(await raw.to_the_end(1.0)) == b"bye BH-1004\n"

    async def test_looked_at_before_a_held_act_goes_on(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        issued = keys.issue("anna")
        async with Inside(toy, device.port, keys=keys, decide=record_first) as inside:
            inside.journal.on_disk = None
            async with await Raw.to(inside.port) as raw:
                tls = await shaken(raw, issued.trusting(keys.ca), behind=b"put 1 1\n")
                await until(lambda: inside.journal.acts)
                inside.revoked.add(issued.serial)
                inside.journal.settle(True)
                assert tls.open(await raw.to_the_end()) == b"bye BH-1004\n"
        assert device.received == []


class TestHungDisk:
    """The record of an act does not come, neither a yes nor a no."""

    async def test_the_act_is_refused_in_the_end(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port, decide=record_first) as inside, await Raw.to(inside.port) as raw:
            inside.journal.on_disk = None
            began = time.monotonic()
            await raw.send(b"put 1 1\n")
            assert await raw.recv() == b"no BH-1601\n"
            assert QUICK.hold - 0.05 < time.monotonic() - began < QUICK.hold + 0.3
            inside.journal.settle(True)  # too late
            inside.decide = allow_all
            await raw.send(b"get 1\n")
            assert await raw.recv() == b"1 is 0\n"
        assert device.received == ["get 1"]

    async def test_a_client_that_gave_up_is_forgotten(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port, decide=record_first) as inside:
            inside.journal.on_disk = None
            for _ in range(5):
                async with await Raw.to(inside.port) as raw:
                    await raw.send(b"put 1 1\n")
                    await until(lambda: len(inside.journal.acts) == inside.counts.accepted)
            await until(lambda: not inside.links, QUICK.hold + 1)
        assert device.received == []


class TestSlowReader:
    """A client that asks and does not take its answers."""

    poured = 0

    @pytest.fixture(autouse=True)
    def half_a_line_may_wait(self, toy: ToyProtocol) -> None:
        toy.partial = 60.0

    def pour(self, raw: Raw) -> bool:
        """As many lines as go, the last one perhaps in part. False if nothing is taken."""
        try:
            self.poured += raw.sock.send((b"get 9\n" * 10_000)[self.poured % 6 :])
        except BlockingIOError:
            return False
        return True

    def narrow(self, raw: Raw, inside: Inside) -> Link:
        """Takes the kernel's megabytes away from the gateway's side of this connection."""
        [link] = [link for link in inside.links if link.facts.peer_port == raw.sock.getsockname()[1]]
        assert isinstance(link, Link)
        link._wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        return link

    async def fill(self, raw: Raw, inside: Inside) -> None:
        """Until the gateway has answers left that the kernel does not take."""
        link = self.narrow(raw, inside)
        while not link._wire.waiting:
            self.pour(raw)
            await asyncio.sleep(0.001)

    async def test_nothing_more_is_read_from_it(self, toy: ToyProtocol, device: ToyDevice) -> None:
        timing = replace(QUICK, write_stall=5.0)
        async with Inside(toy, device.port, decide=refuse, timing=timing) as inside:
            async with await Raw.to(inside.port, receive_buffer=4096) as raw:
                await until(lambda: inside.links)
                await self.fill(raw, inside)
                [link] = inside.links
                assert isinstance(link, Link)
                for _ in range(200):
                    await asyncio.sleep(0.01)
                    if not self.pour(raw):
                        break
                taken = link.bytes_in
                await asyncio.sleep(0.1)
                assert link.bytes_in == taken
                assert 0 < len(link._wire.waiting) < CUT_AT

    async def test_t45_a_write_stall_is_cut_and_others_are_served(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port, decide=refuse) as inside:
            async with await Raw.to(inside.port, receive_buffer=4096) as slow, await Raw.to(inside.port) as honest:
                await until(lambda: len(inside.links) == 2)
                await self.fill(slow, inside)
                began = time.monotonic()
                while not inside.journal.ends:
                    asked = time.monotonic()
                    await honest.send(b"get 9\n")
                    assert await honest.exactly(len(REFUSED)) == REFUSED
                    assert time.monotonic() - asked < 0.25
                    assert time.monotonic() - began < QUICK.write_stall + 0.3
                    await asyncio.sleep(0.005)
                assert time.monotonic() - began > QUICK.write_stall / 2
                assert [end.why for end in inside.journal.ends] == [Reason.TOO_SLOW]

    async def test_half_close_gives_every_answer_however_slowly_it_is_taken(
        self, toy: ToyProtocol, device: ToyDevice
    ) -> None:
        pieces, lines = 20, 200
        timing = replace(QUICK, write_stall=4.0)
        async with Inside(toy, device.port, decide=refuse, timing=timing) as inside:
            async with await Raw.to(inside.port, receive_buffer=4096) as raw:
                await until(lambda: inside.links)
                link = self.narrow(raw, inside)
                for _ in range(pieces):
                    await raw.send(b"get 9\n" * lines)
                    await asyncio.sleep(0.01)
                raw.finish()
                await asyncio.sleep(3 * QUICK.goodbye)
                assert link._wire.waiting, "the kernel has taken all of it: nothing is tested"
                received = 0
                while more := await raw.recv():
                    received += len(more)
                    await asyncio.sleep(0.001)
                assert received == pieces * lines * len(REFUSED)
            await until(lambda: inside.journal.ends)
            assert [end.why for end in inside.journal.ends] == [None]
        assert [inspector.eofs for inspector in toy.inspectors] == [1]


class TestFairness:
    """T47: whoever sends very much at once is served in turns, like everybody else."""

    LINES = b"".join(b"get %d\n" % at for at in range(1800))

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    async def test_a_flood_takes_turns(self, secure: bool, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys if secure else None) as inside:
            async with await Raw.to(inside.port) as flooder, await Raw.to(inside.port) as honest:
                flood, request = self.LINES, b"get honest\n"
                if secure:
                    context = keys.issue("anna").trusting(keys.ca)
                    one, other = await shaken(flooder, context), await shaken(honest, context)
                    flood, request = one.seal(flood), other.seal(request)
                await until(lambda: len(inside.links) == 2)
                assert len(flood) <= 16384
                flooder.sock.send(flood)
                honest.sock.send(request)
                time.sleep(0.1)  # noqa: ASYNC251 - both are to be there when the gateway looks
                await until(lambda: len(device.received) == 1801)
                assert device.received.index("get honest") < 900
                device.received.remove("get honest")
                assert device.received == self.LINES.decode().splitlines()

    async def test_the_end_of_input_waits_for_its_turn(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as raw:
            tls = await shaken(raw, keys.issue("anna").trusting(keys.ca))
            await raw.send(tls.seal(self.LINES) + tls.close_notify())
            raw.finish()
            assert tls.open(await raw.to_the_end()).count(b" is 0\n") == 1800
            assert [inspector.eofs for inspector in toy.inspectors] == [1]
            await until(lambda: inside.journal.ends)
            assert [end.why for end in inside.journal.ends] == [None]


class TestEnds:
    async def test_end_of_input_is_told_once(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        """close_notify comes first, FIN later; in between an act was held, so reading had stopped."""
        async with Inside(toy, device.port, keys=keys, decide=record_first) as inside:
            inside.journal.on_disk = None
            device.silent = True
            async with await Raw.to(inside.port) as raw:
                tls = await shaken(raw, keys.issue("anna").trusting(keys.ca))
                await raw.send(tls.seal(b"put 1 1\n") + tls.close_notify())
                raw.finish()
                await until(lambda: inside.journal.acts)
                inside.journal.settle(True)
                await until(lambda: device.received)
                await asyncio.sleep(0.05)
                assert [inspector.eofs for inspector in toy.inspectors] == [1]
                device.say("1 is 1")
                assert tls.open(await raw.to_the_end()) == b"1 is 1\n"

    async def test_a_draining_gateway_takes_nothing_more(self, toy: ToyProtocol, device: ToyDevice) -> None:
        """Not even when a record comes in that something was waiting for."""
        async with Inside(toy, device.port, decide=record_first) as inside:
            inside.journal.on_disk = None
            async with await Raw.to(inside.port) as raw:
                await raw.send(b"put 1 1\n")
                await until(lambda: inside.journal.acts)
                inside.links[0].pause()
                await raw.send(b"put 2 2\n")
                inside.journal.settle(True)
                assert await raw.recv() == b"1 is 1\n"
                await asyncio.sleep(0.05)
                assert inside.journal.acts == ["put 1 1"]

    async def test_a_refusal_is_recorded_though_the_client_is_gone(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port, decide=refuse) as inside:
            for _ in range(20):
                raw = await Raw.to(inside.port)
                raw.sock.send(b"put 9 1\n")
                raw.reset()
            await until(lambda: inside.counts.accepted == 20 and not inside.links)
            assert len(inside.journal.reasons("refuse")) == 20

    async def test_without_close_notify(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as raw:
            tls = await shaken(raw, keys.issue("anna").trusting(keys.ca), behind=b"get 1\n")
            raw.finish()
            assert tls.open(await raw.to_the_end()) == b"1 is 0\n"
            await until(lambda: inside.journal.ends)
            assert inside.journal.ends[0].why is None

    async def test_garbage_instead_of_a_record(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        async with Inside(toy, device.port, keys=keys) as inside, await Raw.to(inside.port) as raw:
            await shaken(raw, keys.issue("anna").trusting(keys.ca))
            await until(lambda: inside.links)
            await raw.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            alert = await raw.to_the_end()
            assert alert[:1] == b"\x17"  # an encrypted alert
            assert [end.why for end in inside.journal.ends] == [Reason.TLS_FAILED]

    async def test_a_peer_that_never_answers_the_goodbye(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port) as inside, await Raw.to(inside.port) as raw:
            await raw.send(b"bye\n")
            assert await raw.to_the_end() == b""
            await until(lambda: not inside.gateway.links.everyone(), QUICK.goodbye + 0.3)
            await asyncio.sleep(QUICK.goodbye)
            assert not any(_peer(fd) == raw.sock.getsockname() for fd in _sockets())


class TestLimits:
    async def test_per_source(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port) as inside:
            inside.gateway.links._limits = replace(inside.limits, links_per_source=2)
            kept = [await Raw.to(inside.port, source="127.0.0.2") for _ in range(2)]
            third = await Raw.to(inside.port, source="127.0.0.2")
            assert await third.to_the_end() == b""
            assert inside.journal.reasons("connect") == [Reason.CONNECTION_LIMIT]
            other = await Raw.to(inside.port, source="127.0.0.3")
            for raw in (*kept, other):
                await raw.send(b"get 1\n")
                assert await raw.recv() == b"1 is 0\n"
            kept[0].sock.close()
            await until(lambda: len(inside.links) == 2)
            again = await Raw.to(inside.port, source="127.0.0.2")
            await again.send(b"get 1\n")
            assert await again.recv() == b"1 is 0\n"
            for raw in (*kept, third, other, again):
                raw.sock.close()

    async def test_per_identity(self, toy: ToyProtocol, device: ToyDevice, keys: Keys) -> None:
        """The certificate counts, wherever it comes from."""
        anna, berta = (keys.issue(name).trusting(keys.ca) for name in ("anna", "berta"))
        async with Inside(toy, device.port, keys=keys) as inside:
            inside.gateway.links._limits = replace(inside.limits, links_per_identity=2)
            raws = [await Raw.to(inside.port, source=f"127.0.0.{at}") for at in range(2, 6)]
            for raw, context, welcome in zip(raws, (anna, anna, anna, berta), (True, True, False, True), strict=True):
                tls = await shaken(raw, context, behind=b"get 1\n")
                answer = b""
                while data := await raw.recv():
                    if answer := tls.open(data):
                        break
                assert answer == (b"1 is 0\n" if welcome else b"")
            for raw in raws:
                raw.sock.close()

    async def test_in_all(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port) as inside:
            inside.gateway.links._limits = replace(inside.limits, links=3)
            raws = [await Raw.to(inside.port, source=f"127.0.0.{at}") for at in range(2, 6)]
            assert await raws[3].to_the_end() == b""
            assert len(inside.links) == 3 and inside.counts.limited == 1
            for raw in raws:
                raw.sock.close()


def _sockets() -> list[int]:
    import os

    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
        except OSError:
            continue
    return found


def _peer(fd: int) -> object:
    try:
        with socket.socket(fileno=socket.dup(fd)) as ours:
            return ours.getpeername()
    except OSError:
        return None
