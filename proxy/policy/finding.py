"""What is said about a policy to whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.core.origin import Origin
    from proxy.core.surface import Rule

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """``path`` is the place as people write it (``rules.setpoint``), ``mend`` how to put it right."""

    severity: str
    origin: Origin
    path: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        return f"{self.origin}:{self.origin.column}: {self.path}: {self.severity}: {self.wrong}; {self.mend}"


def warn(rule: Rule, wrong: str, mend: str) -> Finding:
    return Finding(WARNING, rule.ref.origin, f"rules.{rule.ref.name}", wrong, mend)
