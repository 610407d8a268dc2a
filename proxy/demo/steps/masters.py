"""Those who may: what policy allows passes, up to its edges and no further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.demo import frames
from proxy.demo.client import Client
from proxy.demo.frames import content, read, read_holding, write_coil, write_register, write_registers
from proxy.demo.step import Claim, Seen, Step
from proxy.demo.steps import common as c

if TYPE_CHECKING:
    from proxy.demo.plant import Plant

SETPOINT, TOP = 40, 1500
BOTTLES_A_MINUTE = 700
TRIM = write_register(50, 120)


def steps() -> list[Step]:
    counters, setpoint, back = (
        read_holding(10, 5),
        write_register(SETPOINT, BOTTLES_A_MINUTE),
        read_holding(SETPOINT, 1),
    )
    recipe = write_registers(60, 1, 2, 3, 4)
    valves, switch = read(1, 0, 8), write_coil(3, on=True)
    return [
        Step("SCADA", "reads counters", c.asks(c.scada, counters), c.allowed(c.COUNTERS, content(counters))),
        Step(
            "SCADA",
            "writes the setpoint, in window",
            c.asks(c.scada, setpoint),
            c.allowed("cell-3/setpoint", content(setpoint)),
        ),
        Step("SCADA", "reads the setpoint back", _reads_back, c.allowed(c.COUNTERS, content(back))),
        Step(
            "SCADA",
            "writes the setpoint, too high",
            c.asks(c.scada, write_register(SETPOINT, TOP + 1)),
            c.refused(c.VALUE_OUTSIDE),
        ),
        Step("MES", "loads a recipe", c.asks(c.mes, recipe), c.allowed("cell-3/recipe", content(recipe))),
        Step(
            "engineer",
            "reads counters, plain door",
            c.asks(c.station, counters),
            c.allowed(c.COUNTERS, content(counters)),
        ),
        Step("engineer", "writes the trim, no proof", c.asks(c.station, TRIM), c.refused(c.NO_PROOF)),
        Step(
            "engineer",
            "writes the trim by certificate",
            c.asks(c.engineer, TRIM),
            c.allowed("cell-3/trim", content(TRIM)),
        ),
        Step(
            "anna (Operator)",
            "reads the valves, switches one",
            c.asks(c.operator, valves, switch),
            c.allowed("cell-3/valves", content(valves), content(switch)),
        ),
        Step(
            "visitor (no role)",
            "asks 3 times; TLS stays up",
            c.asks(c.visitor, valves, counters, switch),
            c.refused(c.DEFAULT_DENY, times=3),
        ),
    ]


def _reads_back(plant: Plant) -> Seen:
    """What the PLC holds is what was written two steps ago."""
    with Client(c.scada(plant)) as client:
        (answer,) = client.ask(read_holding(SETPOINT, 1))
    values = frames.registers(answer.data)
    good = values == (BOTTLES_A_MINUTE,)
    claim = Claim(f"value {BOTTLES_A_MINUTE}", f"value {', '.join(map(str, values)) or 'none'}", good)
    return Seen.of([client], [answer], claim)
