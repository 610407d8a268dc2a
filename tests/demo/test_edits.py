"""What the demo changes in a file, and that nothing else there changes. The demo site itself is what it is tried on."""

from __future__ import annotations

import re
from pathlib import Path

from proxy.demo import edits

TEXT = (Path(__file__).parents[2] / "policies/surfaces/cell-3.yaml").read_text()


def gone(after: str) -> list[str]:
    """The lines that are no longer there, in their order; nothing may be new."""
    left = after.splitlines()
    missing = []
    for line in TEXT.splitlines():
        if left and left[0] == line:
            left.pop(0)
        else:
            missing.append(line)
    assert not left, left
    return missing


def test_a_rule_goes_with_its_tests_and_nothing_else() -> None:
    missing = [line for line in gone(edits.without_rule(TEXT, "valves")) if line]
    rule, tests = [one for one in missing if "because" not in one], [one for one in missing if "because" in one]
    assert rule[0].startswith("  valves:") and all(re.match(" {2,4}[a-z]", line) for line in rule)
    assert len(tests) == TEXT.count("because: valves")
    assert "  nameplate:" in edits.without_rule(TEXT, "valves")


def test_a_test_goes_only_by_the_whole_name() -> None:
    kept = "tests:\n  - { because: recipe-short }\n  - { who: a }\n"
    text = f"{kept}  - {{ because: recipe }}\n  - who: mes\n    because: recipe\n"
    assert edits.without_tests(text, "recipe") == kept


def test_an_entry_comes_first_and_the_rest_stays() -> None:
    entry = "  new:\n    from: scada\n\n"
    after = edits.with_entry(TEXT, "rules", entry)
    assert after.index(entry) < after.index("  counters:")
    assert after.replace(entry, "") == TEXT


def test_a_key_is_added_to_its_rule_alone() -> None:
    after = edits.with_key(TEXT, "trim", "when: planned-stop")
    at = after.index("    when: planned-stop\n")
    assert after.index("  trim:") < at < after.index("  valves:")
    assert after.replace("    when: planned-stop\n", "") == TEXT


def test_a_key_is_misspelt_once_and_its_line_is_known() -> None:
    after, line = edits.misspelt(TEXT, "modbus")
    differs = [at for at, (a, b) in enumerate(zip(TEXT.splitlines(), after.splitlines(), strict=True), 1) if a != b]
    assert differs == [line]
    assert "modbux" in after.splitlines()[line - 1]


def test_what_is_not_there_changes_nothing() -> None:
    assert edits.without_rule(TEXT, "valve") == TEXT
    assert edits.with_key(TEXT, "valve", "when: night") == TEXT
    assert edits.with_entry(TEXT, "rule", "  x:\n") == TEXT
