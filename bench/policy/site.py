"""A made-up site in files: any number of surfaces and rules, short or heavy, as people would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MASTERS = 200
MASTER = "127.0.0.2"
"""The address of the first master, by which it is known."""
CREWS = 20
SHORT, HEAVY = "short", "heavy"
FORMS = (SHORT, HEAVY)


def write_site(
    folder: Path, surfaces: int, rules: int, form: str, plc: int = 18502, listener: int = 18503, admin: int = 18504
) -> Path:
    """`rules` are those of one surface. One PLC for each surface; the first has a listener. The `bulkhead.yaml`."""
    for name in ("policies/surfaces", "policies/roles", "fingerprints/devices"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(MASTERS):
        known = f"address: {MASTER}\nidentity: {{ unsafe_address_only: true }}\n" if number == 0 else ""
        _write(folder, f"fingerprints/devices/master-{number}.yaml", f"device: master-{number}\nkind: server\n{known}")
    for number in range(CREWS):
        crew = ", ".join(f"master-{at}" for at in range(number, MASTERS, CREWS))
        _write(folder, f"policies/roles/crew-{number}.yaml", f"role: crew-{number}\nmembers: [{crew}]\n")
    for number in range(surfaces):
        _write(folder, f"fingerprints/devices/plc-{number}.yaml", device(number, plc))
        _write(folder, f"policies/surfaces/cell-{number}.yaml", surface(number, rules, form))
    config = folder / "bulkhead.yaml"
    config.write_text(CONFIG.format(port=listener, admin=admin), "utf-8")
    return config


CONFIG = """---
site: bench
policy: {{ require_ack: false, watch: false }}
admin: {{ bind: "127.0.0.1:{admin}" }}
listeners:
  first: {{ bind: "127.0.0.1:{port}", protocol: modbus, to: plc-0 }}
...
"""


def device(number: int, port: int) -> str:
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" if number else "127.0.0.1"
    return f"device: plc-{number}\nkind: plc\naddress: {address}\nservices:\n  modbus: {{ port: {port} }}\n"


def surface(number: int, rules: int, form: str, changed: str = "") -> str:
    """`changed` is a comment that makes it another file, or a rule more."""
    lines = [f"surface: cell-{number}", f"members: [plc-{number}]", "rules:"]
    for at in range(rules):
        lines += (heavy if form == HEAVY else short)(number, at)
    if changed:
        lines += [f"  {changed}: {{ from: master-0, to: plc-{number}, modbus: {{ read: [holding 9000] }} }}"]
    lines += ["never:", f"  program: {{ to: plc-{number}, modbus: {{ function: [90, 125, 126] }} }}"]
    return "---\n" + "\n".join(lines) + "\n...\n"


def short(number: int, at: int) -> list[str]:
    """One line: one speaker, one span."""
    kind = "write" if at % 5 == 4 else "read"
    first = at * 100
    who = f'"role:crew-{number % CREWS}"' if at % 10 == 9 else speaker(number, at)
    return [f"  r-{at}: {{ from: {who}, to: plc-{number}, modbus: {{ {kind}: [holding {first}-{first + 49}] }} }}"]


def heavy(number: int, at: int) -> list[str]:
    """Five lines: several speakers, evidence, a rate, three targets of which one has a window."""
    first = at * 100
    reads = f"[holding {first}-{first + 49}, input {first}-{first + 9}]"
    return [
        f"  r-{at}:",
        f'    from: [{speaker(number, at)}, {speaker(number, at + 7)}, "role:crew-{(number + at) % CREWS}"]',
        f"    to: plc-{number}",
        "    needs: [x509]",
        "    rate: 60/min",
        f"    modbus: {{ read: {reads}, write: {{ holding {first + 60}: {{ min: 0, max: {1500 + at} }} }} }}",
    ]


def speaker(number: int, at: int) -> str:
    return f"master-{(number * 3 + at) % MASTERS}"


def _write(folder: Path, name: str, text: str) -> None:
    if not text.startswith("---"):
        text = f"---\n{text}...\n"
    (folder / name).write_text(text, "utf-8")
