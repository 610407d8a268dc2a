"""Batches on failing disks: fail every Nth call, and cut the power anywhere (T75, T77)."""

from __future__ import annotations

import errno
import random
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audit.commit import Committer
from proxy.audit.figures import AuditStats
from proxy.audit.segments import Segments
from proxy.audit.ulid import Ulids
from proxy.audit.verify import verify
from tests.audit.kit import Clock, Faults, Power, act, lines, note, segments

if TYPE_CHECKING:
    from proxy.audit.file import Opener
    from proxy.audit.record import Record


class Bench:
    """A committer on a folder, with ids for the records that it is given."""

    def __init__(
        self, folder: Path, opener: Opener, *, segment: int = 4000, total: int = 10**9, keep: int = 50
    ) -> None:
        self.clock = Clock()
        self._ids = Ulids(lambda n: bytes(n))
        self.stats = AuditStats()
        self.segments = Segments(folder, self.clock.wall, opener, segment, total)
        self.committer = Committer(self.segments, self.stats, self.stamp, keep)
        self.recorded: list[str] = []

    def stamp(self, record: Record) -> None:
        record.time = self.clock.wall()
        record.id = self._ids.next(record.time)

    def commit(self, plain: list[Record], acts: list[Record]) -> bool:
        """True if it is done; then the acts are on disk."""
        for record in (*plain, *acts):
            self.stamp(record)
        try:
            self.committer.commit(plain, acts, self.clock.monotonic())
        except OSError:
            return False
        self.recorded += [record.action for record in acts]
        return True


def written_actions(folder: Path) -> list[object]:
    return [record["action"] for record in lines(folder) if record["what"] == "act"]


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for a while"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("nth", range(1, 61))
def test_t75_whichever_call_fails_nothing_acknowledged_is_lost(
    tmp_path: Path, nth: int, error: int, lasting: bool
) -> None:
    """SQLite's rule: fail the Nth call for every N. The log recovers, holds what it said it holds, and verifies."""
    faults = Faults(lambda count, _: nth <= count < nth + (15 if lasting else 1), error)
    bench = Bench(tmp_path, faults)
    results = [bench.commit([note(3 * n), note(3 * n + 1)], [act(n)] if n % 2 else []) for n in range(60)]
    assert results[-1], "it recovers by itself"
    assert bench.commit([], [act(99)])
    assert len(faults.calls) > 60
    assert not all(results)
    assert [finding for finding in verify(tmp_path) if finding.broken] == []
    assert written_actions(tmp_path) == bench.recorded
    told = [record for record in lines(tmp_path) if record["what"] == "connect"]
    assert len(told) == 120, "records that nobody waits for are kept until the disk is back"
    assert bench.stats.written == bench.committer.head[0] == len(lines(tmp_path))


def test_t75_what_cannot_be_kept_is_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Faults(lambda count, _: count > 3), keep=10)
    assert bench.commit([], [act(0)])
    for n in range(40):
        assert not bench.commit([note(n)], [])
    assert bench.committer.lost.lost == {"connect": 30}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.booleans()), min_size=1, max_size=25),
    st.integers(0, 2**32),
    st.sampled_from(["lost", "part", "holes", "garbage"]),
)
def test_t77_after_a_power_cut_the_log_starts_and_holds_all_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]], seed: int, tail: str
) -> None:
    folder = tmp_path_factory.mktemp("audit")
    chance = random.Random(seed)
    recorded: list[str] = []
    number = 0
    for _ in range(3):
        power = Power()
        bench = Bench(folder, power)
        for plain, acts, late in steps:
            number += 10
            if late:
                bench.clock.pass_time(2.0)
            assert bench.commit([note(number + i) for i in range(plain)], [act(number + i) for i in range(acts)])
        recorded += bench.recorded
        bench.committer.close()
        power.cut(lambda data: _remains(data, tail, chance))
    bench = Bench(folder, Power())
    assert bench.commit([], [act(10**6)])
    recorded += bench.recorded
    on_disk = written_actions(folder)
    assert set(recorded) <= set(on_disk)
    assert [finding for finding in verify(folder) if finding.broken] == []
    bench.committer.close()


def _remains(data: bytes, tail: str, chance: random.Random) -> bytes:
    """What a disk may hold of pages that were never flushed: nothing, a part, zeros in the middle, rubbish."""
    if not data:
        return b""  # the file ended there
    cut = chance.randint(0, len(data))
    if tail == "lost":
        return b""
    if tail == "part":
        return data[:cut]
    if tail == "holes":
        end = chance.randint(cut, len(data))
        return data[:cut] + bytes(end - cut) + data[end:]
    return data[:cut] + chance.randbytes(chance.randint(0, 300))


def test_the_check_of_the_power_cut_bites(tmp_path: Path) -> None:
    """Without flushing, the same cut does lose acknowledged records (as a run under eatmydata must)."""
    power = Power()
    bench = Bench(tmp_path, power)
    bench.segments.sync = lambda: None  # type: ignore[method-assign]  # the seeded bug
    assert bench.commit([], [act(1)])
    power.cut(lambda data: b"")
    assert written_actions(tmp_path) == [] and bench.recorded != []


def test_a_torn_end_is_set_aside_told_and_the_chain_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Power())
    bench.commit([], [act(1), act(2)])
    bench.committer.close()
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes() + b'{"prev":"half a reco')
    again = Bench(tmp_path, Power())
    again.committer.open()
    again.commit([], [act(3)])
    assert segment.with_suffix(".torn").read_bytes() == b'{"prev":"half a reco\n'
    assert stat.S_IMODE(segment.with_suffix(".torn").stat().st_mode) == 0o600
    told = lines(tmp_path)
    assert [record["n"] for record in told] == [1, 2, 3, 4]
    assert told[2]["what"] == "gap" and ".torn" in str(told[2]["detail"])
    assert [finding for finding in verify(tmp_path) if finding.broken] == []
    again.committer.close()


def test_a_changed_line_is_not_set_aside_but_left_for_the_verifier(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Power())
    bench.commit([], [act(1), act(2), act(3)])
    bench.committer.close()
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes().replace(b"= 2 ", b"= 9 "))
    again = Bench(tmp_path, Power())
    again.commit([], [act(4)])
    assert not segment.with_suffix(".torn").exists()
    assert len(lines(tmp_path)) == 4
    assert [finding.line for finding in verify(tmp_path) if finding.broken] == [3]
    again.committer.close()


def test_an_empty_last_segment_links_to_the_one_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Power())
    bench.commit([], [act(1)])
    bench.committer.close()
    (tmp_path / "20270101T000000Z-000002.jsonl").touch()
    again = Bench(tmp_path, Power())
    again.commit([], [act(2)])
    assert [record["n"] for record in lines(tmp_path)] == [1, 2]
    assert verify(tmp_path) == []
    again.committer.close()


def test_segments_turn_by_size_and_the_oldest_retire_on_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Power(), segment=4000, total=20_000)
    for n in range(200):
        bench.commit([], [act(n)])
    paths = segments(tmp_path)
    assert 3 <= len(paths) <= 7
    assert sum(path.stat().st_size for path in paths) <= 20_000 + 2 * 4000
    assert all(path.stat().st_size < 5000 for path in paths)
    assert verify(tmp_path) == []
    told = [record for record in lines(tmp_path) if record["what"] == "retired"]
    assert told[-1]["through"] == int(str(lines(tmp_path)[0]["n"])) - 1
    assert bench.stats.retired == int(paths[0].name[17:23]) - 1
    assert written_actions(tmp_path)[-1] == "write holding 40 = 199 (unit 1)"
    bench.committer.close()


def test_a_removal_is_on_disk_before_it_happens(tmp_path: Path) -> None:
    """Otherwise a crash between the two would look like somebody removed the oldest records."""
    power = Power()
    bench = Bench(tmp_path, power, segment=2000, total=6000)
    remove = bench.segments.remove
    seen: list[bool] = []

    def watched(condemned: object) -> None:
        newest = segments(tmp_path)[-1]
        seen.append(b'"what":"retired"' in newest.read_bytes()[: power.segments[newest].flushed])
        remove(condemned)  # type: ignore[arg-type]

    bench.segments.remove = watched  # type: ignore[method-assign]
    for n in range(60):
        bench.commit([], [act(n)])
    assert len(seen) > 3 and all(seen)
    bench.committer.close()


def test_files_belong_to_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "audit"
    bench = Bench(folder, Power())
    bench.commit([], [act(1)])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    bench.committer.close()


def test_plain_records_are_flushed_within_a_second(tmp_path: Path) -> None:
    power = Power()
    bench = Bench(tmp_path, power)
    bench.commit([note(1)], [])
    assert bench.stats.syncs == 0
    due = bench.committer.sync_due
    assert due == bench.clock.monotonic() + 1.0
    bench.clock.pass_time(1.0)
    bench.commit([], [])
    assert (bench.stats.syncs, bench.committer.head[0]) == (1, 1)
    due = bench.committer.sync_due
    assert due is None
    bench.committer.close()
