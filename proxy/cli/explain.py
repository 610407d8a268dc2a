"""`bulkhead explain`: what the policy of a site answers to one request, and why. Needs no running gateway."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, FINDINGS
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, open_site, protocols

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from proxy.core.action import Target
    from proxy.core.principal import Principal
    from proxy.core.reason import Reason
    from proxy.policy.explain import Explanation
    from proxy.policy.suggest import Grammar, Question
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site


@click.command()
@config_option
@click.option("--who", required=True, help="A device id, mbaps:ROLE, mbaps-null, or both: scada+mbaps:Operator.")
@click.option("--to", required=True, help="The device that is spoken to.")
@click.option(
    "--evidence",
    "--needs",
    "evidence",
    multiple=True,
    metavar="KIND",
    help="What the speaker shows: x509, mac_ip, address, or none. Default: all that binds it.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("request", nargs=-1, required=True)
def command(
    config: Path | None, who: str, to: str, evidence: tuple[str, ...], output: str, request: tuple[str, ...]
) -> int:
    """Say what the policy answers to REQUEST, and why.

    REQUEST names a protocol and what is asked, for example: modbus write holding 40 = 77

    Exits with 0 if it is allowed, 1 if it is refused, 2 if the question is wrong, 3 if the site cannot be read.
    """
    from proxy.identity.identify import refusal
    from proxy.policy.assume import assumed
    from proxy.policy.compile import compile_policy
    from proxy.policy.explain import as_text, explain
    from proxy.site.outright import refused_outright

    site = open_site(config)
    spec, text = _request(" ".join(request))
    _check_names(site, who, to)
    principal = assumed(who, site.devices, _kinds(evidence))
    policy = compile_policy(site.surfaces, site.roles, site.devices)
    question = _question(spec, text, principal, to)
    told = explain(policy, question, _grammar(spec))
    standing = refusal(principal, None if principal.id is None else site.devices[principal.id])
    outright = refused_outright(site.devices, protocols(), to, question.actions)
    if outright is not None and told.change is not None and told.change.snippet:
        told = replace(told, change=None)  # the proposed rule would change nothing
    if output == "json":
        click.echo(json.dumps(_data(told, standing, outright), indent=2))
    else:
        click.echo(_standing_text(principal, standing) + _outright_text(outright) + as_text(told))
    return DONE if told.allowed and standing is None and outright is None else FINDINGS


def _request(text: str) -> tuple[ProtocolSpec, str]:
    name, _, rest = text.strip().partition(" ")
    known = protocols()
    if name not in known:
        raise click.UsageError(f"unknown protocol {name!r}; begin with one of: {', '.join(known)}")
    return known[name], rest


def _question(spec: ProtocolSpec, text: str, principal: Principal, to: str) -> Question:
    from proxy.policy.suggest import Question

    try:
        actions = spec.parse_actions(text)
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    return Question(principal, to, spec.name, text, tuple(actions))


def _check_names(site: Site, who: str, to: str) -> None:
    """Asking about a stranger is a good question; about a device that is not there it is a slip."""
    from proxy.policy.assume import is_attribute

    if to not in site.devices:
        raise click.UsageError(f"no device {to!r}{_nearest(to, site.devices)}")
    for name in who.split("+"):
        if not is_attribute(name) and name not in site.devices:
            click.echo(f"note: no device {name!r}{_nearest(name, site.devices)}: asking as a stranger", err=True)


def _nearest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _kinds(evidence: tuple[str, ...]) -> tuple[str, ...] | None:
    if not evidence:
        return None
    return tuple(kind for kind in evidence if kind != "none")


def _grammar(spec: ProtocolSpec) -> Grammar:
    from proxy.policy.suggest import Grammar

    return Grammar(lambda section: _parse(spec, section), spec.sections)


def _parse(spec: ProtocolSpec, section: object) -> tuple[Target, ...]:
    faults: list[str] = []
    targets = spec.parse_rule(section, lambda path, wrong, mend="": faults.append(wrong))
    if faults or not targets:
        raise ValueError("; ".join(faults) or "says nothing")
    return targets


def _standing_text(principal: Principal, standing: Reason | None) -> str:
    if standing is None:
        return ""
    return (
        f"refused {standing.code} before any rule is asked: {standing.sentence} "
        f"(identity of {principal.label}, see its fingerprint)\nIf it stood, the policy would say:\n\n"
    )


def _outright_text(outright: tuple[Reason, str] | None) -> str:
    if outright is None:
        return ""
    reason, detail = outright
    return f"refused {reason.code} before any rule is asked: {detail}\nIf it were not, the policy would say:\n\n"


def _data(told: Explanation, standing: Reason | None, outright: tuple[Reason, str] | None) -> dict[str, Any]:
    from proxy.policy.explain import as_data

    data = {"apiVersion": API_VERSION, "kind": "Explanation", **as_data(told)}
    data["identity"] = None if standing is None else {"code": standing.code, "reason": standing.sentence}
    data["outright"] = None if outright is None else {"code": outright[0].code, "reason": outright[1]}
    data["allowed"] = told.allowed and standing is None and outright is None
    return data
