"""What the robot of the tests is called, and who may log in to it. Imported by its process and by those who ask it."""

from __future__ import annotations

from dataclasses import dataclass

URI = "urn:robot:7"
"""The vendor's namespace. Its index differs from robot to robot: `RobotSetting.before`."""
APPLICATION = "urn:plant:robot-7"
"""The server's ApplicationUri, always index 1."""
STANDARD = "http://opcfoundation.org/UA/"
FOREIGN = "opc.tcp://robot-7.cell.invalid:4840/robot"
"""What an old PLC says in each of its endpoints, whoever asks and however he came."""

SPEED, OVERRIDE, COUNT, NAME = "Line1.Speed", "Override", "Line1.Count", "Line1.Name"
RUNNING, SAMPLES, RECIPE, SECRET = "Line1.Running", "Line1.Samples", "Line1.Recipe", "Secret"
SECRET_VALUE = 41.5
OPEN = tuple(f"Ok.{number}" for number in range(10))
CLOSED = tuple(f"No.{number}" for number in range(10))
"""Variables of one kind, all of them writable and with a history: policy tells them apart, the robot does not."""
ROBOT, CELL = "Robot", "Cell"
RESET, START, OK_CALL, NO_CALL = "Reset", "Start", "Ok.Call", "No.Call"
"""Methods of `ROBOT`. The last two take a number and give it back doubled."""

USERS = {"operator": "op-secret", "maintainer": "ma-secret"}
HISTORY = 5
"""Values in the history of each of `OPEN`, `CLOSED` and `SPEED`."""


def node_id(identifier: str) -> str:
    """In the words of policy."""
    return f"nsu={URI};s={identifier}"


@dataclass(frozen=True)
class RobotSetting:
    """``record``: the file of JSON lines. ``url``: what its endpoints say; empty: what the client used, as asyncua
    does. ``certificate`` and ``key``: files, for the three secured policies; None alone without. ``only_secured``: no
    endpoint with None. ``before``: namespaces that are registered before the vendor's."""

    record: str
    host: str
    port: int
    url: str = FOREIGN
    certificate: str = ""
    key: str = ""
    only_secured: bool = False
    anonymous: bool = True
    before: tuple[str, ...] = ()
