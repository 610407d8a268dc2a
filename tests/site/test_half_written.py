"""T70: a wrong, half-written or swapped file never gives a site that allows more than was written, without a word."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cli.site import protocols
from proxy.site import Finding, Loaded, Site, load_site
from proxy.site.files import MAX_BYTES
from tests.site.bell import BELL
from tests.site.folder import (
    CONFIG,
    FEAST,
    FULL,
    MATINS,
    NOW,
    PARISH,
    SEXTON,
    SOUND,
    STAFF,
    TOWER,
    VIGIL,
    changed,
    lines,
    load,
    write,
)

if TYPE_CHECKING:
    from proxy.protocols.base import ProtocolSpec

pytestmark = pytest.mark.timeout(60)  # hundreds of sites each, on machines that do other work too

TOP = Path(__file__).parents[2]
DEMO = (
    "bulkhead.yaml",
    *(str(p.relative_to(TOP)) for d in ("policies", "fingerprints") for p in (TOP / d).rglob("*.yaml")),
)


@dataclass(frozen=True)
class Original:
    """A sound site on disk, whose files are changed one at a time and put back."""

    folder: Path
    protocols: Mapping[str, ProtocolSpec]
    files: dict[str, bytes]
    site: Site

    def with_file(self, file: str, data: bytes) -> Loaded:
        path = self.folder / file
        path.write_bytes(data)
        try:
            return load_site(self.folder / CONFIG, self.protocols, now=NOW)
        finally:
            path.write_bytes(self.files[file])


def original(folder: Path, protocols: Mapping[str, ProtocolSpec], files: dict[str, bytes]) -> Original:
    loaded = load_site(write(folder, files), protocols, now=NOW)
    assert loaded.site is not None, lines(loaded)
    return Original(folder, protocols, files, loaded.site)


@pytest.fixture(scope="module")
def bells(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return original(tmp_path_factory.mktemp("bells"), {"bell": BELL}, {n: text.encode() for n, text in SOUND.items()})


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Original:
    files = {file: (TOP / file).read_bytes() for file in DEMO}
    return original(tmp_path_factory.mktemp("demo"), protocols(), files)


def is_harmless(loaded: Loaded, original: Site) -> bool:
    """Refused, or exactly what it was."""
    site = loaded.site
    return site is None or (site.digest == original.digest and site.cases == original.cases)


@pytest.mark.parametrize("file", SOUND)
def test_t70_cut_anywhere(file: str, bells: Original) -> None:
    """Every prefix of every file: at the end of a line too, where what is left is good YAML with a rule less."""
    data = SOUND[file].encode()
    for length in range(len(data)):
        loaded = bells.with_file(file, data[:length])
        assert is_harmless(loaded, bells.site), f"{file} cut at {length} is taken for a whole file"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return original(tmp_path_factory.mktemp("full"), {"bell": BELL}, {n: text.encode() for n, text in FULL.items()})


@pytest.mark.parametrize("file", [PARISH, MATINS, FEAST, VIGIL])
def test_t70_every_key_of_the_language_cut(file: str, full: Original) -> None:
    """At the end of every line, and now and then in the middle of one."""
    data = FULL[file].encode()
    ends = {at + 1 for at, byte in enumerate(data) if byte == ord("\n")}
    for length in sorted(ends - {len(data)} | set(range(0, len(data), 11))):
        assert is_harmless(full.with_file(file, data[:length]), full.site), f"{file} cut at {length}"


@pytest.mark.parametrize("file", DEMO)
def test_t70_demo_site_cut_at_lines(file: str, demo: Original) -> None:
    data = demo.files[file]
    ends = [at + 1 for at, byte in enumerate(data) if byte == ord("\n")]
    for length in (0, *ends[:-1]):
        assert is_harmless(demo.with_file(file, data[:length]), demo.site), f"{file} cut at {length}"


@pytest.mark.parametrize("file", SOUND)
def test_t70_without_marks_a_cut_is_at_least_told(file: str, bells: Original) -> None:
    """A file without marks may lose whole lines unseen; then `check` says that it could."""
    data = SOUND[file].removeprefix("---\n").removesuffix("...\n").encode()
    for length in range(len(data)):
        loaded = bells.with_file(file, data[:length])
        assert loaded.site is None or loaded.problems


def wreck(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What happens to files by accident."""
    text = data.decode()
    yield "nothing left", b""
    yield "zeros, as after a power cut", b"\0" * len(data)
    yield "byte order mark", b"\xef\xbb\xbf" + data
    yield "UTF-16", text.encode("utf-16")
    yield "Latin-1", text.encode().replace(b"---", b"---\n# \xe4\xf6", 1)
    yield "written twice", data + data
    yield "a merge conflict", data.replace(b"...", b"<<<<<<< ours\n=======\n>>>>>>> theirs\n...")
    yield "an HTML error page", b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>\n"
    yield "JSON cut short", b'{"surface": "parish", "members": ["tower"], "rules"'
    yield "another file's text", b"---\nnotes: [1, 2]\n...\n"
    yield "only comments", b"".join(b"# " + line + b"\n" for line in data.splitlines())
    yield "tabs for blanks", data.replace(b"  ", b"\t")
    yield "100 MB", data + b"# padding\n" * (10 * MAX_BYTES // 10)


@pytest.mark.parametrize("file", SOUND)
def test_t70_wrecked(file: str, bells: Original) -> None:
    data = SOUND[file].encode()
    for what, wrecked in wreck(data):
        loaded = bells.with_file(file, wrecked)
        assert is_harmless(loaded, bells.site), f"{file}: {what}"
        if wrecked != data and b"\t" not in wrecked:
            assert loaded.site is None, f"{file}: {what} is not noticed"


def mutants(text: str) -> st.SearchStrategy[str]:
    """Edits of the form, not of what is said: doubled lines, keys in another case, lost colons, blanks and quotes."""
    rows = text.splitlines(keepends=True)
    at = st.integers(0, len(rows) - 1)
    doubled = at.map(lambda n: "".join(rows[: n + 1] + rows[n:]))
    shouted = at.map(lambda n: "".join(rows[:n] + [_key_changed(rows[n], str.upper)] + rows[n + 1 :]))
    misspelt = at.map(lambda n: "".join(rows[:n] + [_key_changed(rows[n], lambda k: k + "s")] + rows[n + 1 :]))
    no_colon = at.map(lambda n: "".join(rows[:n] + [rows[n].replace(":", "", 1)] + rows[n + 1 :]))
    dedented = at.map(lambda n: "".join(rows[:n] + [rows[n].lstrip(" ")] + rows[n + 1 :]))
    indented = at.map(lambda n: "".join(rows[:n] + ["  " + rows[n]] + rows[n + 1 :]))
    spot = st.integers(0, len(text))
    junk = st.sampled_from(
        ["\0", "\x1b", "\u202e", "\u200b", "\ufeff", "\u2028", "\r", "{", "}", "[", "]", "\t", "&a ", "*a ", "!a "]
    )
    inserted = st.builds(lambda n, j: text[:n] + j + text[n:], spot, junk)
    return st.one_of(doubled, shouted, misspelt, no_colon, dedented, indented, inserted)


def _key_changed(row: str, change: object) -> str:
    key, colon, rest = row.partition(":")
    return f"{change(key)}{colon}{rest}" if callable(change) and colon else row


@pytest.mark.parametrize("file", SOUND)
def test_t70_reload_mutants(file: str, bells: Original) -> None:
    seen = {"refused": 0, "same": 0}

    @given(text=mutants(SOUND[file]))
    @settings(max_examples=100, deadline=None, database=None)
    def run(text: str) -> None:
        loaded = bells.with_file(file, text.encode())
        if loaded.site is None:
            seen["refused"] += 1
            assert any(not problem.warning for problem in loaded.problems)
        elif not is_harmless(loaded, bells.site):
            assert _says_no_more(loaded.site, bells.site), text
        else:
            seen["same"] += 1

    run()
    assert seen["refused"] > 20


def _says_no_more(site: Site, original: Site) -> bool:
    """The same listeners, with the same TLS, and no permission that was not there: names apart."""
    return (
        {(x.bind, x.to, x.tls) for x in site.listeners} <= {(x.bind, x.to, x.tls) for x in original.listeners}
        and _permissions(site) <= _permissions(original)
        and _prohibitions(site) >= _prohibitions(original)
        and {d.id: d.bindings for d in site.devices.values()} == {d.id: d.bindings for d in original.devices.values()}
        and {(r.name, m) for r in site.roles for m in r.members}
        <= {(r.name, m) for r in original.roles for m in r.members}
    )


def _permissions(site: Site) -> set[object]:
    return {
        (speaker, device, target.describe(), rule.needs, rule.rate, surface.writes_without_proof)
        for surface in site.surfaces
        for rule in surface.rules
        for speaker in rule.speakers
        for device in rule.devices
        for target in rule.targets
    }


def _prohibitions(site: Site) -> set[object]:
    return {
        (never.speakers, device, target.describe())
        for surface in site.surfaces
        for never in surface.nevers
        for device in never.devices
        for target in never.targets
    }


@given(data=st.binary(max_size=300), file=st.sampled_from([CONFIG, TOWER, STAFF, PARISH]))
@settings(max_examples=300, deadline=None)
def test_t70_any_bytes(bells: Original, data: bytes, file: str) -> None:
    assert bells.with_file(file, data).site is None


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_nothing_escapes_the_demo_site(demo: Original, data: st.DataObject) -> None:
    """Random bytes in the real protocol's files too: a problem or a site, never an exception."""
    file = data.draw(st.sampled_from(DEMO))
    text = demo.files[file]
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 12))
    junk = data.draw(
        st.one_of(st.binary(max_size=6), st.sampled_from([b"[u16]", b"{}", b"[]", b"null", b"-1", b"1.5", b"99999999"]))
    )
    loaded = demo.with_file(file, text[:at] + junk + text[at + cut :])
    assert (loaded.site is None) == any(not problem.warning for problem in loaded.problems)


@pytest.mark.parametrize("gone", ["policies", "fingerprints", "policies/surfaces", "fingerprints/devices"])
def test_t70_a_missing_folder_is_not_no_policy(gone: str, tmp_path: Path) -> None:
    config = write(tmp_path, SOUND)
    shutil.rmtree(tmp_path / gone)
    loaded = load_site(config, {"bell": BELL})
    assert loaded.site is None
    assert any(p.finding is Finding.MISSING and p.origin.file.startswith(gone) for p in loaded.problems)


@pytest.mark.parametrize("folder", ["policies/surfaces", "fingerprints/devices"])
def test_t70_an_empty_folder_is_not_no_policy(folder: str, tmp_path: Path) -> None:
    config = write(tmp_path, SOUND)
    for file in (tmp_path / folder).iterdir():
        file.unlink()
    loaded = load_site(config, {"bell": BELL})
    assert loaded.site is None
    assert f"{folder}:1:1: holds no .yaml file" in "\n".join(lines(loaded))


def test_t70_a_role_file_gone_is_told_where_it_is_used(tmp_path: Path) -> None:
    files = {name: text for name, text in SOUND.items() if name != STAFF}
    (line,) = lines(load(tmp_path, files))
    assert line.startswith("policies/surfaces/parish.yaml:6:11: rules.hours.from: there is no role staff; ")


def test_a_missing_config_is_the_only_problem(tmp_path: Path) -> None:
    loaded = load_site(tmp_path / CONFIG, {"bell": BELL})
    assert lines(loaded) == ["bulkhead.yaml:1:1: the file does not exist; create it"]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("policies/surfaces/extra.yml", "only files that end in .yaml are read"),
        ("policies/surfaces/extra.YAML", "only files that end in .yaml are read"),
        ("policies/surfaces/extra.json", "only files that end in .yaml are read"),
        ("policies/surfaces/hall/extra.yaml", "this folder is not read"),
        ("policies/extra.yaml", "files in this place are not read"),
        ("policies/surface/extra.yaml", "this folder is not read"),
        ("fingerprints/extra.yaml", "files in this place are not read"),
    ],
)
def test_t70_a_never_that_nobody_would_read_is_an_error(file: str, said: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, {**SOUND, file: SOUND[PARISH]})
    assert loaded.site is None
    assert [problem.wrong for problem in loaded.problems] == [said]


@pytest.mark.parametrize(
    "file", ["policies/surfaces/.parish.yaml.swp", "policies/README.md", "policies/surfaces/parish.yaml~"]
)
def test_what_editors_leave_is_left_alone(file: str, tmp_path: Path) -> None:
    assert lines(load(tmp_path, {**SOUND, file: "notes"})) == []


def test_a_disabled_file_is_told(tmp_path: Path) -> None:
    loaded = load(tmp_path, {**SOUND, "policies/surfaces/parish.yaml.off": "notes"})
    assert loaded.site is not None and len(loaded.problems) == 1


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling", "loop", "device"])
def test_t70_no_regular_file(kind: str, tmp_path: Path) -> None:
    """Each would stop or fool a reader that opens first and asks later."""
    config = write(tmp_path, SOUND)
    path = tmp_path / STAFF
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"dangling": "nowhere", "loop": path.name, "device": "/dev/zero"}[kind])
    loaded = load_site(config, {"bell": BELL})
    assert loaded.site is None
    problem = loaded.problems[0]
    said = {"dangling": "does not exist", "loop": "cannot be read", "folder": "this folder is not read"}
    assert said.get(kind, "is not a regular file") in problem.wrong


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    """Container platforms mount configuration as links."""
    config = write(tmp_path, SOUND)
    (tmp_path / SEXTON).rename(tmp_path / "elsewhere")
    (tmp_path / SEXTON).symlink_to(tmp_path / "elsewhere")
    assert load_site(config, {"bell": BELL}).site is not None


def test_warnings_alone_leave_a_site(tmp_path: Path) -> None:
    loaded = load(tmp_path, changed(STAFF, "---\n", "").copy() | {STAFF: "role: staff\nmembers: [sexton]\n"})
    assert loaded.site is not None
    (line,) = lines(loaded)
    assert line == (
        "policies/roles/staff.yaml:1:1: warning: 1 file does not end in '...', so half of it would look whole; "
        "open each file with '---' and close it with '...'"
    )
