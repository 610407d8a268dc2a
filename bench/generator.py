"""Drives the compiled load generator and reads what it prints."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.environment import Unmeasurable
from bench.processes import Plc, Running, pinned

if TYPE_CHECKING:
    from pathlib import Path

    from bench.certificates import Certificates


class WrongAnswers(Exception):
    """A target lost, refused or changed something it had to carry: its figures would be worth nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """One round of steady reads. `cpu_us` is the proxy's CPU time per request, None without a proxy."""

    cpu_us: float | None
    rate: float
    p50_us: float
    p99_us: float
    p999_us: float
    waited: float  # share of the time in which the proxy could run and another program had its core


@dataclass(frozen=True, slots=True)
class Handshakes:
    """One round of full mutual handshakes, each closed again in an orderly way."""

    rate: float
    per_cpu_second: float


class Generator:
    def __init__(self, program: Path, core: int, certificates: Certificates, plc: Plc) -> None:
        self.program = program
        self.core = core
        self.certificates = certificates
        self.plc = plc

    def command(self, mode: str, target: Running | None, *options: str) -> list[str]:
        """`target` None goes straight to the PLC over plain TCP."""
        if target is None:
            return [str(self.program), mode, "--connect", f"127.0.0.1:{self.plc.port}", "--plain", *options]
        files = self.certificates
        tls = ["--cert", str(files.client), "--key", str(files.client_key), "--ca", str(files.ca)]
        watched = [word for pid in target.pids for word in ("--watch", str(pid))]
        return [str(self.program), mode, "--connect", f"127.0.0.1:{target.port}", *tls, *watched, *options]

    def run(self, command: list[str], target: Running | None) -> dict[str, Any]:
        done = subprocess.run(
            command, capture_output=True, text=True, preexec_fn=pinned(self.core)
        )  # fmt: skip
        if done.returncode:
            name = target.name if target else "the PLC itself"
            raise WrongAnswers(f"{name}: {done.stderr.strip() or done.returncode}")
        result: dict[str, Any] = json.loads(done.stdout)
        if not result["count"]:
            name = target.name if target else "direct"
            raise Unmeasurable(f"{name}: nothing was answered while it was measured; is the machine busy?")
        return result

    def load(self, target: Running | None, connections: int, seconds: float, warmup: float) -> Load:
        """WrongAnswers when the PLC did not count exactly the requests that were answered."""
        options = ("--connections", str(connections), "--seconds", str(seconds), "--warmup", str(warmup))
        before = self.plc.counts()["frames"]
        result = self.run(self.command("load", target, *options), target)
        arrived = self.plc.counts()["frames"] - before
        if arrived != result["total"]:
            name = target.name if target else "direct"
            raise WrongAnswers(f"{name}: {result['total']} answers for {arrived} requests at the PLC")
        if target is not None:
            check_tls(target.name, result["tls"])
        latency = result["latency_us"]
        return Load(
            cpu_us=result["schedstat_ns"] / result["count"] / 1e3 if target else None,
            rate=result["rate"], p50_us=latency["p50"], p99_us=latency["p99"], p999_us=latency["p999"],
            waited=result["waited_ns"] / result["seconds"] / 1e9,
        )  # fmt: skip

    def handshakes(self, target: Running, parallel: int, seconds: float, warmup: float, *, request: bool) -> Handshakes:
        """With `request` each connection also makes one read, so that every proxy has to dial the PLC."""
        options = ["--connections", str(parallel), "--seconds", str(seconds), "--warmup", str(warmup)]
        result = self.run(self.command("handshakes", target, *options, *(["--request"] * request)), target)
        return Handshakes(result["rate"], result["count"] / result["clock_ns"] * 1e9)

    def hold(self, target: Running, sizes: list[int]) -> Holding:
        """Open links and keep them; each has made one read, so that it is a link that has worked."""
        command = self.command("idle", target, "--hold", ",".join(map(str, sizes)))
        return Holding(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                preexec_fn=pinned(self.core),
            ),
            target.name,
        )  # fmt: skip


class Holding:
    """Links that are open and idle, in steps; a context manager that closes them."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.process = process
        self.name = name
        self.held = 0

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=30)

    def more(self) -> int:
        """Wait for the next step; the number of links open now."""
        assert self.process.stdin and self.process.stdout
        if self.held:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            _, errors = self.process.communicate(timeout=30)
            raise WrongAnswers(f"{self.name}: {errors.strip()}")
        self.held = json.loads(line)["held"]
        return self.held


def check_tls(name: str, tls: dict[str, str]) -> None:
    """The comparison is fair only when all speak the same TLS."""
    wanted = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "group": "prime256v1"}
    if tls != wanted:
        raise WrongAnswers(f"{name} negotiated {tls}, not {wanted}")
