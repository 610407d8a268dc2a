"""Any edit of the log is found, except the ones that docs/audit.md names (T79)."""

from __future__ import annotations

import hashlib
import itertools
import random
from pathlib import Path

import pytest

from proxy.audit.chain import Chain
from proxy.audit.record import Record
from proxy.audit.verify import Finding, verify
from tests.audit.kit import note, refusal

NAMES = ("20261121T143100Z-000001.jsonl", "20261121T143101Z-000002.jsonl", "20261121T143102Z-000003.jsonl")


def log(folder: Path, counts: tuple[int, ...] = (5, 4, 3)) -> list[bytes]:
    """A log of several segments; returns all lines."""
    chain = Chain()
    number = itertools.count()
    made = []
    for name, count in zip(NAMES, counts, strict=False):
        part = [chain.seal(refusal(next(number))) for _ in range(count)]
        (folder / name).write_bytes(b"".join(part))
        made += part
    return made


def write(folder: Path, lines: list[bytes], counts: tuple[int, ...] = (5, 4, 3)) -> None:
    rest = iter(lines)
    for name, count in zip(NAMES, counts, strict=False):
        (folder / name).write_bytes(b"".join(itertools.islice(rest, count)))
    with (folder / NAMES[-1]).open("ab") as file:
        file.writelines(rest)


def broken(folder: Path, checkpoints: dict[int, str] | None = None) -> list[Finding]:
    return [finding for finding in verify(folder, checkpoints) if finding.broken]


def digest(line: bytes) -> str:
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()


def test_a_good_log_has_no_findings(tmp_path: Path) -> None:
    lines = log(tmp_path)
    assert verify(tmp_path) == []
    assert verify(tmp_path, {n + 1: digest(line) for n, line in enumerate(lines)}) == []


def test_t79_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """Each bit of each byte of a record whose successor vouches for it."""
    chain = Chain()
    first, second = chain.seal(Record("start", detail="version 0")), chain.seal(Record("stop"))
    path = tmp_path / NAMES[0]
    for position in range(len(first)):
        for bit in range(8):
            flipped = bytearray(first + second)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            assert broken(tmp_path), f"bit {bit} of byte {position}"


def test_t79_flips_anywhere_in_a_log_are_found(tmp_path: Path) -> None:
    lines = log(tmp_path)
    text = b"".join(lines)
    covered = len(text) - len(lines[-1])
    chance = random.Random(1)
    for position in chance.sample(range(covered), 400):
        flipped = bytearray(text)
        flipped[position] ^= 1 << chance.randrange(8)
        write(tmp_path, bytes(flipped).splitlines(keepends=True))
        assert broken(tmp_path), position


def test_t79_every_dropped_line_but_the_last_is_found(tmp_path: Path) -> None:
    lines = log(tmp_path)
    for gone in range(len(lines) - 1):
        write(tmp_path, lines[:gone] + lines[gone + 1 :])
        assert broken(tmp_path), gone


def test_t79_every_swap_is_found(tmp_path: Path) -> None:
    lines = log(tmp_path)
    for a, b in itertools.combinations(range(len(lines)), 2):
        swapped = lines.copy()
        swapped[a], swapped[b] = swapped[b], swapped[a]
        write(tmp_path, swapped)
        assert broken(tmp_path), (a, b)


def test_t79_every_repeated_or_inserted_line_is_found(tmp_path: Path) -> None:
    lines = log(tmp_path)
    other = Chain(3, digest(lines[2])).seal(note(1))
    for place in range(len(lines) + 1):
        for extra in (lines[0], lines[-1], other, b"{}\n", b"\n", b"[" * 5000 + b"\n"):
            if extra == other and place == 3:
                continue  # here it follows rightly, and its successor is what does not
            write(tmp_path, [*lines[:place], extra, *lines[place:]])
            assert broken(tmp_path), (place, extra[:80])


def test_t79_a_record_changed_with_all_hashes_after_it_is_found_by_a_checkpoint(tmp_path: Path) -> None:
    lines = log(tmp_path)
    chain = Chain(5, digest(lines[4]))
    forged = lines[:5] + [chain.seal(refusal(1000 + n)) for n in range(7)]
    write(tmp_path, forged)
    assert verify(tmp_path) == [], "the documented limit"
    assert broken(tmp_path, {9: digest(lines[8])})
    assert broken(tmp_path, {5: digest(lines[4])}) == []


def test_t79_a_cut_tail_is_found_by_a_checkpoint(tmp_path: Path) -> None:
    lines = log(tmp_path)
    write(tmp_path, lines[:-2])
    assert verify(tmp_path) == [], "the documented limit"
    assert [f.text for f in broken(tmp_path, {12: digest(lines[-1])})] == [
        "the end was cut off: record 12 of the checkpoint is missing"
    ]
    for path in tmp_path.iterdir():
        path.unlink()
    assert broken(tmp_path, {12: digest(lines[-1])}), "an empty folder too"


def test_t79_missing_segments_are_found(tmp_path: Path) -> None:
    for gone in NAMES[:2]:
        log(tmp_path)
        (tmp_path / gone).unlink()
        assert broken(tmp_path), gone


def test_t79_an_old_copy_of_a_segment_is_found(tmp_path: Path) -> None:
    lines = log(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(b"".join(lines[:3]))
    assert broken(tmp_path)


def test_retired_segments_are_in_order_if_a_record_says_so(tmp_path: Path) -> None:
    from proxy.audit.figures import Retired

    log(tmp_path)
    chain = Chain()
    retired = Record("retired", figures=Retired([NAMES[0]], 5))
    lines = [chain.seal(refusal(n)) for n in range(10)] + [chain.seal(retired)]
    write(tmp_path, lines)
    (tmp_path / NAMES[0]).unlink()
    assert verify(tmp_path) == []
    (tmp_path / NAMES[1]).unlink()
    assert broken(tmp_path), "no record says that the second went too"


def test_findings_say_where(tmp_path: Path) -> None:
    lines = log(tmp_path)
    lines[5] = lines[5].replace(b'"write holding 5"', b'"write holding 6"')
    write(tmp_path, lines)
    (finding,) = verify(tmp_path)
    assert (finding.file, finding.line) == (NAMES[1], 2)
    assert "record 7 was not written after this record 6" in str(finding)


def test_findings_tell_missing_records_from_moved_and_changed_ones(tmp_path: Path) -> None:
    lines = log(tmp_path)
    write(tmp_path, lines[:3] + lines[5:])
    assert [f.text for f in verify(tmp_path)] == ["records 4 to 5 are missing"]
    write(tmp_path, [*lines[:8], lines[2], *lines[8:]])
    assert [f.text for f in verify(tmp_path)] == ["record 3 stands after record 8", "records 4 to 8 are missing"]


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_an_unfinished_end_is_a_note(tmp_path: Path, cut: int) -> None:
    log(tmp_path)
    path = tmp_path / NAMES[-1]
    path.write_bytes(path.read_bytes()[:-cut])
    (finding,) = verify(tmp_path)
    assert not finding.broken and "unfinished" in finding.text


def test_an_unfinished_end_of_an_earlier_segment_is_not(tmp_path: Path) -> None:
    log(tmp_path)
    path = tmp_path / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert broken(tmp_path)


def test_other_files_are_left_alone_and_torn_ones_are_mentioned(tmp_path: Path) -> None:
    log(tmp_path)
    (tmp_path / "lock").write_text("")
    (tmp_path / "notes.jsonl").write_text("hello")
    (tmp_path / "20261121T143102Z-000003.torn").write_bytes(b"half")
    (finding,) = verify(tmp_path)
    assert not finding.broken and finding.file.endswith(".torn")
