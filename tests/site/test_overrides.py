"""``BULKHEAD_SECTION__KEY=value``: values from the environment; a name that fits nothing is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.site import Bind, Limits
from tests.site.folder import CONFIG, SOUND, changed, lines, load


def test_values_are_replaced(tmp_path: Path) -> None:
    environ = {
        "BULKHEAD_SITE": "town",
        "BULKHEAD_LIMITS__LINKS": "2000",
        "BULKHEAD_ADMIN__BIND": "[::1]:99",
        "BULKHEAD_LISTENERS__DOOR__TLS__VERSIONS": '["1.2", "1.3"]',
        "BULKHEAD_STATE": '"on"',
        "BULKHEAD_CONFIG": "/elsewhere",
        "PATH": "/bin",
    }
    loaded = load(tmp_path, SOUND, environ)
    assert loaded.site is not None, lines(loaded)
    site = loaded.site
    assert (site.name, site.admin, site.state) == ("town", Bind("::1", 99), tmp_path / "on")
    assert site.limits == Limits(links=2000)
    assert site.listeners[0].tls is not None and site.listeners[0].tls.versions == ("1.2", "1.3")


def test_underscores_stand_for_what_variables_cannot_have(tmp_path: Path) -> None:
    files = changed(CONFIG, "  door:", "  door-1.b_c:")
    loaded = load(
        tmp_path,
        files,
        {"BULKHEAD_LISTENERS__DOOR_1_B_C__BIND": "10.0.0.1:1", "BULKHEAD_LIMITS__LINKS_PER_SOURCE": "3"},
    )
    assert loaded.site is not None, lines(loaded)
    assert (loaded.site.listeners[0].bind.port, loaded.site.limits.links_per_source) == (1, 3)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "BULKHEAD_SIET",
            "x",
            "BULKHEAD_SIET:1:1: no setting is called SIET; did you mean SITE?; known here: site, state,",
        ),
        (
            "BULKHEAD_LIMITS__LINK",
            "9",
            "BULKHEAD_LIMITS__LINK:1:1: limits: no setting is called LINK; did you mean LINKS?;",
        ),
        ("BULKHEAD_LIMITS", "9", "BULKHEAD_LIMITS:1:1: limits: is a section, not a value; add __ and one of links,"),
        (
            "BULKHEAD_LISTENERS",
            "9",
            "BULKHEAD_LISTENERS:1:1: listeners: is a section, not a value; add __ and one of the names",
        ),
        (
            "BULKHEAD_LIMITS__LINKS",
            "lots",
            "BULKHEAD_LIMITS__LINKS:1:1: limits.links: must be a whole number, and 'lots'",
        ),
        ("BULKHEAD_LIMITS__LINKS", "0", "BULKHEAD_LIMITS__LINKS:1:1: limits.links: must be at least 1;"),
        ("BULKHEAD_LIMITS__LINKS", "", "BULKHEAD_LIMITS__LINKS:1:1: limits.links: the value is empty;"),
        (
            "BULKHEAD_LIMITS__LINKS",
            "010",
            "BULKHEAD_LIMITS__LINKS:1:1: limits.links: 010 is not a plain decimal number;",
        ),
        ("BULKHEAD_STATE", "on", "BULKHEAD_STATE:1:1: state: on means different things to different readers of YAML;"),
        ("BULKHEAD_STATE", "'a", "BULKHEAD_STATE:1:1: state: the file ends in the middle"),
        (
            "BULKHEAD_LISTENERS__GATE__BIND",
            "x",
            "BULKHEAD_LISTENERS__GATE__BIND:1:1: listeners: no setting is called GATE;",
        ),
        (
            "BULKHEAD_LISTENERS__DOOR__TO",
            "towr",
            "BULKHEAD_LISTENERS__DOOR__TO:1:1: listeners.door.to: there is no device towr;",
        ),
        ("BULKHEAD_SITE__NAME", "x", "BULKHEAD_SITE__NAME:1:1: site: no setting is called NAME; set a single value"),
        ("BULKHEAD_", "x", "BULKHEAD_:1:1: no setting is called ;"),
        (
            "BULKHEAD_LISTENERS__DOOR__TLS__CLIENTS",
            "optional",
            "BULKHEAD_LISTENERS__DOOR__TLS__CLIENTS:1:1: listeners.door.tls.",
        ),
    ],
)
def test_mistakes_name_the_variable(name: str, value: str, said: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, SOUND, {name: value})
    assert loaded.site is None
    assert lines(loaded)[0].startswith(said), lines(loaded)[0]
    assert len(loaded.problems) == 1


def test_an_ambiguous_name_is_an_error(tmp_path: Path) -> None:
    files = changed(CONFIG, "listeners:\n", 'listeners:\n  a-b: { bind: "10.0.0.1:1", protocol: bell, to: tower }\n')
    files[CONFIG] = files[CONFIG].replace("  door:", "  a_b:")
    loaded = load(tmp_path, files, {"BULKHEAD_LISTENERS__A_B__BIND": "10.0.0.1:2"})
    assert lines(loaded)[0].startswith("BULKHEAD_LISTENERS__A_B__BIND:1:1: listeners: A_B can be a-b or a_b;")


def test_a_broken_file_is_told_once(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, changed(CONFIG, "site: village", "site: village\nlimits: 5"), {"BULKHEAD_LIMITS__LINKS": "5"}
    )
    assert [problem.where for problem in loaded.problems] == ["limits"]
