"""Judging in a process of its own: loading a large site takes seconds of an interpreter that has links to serve.

A compile thread would hold the interpreter lock, so there is a child instead. It is started ahead, imports what it
needs, and waits for one question on its standard input.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from proxy.change.frames import HEAD, Job, Rest, Unable, packed, unpacked
from proxy.change.judge import Judged, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

SURFACES = 4
"""In one frame: 200 rules or so take a millisecond to read."""
DEVICES = 64
NICE = 10
"""The links come first."""


def answer(job: Job) -> Iterator[Judged | Rest | Unable]:
    try:
        judged = judge(job.question)
    except OSError as fault:
        yield Unable(f"{fault.strerror or fault}: {fault.filename or 'no place'}")
        return
    site = judged.site
    if site is None:
        yield judged
        yield Rest(last=True)
        return
    yield replace(judged, site=replace(site, surfaces=(), devices={}, cases=()))
    # The tests have been run; the gateway does not need them.
    changed = [replace(s, tests=()) for s in site.surfaces if not s.mark or job.marks.get(s.name) != s.mark]
    there = {surface.name for surface in changed}
    devices = list(site.devices.values())
    for at in range(0, len(devices), DEVICES):
        yield Rest(devices=tuple(devices[at : at + DEVICES]))
    for at in range(0, len(changed), SURFACES):
        yield Rest(surfaces=tuple(changed[at : at + SURFACES]))
    yield Rest(same=tuple(s.name for s in site.surfaces if s.name not in there), last=True)


def write_frame(out: BinaryIO, value: object) -> None:
    data = packed(value)
    out.write(HEAD.pack(len(data)) + data)
    out.flush()


def main() -> None:
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not get between the frames
    os.nice(NICE)
    data = sys.stdin.buffer.read()
    if not data:
        return  # the gateway has ended
    for part in answer(unpacked(data)):
        write_frame(out, part)


if __name__ == "__main__":
    main()
