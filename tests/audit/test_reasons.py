"""Codes are for ever: what a record said last year means the same today."""

from __future__ import annotations

from pathlib import Path

from proxy.audit.reasons import page, slug
from proxy.core.reason import Reason

GOLDEN = Path(__file__).with_name("reasons.golden")
DOCS = Path(__file__).parents[2] / "docs" / "reasons.md"


def test_codes_are_never_reused_or_renumbered() -> None:
    """A new reason is a new line in the golden file; a line that is there never changes and never goes."""
    golden = dict(line.split() for line in GOLDEN.read_text().splitlines())
    assert {reason.code: slug(reason) for reason in Reason} == golden


def test_codes_and_slugs_are_unique() -> None:
    assert len({reason.code for reason in Reason}) == len(Reason) == len({slug(reason) for reason in Reason})


def test_the_page_is_up_to_date() -> None:
    assert DOCS.read_text() == page(), "python -m proxy.audit.reasons > docs/reasons.md"
