"""The names of reasons in records, and the table of them in docs/reasons.md."""

from __future__ import annotations

from proxy.core.reason import Reason

_FAMILIES = {
    10: "Identity",
    11: "Connection and protocol",
    12: "Operation",
    13: "Grant and session",
    14: "Conditions",
    15: "Requests and votes",
    16: "System",
    17: "Why a grant or a link ended",
    18: "Configuration",
}

_HEAD = """# Reasons

Every refusal and every forced end has a reason from this closed list. Records carry `reason` (the code) and `slug`,
metrics the label `reason` (the code). A code is never reused and never renumbered; codes that no part of Bulkhead
gives yet are listed all the same, so that they keep their meaning.

This page is generated from `proxy/core/reason.py`: `python -m proxy.audit.reasons > docs/reasons.md`.
"""


def slug(reason: Reason) -> str:
    """``default-deny`` for `Reason.DEFAULT_DENY`."""
    return reason.name.lower().replace("_", "-")


def page() -> str:
    """The text of docs/reasons.md."""
    lines = [_HEAD]
    family = 0
    for reason in Reason:
        number = reason.value[0]
        if number // 100 != family:
            family = number // 100
            lines += [f"\n## BH-{family}xx: {_FAMILIES[family]}\n\n", "| code | slug | meaning |\n|---|---|---|\n"]
        lines.append(f"| {reason.code} | `{slug(reason)}` | {reason.sentence} |\n")
    return "".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
