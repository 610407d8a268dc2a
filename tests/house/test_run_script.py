"""``run`` on a machine we make up: a folder on PATH with fake interpreters, installers and package managers.

The fakes are shell scripts that write down how they were called. Nothing here reaches a network or ``.venv``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.house.repository import ROOT

# What the script may take from the system besides what each test adds.
TOOLS = "cat cksum cp dirname env grep id mkdir rm rmdir sh sleep touch".split()

PYTHON = """#!/bin/sh
echo "${{0##*/}} $*" >>"$CALLS"
case $* in
    *python_version*) echo {version} ;;
    *'import ensurepip'*) [ -e "$MACHINE/venv-works" ] ;;
    *_base_executable*) echo python3 ;;
    *'-m venv .venv'*) sleep {slow}; mkdir -p .venv/bin; cp "$0" .venv/bin/python
        cp "$MACHINE/bulkhead" .venv/bin/ ;;
    *'-m pip install'*) [ ! -e "$MACHINE/pip-fails" ] ;;
esac
"""
TOO_OLD = """#!/bin/sh
# Python 3.10: true for any lower bound but the one that Bulkhead needs.
case $* in *'>= (3, 11)'*) ;; *python_version*) echo 3.10.12 ;; esac
"""
BROKEN_SHIM = "#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n"
BULKHEAD = '#!/bin/sh\necho "bulkhead $*" >>"$CALLS"\nexit "${DEMO_EXIT:-0}"\n'
UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
case $1 in
    venv) mkdir -p .venv/bin; cp "$MACHINE/bin/python3" .venv/bin/python; cp "$MACHINE/bulkhead" .venv/bin/ ;;
esac
"""
APT = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
case $* in install*) touch "$MACHINE/venv-works"; cp "$MACHINE/spare-python" "$MACHINE/bin/python3" ;; esac
"""


@dataclass
class Machine:
    """A checkout with a copy of ``run``, and the only PATH that it sees."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "bin").mkdir()
        self.checkout.mkdir()
        shutil.copy(ROOT / "run", self.checkout / "run")
        for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
            (self.checkout / name).write_text(f"{name}\n")
        for tool in TOOLS:
            (self.root / "bin" / tool).symlink_to(str(shutil.which(tool)))
        self.script("bulkhead", BULKHEAD)
        self.script("spare-python", PYTHON.format(version="3.11.2", slow=0))
        (self.root / "venv-works").touch()
        self.env |= {
            "PATH": str(self.root / "bin"),
            "MACHINE": str(self.root),
            "CALLS": str(self.root / "calls"),
        }

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    def script(self, path: str, text: str) -> None:
        (self.root / path).unlink(missing_ok=True)
        (self.root / path).write_text(text)
        (self.root / path).chmod(0o755)

    def python(self, name: str = "python3", version: str = "3.11.2", slow: float = 0) -> None:
        self.script(f"bin/{name}", PYTHON.format(version=version, slow=slow))

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", str(self.checkout / "run"), *words],
            env=self.env | env,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **env: str) -> tuple[int, str]:
        """Exit code and standard error; the record of calls starts anew."""
        (self.root / "calls").unlink(missing_ok=True)
        process = self.start(*words, **env)
        _, err = process.communicate(timeout=15)
        return process.returncode, err

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def installs(self) -> list[str]:
        return [call for call in self.calls if " install " in call]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("words", [[], ["lint"], ["--help"], ["demos"]])
def test_a_wrong_call_prints_the_usage_and_exits_2(machine: Machine, words: list[str]) -> None:
    machine.python()
    code, err = machine.run(*words)
    assert (code, machine.calls) == (2, [])
    assert "usage: ./run demo | test | check | bench" in err


def test_the_demo_installs_the_runtime_lock_with_hashes_and_becomes_bulkhead(machine: Machine) -> None:
    machine.python()
    code, _ = machine.run("demo", "--once", "-o", "json", DEMO_EXIT="7")
    assert code == 7
    lock, project = machine.installs()
    assert "--require-hashes" in lock
    assert "--only-binary :all:" in lock
    assert lock.endswith("-r requirements.lock")
    assert "--no-deps --no-build-isolation --editable ." in project
    assert machine.calls[-1] == "bulkhead demo --once -o json"


def test_tests_add_the_dev_lock(machine: Machine) -> None:
    machine.python()
    assert machine.run("demo")[0] == 0
    assert machine.run("test", "-k", "locks")[0] == 0
    (dev,) = machine.installs()
    assert dev.endswith("--require-hashes --only-binary :all: -r requirements-dev.lock")
    assert machine.calls[-1] == "python -m pytest -k locks"


def test_a_bare_test_run_uses_both_cores_and_words_decide_otherwise(machine: Machine) -> None:
    machine.python()
    machine.run("test")
    assert machine.calls[-1] == "python -m pytest -n 2 --dist loadfile --no-loadscope-reorder"


def test_byte_code_of_a_test_run_is_kept_beside_no_source(machine: Machine) -> None:
    """Each start of the program, and there are hundreds, would compile it anew."""
    machine.python()
    machine.run("demo")
    (machine.checkout / ".venv/bin/python").write_text(
        '#!/bin/sh\necho "${PYTHONDONTWRITEBYTECODE-}" >>"$CALLS"\n' + 'echo "$PYTHONPYCACHEPREFIX" >>"$CALLS"\n'
    )
    machine.run("test", "-k", "locks", PYTHONDONTWRITEBYTECODE="1")
    assert machine.calls[-2:] == ["", str(machine.checkout / ".venv/.bytecode")]


def test_a_bench_is_a_module_of_the_checkout(machine: Machine) -> None:
    machine.python()
    machine.run("bench", "--quick")
    assert machine.calls[-1] == "python -m bench --quick"


@pytest.mark.parametrize("command", ["demo", "test"])
def test_a_fresh_environment_is_left_alone(machine: Machine, command: str) -> None:
    """Two processes and no more: which Python is this, and the command itself."""
    machine.python()
    machine.run(command)
    code, err = machine.run(command)
    assert (code, err, len(machine.calls)) == (0, "", 2)


@pytest.mark.parametrize(
    ("changed", "installs"), [("requirements.lock", 3), ("requirements-dev.lock", 3), ("pyproject.toml", 1)]
)
def test_a_change_is_installed(machine: Machine, changed: str, installs: int) -> None:
    """A lock starts from an empty environment, so that a dropped package does not linger."""
    machine.python()
    machine.run("test")
    (machine.checkout / changed).write_text("changed\n")
    machine.run("test")
    assert len(machine.installs()) == installs
    assert any("-m venv" in call for call in machine.calls) == (installs == 3)
    machine.run("test")
    assert machine.installs() == []


def test_another_python_makes_another_environment(machine: Machine) -> None:
    machine.python()
    machine.python("python3.13", "3.13.1")
    assert machine.run("demo", BULKHEAD_PYTHON="python3")[0] == 0
    machine.run("demo", BULKHEAD_PYTHON="python3.13")
    assert "python3.13 -m venv .venv" in machine.calls


def test_a_moved_checkout_is_set_up_again(machine: Machine) -> None:
    machine.python()
    machine.run("demo")
    moved = machine.root / "moved"
    machine.checkout.rename(moved)
    (machine.root / "calls").unlink()
    assert subprocess.run(["sh", str(moved / "run"), "demo"], env=machine.env, check=False).returncode == 0
    assert "python3 -m venv .venv" in machine.calls


def test_an_interrupted_set_up_is_repeated(machine: Machine) -> None:
    machine.python()
    (machine.root / "pip-fails").touch()
    code, _ = machine.run("demo")
    assert code != 0
    assert not [call for call in machine.calls if call.startswith("bulkhead")]
    (machine.root / "pip-fails").unlink()
    assert machine.run("demo")[0] == 0
    assert machine.calls[-1] == "bulkhead demo"


def test_the_newest_python_is_taken_and_a_broken_or_old_one_passed_over(machine: Machine) -> None:
    machine.script("bin/python3.14", BROKEN_SHIM)
    machine.python("python3.13", "3.13.1")
    machine.python("python3.12", "3.12.9")
    machine.script("bin/python3", TOO_OLD)
    _, err = machine.run("demo")
    assert "python3.13 -m venv .venv" in machine.calls
    assert "Python 3.13.1" in err


def test_a_named_python_that_is_too_old_is_an_error(machine: Machine) -> None:
    machine.python()
    machine.script("bin/ancient", TOO_OLD)
    code, err = machine.run("demo", BULKHEAD_PYTHON="ancient")
    assert code == 3
    assert "BULKHEAD_PYTHON=ancient" in err


def test_uv_is_used_where_there_is_one(machine: Machine) -> None:
    machine.python()
    machine.script("bin/uv", UV)
    assert machine.run("demo")[0] == 0
    uv = [call for call in machine.calls if call.startswith("uv ")]
    assert uv[0] == "uv venv --quiet --python python3 .venv"
    assert "--require-hashes --only-binary :all: -r requirements.lock" in uv[1]
    assert "--no-deps --no-build-isolation --editable ." in uv[2]
    assert not [call for call in machine.calls if "-m pip" in call]


def as_user(machine: Machine, number: int) -> None:
    machine.script("bin/id", f"#!/bin/sh\necho {number}\n")


def test_root_gets_the_missing_venv_module_installed(machine: Machine) -> None:
    machine.python()
    machine.script("bin/apt-get", APT)
    as_user(machine, 0)
    (machine.root / "venv-works").unlink()
    assert machine.run("demo")[0] == 0
    assert [call for call in machine.calls if call.startswith("apt-get")] == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends python3-venv",
    ]


def test_root_gets_python_installed(machine: Machine) -> None:
    machine.script("bin/apt-get", APT)
    as_user(machine, 0)
    assert machine.run("demo")[0] == 0
    assert "apt-get install -y -qq --no-install-recommends python3" in machine.calls


def test_a_python_beside_the_default_one_gets_its_own_venv_package(machine: Machine) -> None:
    machine.python()
    machine.python("python3.13", "3.13.1")
    machine.script("bin/apt-get", APT)
    as_user(machine, 0)
    (machine.root / "venv-works").unlink()
    machine.run("demo")
    assert "apt-get install -y -qq --no-install-recommends python3.13-venv" in machine.calls


def test_anybody_else_is_told_the_one_line(machine: Machine) -> None:
    machine.python()
    machine.script("bin/apt-get", APT)
    as_user(machine, 1000)
    (machine.root / "venv-works").unlink()
    code, err = machine.run("demo")
    assert code == 3
    assert "apt install python3-venv" in err
    assert not [call for call in machine.calls if call.startswith("apt-get")]


def test_without_apt_the_missing_thing_is_named(machine: Machine) -> None:
    code, err = machine.run("demo")
    assert code == 3
    assert "missing: python3" in err


def test_two_starts_at_once_set_up_once(machine: Machine) -> None:
    machine.python(slow=0.5)
    both = [machine.start("demo"), machine.start("demo")]
    for process in both:
        process.communicate(timeout=15)
    assert [process.returncode for process in both] == [0, 0]
    assert len([call for call in machine.calls if "-m venv" in call]) == 1
    assert len([call for call in machine.calls if call.startswith("bulkhead")]) == 2
    assert not (machine.checkout / ".venv.lock").exists()


def test_the_lock_of_a_killed_set_up_is_taken_over(machine: Machine) -> None:
    machine.python()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (machine.checkout / ".venv.lock").mkdir()
    (machine.checkout / ".venv.lock" / "pid").write_text(f"{gone.pid}\n")
    assert machine.run("demo")[0] == 0
    assert not (machine.checkout / ".venv.lock").exists()


def test_the_lock_of_a_living_set_up_is_respected(machine: Machine) -> None:
    machine.python()
    (machine.checkout / ".venv.lock").mkdir()
    (machine.checkout / ".venv.lock" / "pid").write_text(f"{os.getpid()}\n")
    waiting = machine.start("demo")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.communicate(timeout=1.5)
    assert not machine.installs()
    shutil.rmtree(machine.checkout / ".venv.lock")
    waiting.communicate(timeout=15)
    assert waiting.returncode == 0


def test_an_unknown_check_is_a_wrong_call(machine: Machine) -> None:
    machine.python()
    code, err = machine.run("check", "spelling")
    assert code == 2
    assert "no such check: spelling" in err


def test_a_url_in_a_lock_fails_the_check(machine: Machine) -> None:
    machine.python()
    assert machine.run("check", "locks")[0] == 0
    (machine.checkout / "requirements.lock").write_text("a @ https" + "://example.test/a.whl\n")
    code, err = machine.run("check", "locks")
    assert code == 1
    assert "failed: locks" in err
