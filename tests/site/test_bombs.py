"""T44: a file made to cost more than it weighs is refused within 200 ms of CPU time and 64 MiB of memory."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from proxy.site import files
from proxy.site.files import MAX_BYTES, Unusable, list_yaml
from tests.site.folder import PARISH, SOUND, STAFF, load

CPU_SECONDS = 0.2
MEMORY = 64 << 20


def laughs() -> str:
    """Each level names the one before nine times: 9^9 values from 200 bytes."""
    rows = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(rows) + "\n"


BOMBS = {
    "billion laughs": laughs(),
    "merge keys": "a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a, *a]}}\n" for n in range(500)),
    "deep lists": "a: " + "[" * 200_000 + "\n",
    "deep mappings": "a: " + "{a: " * 100_000 + "\n",
    "deep blocks": "".join(" " * n + "a:\n" for n in range(400)),
    "deep dashes": "- " * 200_000 + "a\n",
    "huge number": "surface: " + "9" * 900_000 + "\n",
    "huge float": "surface: 1." + "9" * 900_000 + "\n",
    "huge sexagesimal": "surface: 1" + ":1" * 400_000 + "\n",
    "huge name": "surface: " + "a" * 900_000 + "\nmembers: [tower]\nrules: {}\n",
    "huge key": "a" * 900_000 + ": 1\n",
    "huge anchor": "a: &" + "a" * 900_000 + " 1\n",
    "huge tag": "a: !" + "a" * 900_000 + " 1\n",
    "blanks": "a: 1\n" + " " * 900_000 + "\n",
    "a million lines": "\n" * 1_000_000,
    "comments": "# x\n" * 250_000,
    "zeros": "\0" * MAX_BYTES,
    "a file of 100 MB": "# x\n" * 25_000_000,
    "quotes": 'a: "' + '\\"' * 400_000 + '"\n',
    "open quote": "a: '" + "x\n" * 400_000,
}


@pytest.mark.parametrize("what", BOMBS)
def test_t44_bomb_suite_memory(what: str, tmp_path: Path) -> None:
    """The limits hold for reading the whole site; what writing the file costs does not count."""
    load(tmp_path, {**SOUND, PARISH: BOMBS[what]})
    tracemalloc.start()
    try:
        loaded = load(tmp_path, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded.site is None
    assert all(len(str(problem)) < 600 for problem in loaded.problems)
    assert peak < MEMORY


@pytest.mark.parametrize("what", BOMBS)
def test_t44_bomb_suite_time(what: str, tmp_path: Path) -> None:
    load(tmp_path, {**SOUND, PARISH: BOMBS[what]})
    start = time.thread_time()
    load(tmp_path, {})
    assert time.thread_time() - start < CPU_SECONDS


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("values", "a: [" + "1," * 500_000 + "1]\n"),
        ("keys", "".join(f"k{n}: 1\n" for n in range(90_000))),
        ("rules", "surface: parish\nmembers: [tower]\nrules:\n" + "".join(f"  r{n}: {{}}\n" for n in range(30_000))),
    ],
)
def test_t44_a_full_file(what: str, text: str, tmp_path: Path) -> None:
    """The smallest values there are, as many as fit into 1 MiB."""
    assert len(text) <= MAX_BYTES
    load(tmp_path, {**SOUND, PARISH: text})
    start = time.thread_time()
    loaded = load(tmp_path, {})
    assert loaded.site is None
    assert time.thread_time() - start < 1


def test_t44_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 20)
    for number in range(21):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(Unusable, match="more than"):
        list_yaml(tmp_path)


def test_a_file_of_just_the_size_is_read(tmp_path: Path) -> None:
    text = SOUND[STAFF]
    padded = text.removesuffix("...\n") + "#" * (MAX_BYTES - len(text) - 1) + "\n...\n"
    assert len(padded) == MAX_BYTES
    assert load(tmp_path, {**SOUND, STAFF: padded}).site is not None
    assert load(tmp_path, {STAFF: padded + "\n"}).site is None
