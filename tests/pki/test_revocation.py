from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pki.revocation import RevocationList, revoke
from proxy.pki.revoked import Revocation, RevocationError, parse, read_serial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOLEN = Revocation(0x1F0A, "scada", "2026-03-02T07:14:09Z", 'laptop "stolen": #1')
LOST = Revocation(0xABC, "plc-3a", "2026-03-02T07:15:00Z")


def a_list(*lines: str) -> str:
    return "".join(("---\nrevoked:\n", *(f"  - {line}\n" for line in lines), "...\n"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "revoked.yaml"


def test_a_site_that_never_revoked_anything_has_an_empty_list(path: Path) -> None:
    revoked = RevocationList(path)
    assert len(revoked) == 0 and 1 not in revoked
    assert not revoked.changed()
    assert revoked.reload() is None


def test_what_is_revoked_is_in_the_list_and_stays_in_it(path: Path) -> None:
    assert revoke(path, [STOLEN]) == (STOLEN,)
    assert revoke(path, [LOST]) == (LOST,)
    revoked = RevocationList(path)
    assert 0x1F0A in revoked and 0xABC in revoked and 0x1F0B not in revoked
    assert revoked.entries == (STOLEN, LOST)


def test_a_second_revocation_of_the_same_serial_changes_nothing(path: Path) -> None:
    revoke(path, [STOLEN])
    before = path.read_bytes()
    assert revoke(path, [STOLEN._replace(reason="another")]) == ()
    assert path.read_bytes() == before


def test_t09_a_running_gateway_sees_a_revocation_at_its_next_poll(path: Path) -> None:
    revoked = RevocationList(path)
    revoke(path, [STOLEN])
    assert revoked.changed()
    assert revoked.reload() is None
    assert 0x1F0A in revoked
    assert not revoked.changed()
    revoke(path, [LOST])
    assert revoked.changed()


BROKEN = {
    "empty": b"",
    "blank": b"\n\n",
    "comment": b"# nothing\n",
    "no end": b'---\nrevoked:\n  - { serial: "1f0a" }\n',
    "no beginning": b'revoked:\n  - { serial: "1f0a" }\n...\n',
    "cut in an entry": b'---\nrevoked:\n  - { serial: "1f',
    "another key": b"---\nrefused: []\n...\n",
    "two keys": b"---\nrevoked: []\nmore: []\n...\n",
    "the key twice": b"---\nrevoked: []\nrevoked: []\n...\n",
    "not a list": b"---\nrevoked: no\n...\n",
    "a list of texts": b'---\nrevoked: ["1f0a"]\n...\n',
    "no serial": b"---\nrevoked: [{ name: scada }]\n...\n",
    "not hexadecimal": b"---\nrevoked: [{ serial: scada }]\n...\n",
    "zero": b'---\nrevoked: [{ serial: "0" }]\n...\n',
    "negative": b'---\nrevoked: [{ serial: "-1" }]\n...\n',
    "too long": b'---\nrevoked: [{ serial: "' + b"1" * 41 + b'" }]\n...\n',
    "serial twice in an entry": b'---\nrevoked: [{ serial: "1", serial: "2" }]\n...\n',
    "serial in two entries": b'---\nrevoked: [{ serial: "1" }, { serial: "01" }]\n...\n',
    "unknown key": b'---\nrevoked: [{ serial: "1", until: "tomorrow" }]\n...\n',
    "no instant": b'---\nrevoked: [{ serial: "1", when: "yesterday" }]\n...\n',
    "long reason": b'---\nrevoked: [{ serial: "1", reason: "' + b"x" * 201 + b'" }]\n...\n',
    "escape in the reason": b'---\nrevoked: [{ serial: "1", reason: "\\e[2J" }]\n...\n',
    "anchor": b'---\nrevoked: [&a { serial: "1" }]\n...\n',
    "alias": b'---\nrevoked: [{ serial: "1" }, *a]\n...\n',
    "tag": b'---\nrevoked: [!!python/object:os.system { serial: "1" }]\n...\n',
    "second document": b"---\nrevoked: []\n...\n---\nrevoked: []\n...\n",
    "not UTF-8": b"---\nrevoked: []\n# \xff\n...\n",
    "UTF-16": "---\nrevoked: []\n...\n".encode("utf-16"),
    "NUL": b"---\nrevoked: []\n\0...\n",
    "too big": b"---\nrevoked: []\n" + b"#" * 9_000_000 + b"\n...\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_t09_a_list_that_cannot_be_read_keeps_the_old_one_and_says_so(path: Path, data: bytes) -> None:
    revoke(path, [STOLEN])
    revoked = RevocationList(path)
    path.write_bytes(data)
    assert revoked.changed()
    problem = revoked.reload()
    assert isinstance(problem, RevocationError)
    assert str(problem) == str(revoked.problem)
    assert str(problem).startswith("revoked.yaml")
    assert 0x1F0A in revoked and revoked.entries == (STOLEN,)
    assert not revoked.changed()  # it is not read again and again
    path.unlink()
    revoke(path, [STOLEN, LOST])
    assert revoked.changed()
    assert revoked.reload() is None and revoked.problem is None
    assert 0xABC in revoked


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_list_that_cannot_be_read_stops_the_start_and_is_never_overwritten(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(RevocationError):
        RevocationList(path)
    with pytest.raises(RevocationError):
        revoke(path, [LOST])
    assert path.read_bytes() == data


def test_a_list_that_goes_away_revokes_what_it_revoked(path: Path) -> None:
    revoke(path, [STOLEN])
    revoked = RevocationList(path)
    path.unlink()
    assert revoked.changed()
    assert "gone" in str(revoked.reload())
    assert 0x1F0A in revoked
    assert not revoked.changed()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_list_that_turns_into_something_else_is_a_value_not_an_exception(
    path: Path, make: Callable[[Path], None]
) -> None:
    revoke(path, [STOLEN])
    revoked = RevocationList(path)
    path.unlink()
    make(path)
    assert "not a regular file" in str(revoked.reload())
    assert 0x1F0A in revoked


def test_t70_a_list_cut_anywhere_is_no_list(path: Path) -> None:
    revoke(path, [STOLEN, LOST])
    text = path.read_text()
    whole = parse(text, "revoked.yaml")
    for cut in range(len(text)):
        try:
            entries = parse(text[:cut], "revoked.yaml")
        except RevocationError:
            continue
        assert entries == whole, cut  # only the last line break is missing


def test_entries_may_be_taken_out_by_hand(path: Path) -> None:
    revoke(path, [STOLEN, LOST])
    revoked = RevocationList(path)
    path.write_text(a_list('{ serial: "ABC" }'))
    assert revoked.reload() is None
    assert 0x1F0A not in revoked and 0xABC in revoked


def test_plain_serials_are_text_not_numbers() -> None:
    entries = parse(a_list("{ serial: 0123 }", "{ serial: 1e5 }", "{ serial: 01 }"), "x")
    assert [entry.serial for entry in entries] == [0x123, 0x1E5, 0x1]


def test_additions_by_several_writers_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: revoke(path, [Revocation(number)]), range(1, 65)))
    assert {entry.serial for entry in RevocationList(path).entries} == set(range(1, 65))
    assert os.listdir(path.parent) == ["revoked.yaml"]


@given(
    st.lists(
        st.builds(
            Revocation,
            st.integers(1, 2**160 - 1),
            st.text(max_size=200),
            st.sampled_from(["", "2026-03-02T07:14:09Z"]),
            st.text(max_size=200),
        ),
        max_size=5,
        unique_by=lambda entry: entry.serial,
    )
)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, entries: list[Revocation]) -> None:
    path = tmp_path_factory.mktemp("certs") / "revoked.yaml"
    try:
        revoke(path, entries)
    except RevocationError:
        assert not path.exists()
        assert not all(text.isprintable() for entry in entries for text in entry[1:])
    else:
        assert RevocationList(path).entries == tuple(entries)


@given(st.text(max_size=200) | st.text("{}[]:,&*!|>'\"%@` \n-.#serialvoknmw0123456789", max_size=200).map(a_list))
def test_any_text_is_a_list_or_a_revocation_error(text: str) -> None:
    try:
        entries = parse(text, "revoked.yaml")
    except RevocationError:
        return
    assert all(entry.serial > 0 for entry in entries)


@pytest.mark.parametrize("text", ["1F0A", "1f0a", "1f:0a", "serial=1F0A", " 1f0a ", "00001f0a"])
def test_a_serial_is_read_as_openssl_prints_it(text: str) -> None:
    assert read_serial(text) == 0x1F0A


@pytest.mark.parametrize("text", ["", "0", "0x1f0a", "-1", "1f0a 2", "१", "g", "1" * 41])
def test_what_is_no_serial_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        read_serial(text)
