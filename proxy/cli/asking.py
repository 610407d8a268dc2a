"""Questions to the policy of a site, from the command line: who asks whom for what, when, and in what state."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from proxy.cli.site import protocols

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from proxy.core.action import Target
    from proxy.core.principal import Principal
    from proxy.core.process import Point
    from proxy.policy.question import Question
    from proxy.policy.shadowed import Shadowed
    from proxy.policy.suggest import Grammar
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site


KINDS = ("x509", "opcua_uri", "inside", "mac_ip", "address")
"""Evidence that this version looks at."""


def question(site: Site, who: str, to: str, request: str, evidence: Sequence[str]) -> Question:
    """Raises UsageError for what cannot be asked."""
    from proxy.policy.assume import assumed

    spec, text = _request(request)
    _check_names(site, who, to)
    if spec.name not in site.devices[to].services:
        click.echo(f"note: {to} has no service {spec.name}; no rule makes it hear of this", err=True)
    return asked_of(spec, text, assumed(who, site.devices, kinds(evidence)), to)


def asked_of(spec: ProtocolSpec, text: str, principal: Principal, to: str) -> Question:
    """Raises UsageError if the protocol does not know the words."""
    from proxy.policy.question import Question

    try:
        actions = spec.parse_actions(text)
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    return Question(principal, to, spec.name, text, tuple(actions), parse=spec.parse_actions)


def policy(site: Site, asked: Question) -> Shadowed:
    """What decides at the time of the question, in its circumstances."""
    from proxy.policy.assume import imagined
    from proxy.policy.shadowed import compile_shadowed

    wall = asked.wall or 0.0
    around = imagined(site.hours, wall, asked.state)
    return compile_shadowed(site.surfaces, site.roles, site.devices, site.hours, now=wall, circumstances=around)


def instant(text: str) -> float:
    from proxy.site.times import instant as parsed

    try:
        return parsed(text)
    except ValueError as wrong:
        raise click.UsageError(f"--at: {wrong}; write for example 2026-11-23T07:00:00+01:00") from None


def state(site: Site, to: str, texts: Sequence[str]) -> tuple[tuple[str, Point, float], ...]:
    """``[DEVICE] PROTOCOL POINT = NUMBER`` each; without a device ``to`` is meant."""
    return tuple(_seen(site, to, text) for text in texts)


def _seen(site: Site, to: str, text: str) -> tuple[str, Point, float]:
    known = protocols()
    words, equals, number = text.rpartition("=")
    words = words.strip()
    first, _, rest = words.partition(" ")
    device, words = (to, words) if first in known else (first, rest.strip())
    protocol, _, point = words.partition(" ")
    if not equals or protocol not in known:
        raise click.UsageError(
            f"--state {text!r} is no point and its value; write 'modbus holding 10 = 0', of another device"
            " 'plc-3b modbus holding 10 = 0'"
        )
    if device not in site.devices:
        raise click.UsageError(f"--state {text!r}: no device {device!r}{nearest(device, site.devices)}")
    try:
        return device, known[protocol].parse_point(point), float(number)
    except ValueError as wrong:
        raise click.UsageError(f"--state {text!r}: {wrong}") from None


def check_kinds(evidence: Sequence[str]) -> None:
    """Raises UsageError for a kind that no rule can need: a slip must not look like an answer."""
    if unknown := [kind for kind in evidence if kind not in (*KINDS, "none")]:
        raise click.UsageError(f"--evidence: {unknown[0]!r} is none of {', '.join(KINDS)}, none")


def kinds(evidence: Sequence[str]) -> tuple[str, ...] | None:
    if not evidence:
        return None
    return tuple(kind for kind in evidence if kind != "none")


def grammar(spec: ProtocolSpec) -> Grammar:
    from proxy.policy.suggest import Grammar

    return Grammar(lambda section: _parse(spec, section), spec.sections)


def nearest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _request(text: str) -> tuple[ProtocolSpec, str]:
    name, _, rest = text.strip().partition(" ")
    known = protocols()
    if name not in known:
        raise click.UsageError(f"unknown protocol {name!r}; begin with one of: {', '.join(known)}")
    return known[name], rest


def strangers(site: Site, who: str) -> list[str]:
    """Names in ``who`` that no device has."""
    from proxy.policy.assume import is_attribute

    return [name for name in who.split("+") if not is_attribute(name) and name not in site.devices]


def _check_names(site: Site, who: str, to: str) -> None:
    """Asking about a stranger is a good question; about a device that is not there it is a slip."""
    if to not in site.devices:
        raise click.UsageError(f"no device {to!r}{nearest(to, site.devices)}")
    for name in strangers(site, who):
        click.echo(f"note: no device {name!r}{nearest(name, site.devices)}: asking as a stranger", err=True)


def _parse(spec: ProtocolSpec, section: object) -> tuple[Target, ...]:
    faults: list[str] = []
    targets = spec.parse_rule(section, lambda path, wrong, mend="": faults.append(wrong))
    if faults or not targets:
        raise ValueError("; ".join(faults) or "says nothing")
    return targets
