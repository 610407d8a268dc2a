"""Rules that would allow what was asked, narrowest first: what `explain` proposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.core.action import Action


def sections(text: str, refused: tuple[Action, ...]) -> Iterator[dict[str, object]]:
    """Values for `modbus:` of a rule: a question looks like one, a verb, a resource, maybe ``= value``."""
    verb, _, rest = text.strip().partition(" ")
    resource, _, value = (part.strip() for part in rest.partition("="))
    words = resource.split()
    verbs = dict.fromkeys((verb, *(action.verb for action in refused)))
    for count in range(len(words), 0, -1):
        name = " ".join(words[:count])
        item: object = int(name) if name.isdigit() else name
        for key in verbs:
            if value.isdigit():
                yield {key: {name: {"min": int(value), "max": int(value)}}}
            yield {key: [item]}
            yield {key: item}
