"""The committed schemas are those of the code, every demo file names its own, and they agree with the loader."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.site import protocols
from proxy.site.schema import schemas
from tests.site.bell import BELL
from tests.site.folder import (
    CONFIG,
    FEAST,
    FULL,
    GATE,
    MATINS,
    PARISH,
    SEXTON,
    SOUND,
    STAFF,
    TOWER,
    VIGIL,
    WARDEN,
    changed,
    load,
)
from tests.site.json_schema import faults
from tests.site.test_mistakes import MISTAKES, mistaken

TOP = Path(__file__).parents[2]
COMMITTED = TOP / "docs" / "schema"
DEMO = [TOP / CONFIG, *(TOP / "policies").rglob("*.yaml"), *(TOP / "fingerprints").rglob("*.yaml")]
KIND = {
    CONFIG: "bulkhead",
    **dict.fromkeys((TOWER, SEXTON, WARDEN, GATE), "device"),
    STAFF: "role",
    MATINS: "shift",
    FEAST: "window",
    PARISH: "surface",
    VIGIL: "test",
}


def parsed(protocols: Any) -> dict[str, Any]:
    return {name.removesuffix(".schema.json"): json.loads(text) for name, text in schemas(protocols).items()}


def test_committed_schemas_are_the_generated_ones() -> None:
    """If this fails: `bulkhead schema --write docs/schema`."""
    made = schemas(protocols())
    assert {path.name: path.read_text("utf-8") for path in COMMITTED.iterdir()} == made


@pytest.mark.parametrize("path", DEMO, ids=lambda path: str(path.relative_to(TOP)))
def test_demo_file_names_its_schema_and_fits_it(path: Path) -> None:
    text = path.read_text("utf-8")
    mark, _, name = text.splitlines()[0].partition("$schema=")
    assert mark == "# yaml-language-server: "
    schema = path.parent / name
    assert Path(os.path.normpath(schema)).parent == COMMITTED
    assert faults(json.loads(schema.read_text("utf-8")), yaml.safe_load(text)) == []


@pytest.mark.parametrize("file", FULL)
def test_a_sound_file_fits(file: str) -> None:
    for base in (SOUND, FULL):
        if file in base:
            assert faults(parsed({"bell": BELL})[KIND[file]], yaml.safe_load(base[file])) == []


# Faults of form. What an editor cannot know is what other files say.
OF_FORM = {
    "unknown key", "is missing", "is not known here", "must be text", "must be a whole number", "must be at",
    "is not a name", "is not a speaker", "is not one speaker", "the list is empty", "must be a number",
    "is not a time zone", "is not a time of day", "is not a day", "compares",
}  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [case for case in MISTAKES if len(case["says"]) == 1 and any(word in case["says"][0] for word in OF_FORM)],
    ids=lambda case: str(case["name"]),
)
def test_mistakes_of_form_show_in_an_editor_too(case: dict[str, Any]) -> None:
    text = mistaken(case)[case["file"]]
    assert faults(parsed({"bell": BELL})[KIND[case["file"]]], yaml.safe_load(text)) != []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (PARISH, "from: role:staff", 'from: ["role:staff", "s*", "mbaps:A b", mbaps-null]'),
        (PARISH, "members: [tower]", "members: tower"),
        (PARISH, "rate: 6/min", "rate: 10/1h30m"),
        (CONFIG, "site: village", 'site: village\nadmin: { bind: "[::1]:9" }\nlimits: { links: 5 }'),
        (TOWER, "tone: g", "tone: g, shared: false"),
        (TOWER, "tone: g", "tone: g, tls: {}"),
        (TOWER, "tone: g", 'tone: g, tls: { ca: plant-ca, name: "2001:db8::1", certificate: ringer }'),
        (WARDEN, "identity:\n", 'identity:\n  x509: { cn: "a b" }\n  require: [mac_ip, x509]\n'),
    ],
)
def test_what_the_loader_takes_fits(file: str, old: str, new: str, tmp_path: Path) -> None:
    files = changed(file, old, new)
    loaded = load(tmp_path, files)
    assert [problem for problem in loaded.problems if not problem.warning and "links" not in problem.where] == []
    assert faults(parsed({"bell": BELL})[KIND[file]], yaml.safe_load(files[file])) == []
