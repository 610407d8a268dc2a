"""An intruder inside: on the engineering station, or with the key of a master. Policy still counts each address."""

from __future__ import annotations

from proxy.demo.frames import read_holding, write_coil, write_register, write_registers
from proxy.demo.step import Step
from proxy.demo.steps import common as c


def steps() -> list[Step]:
    return [
        Step(
            "intruder (station)",
            "reads a forbidden register",
            c.asks(c.station, read_holding(100, 1)),
            c.refused(c.DEFAULT_DENY),
        ),
        Step(
            "intruder as MES",
            "writes the SCADA's setpoint",
            c.asks(c.as_mes, write_register(40, 0)),
            c.refused(c.DEFAULT_DENY),
        ),
        Step(
            "intruder as MES",
            "writes a safety register",
            c.asks(c.as_mes, write_register(900, 1)),
            c.refused(c.NEVER),
        ),
        Step(
            "intruder as MES",
            "FC 16, partly forbidden",
            c.asks(c.as_mes, write_registers(68, 1, 2, 3, 4)),
            c.refused(c.DEFAULT_DENY),
        ),
        Step(
            "intruder as MES",
            "FC 5 opens a valve",
            c.asks(c.as_mes, write_coil(5, on=True)),
            c.refused(c.DEFAULT_DENY),
        ),
    ]
