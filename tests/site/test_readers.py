"""Files parsed by other processes say the same as files parsed here, complaints included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.policy.site import SHORT, write_site
from proxy.cli.site import protocols
from proxy.site import load_site, readers
from proxy.site.files import Unusable
from proxy.site.readers import parsed, parsed_ahead

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.site.readers import Parsed

TEXTS = {
    "good.yaml": "---\nsurface: cell\nmembers: [plc-1, 'plc-*', 7, 1.5, true, null]\nrules:\n  a: { from: x }\n...\n",
    "open.yaml": "surface: cell\n",
    "twice.yaml": "surface: a\nsurface: b\n",
    "no.yaml": "surface: no\nmembers: [yes]\n",
    "cut.yaml": "---\nsurface: a\nrules:\n  b: { from: [x",
    "empty.yaml": "",
    "anchor.yaml": "a: &x 1\nb: *x\n",
    "unseen.yaml": "a: b\u202ec\n",
    "umlaut.yaml": "surface: 'ä€𝄞'\n",
    "bom.yaml": "\ufeffsurface: a\n",
}


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help is called for few files, and on any machine."""
    monkeypatch.setattr(readers, "MANY", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def here(path: Path) -> Parsed | None:
    try:
        return parsed(path)
    except Unusable:
        return None


@pytest.mark.usefixtures("many")
def test_what_comes_back_is_the_same(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, "utf-8")
    names = [*sorted(TEXTS), "missing.yaml"]
    assert list(parsed_ahead(tmp_path, names)) == [here(tmp_path / name) for name in names]
    assert here(tmp_path / "bom.yaml") is None, "so that one was not usable"
    assert parsed(tmp_path / "twice.yaml").told


@pytest.mark.usefixtures("many")
def test_a_process_that_ends_only_costs_its_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ROOM", 1 << 16)
    names = [f"{number}.yaml" for number in range(40)]
    for name in names:
        (tmp_path / name).write_text(f"surface: a\nmembers: [{'x, ' * 1_000}y]\n", "utf-8")
    found = parsed_ahead(tmp_path, names)
    assert next(found) == here(tmp_path / names[0])
    frame = found.gi_frame  # type: ignore[attr-defined]
    for helper in frame.f_locals["helpers"]:
        helper._process.kill()
    rest = list(found)
    assert len(rest) == len(names) - 1
    assert rest[-1] is None


def test_few_files_are_parsed_here(tmp_path: Path) -> None:
    assert list(parsed_ahead(tmp_path, ["a.yaml"])) == [None]


def test_a_whole_site_is_the_same_with_help_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_site(tmp_path, 6, 5, SHORT)
    bad = tmp_path / "policies/surfaces/cell-3.yaml"
    bad.write_text(bad.read_text("utf-8").replace("rules:", "rulse:"), "utf-8")
    alone = load_site(config, protocols(), now=1.0)
    monkeypatch.setattr(readers, "MANY", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    helped = load_site(config, protocols(), now=1.0)
    assert helped == alone
    assert helped.site is None and len(helped.problems) > 1
    bad.unlink()
    helped = load_site(config, protocols(), now=1.0)
    monkeypatch.setattr(readers, "MANY", 1_000)
    assert helped == load_site(config, protocols(), now=1.0)
    assert helped.site is not None
