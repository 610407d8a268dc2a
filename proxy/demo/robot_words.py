"""What the robot's nodes are called, and how the demo tells an OPC UA request: as text, one for each node it is about.

``Write ns=2;s=Override = 80.0``, ``Call ns=2;s=Robot -> ns=2;s=Reset``, ``Read ns=2;s=Line1.Speed``; a request that is
about no node of the robot is its service alone: ``CreateSession``. ``HEL`` is a new connection.
"""

from __future__ import annotations

URI = "urn:robot:7"
INDEX = 2
"""Of the robot's namespace in its NamespaceArray: after the standard's and its own ApplicationUri."""
SPEED, COUNT, OVERRIDE, OFFSET, SAFETY = "Line1.Speed", "Line1.Count", "Override", "Tool.Offset", "Safety.MaxSpeed"
ROBOT, RESET, START = "Robot", "Reset", "Start"
METHODS = (RESET, START)
VALUES = {SPEED: 12.5, COUNT: 7.0, OVERRIDE: 50.0, OFFSET: 0.0, SAFETY: 250.0}
"""The variables, all Double, and what they are when the robot starts."""
NAMESPACES = "i=2255"
"""The robot's NamespaceArray, which the gateway reads in each session before it lets anybody use it."""


def node(identifier: str) -> str:
    return f"ns={INDEX};s={identifier}"


def read(identifier: str) -> bytes:
    return f"Read {node(identifier)}".encode()


def write(identifier: str, value: float) -> bytes:
    return f"Write {node(identifier)} = {value}".encode()


def call(method: str) -> bytes:
    return f"Call {node(ROBOT)} -> {node(method)}".encode()


def session(*said: bytes) -> tuple[bytes, ...]:
    """All that the robot sees of one client's session."""
    own = f"Read {NAMESPACES}".encode()
    return (b"HEL", b"CreateSession", b"ActivateSession", own, *said, b"CloseSession")
