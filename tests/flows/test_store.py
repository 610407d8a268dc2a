"""Flows on disk: merged, bounded, and no trouble to anybody when the disk is."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.flows import store as stores
from proxy.flows.book import Book
from proxy.flows.store import FlowsError, FlowStore, read_flows
from tests.flows.kit import NOW, WOULD, key, seen, text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flows.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[FlowStore]:
    made = FlowStore(path, text, lambda: NOW)
    made.start()
    yield made
    made.close(Book())


def put(store: FlowStore, *some: tuple[object, object]) -> None:
    book = Book()
    for one, what in some:
        book.add(one, what)  # type: ignore[arg-type]  # pairs of the kit
    store.flush(book)
    assert store.wait(5.0)


def again(store: FlowStore) -> None:
    """As often as a store that failed lets flushes pass, and once more."""
    for _ in range(stores.SKIP + 1):
        put(store)


def test_a_flow_is_read_as_it_was_told(store: FlowStore, path: Path) -> None:
    put(store, (key(answer=WOULD), seen(low=5, high=9, count=3)))
    (row,) = read_flows(path)
    assert (row.who, row.attributes, row.evidence, row.to) == ("scada", ("mbaps:Operator",), ("x509",), "plc")
    assert (row.protocol, row.low, row.high) == ("toy", "write cell 9 = 5", "write cell 9 = 9")
    assert (row.allowed, row.code, row.rule) == (True, "", "cell/writes")
    assert (row.would, row.would_code, row.would_rule) == (False, "BH-1205", "cell/narrow")
    assert (row.at, row.policy, row.count) == ("policies/surfaces/cell.yaml:11", "aa", 3)
    assert (row.first, row.last) == (NOW - 100, NOW)


def test_flushes_add_up(store: FlowStore, path: Path) -> None:
    put(store, (key(), seen(low=5, high=9, count=3, first=NOW - 50, at="f:1")))
    put(store, (key(), seen(low=2, high=7, count=4, first=NOW - 70, last=NOW - 1, at="f:2")), (key(8), seen(8)))
    eight, nine = read_flows(path)
    assert (eight.low, eight.count) == ("write cell 8 = 5", 1)
    assert (nine.low, nine.high, nine.count) == ("write cell 9 = 2", "write cell 9 = 9", 7)
    assert (nine.first, nine.last, nine.at) == (NOW - 70, NOW, "f:2")
    assert store.rows == 2


def test_the_next_run_goes_on_where_this_one_ended(path: Path) -> None:
    for _ in range(2):
        store = FlowStore(path, text, lambda: NOW)
        store.start()
        book = Book()
        book.add(key(), seen(count=2))
        store.close(book)
    assert [row.count for row in read_flows(path)] == [4]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_reading_since(store: FlowStore, path: Path) -> None:
    put(store, (key(1), seen(1, last=NOW - 10)), (key(2), seen(2, last=NOW - 1000)))
    assert [row.low for row in read_flows(path, NOW - 100)] == ["write cell 1 = 5"]


def test_reading_where_nothing_is(path: Path) -> None:
    with pytest.raises(FlowsError, match="no flows are recorded here"):
        read_flows(path)
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(FlowsError, match="cannot be read"):
        read_flows(path)


def test_a_file_of_another_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (x)")
        db.execute("PRAGMA user_version = 9")
        db.commit()
    with pytest.raises(FlowsError, match="has version 9"):
        read_flows(path)
    store = FlowStore(path, text, lambda: NOW)
    store.start()
    put(store, (key(), seen()))
    assert "version 9" in store.problem
    store.close(Book())
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (9,)


def test_a_reader_needs_no_right_to_write(store: FlowStore, path: Path) -> None:
    put(store, (key(), seen()))
    store.close(Book())
    os.chmod(path, 0o400)
    os.chmod(path.parent, 0o500)
    try:
        assert len(read_flows(path)) == 1
    finally:
        os.chmod(path.parent, 0o700)


def test_the_oldest_of_a_speaker_go_first(path: Path) -> None:
    store = FlowStore(path, text, lambda: NOW, most=100, most_of_one=4)
    store.start()
    put(
        store,
        *((key(cell), seen(cell, last=NOW - cell)) for cell in range(10)),
        (key(1, "mes"), seen(1, last=NOW - 99)),
    )
    assert sorted(row.low for row in read_flows(path) if row.who == "scada") == [
        f"write cell {n} = 5" for n in range(4)
    ]
    assert (store.dropped, store.rows) == (6, 5)
    store.close(Book())


def test_the_oldest_of_all_go_first(path: Path) -> None:
    store = FlowStore(path, text, lambda: NOW, most=3, most_of_one=3)
    store.start()
    put(store, *((key(1, f"device-{at}"), seen(1, last=NOW - at)) for at in range(6)))
    assert [row.who for row in read_flows(path)] == ["device-0", "device-1", "device-2"]
    assert store.dropped == 3
    store.close(Book())


def test_a_flow_is_forgotten_when_it_was_not_seen_for_long(path: Path) -> None:
    clock = [NOW]
    store = FlowStore(path, text, lambda: clock[0])
    store.start()
    put(store, (key(1), seen(1, last=NOW)), (key(2), seen(2, last=NOW + 86400)))
    clock[0] = NOW + stores.AGE + 1
    put(store)
    assert [row.low for row in read_flows(path)] == ["write cell 2 = 5"]
    store.close(Book())


class TestTrouble:
    def test_somebody_who_locks_the_file_delays_it_and_loses_nothing(
        self, store: FlowStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stores, "LOCKED", 0.05)
        store.close(Book())
        store = FlowStore(path, text, lambda: NOW)
        store.start()
        put(store, (key(), seen(count=1)))
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            put(store, (key(), seen(count=2)))
            assert "locked" in store.problem and store.errors == 1
            put(store, (key(), seen(count=4)))
            assert store.errors == 1, "it is not tried with each flush"
            other.rollback()
        again(store)
        assert store.problem == ""
        assert [row.count for row in read_flows(path)] == [7]
        store.close(Book())

    def test_a_full_disk(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = stores._open

        def small(where: Path) -> sqlite3.Connection:
            db = opened(where)
            db.execute(f"PRAGMA max_page_count = {pages}")
            return db

        pages = 30
        monkeypatch.setattr(stores, "_open", small)
        store = FlowStore(path, text, lambda: NOW)
        store.start()
        put(store, (key(1), seen(1)))
        put(store, *((key(cell), seen(cell)) for cell in range(2, 2000)))
        assert "full" in store.problem and store.errors == 1
        assert [row.low for row in read_flows(path)] == ["write cell 1 = 5"], "all or nothing"
        pages = 100_000
        again(store)
        assert store.problem == ""
        assert sorted(row.count for row in read_flows(path)) == [1] * 1999
        store.close(Book())

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        store = FlowStore(tmp_path / "away" / "flows.sqlite", text, lambda: NOW)
        store.start()
        put(store, (key(), seen()))
        assert "No such file" in store.problem
        (tmp_path / "away").mkdir()
        store.close(Book())
        assert [row.count for row in read_flows(store.path)] == [1], "the end tries once more"

    def test_a_damaged_file_is_put_aside(self, path: Path) -> None:
        path.write_bytes(b"this was a database once, before something wrote all over it.\n" * 50)
        store = FlowStore(path, text, lambda: NOW)
        store.start()
        put(store, (key(), seen(count=2)))
        assert "not a database" in store.problem
        again(store)
        assert store.problem == ""
        assert [row.count for row in read_flows(path)] == [2]
        assert path.with_name("flows.sqlite.damaged").read_bytes().startswith(b"this was")
        store.close(Book())

    def test_what_waits_in_memory_is_bounded(self, tmp_path: Path) -> None:
        store = FlowStore(tmp_path / "away" / "f", text, lambda: NOW, pending=Book(most=5, most_of_one=5))
        store.start()
        put(store, *((key(cell), seen(cell)) for cell in range(8)))
        assert store.untold == 3
        store.close(Book())

    def test_a_bug_of_ours_is_told_and_the_next_flush_is_tried(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = True

        def words(protocol: str, asked: object) -> str:
            if broken:
                raise ZeroDivisionError("planted")
            return text(protocol, asked)

        store = FlowStore(path, words, lambda: NOW)
        store.start()
        put(store, (key(), seen()))
        assert "planted" in store.problem
        broken = False
        again(store)
        assert len(read_flows(path)) == 1 and store.problem == ""
        store.close(Book())

    def test_while_a_flush_is_under_way_the_book_keeps_what_comes(self, path: Path) -> None:
        store = FlowStore(path, text, lambda: NOW)
        first, second = Book(), Book()
        first.add(key(1), seen(1))
        second.add(key(2), seen(2))
        store.flush(first)  # nobody takes it yet
        store.flush(second)
        assert (len(first), len(second)) == (0, 1)
        store.start()
        store.close(second)
        assert len(read_flows(path)) == 2
