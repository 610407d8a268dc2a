"""The contract between protocol folders and the data plane, held by a protocol that is not Modbus (tests.support.toy).

What stands here is what `proxy.protocols.base` promises to whoever writes an inspector or an upstream.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from proxy.core.reason import Reason
from proxy.core.verdict import Verdict
from tests.support.inside import DEFAULT, RULE, Inside
from tests.support.keys import Keys
from tests.support.net import LOCAL, until
from tests.support.toy import ToyAction, ToyDevice, ToyProtocol

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.core.action import Action


class Talker:
    """A client of the toy protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, inside: Inside, tls: ssl.SSLContext | None = None) -> Talker:
        name = "gateway" if tls is not None else None
        reader, writer = await asyncio.open_connection(LOCAL, inside.port, ssl=tls, server_hostname=name)
        inside.clients.append(writer)
        return cls(reader, writer)

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\n" for line in lines).encode())

    async def hear(self) -> str:
        """The next line, "" when the gateway has closed."""
        async with asyncio.timeout(3):
            return (await self._reader.readline()).decode().rstrip("\n")

    async def ask(self, line: str) -> str:
        self.say(line)
        return await self.hear()


@pytest.fixture
async def device() -> AsyncIterator[ToyDevice]:
    async with ToyDevice() as device:
        yield device


@pytest.fixture
def toy() -> ToyProtocol:
    return ToyProtocol()


@pytest.fixture
async def inside(toy: ToyProtocol, device: ToyDevice) -> AsyncIterator[Inside]:
    async with Inside(toy, device.port) as inside:
        yield inside
        inside.abandon()
        await until(lambda: not inside.gateway.links.everyone(), what="no link is left")


def refuse_cell_9(actions: tuple[Action, ...], now: float) -> Verdict:
    assert all(isinstance(action, ToyAction) for action in actions)
    forbidden = any(action.describe().endswith(" 9") for action in actions)
    return Verdict(DEFAULT, Reason.DEFAULT_DENY) if forbidden else Verdict(RULE)


def record_puts_first(actions: tuple[Action, ...], now: float) -> Verdict:
    return Verdict(RULE, record_first=any(action.changes for action in actions))


class TestTheWay:
    @pytest.mark.parametrize("versions", [None, ("1.3",), ("1.2", "1.3")], ids=["plain", "tls13", "tls12"])
    async def test_to_the_device_and_back(
        self, versions: tuple[str, ...] | None, toy: ToyProtocol, device: ToyDevice, tmp_path: Path
    ) -> None:
        keys = Keys(tmp_path) if versions else None
        tls = keys.issue("anna").trusting(keys.ca) if keys else None
        async with Inside(toy, device.port, keys=keys, versions=versions or ()) as inside:
            anna = await Talker.to(inside, tls)
            assert await anna.ask("put 5 77") == "5 is 77"
            assert await anna.ask("get 5") == "5 is 77"
            assert device.received == ["put 5 77", "get 5"]
            anna.writer.close()
            await until(lambda: inside.journal.ends)
        assert inside.journal.ends[0].allowed == 2
        assert inside.journal.ends[0].why is None

    async def test_cut_anywhere(self, inside: Inside, device: ToyDevice) -> None:
        anna = await Talker.to(inside)
        for byte in b"get 1\nget 2\n":
            anna.writer.write(bytes((byte,)))
            await asyncio.sleep(0.005)
        assert [await anna.hear(), await anna.hear()] == ["1 is 0", "2 is 0"]

    async def test_a_refusal_is_in_the_peers_language_and_the_device_is_not_dialled(
        self, inside: Inside, device: ToyDevice
    ) -> None:
        inside.decide = refuse_cell_9
        anna = await Talker.to(inside)
        assert await anna.ask("put 9 1") == "no BH-1201"
        assert device.accepted == 0
        assert await anna.ask("get 1") == "1 is 0"
        assert device.received == ["get 1"]
        assert inside.journal.reasons("refuse") == [Reason.DEFAULT_DENY]

    async def test_one_connection_for_all_and_each_gets_its_own(self, inside: Inside, device: ToyDevice) -> None:
        many = [await Talker.to(inside) for _ in range(12)]
        for number, one in enumerate(many):
            one.say(*(f"get {number}-{at}" for at in range(20)))
        for number, one in enumerate(many):
            assert [await one.hear() for _ in range(20)] == [f"{number}-{at} is 0" for at in range(20)]
        assert device.accepted == 1

    async def test_what_the_device_says_unasked_reaches_every_client(self, inside: Inside, device: ToyDevice) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        assert [await anna.ask("get 1"), await berta.ask("get 2")] == ["1 is 0", "2 is 0"]
        device.say("note shift ends")
        assert [await anna.hear(), await berta.hear()] == ["note shift ends"] * 2

    async def test_an_unshared_service_has_a_connection_for_each_client(
        self, toy: ToyProtocol, device: ToyDevice
    ) -> None:
        async with Inside(toy, device.port, shared=False) as inside:
            anna, berta = await Talker.to(inside), await Talker.to(inside)
            assert [await anna.ask("get 1"), await berta.ask("get 1")] == ["1 is 0"] * 2
            assert device.accepted == device.open == 2
            anna.writer.close()
            await until(lambda: device.open == 1)
            assert await berta.ask("get 2") == "2 is 0"


class TestTheFarSide:
    async def test_refused(self, toy: ToyProtocol, device: ToyDevice) -> None:
        await device.stop()
        async with Inside(toy, device.port) as inside:
            anna = await Talker.to(inside)
            assert await anna.ask("get 1") == "device refused"
            await device.start()
            assert await anna.ask("get 1") == "1 is 0"
            assert inside.journal.reasons("device") == [Reason.UPSTREAM_UNREACHABLE]

    async def test_lost(self, inside: Inside, device: ToyDevice) -> None:
        anna = await Talker.to(inside)
        device.silent = True
        anna.say("put 1 1")
        await until(lambda: device.received)
        device.hang_up()
        assert await anna.hear() == "device lost"
        device.silent = False
        assert await anna.ask("get 2") == "2 is 0"
        assert device.received == ["put 1 1", "get 2"]


class TestHeldActs:
    @pytest.fixture(autouse=True)
    def puts_are_recorded_first(self, inside: Inside) -> None:
        inside.decide = record_puts_first
        inside.journal.on_disk = None

    async def test_an_act_waits_for_its_record_and_all_behind_it_waits_too(
        self, inside: Inside, device: ToyDevice
    ) -> None:
        anna = await Talker.to(inside)
        anna.say("get 1", "put 2 7", "get 2", "put 3 8", "get 3")
        assert await anna.hear() == "1 is 0"
        await asyncio.sleep(0.05)
        assert device.received == ["get 1"]
        assert inside.journal.acts == ["put 2 7"]
        inside.journal.settle(True)
        assert [await anna.hear(), await anna.hear()] == ["2 is 7", "2 is 7"]
        await asyncio.sleep(0.05)
        assert device.received == ["get 1", "put 2 7", "get 2"]
        inside.journal.settle(True)
        assert [await anna.hear(), await anna.hear()] == ["3 is 8", "3 is 8"]
        assert device.received == ["get 1", "put 2 7", "get 2", "put 3 8", "get 3"]

    async def test_nothing_is_read_meanwhile(self, inside: Inside) -> None:
        anna = await Talker.to(inside)
        anna.say("put 2 7")
        await until(lambda: inside.journal.acts)
        [link] = inside.links
        before = link.bytes_in
        anna.say("get 1")
        await asyncio.sleep(0.05)
        assert link.bytes_in == before
        inside.journal.settle(True)
        assert [await anna.hear(), await anna.hear()] == ["2 is 7", "1 is 0"]

    async def test_others_go_on(self, inside: Inside) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        anna.say("put 2 7")
        await until(lambda: inside.journal.acts)
        assert await berta.ask("get 2") == "2 is 0"

    async def test_no_record_no_act(self, inside: Inside, device: ToyDevice) -> None:
        inside.journal.on_disk = False
        anna = await Talker.to(inside)
        anna.say("put 2 7", "get 2")
        assert [await anna.hear(), await anna.hear()] == ["no BH-1601", "2 is 0"]
        assert device.received == ["get 2"]

    async def test_it_is_decided_once_more(self, inside: Inside, device: ToyDevice) -> None:
        """T22: what was allowed when it was held may be forbidden when it would go."""
        anna = await Talker.to(inside)
        anna.say("put 9 7")
        await until(lambda: inside.journal.acts)
        inside.decide = refuse_cell_9
        inside.journal.settle(True)
        assert await anna.hear() == "no BH-1201"
        assert device.received == []

    async def test_a_client_that_left_does_not_act_any_more(self, inside: Inside, device: ToyDevice) -> None:
        anna = await Talker.to(inside)
        anna.say("put 2 7")
        await until(lambda: inside.journal.acts)
        inside.links[0].end(Reason.LOCKED)
        inside.journal.settle(True)
        await asyncio.sleep(0.05)
        assert device.received == []

    async def test_half_closed_behind_a_held_act(self, inside: Inside, toy: ToyProtocol, device: ToyDevice) -> None:
        anna = await Talker.to(inside)
        anna.say("put 2 7", "get 2")
        anna.writer.write_eof()
        await until(lambda: inside.journal.acts)
        await asyncio.sleep(0.05)
        inside.journal.settle(True)
        assert [await anna.hear(), await anna.hear(), await anna.hear()] == ["2 is 7", "2 is 7", ""]
        assert [inspector.eofs for inspector in toy.inspectors] == [1]


class TestEnds:
    async def test_half_close_gives_every_answer(self, inside: Inside, toy: ToyProtocol) -> None:
        anna = await Talker.to(inside)
        anna.say(*(f"get {at}" for at in range(50)))
        anna.writer.write_eof()
        assert [await anna.hear() for _ in range(51)] == [*(f"{at} is 0" for at in range(50)), ""]
        assert toy.inspectors[0].eofs == 1

    async def test_the_inspector_closes(self, inside: Inside) -> None:
        anna = await Talker.to(inside)
        assert await anna.ask("bye") == ""
        await until(lambda: inside.journal.ends)
        assert inside.journal.ends[0].why is None

    async def test_malformed_ends_the_link_alone(self, inside: Inside) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        assert await anna.ask("get " + "x" * 60) == ""
        assert await berta.ask("get 1") == "1 is 0"
        await until(lambda: inside.journal.ends)
        assert [end.why for end in inside.journal.ends] == [Reason.MALFORMED]
        assert inside.journal.reasons("malformed") == [Reason.MALFORMED]

    async def test_a_deadline_of_the_inspector(self, inside: Inside) -> None:
        anna = await Talker.to(inside)
        anna.writer.write(b"get")
        assert [await anna.hear(), await anna.hear()] == ["slow", ""]
        await until(lambda: inside.journal.ends)
        assert inside.journal.ends[0].why is Reason.TOO_SLOW

    async def test_drain_says_goodbye_in_the_peers_language(self, toy: ToyProtocol, device: ToyDevice) -> None:
        async with Inside(toy, device.port) as inside:
            anna = await Talker.to(inside)
            assert await anna.ask("get 1") == "1 is 0"
        assert [await anna.hear(), await anna.hear()] == ["bye BH-1608", ""]
        assert [end.why for end in inside.journal.ends] == [Reason.DRAINING]

    async def test_drain_delivers_what_is_under_way_and_takes_nothing_more(
        self, toy: ToyProtocol, device: ToyDevice
    ) -> None:
        async with Inside(toy, device.port) as inside:
            anna = await Talker.to(inside)
            device.silent = True
            anna.say("get 1")
            await until(lambda: device.received)
            draining = asyncio.create_task(inside.gateway.drain())
            await asyncio.sleep(0.02)
            anna.say("get 2")
            device.say("1 is 0")
            assert await anna.hear() == "1 is 0"
            await draining
        assert device.received == ["get 1"]

    async def test_every_link_decides_again_in_a_new_epoch(self, inside: Inside, toy: ToyProtocol) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        assert [await anna.ask("get 1"), await berta.ask("get 1")] == ["1 is 0"] * 2
        await inside.gateway.decide_again()
        assert [inspector.epochs for inspector in toy.inspectors] == [1, 1]


class TestBugs:
    """T78, seam: an inspector that raises ends its own link, with BH-1607 on record, and nobody else notices."""

    async def test_input(self, inside: Inside) -> None:
        await self.ends_alone(inside, "break from_client", "get 1")

    async def test_an_answer(self, inside: Inside) -> None:
        await self.ends_alone(inside, "break from_upstream", "get 1")

    async def test_end_of_input(self, inside: Inside) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        anna.say("break eof")
        anna.writer.write_eof()
        await self.ended_alone(inside, anna, berta)

    async def test_a_timer(self, inside: Inside) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        anna.writer.write(b"break tick\nge")
        await self.ended_alone(inside, anna, berta)

    async def test_its_deadline(self, inside: Inside) -> None:
        """Asked when the alarm rings."""
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        anna.writer.write(b"break deadline\nge")
        await self.ended_alone(inside, anna, berta)

    async def test_news_of_the_far_side(self, inside: Inside, device: ToyDevice) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        device.silent = True
        anna.say("break upstream_is", "get 1")
        berta.say("get 2")
        await until(lambda: len(device.received) == 2)
        device.hang_up()
        assert await berta.hear() == "device lost"
        device.silent = False
        await self.ended_alone(inside, anna, berta)

    async def test_a_held_act(self, inside: Inside) -> None:
        inside.decide = record_puts_first
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        anna.say("break resume", "put 1 1")
        await self.ended_alone(inside, anna, berta)

    async def test_a_new_epoch(self, inside: Inside, toy: ToyProtocol) -> None:
        """It stands in the middle of a revocation, which has to reach the others."""
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        anna.say("break decide_again")
        assert await berta.ask("get 1") == "1 is 0"
        await inside.gateway.decide_again()
        assert toy.inspectors[1].epochs == 1
        await self.ended_alone(inside, anna, berta)

    async def test_the_goodbye(self, toy: ToyProtocol, device: ToyDevice) -> None:
        """It stands in the middle of a drain, which has to reach the others."""
        async with Inside(toy, device.port) as inside:
            anna, berta = await Talker.to(inside), await Talker.to(inside)
            anna.say("break end")
            assert await berta.ask("get 1") == "1 is 0"
        assert await anna.hear() == ""
        assert [await berta.hear(), await berta.hear()] == ["bye BH-1608", ""]
        assert {end.why for end in inside.journal.ends} == {Reason.INSPECTOR_ERROR, Reason.DRAINING}

    async def test_the_sums(self, inside: Inside) -> None:
        """The record of the end asks the inspector once more."""
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        assert await anna.ask("get 1") == "1 is 0"
        anna.say("break tally", "bye")
        assert await anna.hear() == ""
        await until(lambda: len(inside.links) == 1, what="the link is forgotten")
        assert inside.counts.live == 1
        assert await berta.ask("get 1") == "1 is 0"

    async def test_the_inspector_cannot_be_made(self, inside: Inside, toy: ToyProtocol) -> None:
        berta = await Talker.to(inside)
        assert await berta.ask("get 1") == "1 is 0"
        toy.broken = {"inspector"}
        anna = await Talker.to(inside)
        await self.ended_alone(inside, anna, berta, recorded=False)
        assert inside.journal.reasons("connect") == [Reason.INSPECTOR_ERROR]

    async def test_answers_for_others_in_the_same_breath_are_not_lost(self, inside: Inside, device: ToyDevice) -> None:
        many = [await Talker.to(inside) for _ in range(6)]
        device.silent = True
        many[0].say("break from_upstream")
        for number, one in enumerate(many):
            one.say(f"get {number}")
        await until(lambda: len(device.received) == 6)
        device.say("\n".join(f"{line.split()[1]} is 0" for line in device.received))
        for number, one in enumerate(many[1:], 1):
            assert await one.hear() == f"{number} is 0"

    @pytest.mark.parametrize("method", ["submit", "opened", "from_device", "lost", "leave"])
    async def test_an_upstream_that_raises_ends_its_links_and_the_next_ones_are_served(
        self, method: str, inside: Inside, toy: ToyProtocol, device: ToyDevice
    ) -> None:
        anna = await Talker.to(inside)
        if method in ("lost", "leave"):
            assert await anna.ask("get 1") == "1 is 0"
        toy.broken |= {method}
        if method == "lost":
            device.hang_up()
        elif method == "leave":
            anna.writer.close()
        else:
            anna.say("get 1")
        await until(lambda: not inside.links, what="its link has ended")
        toy.broken.clear()
        berta = await Talker.to(inside)
        assert await berta.ask("get 2") == "2 is 0"
        assert inside.gateway.device_counts["device"].open == device.open == 1

    async def ends_alone(self, inside: Inside, *lines: str) -> None:
        anna, berta = await Talker.to(inside), await Talker.to(inside)
        for line in lines:
            anna.say(line)
            await asyncio.sleep(0.02)
        await self.ended_alone(inside, anna, berta)

    async def ended_alone(self, inside: Inside, anna: Talker, berta: Talker, *, recorded: bool = True) -> None:
        said = [await anna.hear()]
        while said[-1]:
            said.append(await anna.hear())
        assert "is" not in " ".join(said).split()
        if recorded:
            await until(lambda: inside.journal.ends)
            assert [end.why for end in inside.journal.ends] == [Reason.INSPECTOR_ERROR]
        await until(lambda: len(inside.links) == 1)
        assert inside.counts.live == 1
        assert await berta.ask("get 7") == "7 is 0"
