"""docs/site.md tells of every key and every code, so that it cannot fall behind."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from proxy.site import Finding
from proxy.site.policy_shapes import CasesShape, RoleShape, ShiftShape, SurfaceShape, WindowShape
from proxy.site.shapes import DeviceShape, SiteShape

PAGE = (Path(__file__).parents[2] / "docs" / "site.md").read_text("utf-8")


def keys(kind: object) -> set[str]:
    """All keys of a shape, of those in it too."""
    found: set[str] = set()
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            found |= {field.alias or name} | keys(field.annotation)
    for part in get_args(kind):
        found |= keys(part)
    return found


def test_every_key_is_told() -> None:
    shapes = (SiteShape, DeviceShape, RoleShape, ShiftShape, WindowShape, SurfaceShape, CasesShape)
    told = set().union(*map(keys, shapes))
    assert len(told) > 55
    assert [key for key in sorted(told) if f"`{key}" not in PAGE and f".{key}`" not in PAGE] == []


def test_every_code_is_told_in_its_own_words() -> None:
    """Codes are never reused or renumbered: a change here is a change of the table, and shows in review."""
    table = [line for line in PAGE.splitlines() if line.startswith("| BH-18")]
    assert table == [f"| {finding.code} | {finding.sentence} |" for finding in Finding]
