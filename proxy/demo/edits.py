"""What the demo changes in its copy of a surface's file, as text: whatever else is written there stays as it is.

The file may be somebody's own (`--config`): where a rule is not there, nothing changes, and the step that needed it is
not as expected.
"""

from __future__ import annotations

import re

_TEST = re.compile(r"^  - .*\n(?:    .*\n)*", re.MULTILINE)


def without_rule(text: str, name: str) -> str:
    """Without the rule and its tests."""
    return without_tests(text.replace(_rule(text, name), "", 1), name)


def without_tests(text: str, name: str) -> str:
    """Without the tests that something is allowed because of this rule."""
    because = re.compile(rf"\bbecause: {re.escape(name)}\b(?!-)")
    return _TEST.sub(lambda found: "" if because.search(found[0]) else found[0], text)


def with_entry(text: str, section: str, entry: str) -> str:
    """``entry`` as it stands in the file, in front of the section's others."""
    head = re.compile(rf"^{section}:.*\n", re.MULTILINE)
    return head.sub(lambda found: found[0] + entry, text, count=1)


def with_key(text: str, name: str, line: str) -> str:
    """``line`` is a key of the rule and its value."""
    rule = _rule(text, name)
    return text.replace(rule, rule.rstrip("\n") + f"\n    {line}\n\n", 1) if rule else text


def misspelt(text: str, key: str) -> tuple[str, int]:
    """The first ``key`` of a rule, wrong by one letter, and its line in the file, from 1."""
    at = text.find(f"\n    {key}:") + 1
    wrong = key[:-1] + ("x" if key[-1] != "x" else "y")
    return text[:at] + text[at:].replace(f"    {key}:", f"    {wrong}:", 1), text.count("\n", 0, at) + 1


def _rule(text: str, name: str) -> str:
    """From its name to where the next begins, or empty."""
    found = re.search(rf"^  {re.escape(name)}:.*\n(?:(?:    .*)?\n)*", text, re.MULTILINE)
    return found[0] if found else ""
