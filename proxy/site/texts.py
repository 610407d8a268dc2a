"""The kinds of text that values in site files are made of, as pydantic types with our own words for what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from proxy.site import comparison, names, quantities, times

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue


class Kind:
    """Metadata of an `Annotated[str, ...]`: a check that raises ValueError, how to mend, and a pattern for editors."""

    def __init__(self, check: Callable[[str], object], mend: str, pattern: str | None = None) -> None:
        self._check = check
        self._mend = mend
        self._schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}

    def _apply(self, text: str) -> str:
        try:
            self._check(text)
        except ValueError as fault:
            raise PydanticCustomError("site", "{wrong}", {"wrong": str(fault), "mend": self._mend}) from None
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._apply, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self._schema)


class OneOrMore:
    """Metadata of an `Annotated[list[...], ...]`: ``a`` or ``[a, b]``, at least one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_as_list, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], {**several, "minItems": 1}]}


class Present:
    """Metadata of an optional value that may be left out but is never null: ``tls:`` with nothing behind it must not
    mean *no TLS*."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


def _as_list(value: Any) -> Any:
    if value == []:
        raise PydanticCustomError("site", "{wrong}", {"wrong": "the list is empty", "mend": "name at least one"})
    return [value] if isinstance(value, str) else value


def _is(good: Callable[[str], bool], what: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not good(text):
            raise ValueError(f"{text[:70]!r} is not {what}")

    return check


_WORDS_OF_SPEAKER = "write a device, a pattern such as mes-*, role:NAME, mbaps:ROLE or mbaps-null"
_WORDS_OF_DEVICE = "write a device or a pattern such as mes-*; a bare * is not taken"

Id = Annotated[str, Kind(_is(names.is_id, "a name"), names.ID_WORDS, names.ID_PATTERN)]
DeviceText = Annotated[
    str,
    Kind(_is(lambda t: names.is_id(t) or names.is_pattern(t), "a device"), _WORDS_OF_DEVICE, names.WILD_PATTERN),
]
Speaker = Annotated[str, Kind(_is(names.is_speaker, "a speaker"), _WORDS_OF_SPEAKER, names.SPEAKER_PATTERN)]
Who = Annotated[
    str,
    Kind(_is(names.is_one_speaker, "one speaker"), "write a device, mbaps:ROLE or mbaps-null", names.WHO_PATTERN),
]
Place = Annotated[
    str, Kind(_is(names.is_place, "a place"), "join names by '/': bottling/hall-1/line-2", names.PLACE_PATTERN)
]
Address = Annotated[str, Kind(names.address, "write the address itself, for example 10.3.0.11 or 2001:db8::11")]
HostText = Annotated[
    str, Kind(names.host, "write the name in the certificate, for example broker.plant.example", names.HOST_PATTERN)
]
BindText = Annotated[str, Kind(names.bind, 'write for example "127.0.0.1:802" or "[::1]:802"')]
Mac = Annotated[str, Kind(names.mac, "write it as on the nameplate, for example 00:0e:8c:aa:bb:01")]
RateText = Annotated[
    str, Kind(quantities.rate, "write for example 6/min (s, min or h) or 10/5s", quantities.RATE_PATTERN)
]
Uri = Annotated[str, Kind(_is(names.is_uri, "a URI"), "copy it from the certificate", names.URI_PATTERN)]
CommonName = Annotated[
    str, Kind(_is(lambda t: names.is_plain_text(t, 64), "a common name"), "copy it from the certificate")
]
Folder = Annotated[str, Kind(_is(lambda t: names.is_plain_text(t, 255), "a folder"), "write a path such as var")]
ClockText = Annotated[str, Kind(times.clock, 'write it in quotes, for example "06:00"', times.CLOCK_PATTERN)]
DayText = Annotated[str, Kind(times.day, 'write for example "2026-12-24"', times.DAY_PATTERN)]
LocalText = Annotated[str, Kind(times.local, 'write for example "2026-12-05 22:00"', times.LOCAL_PATTERN)]
InstantText = Annotated[
    str, Kind(times.instant, 'write as RFC 3339 does, for example "2026-12-01T06:00:00+01:00"', times.INSTANT_PATTERN)
]
ZoneText = Annotated[
    str, Kind(_is(names.is_zone, "a time zone"), "write its IANA name, for example Europe/Berlin", names.ZONE_PATTERN)
]
StateText = Annotated[
    str, Kind(comparison.split, "write for example: modbus holding 10 == 0 within 5s", comparison.PATTERN)
]
Because = Annotated[
    str, Kind(_is(names.is_because, "a rule"), "write RULE or SURFACE/RULE, or default", names.BECAUSE_PATTERN)
]
Sentence = Annotated[str, Kind(_is(lambda t: names.is_plain_text(t, 200), "a line of text"), "say why in one line")]
