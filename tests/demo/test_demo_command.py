"""`bulkhead demo` as a person starts it: real processes, real sockets, and the exit code that a script goes by."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.cli.site import protocols
from proxy.demo.workplace import prepare
from tests.support.mosquitto import running_mosquitto
from tests.support.net import free_port, wait_until
from tests.support.tools import tool

TOP = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "proxy", "demo"]
LONG = 120
CHILDREN = 5
"""PLC, robot, broker, tap and gateway."""
pytestmark = [pytest.mark.system, pytest.mark.timeout(LONG)]


def demo(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, *words], cwd=folder, capture_output=True, text=True, timeout=LONG)


def site_with(folder: Path, **surfaces: tuple[tuple[str, str], ...]) -> Path:
    """The demo site with its policy changed: what to put in whose place, by surface. Returns the config."""
    for name in ("policies", "fingerprints"):
        shutil.copytree(TOP / name, folder / name)
    shutil.copy(TOP / "bulkhead.yaml", folder)
    for surface, changes in surfaces.items():
        file = folder / f"policies/surfaces/{surface.replace('_', '-')}.yaml"
        text = file.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
            text = text.replace(old, new)
        head, tests, _ = text.partition("\ntests:\n")  # its own tests would stop the gateway first
        assert tests
        file.write_text(head + "\n...\n")
    return folder / "bulkhead.yaml"


def test_once_every_step_is_as_expected(tmp_path: Path) -> None:
    ran = demo("--once", "-o", "json", folder=tmp_path)
    result = json.loads(ran.stdout)
    assert [step for step in result["steps"] if not step["ok"]] == []
    assert result["ok"] is True
    assert ran.returncode == 0
    assert len(result["steps"]) >= 75
    assert set(result) == {"steps", "ok"}
    assert all(set(step) == {"name", "expected", "observed", "ok"} for step in result["steps"])
    assert all(step["expected"] and step["observed"] for step in result["steps"])
    assert list(tmp_path.iterdir()) == []


def test_policies_that_let_too_much_through_turn_it_red(tmp_path: Path) -> None:
    """Of the PLC, the broker and the robot: exactly what is too much is found, and nothing else."""
    config = site_with(
        tmp_path,
        cell_3=(
            ("read: [holding 0-99, input 0-15]", "read: [holding 0-199, input 0-15]"),
            ("write: [holding 60-69]", "write: [holding 60-79]"),
            ("max: 1500", "max: 2000"),
        ),
        uns=(
            ('publish: ["{place}/{device}/#"]', 'publish: ["{place}/#"]'),
            ('share: ["$share/mes/bottling/hall-1/line-2/#"]', 'share: ["$share/*/bottling/hall-1/line-2/#"]'),
            ('will: ["{place}/{device}/state"]', 'will: ["{place}/+/state"]'),
            (
                'from: mes\n    to: uns\n    mqtt:\n      connect: { client_id: ["{device}", "{device}-*"] }',
                "from: mes\n    to: uns\n    mqtt:",
            ),
        ),
        robot=(("max: 100 }", "max: 200 }"),),
    )
    ran = demo("--once", "-o", "json", "--config", str(config), folder=tmp_path)
    result = json.loads(ran.stdout)
    wrong = {step["name"]: step["observed"] for step in result["steps"] if not step["ok"]}
    assert set(wrong) == {
        "SCADA: writes the setpoint, too high",
        "intruder (station): reads a forbidden register",
        "intruder as MES: FC 16, partly forbidden",
        "the PLC: its whole record, byte for byte",
        "intruder as sensor: another sensor's topic",
        "intruder as sensor: a Will on another's topic",
        "intruder as sensor: topic alias moved (MQTT 5)",
        "intruder as sensor: QoS 2 refused, the next allowed",
        "intruder as MES: takes sensor-3-1's client id",
        "intruder as MES: $share around a filter",
        "the UNS: its whole record, every packet",
        "maintenance: 3 writes, 2 calls: 2 of 5 may",
        "the robot: its whole record, every request",
    }
    assert "PLC received 1 frame (01 06 00 28 05 dd)" in wrong["SCADA: writes the setpoint, too high"]
    foreign = "bottling/hall-1/line-2/cell-3/sensor-3-1/temperature"
    assert f"PUBLISH {foreign} qos 1" in wrong["intruder as sensor: another sensor's topic"]
    assert "CONNECT mes:sensor-3-1" in wrong["intruder as MES: takes sensor-3-1's client id"]
    assert "Write ns=2;s=Override = 130.0" in wrong["maintenance: 3 writes, 2 calls: 2 of 5 may"]
    assert result["ok"] is False
    assert ran.returncode == 1


def test_a_gateway_that_asks_nobody_about_a_widening_turns_it_red(tmp_path: Path) -> None:
    config = site_with(tmp_path, cell_3=())
    with config.open("a") as file:
        file.write("policy: { require_ack: false }\n")
    text = config.read_text().replace("\n...\n", "\n")
    config.write_text(text + "...\n")
    ran = demo("--once", "-o", "json", "--config", str(config), folder=tmp_path)
    result = json.loads(ran.stdout)
    wrong = {step["name"]: step["observed"] for step in result["steps"] if not step["ok"]}
    back = "anna (Operator): has it back, once acknowledged"
    assert set(wrong) == {back, "the PLC: its whole record, byte for byte"}
    assert "PLC received 2 frames" in wrong[back] and "the files are taken" in wrong[back]
    assert ran.returncode == 1


def test_a_broker_of_ones_own_that_speaks_mqtt_5(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with running_mosquitto(tmp_path) as mosquitto:
        ran = demo("--once", "-o", "json", "--broker", f"127.0.0.1:{mosquitto.port}", folder=work)
        kept = subprocess.run(
            [tool("mosquitto_sub", "mosquitto-clients"), "-p", str(mosquitto.port), "-t", "#", "-W", "1"],
            capture_output=True,
            timeout=20,
        )
    result = json.loads(ran.stdout)
    assert [step for step in result["steps"] if not step["ok"]] == []
    trick = next(step for step in result["steps"] if "alias" in step["name"])
    assert "CONNACK 00, PUBACK, 2 x PUBACK 87" in trick["observed"]
    assert kept.stdout == b"", "retained messages stay behind"


def test_a_broker_that_is_not_there(tmp_path: Path) -> None:
    ran = demo("--once", "--broker", f"127.0.0.1:{free_port()}", folder=tmp_path)
    assert ran.returncode == 3
    assert ran.stderr.endswith("cannot be reached: Connection refused\n")
    assert len(ran.stderr.splitlines()) == 1


def test_it_goes_on_until_it_is_interrupted_and_leaves_nobody_behind(tmp_path: Path) -> None:
    output, folder, source = tmp_path / "output", tmp_path / ".demo", tmp_path / "site"
    source.mkdir()
    # Ports of its own: on the demo's fixed ones somebody may be looking at a demo right now.
    config = prepare(TOP / "bulkhead.yaml", source, protocols(), move_ports=True).config
    with output.open("wb") as out:
        child = subprocess.Popen([*DEMO, "--config", str(config)], cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until(
            lambda: child.poll() is not None or b"writes the setpoint, too high" in output.read_bytes(),
            60,
            "four steps",
        )
        assert child.poll() is None, output.read_text()
        running = processes_of(folder)
        assert len(running) == CHILDREN, running
        # Somebody's own client, as the guide says.
        answer = subprocess.run(
            [sys.executable, str(folder / "read_counters.py")], capture_output=True, text=True, timeout=20
        )
        assert answer.stdout.splitlines()[0].startswith("00 01 00 00 00 0d 01 03 0a"), answer.stderr
        assert answer.stdout.splitlines()[1] == "00 02 00 00 00 03 01 86 01"
        robot = subprocess.run(
            [sys.executable, str(folder / "read_robot.py")], capture_output=True, text=True, timeout=20
        )
        assert robot.stdout.splitlines()[0] == "12.5", robot.stderr
        assert "BadUserAccessDenied" in robot.stdout.splitlines()[1]
        wait_until(lambda: b"yours: scada: refused BH-1201" in output.read_bytes(), 20, "the stranger is seen")
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0, output.read_text()
    finally:
        child.kill()
        child.wait()
    text = output.read_text()
    assert "0 not as expected" in text.splitlines()[-1]
    assert "\x1b" not in text
    assert not processes_of(folder)


def test_a_killed_demo_takes_its_children_along(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as out:
        child = subprocess.Popen(
            [*DEMO, "--once"], cwd=tmp_path, stdout=out, stderr=out, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
    try:
        wait_until(lambda: child.poll() is not None or len(processes_of(tmp_path)) == CHILDREN, 60, "its children run")
        assert child.poll() is None, (tmp_path / "output").read_text()
    finally:
        child.kill()
        child.wait()
    wait_until(lambda: not processes_of(tmp_path), 20, "its children are gone")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["-o", "json"], 2, "-o json needs --once"),
        (["--once", "--config", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["--once", "--broker", "127.0.0.1"], 2, "is not HOST:PORT"),
    ],
)
def test_wrong_calls(tmp_path: Path, words: list[str], code: int, says: str) -> None:
    ran = demo(*words, folder=tmp_path)
    assert ran.returncode == code
    assert says in ran.stderr


def test_a_taken_port_ends_it_before_anything_is_touched(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = site_with(tmp_path)
        config.write_text(config.read_text().replace("127.0.0.1:8812", f"127.0.0.1:{port}"))
        ran = demo("--config", str(config), folder=tmp_path)
    assert ran.returncode == 3
    assert str(port) in ran.stderr or "in use" in ran.stderr
    assert not (tmp_path / ".demo").exists()


@pytest.mark.parametrize("package", ["pymodbus", "aiomqtt", "asyncua"])
def test_without_a_package_it_says_so_in_one_line(tmp_path: Path, package: str) -> None:
    # A finder in front of the real ones, as if the package had not been installed.
    hide = f"import sys; sys.modules['{package}'] = None; from proxy.cli.main import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", hide, "demo", "--once"], cwd=tmp_path, capture_output=True, text=True, timeout=LONG
    )
    assert ran.returncode == 3
    assert ran.stderr.splitlines() == [f"Error: the demo needs the package {package}: pip install 'bulkhead[demo]'"]


def processes_of(folder: Path) -> list[str]:
    """Command lines that name something in this folder, other than a demo's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith((os.fsencode(folder), f"{folder}/".encode())) for word in words):
            found.append(b" ".join(words).decode())
    return found
