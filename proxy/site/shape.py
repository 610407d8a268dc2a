"""What the shapes of all site files are made with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Evidence = Literal["x509", "opcua_uri", "inside", "mac_ip", "address"]
"""What identity can look at in this version; a kind that nothing gathers could never be met."""


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def key(example: object = None, *, doc: str = "", **more: Any) -> Any:
    """What editors show of a key, and the example that a report gives when it is missing."""
    examples = None if example is None else [example]
    return Field(examples=examples, description=doc or None, **more)
