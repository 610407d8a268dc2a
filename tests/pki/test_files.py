from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.pki.files import PRIVATE, PUBLIC, KeyFileError, check_private, read_private, write_file, write_pair


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def any_umask(request: pytest.FixtureRequest) -> object:
    old = os.umask(request.param)
    yield
    os.umask(old)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("any_umask")
def test_t69_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    write_pair(tmp_path / "a.crt", b"chain", tmp_path / "a.key", b"secret")
    assert mode_of(tmp_path / "a.key") == 0o600
    assert mode_of(tmp_path / "a.crt") == 0o644


def test_an_existing_file_is_left_alone_without_replace(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    write_file(path, b"old", PRIVATE)
    with pytest.raises(FileExistsError):
        write_file(path, b"new", PRIVATE)
    assert path.read_bytes() == b"old"
    write_file(path, b"new", PRIVATE, replace=True)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.key"]


@pytest.mark.parametrize("taken", ["a.crt", "a.key"])
def test_a_pair_is_written_whole_or_not_at_all(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"old")
    with pytest.raises(FileExistsError) as raised:
        write_pair(tmp_path / "a.crt", b"chain", tmp_path / "a.key", b"secret")
    assert raised.value.filename == str(tmp_path / taken)
    assert os.listdir(tmp_path) == [taken]
    assert (tmp_path / taken).read_bytes() == b"old"


def test_a_dangling_link_is_a_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_pair(tmp_path / "a.crt", b"chain", tmp_path / "a.key", b"secret")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "a.key", b"secret", PRIVATE)
    assert not (tmp_path / "elsewhere").exists()


def test_of_many_who_write_a_name_at_once_one_does(tmp_path: Path) -> None:
    def attempt(number: int) -> int:
        try:
            write_file(tmp_path / "a.key", b"%d" % number, PRIVATE)
        except FileExistsError:
            return -1
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(attempt, range(64)) if number >= 0]
    assert len(winners) == 1
    assert (tmp_path / "a.key").read_bytes() == b"%d" % winners[0]
    assert os.listdir(tmp_path) == ["a.key"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from proxy.pki.files import write_pair
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1])
write_pair(folder / "a.crt", b"c" * 10_000, folder / "a.key", b"new", replace=True)
"""


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    write_pair(tmp_path / "a.crt", b"chain", tmp_path / "a.key", b"secret")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert (tmp_path / "a.key").read_bytes() == b"secret"
    assert (tmp_path / "a.crt").read_bytes() == b"chain"
    assert sorted(os.listdir(tmp_path)) == ["a.crt", "a.key"]


KILLED = """
import sys
from pathlib import Path
from proxy.pki.files import write_pair
folder = Path(sys.argv[1])
print("go", flush=True)
for number in range(1_000_000):
    write_pair(folder / "a.crt", b"c" * 3000, folder / "a.key", b"k" * 3000, replace=True)
"""


def test_kill_9_never_leaves_half_a_file_under_its_name(tmp_path: Path) -> None:
    for delay in (0.01, 0.03, 0.05):
        with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == b"go\n"
            signal.sigtimedwait([], delay)
            writer.kill()
        for name in ("a.crt", "a.key"):
            path = tmp_path / name
            assert not path.exists() or len(path.read_bytes()) == 3000
        assert all(mode_of(path) == 0o600 for path in tmp_path.glob(".a.key.*"))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o777, 0o610])
def test_t69_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a key"
    write_file(path, b"canary-secret", PRIVATE)
    path.chmod(mode)
    for use in (read_private, check_private):
        with pytest.raises(KeyFileError, match=f"{mode:04o}") as raised:
            use(path)
        assert "canary" not in str(raised.value)
        assert f"chmod 600 '{path}'" in str(raised.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_for_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    write_file(path, b"secret", PRIVATE)
    path.chmod(mode)
    check_private(path)
    assert read_private(path) == b"secret"


def test_what_is_no_regular_file_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("fifo", "folder"):
        for use in (check_private, read_private):
            with pytest.raises(KeyFileError, match="not a regular file"):
                use(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        check_private(tmp_path / "nothing")


def test_a_file_too_long_for_a_key_is_not_read(tmp_path: Path) -> None:
    write_file(tmp_path / "a.key", bytes(100_000), PRIVATE)
    with pytest.raises(KeyFileError, match="longer"):
        read_private(tmp_path / "a.key")


def test_public_files_may_be_read_by_all(tmp_path: Path) -> None:
    write_file(tmp_path / "a.crt", b"chain", PUBLIC)
    assert mode_of(tmp_path / "a.crt") == 0o644
