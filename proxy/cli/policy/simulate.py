"""`bulkhead policy simulate`: questions to the files of a site, at any time and in any state."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from proxy.cli.asking import KINDS, nearest, strangers
from proxy.cli.exits import DONE, FINDINGS, EnvironmentFailure
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, open_site, protocols
from proxy.core.origin import Origin
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.core.process import Point
    from proxy.core.surface import RuleTest
    from proxy.policy.simulate import Answer
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site

    Row = Mapping[str, Any]

KEYS = ("who", "to", "at", "evidence", "state")
MOST = 4 << 20
"""Bytes of a table."""


@click.command()
@config_option
@click.option("--who", help="A device id, mbaps:ROLE, mbaps-null, or both: scada+mbaps:Operator.")
@click.option("--to", help="The device that is spoken to.")
@click.option("--at", metavar="TIME", help="When, as 2026-12-01T06:00:00+01:00. Default: while all hours are open.")
@click.option("--evidence", multiple=True, metavar="KIND", help="What the speaker shows, or none. Default: all it has.")
@click.option("--state", multiple=True, metavar="POINT=VALUE", help='Just seen: "plc-3a modbus holding 10 = 0".')
@click.option("--table", metavar="FILE", help="Questions as a YAML list or as lines of JSON; - is standard input.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("request", nargs=-1)
def command(
    config: Path | None,
    who: str | None,
    to: str | None,
    at: str | None,
    evidence: tuple[str, ...],
    state: tuple[str, ...],
    table: str | None,
    output: str,
    request: tuple[str, ...],
) -> int:
    """Answer REQUEST (such as: modbus write holding 40 = 77), or a table of questions, by the files of this site.

    A question of a table has who, to, the name of a protocol with what is asked, and maybe at, evidence and state. No
    running gateway is asked and no budget is spent.

    Exits with 0 if all is allowed, 1 if something is refused, 2 if a question is wrong.
    """
    site = open_site(config)
    rows = _rows(table) if table else [_row(who, to, at, evidence, state, request)]
    if table and (request or who or to):
        raise click.UsageError("ask with --table or with a REQUEST, not both")
    answers = list(_simulator(site).ask(_questions(site, rows, table or "")))
    _show(site, answers, output)
    return DONE if all(one.verdict.allowed for one in answers) else FINDINGS


def _show(site: Site, answers: Sequence[Answer], output: str) -> None:
    from proxy.policy.simulate import as_data, as_text
    from proxy.site.times import shown

    if output == "json":
        head = {"apiVersion": API_VERSION, "kind": "PolicySimulation", "digest": site.digest}
        click.echo(json.dumps({**head, "answers": [as_data(one, shown) for one in answers]}, indent=2))
        return
    for one in answers:
        click.echo("\n".join(map(printable, as_text(one, shown).splitlines())))


def _simulator(site: Site) -> Any:
    from proxy.beforehand import beforehand
    from proxy.policy.simulate import Simulator

    before = beforehand(site.devices, protocols())
    return Simulator(site.surfaces, site.roles, site.devices, site.hours, before, time.time())


def _row(
    who: str | None,
    to: str | None,
    at: str | None,
    evidence: tuple[str, ...],
    state: tuple[str, ...],
    request: tuple[str, ...],
) -> Row:
    if who is None or to is None or not request:
        raise click.UsageError("ask with --who, --to and a REQUEST, or with --table FILE")
    name, _, text = " ".join(request).strip().partition(" ")
    row: dict[str, Any] = {"who": who, "to": to, name: text}
    if at is not None:
        row["at"] = at
    if evidence:
        row["evidence"] = [kind for kind in evidence if kind != "none"]
    if state:
        pairs = [one.rpartition("=") for one in state]
        row["state"] = {point.strip(): _number(value) for point, _, value in pairs}
    return row


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is not a number; write --state 'modbus holding 10 = 0'") from None


def _rows(table: str) -> list[Row]:
    """Raises UsageError for what is no table, EnvironmentFailure for a file that cannot be read."""
    try:
        with click.open_file(table, encoding="utf-8") as file:
            text = file.read(MOST + 1)
    except (OSError, UnicodeDecodeError) as fault:
        raise EnvironmentFailure(f"{table}: {getattr(fault, 'strerror', None) or fault}") from None
    if len(text) > MOST:
        raise click.UsageError(f"{table} is larger than {MOST >> 20} MiB; split it")
    try:
        found = _parsed(text)
    except ValueError as fault:
        raise click.UsageError(f"{table}: {fault}") from None
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        raise click.UsageError(f"{table} holds no list of questions; write - {{ who: scada, to: plc-3a, modbus: ... }}")
    return found


def _parsed(text: str) -> object:
    """Lines that begin with a brace are JSON, each a question. Anything else is YAML. Raises ValueError."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(line.lstrip().startswith("{") for line in lines):
        return [json.loads(line) for line in lines]
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as fault:
        raise ValueError(str(fault).replace("\n", " ")) from None


def _questions(site: Site, rows: Iterable[Row], table: str) -> Iterable[RuleTest]:
    for at, row in enumerate(rows, 1):
        place = f"question {at}: " if table else ""
        try:
            question = _question(site, row, Origin(table or "REQUEST", at))
        except ValueError as fault:
            raise click.UsageError(f"{place}{fault}") from None
        for name in strangers(site, question.who):
            click.echo(f"note: {place}no device {name!r}{nearest(name, site.devices)}: asking as a stranger", err=True)
        yield question


def _question(site: Site, row: Row, origin: Origin) -> RuleTest:
    from proxy.core.surface import RuleTest
    from proxy.site.times import instant

    known = protocols()
    unknown = [str(key) for key in row if key not in (*KEYS, *known)]
    asked = [name for name in known if name in row]
    if unknown or len(asked) != 1:
        wrong = f"unknown {unknown[0]!r}" if unknown else f"asks {'two things' if asked else 'nothing'}"
        raise ValueError(f"{wrong}; a question has who, to, one of {', '.join(known)}, and maybe at, evidence, state")
    who, to, text, at = row.get("who"), row.get("to"), row[asked[0]], row.get("at")
    if not isinstance(who, str) or not isinstance(to, str) or not isinstance(text, str):
        raise ValueError("who, to and what is asked must be text")
    if to not in site.devices:
        raise ValueError(
            f"no device {to!r}{nearest(to, site.devices)}; it is spoken to, so it must be in fingerprints/devices"
        )
    if at is not None and not isinstance(at, str):
        raise ValueError("at must be text; quote it")
    return RuleTest(
        origin=origin,
        who=who,
        to=to,
        text=text,
        actions=known[asked[0]].parse_actions(text),
        expect_allow=True,
        evidence=_evidence(row.get("evidence")),
        at=None if at is None else instant(at),
        state=tuple(_state(site, known, to, row.get("state"))),
    )


def _evidence(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(kind, str) for kind in value):
        raise ValueError("evidence is a list of kinds, such as [x509, mac_ip]")
    if unknown := [kind for kind in value if kind not in KINDS]:
        raise ValueError(f"evidence: {unknown[0]!r} is none of {', '.join(KINDS)}")
    return tuple(dict.fromkeys(value))


def _state(site: Site, known: Mapping[str, ProtocolSpec], to: str, value: object) -> Iterable[tuple[str, Point, float]]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise ValueError("state maps points to numbers: { modbus holding 10: 0 }")
    for text, number in value.items():
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise ValueError(f"{text}: {number!r} is not a number")
        first, _, rest = str(text).partition(" ")
        device, words = (to, str(text)) if first in known else (first, rest)
        protocol, _, point = words.partition(" ")
        if device not in site.devices or protocol not in known:
            raise ValueError(f"{text!r} is no point; write modbus holding 10, or plc-3b modbus holding 10")
        yield device, known[protocol].parse_point(point), float(number)
