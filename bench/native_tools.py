"""Compiles the load generators, the PLC and the burner (`bench/native/*.c`) into a folder of this run."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.environment import Unmeasurable

SOURCES = Path(__file__).with_name("native")
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")


@dataclass(frozen=True, slots=True)
class Tools:
    loadgen: Path
    plc: Path
    mqttgen: Path
    burner: Path


def build(folder: Path) -> Tools:
    """Raises Unmeasurable, naming what to install, when there is no C compiler or no OpenSSL headers."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Unmeasurable("a C compiler is needed (Debian: apt-get install gcc libc6-dev)")
    check_openssl(compiler)
    return Tools(
        loadgen=compile_one(compiler, "loadgen.c", folder / "loadgen", "-lssl", "-lcrypto"),
        plc=compile_one(compiler, "plc.c", folder / "plc"),
        mqttgen=compile_one(compiler, "mqttgen.c", folder / "mqttgen", "-lssl", "-lcrypto"),
        burner=compile_one(compiler, "burner.c", folder / "burner"),
    )


def check_openssl(compiler: str) -> None:
    probe = "#include <openssl/ssl.h>\n#if OPENSSL_VERSION_NUMBER < 0x30000000L\n#error old\n#endif\n"
    tried = subprocess.run([compiler, "-E", "-x", "c", "-"], input=probe, capture_output=True, text=True)
    if tried.returncode:
        raise Unmeasurable("OpenSSL 3 headers are needed (Debian: apt-get install libssl-dev)")


def compile_one(compiler: str, source: str, target: Path, *libraries: str) -> Path:
    command = [compiler, *FLAGS, "-o", str(target), str(SOURCES / source), *libraries]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unmeasurable(f"compiling {source} failed:\n{done.stderr.strip()}")
    return target
