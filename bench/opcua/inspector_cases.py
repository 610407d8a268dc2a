"""What the inspector and its channels are asked to do by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """``target``: the most microseconds of CPU that one may take."""

    name: str
    title: str
    target: float | None = None


READ_GOAL = 10.0
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
MODES = {"sign": "Sign", "sign_and_encrypt": "SignAndEncrypt"}
READ_REQUEST, READ_BOTH, READ_MISS = "read.request", "read.both", "read.miss"
WRITE_ALLOWED, WRITE_MIXED, NOTIFICATION = "write.allowed", "write.mixed", "notification"
INSPECTOR_CASES = (
    Case(READ_REQUEST, "Read of 10 known nodes, the request", READ_GOAL),
    Case(READ_BOTH, "Read of 10 known nodes, request and answer"),
    Case(READ_MISS, "Read of 10 nodes that was not judged before, request and answer"),
    Case(WRITE_ALLOWED, "Write of 10 nodes, request and answer"),
    Case(WRITE_MIXED, "Write of 10 nodes, 2 refused and merged, request and answer"),
    Case(NOTIFICATION, "notification with 10 values, and the next Publish"),
)
CHUNK_CASES = (
    Case("chunk.None", "a chunk sealed and opened: None"),
    *(
        Case(f"chunk.{policy}.{mode}", f"a chunk sealed and opened: {policy}, {title}")
        for policy in POLICIES
        for mode, title in MODES.items()
    ),
)
OPEN_CASES = (
    Case("open.None", "an OPN answered: None"),
    *(
        Case(f"open.{policy}.{mode}", f"an OPN answered: {policy}, {title}, RSA 2048")
        for policy in POLICIES
        for mode, title in MODES.items()
    ),
)
CASES = (*INSPECTOR_CASES, *CHUNK_CASES, *OPEN_CASES)
