"""Patterns of names in rules: ``*`` stands for any characters, none included; nothing else is special."""

from __future__ import annotations


def glob(pattern: str, text: str) -> bool:
    """``text`` fits. Linear in ``text`` (T44). A ``*`` in ``text`` is a character like others."""
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    tail = middle.pop()
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def glob_within(inner: str, outer: str) -> bool:
    """Whatever fits ``inner`` fits ``outer``. Exact: only a ``*`` of ``outer`` takes the ``*`` of ``inner``, as it
    takes whatever stands in its place."""
    return glob(outer, inner)


def globs_meet(one: str, other: str) -> bool:
    """Some text fits both. Exact."""
    if "*" not in one:
        return glob(other, one)
    if "*" not in other:
        return glob(one, other)
    if not _ends_agree(one, other):
        return False
    # ahead[j]: what was read of `one` and other[:j] have a text in common.
    stars = len(other) - len(other.lstrip("*"))
    ahead = [at <= stars for at in range(len(other) + 1)]
    for sign in one:
        row = [ahead[0] and sign == "*"]
        for j, theirs in enumerate(other, 1):
            if sign == "*" or theirs == "*":
                row.append(ahead[j] or row[j - 1])
            else:
                row.append(ahead[j - 1] and sign == theirs)
        ahead = row
    return ahead[-1]


def _ends_agree(one: str, other: str) -> bool:
    """What stands before the first ``*`` of each, and behind the last, could be of one text: a quick no."""
    heads = one[: one.index("*")], other[: other.index("*")]
    tails = one[one.rindex("*") + 1 :], other[other.rindex("*") + 1 :]
    return (heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])) and (
        tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    )
