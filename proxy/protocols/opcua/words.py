"""Single words of the texts that people and records have: nodes, user names, numbers, attributes."""

from __future__ import annotations

import json
import re
from types import MappingProxyType

VALUE = 13
ATTRIBUTES = MappingProxyType(
    {
        "NodeId": 1,
        "NodeClass": 2,
        "BrowseName": 3,
        "DisplayName": 4,
        "Description": 5,
        "WriteMask": 6,
        "UserWriteMask": 7,
        "IsAbstract": 8,
        "Symmetric": 9,
        "InverseName": 10,
        "ContainsNoLoops": 11,
        "EventNotifier": 12,
        "Value": VALUE,
        "DataType": 14,
        "ValueRank": 15,
        "ArrayDimensions": 16,
        "AccessLevel": 17,
        "UserAccessLevel": 18,
        "MinimumSamplingInterval": 19,
        "Historizing": 20,
        "Executable": 21,
        "UserExecutable": 22,
        "DataTypeDefinition": 23,
        "RolePermissions": 24,
        "UserRolePermissions": 25,
        "AccessRestrictions": 26,
        "AccessLevelEx": 27,
    }
)
"""OPC 10000-6, A.1 (AttributeIds)."""
ATTRIBUTE_NAMES = MappingProxyType({number: name for name, number in ATTRIBUTES.items()})
_BARE = re.compile(r"(?:[!#-\[\]-~]*[!#-+\--:<-\[\]-~])?(?<!\[part\])")


def word(text: str) -> str:
    """Bare where that is clear, else quoted as in JSON, with everything but printable ASCII escaped. What ends in a
    comma, a semicolon or ``[part]`` is quoted, since these end a word."""
    if text and _BARE.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")


def shown(text: str, most: int) -> str:
    """The word, cut in its middle if it is long: names are the peer's, and records are read by people."""
    if len(text) > most:
        text = f"{text[: most // 3]}...{text[len(text) - (most - most // 3 - 3) :]}"
    whole = word(text)
    return whole if len(whole) <= most else f"{whole[: most - 3]}..."


def exact(value: float | None) -> str:
    """Every digit: the text of a target goes into the digest by which a changed policy is known. It may be an
    int that no float holds."""
    if value is None:
        return ""
    return repr(value if value != float(value) else value + 0.0).removesuffix(".0")


def attribute_text(number: int) -> str:
    return ATTRIBUTE_NAMES.get(number, str(number))
