"""Hot reload on a real gateway with a recording PLC behind it: who is still allowed sees nothing, who is not is ended,
and whatever is wrong changes nothing (T70, T71, T72)."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.changing import Changing
from tests.support.crowd import Crowd, Poller
from tests.support.master import Master, read, refusal, write
from tests.support.net import LOCAL, free_port
from tests.support.plant import PLAIN, Builder, Plant
from tests.support.process import limited, running

if TYPE_CHECKING:
    from tests.support.plc import RecordingPlc

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

FLOWS = 100
LOSERS = ("peer-4", "peer-50", "peer-97")


def peers(count: int) -> dict[str, str]:
    """Devices that are known by their addresses 127.0.5.1 and so on."""
    return {
        f"peer-{at}": f"kind: server\naddress: 127.0.5.{at}\nidentity: {{ unsafe_address_only: true }}"
        for at in range(1, count + 1)
    }


def rules(names: list[str] | tuple[str, ...], span: str = "0-99", more: str = "") -> str:
    return f"""\
  counters:
    from: [{", ".join(names)}]
    to: plc
    modbus: {{ units: [1], read: [holding {span}] }}
{more}"""


def surface(body: str) -> str:
    head = "surface: plc\nmembers: [plc]\nunsafe_writes_without_proof: true\n"
    return f"{head}rules:\n{body}never:\n  safety: {{ to: plc, modbus: {{ write: [holding 900-999] }} }}\n"


EVERYBODY = [f"peer-{at}" for at in range(1, FLOWS + 1)]
FILE = "policies/surfaces/plc.yaml"


@pytest.fixture
def plant(recorder: RecordingPlc, tmp_path: Path) -> Plant:
    builder = Builder(
        tmp_path,
        recorder.port,
        listeners=(PLAIN,),
        rules=rules(EVERYBODY),
        more_devices=peers(FLOWS),
        service="units: [1], connections: 1, pipeline: 16, timeout: 5s",
    )
    return builder.build()


@pytest.fixture
def changing(plant: Plant) -> Iterator[Changing]:
    with running(plant) as gateway:
        yield Changing(gateway)


def bulkhead(*words: str, config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", *words, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


async def test_of_100_flows_three_end_with_the_rule_and_97_see_nothing(changing: Changing, plc: RecordingPlc) -> None:
    """T72: 97 keep their TCP connection and lose no transaction; 3 end, and their record names the rule."""
    plc.forget()
    crowd = Crowd(changing.gateway.plant.ports[PLAIN])
    pollers = [Poller(f"127.0.5.{at}", at % 90) for at in range(1, FLOWS + 1)]
    await crowd.gather(pollers, 0.05)
    await asyncio.sleep(0.5)
    stay = [name for name in EVERYBODY if name not in LOSERS]
    changing.write(FILE, surface(rules(stay)))
    status = await asyncio.to_thread(changing.reload)
    assert status["outcome"] == "taken" and len(status["narrowings"]) > 0, status
    await asyncio.sleep(1.0)
    await crowd.go()
    ended = {f"peer-{p.source.split('.')[-1]}" for p in pollers if p.ended is not None}
    assert ended == set(LOSERS)
    kept = [p for p in pollers if p.ended is None]
    assert all(p.asked == p.answered and not p.wrong for p in kept)
    assert changing.gateway.metric("bulkhead_connections_accepted_total") == FLOWS
    asked = sum(p.asked for p in pollers)
    assert asked - len(LOSERS) <= len(plc.pdus) <= asked, "nothing was lost or said twice"
    for name in LOSERS:
        record = changing.gateway.recorded(what="close", who=name)
        assert record["reason"] == "BH-1711" and "plc/counters" in record["detail"], record
        assert "policies/surfaces/plc.yaml:" in record["detail"]


async def test_what_a_link_may_still_do_goes_on_and_what_it_may_not_is_refused(
    changing: Changing, plc: RecordingPlc
) -> None:
    """Also where the same bytes were judged before: the verdict that was kept is of the old policy."""
    async with await Master.open(changing.gateway.plant.ports[PLAIN], source="127.0.5.1") as master:
        for address in (5, 60):
            assert (await master.ask(read(address)))[0] == 3
            assert (await master.ask(read(address)))[0] == 3
        changing.write(FILE, surface(rules(EVERYBODY, "0-49")))
        assert (await asyncio.to_thread(changing.reload))["outcome"] == "taken"
        plc.forget()
        assert (await master.ask(read(5)))[0] == 3
        assert await master.ask(read(60)) == refusal(read(60))
        assert plc.pdus == [read(5)]


async def test_a_bad_file_changes_nothing_is_told_and_survives_a_restart(plant: Plant, plc: RecordingPlc) -> None:
    """T70: the last good version decides on, also after a restart; the metric, the status and the log say so."""
    with running(plant) as gateway:
        changing = Changing(gateway)
        good = changing.status()["in_force"]
        async with await Master.open(plant.ports[PLAIN], source="127.0.5.1") as master:
            assert (await master.ask(read(5)))[0] == 3
            changing.write(FILE, surface(rules(EVERYBODY)).replace("modbus:", "modbos:"))
            status = await asyncio.to_thread(changing.reload)
            assert status["outcome"] == "refused" and status["in_force"] == good
            assert any("modbos" in line and f"{FILE}:" in line for line in status["told"]), status["told"]
            assert (await master.ask(read(5)))[0] == 3
        assert gateway.metric("bulkhead_config_last_reload_successful") == 0
        assert "modbos" in gateway.said()
        assert json.loads(gateway.admin("/status"))["degraded"]
    with running(plant) as gateway:
        status = Changing(gateway).status()
        assert status["in_force"] == good and status["outcome"] == "refused"
        assert gateway.metric("bulkhead_config_last_reload_successful") == 0
        async with await Master.open(plant.ports[PLAIN], source="127.0.5.1") as master:
            assert (await master.ask(read(5)))[0] == 3
            assert await master.ask(write(5, 1)) == refusal(write(5, 1))
        changing = Changing(gateway)
        changing.write(FILE, surface(rules(EVERYBODY)) + "# mended\n")
        assert (await asyncio.to_thread(changing.reload))["outcome"] == "taken"
        assert gateway.metric("bulkhead_config_last_reload_successful") == 1


async def test_a_widening_waits_until_somebody_acknowledges_it(changing: Changing, plc: RecordingPlc) -> None:
    config = changing.gateway.plant.config
    more = "  writes:\n    from: peer-1\n    to: plc\n    modbus: { write: [holding 7] }\n"
    plc.forget()
    async with await Master.open(changing.gateway.plant.ports[PLAIN], source="127.0.5.1") as master:
        assert await master.ask(write(7, 1)) == refusal(write(7, 1))
        changing.write(FILE, surface(rules(EVERYBODY, more=more)))
        status = await asyncio.to_thread(changing.reload)
        assert status["outcome"] == "pending" and any("write holding 7" in line for line in status["widenings"])
        assert await master.ask(write(7, 2)) == refusal(write(7, 2))
        waits = await asyncio.to_thread(bulkhead, "policy", "apply", "-o", "json", config=config)
        told = json.loads(waits.stdout)
        assert waits.returncode == 5 and told["accept"] == status["accept"] and told["widenings"], waits
        wrong = ("policy", "apply", "--accept-widening", "0123456789ab")
        assert (await asyncio.to_thread(bulkhead, *wrong, config=config)).returncode == 1
        assert await master.ask(write(7, 3)) == refusal(write(7, 3))
        right = ("policy", "apply", "--accept-widening", told["accept"])
        done = await asyncio.to_thread(bulkhead, *right, config=config)
        assert done.returncode == 0 and "is in force" in done.stdout, done
        assert await master.ask(write(7, 4)) == write(7, 4)
    assert plc.writes == [write(7, 4)]
    history = await asyncio.to_thread(bulkhead, "policy", "history", "-o", "json", config=config)
    versions = json.loads(history.stdout)["versions"]
    assert len(versions) == 2 and "write holding 7" in versions[0]["widenings"][0]
    back = await asyncio.to_thread(bulkhead, "policy", "rollback", versions[1]["id"], config=config)
    assert back.returncode == 0, back
    async with await Master.open(changing.gateway.plant.ports[PLAIN], source="127.0.5.1") as master:
        assert await master.ask(write(7, 5)) == refusal(write(7, 5))
    assert plc.writes == [write(7, 4)]


async def test_no_descriptors_or_room_on_disk_changes_nothing(changing: Changing, plc: RecordingPlc) -> None:
    """T71 (CVE-2017-7652: a reload without descriptors fell back to no security at all)."""
    gateway = changing.gateway
    good = changing.status()["in_force"]
    async with await Master.open(gateway.plant.ports[PLAIN], source="127.0.5.1") as master:
        assert (await master.ask(read(60)))[0] == 3
        changing.write(FILE, surface(rules(EVERYBODY, "0-49")))
        for what, soft in ((resource.RLIMIT_NOFILE, 12), (resource.RLIMIT_FSIZE, 100)):
            before = changing.number()
            with limited(gateway, what, soft):
                changing.hang_up()
                await asyncio.sleep(3.0)
            status = await asyncio.to_thread(changing.wait, before)
            assert status["outcome"] == "failed" and status["in_force"] == good and status["told"], status
            assert (await master.ask(read(60)))[0] == 3
            assert await master.ask(write(5, 1)) == refusal(write(5, 1))
        # The process that waits for the next question was started with what was taken away; the one after it was not.
        outcomes = [(await asyncio.to_thread(changing.reload))["outcome"] for _ in range(2)]
        assert outcomes in (["failed", "taken"], ["taken", "unchanged"])
        assert await master.ask(read(60)) == refusal(read(60))


async def test_listeners_come_and_go(changing: Changing, plc: RecordingPlc) -> None:
    """Who comes through one that stays sees nothing of it; a port that is taken changes nothing."""
    plant = changing.gateway.plant
    config = plant.config.read_text()
    fresh = free_port()
    second = f'{config}  second: {{ bind: "{LOCAL}:{fresh}", protocol: modbus, to: plc }}\n'
    async with await Master.open(plant.ports[PLAIN], source="127.0.5.1") as stays:
        assert (await stays.ask(read(5)))[0] == 3
        changing.write("bulkhead.yaml", f"{second}policy: {{ require_ack: false }}\n")
        status = await asyncio.to_thread(changing.reload)
        assert status["outcome"] == "pending", "a new door, and nobody asked any more: both want an acknowledgement"
        done = await asyncio.to_thread(
            bulkhead, "policy", "apply", "--accept-widening", status["accept"], config=plant.config
        )
        assert done.returncode == 0, done
        async with await Master.open(fresh, source="127.0.5.2") as goes:
            assert (await goes.ask(read(5)))[0] == 3
            taken = f'  third: {{ bind: "{LOCAL}:{plant.admin}", protocol: modbus, to: plc }}\n'
            changing.write("bulkhead.yaml", f"{second}{taken}policy: {{ require_ack: false }}\n")
            status = await asyncio.to_thread(changing.reload)
            assert status["outcome"] in ("failed", "refused") and status["told"], status
            assert (await goes.ask(read(5)))[0] == 3
            changing.write("bulkhead.yaml", f"{config}policy: {{ require_ack: false }}\n")
            assert (await asyncio.to_thread(changing.reload))["outcome"] == "taken"
            assert await goes.closed() == b""
        with pytest.raises(OSError):
            await Master.open(fresh, source="127.0.5.2")
        assert (await stays.ask(read(5)))[0] == 3


async def test_who_is_not_itself_any_more_is_ended(changing: Changing, plc: RecordingPlc) -> None:
    """A fingerprint that changed: the same address is somebody else now, or nobody."""
    async with (
        await Master.open(changing.gateway.plant.ports[PLAIN], source="127.0.5.1") as moved,
        await Master.open(changing.gateway.plant.ports[PLAIN], source="127.0.5.2") as stays,
    ):
        assert (await moved.ask(read(5)))[0] == 3
        assert (await stays.ask(read(5)))[0] == 3
        body = "device: peer-1\nkind: server\naddress: 127.0.6.1\nidentity: { unsafe_address_only: true }\n"
        changing.write("fingerprints/devices/peer-1.yaml", body)
        status = await asyncio.to_thread(changing.reload)
        if status["outcome"] == "pending":
            words = ("policy", "apply", "--accept-widening", status["accept"])
            assert (await asyncio.to_thread(bulkhead, *words, config=changing.gateway.plant.config)).returncode == 0
        assert await moved.closed() == b""
        assert (await stays.ask(read(5)))[0] == 3


def test_the_admin_listener_asks_only_where_the_site_allows_it(changing: Changing) -> None:
    url = f"http://{LOCAL}:{changing.gateway.plant.admin}/-/reload"

    def post(**headers: str) -> int:
        request = urllib.request.Request(url, method="POST", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert post() == 403
    config = changing.gateway.plant.config
    text = config.read_text().replace(
        f'{LOCAL}:{changing.gateway.plant.admin}" }}', f'{LOCAL}:{changing.gateway.plant.admin}", reload: true }}'
    )
    changing.write("bulkhead.yaml", text)
    assert changing.reload()["outcome"] == "taken"
    assert post(Origin="http://evil.example") == 403
    before = changing.number()
    assert post() == 202
    status: dict[str, Any] = changing.wait(before)
    assert status["outcome"] == "unchanged" and status["why"] == "the admin listener"
