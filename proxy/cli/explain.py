"""`bulkhead explain`: what the policy of a site answers to one request, and why. Needs no running gateway."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, FINDINGS
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, open_site, protocols
from proxy.telemetry.logs import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from proxy.cli.decision import Decision
    from proxy.core.principal import Principal
    from proxy.core.reason import Reason
    from proxy.policy.question import Question
    from proxy.site import Site


@click.command()
@config_option
@click.option("--who", help="A device id, mbaps:ROLE, mbaps-null, or both: scada+mbaps:Operator.")
@click.option("--to", help="The device that is spoken to.")
@click.option(
    "--evidence",
    "--needs",
    "evidence",
    multiple=True,
    metavar="KIND",
    help="What the speaker shows: x509, opcua_uri, inside, mac_ip, address, or none. Default: all that binds it.",
)
@click.option("--at", metavar="TIME", help="When: RFC 3339, such as 2026-11-23T07:00:00+01:00. Default: now.")
@click.option("--state", multiple=True, metavar="POINT=VALUE", help='Just seen: "plc-3b modbus holding 10 = 0".')
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("request", nargs=-1, required=True)
def command(
    config: Path | None,
    who: str | None,
    to: str | None,
    evidence: tuple[str, ...],
    at: str | None,
    state: tuple[str, ...],
    output: str,
    request: tuple[str, ...],
) -> int:
    """Say what the policy answers to REQUEST, and why.

    REQUEST names a protocol and what is asked, for example: modbus write holding 40 = 77

    Or it is the id of a record in the audit log: then it says what was answered and by what policy, and
    what the files here answer to the same, at that time. What the process was like is not on record: --state says it.

    Exits with 0 if it is allowed, 1 if it is refused, 2 if the question is wrong, 3 if the site or the log cannot be
    read.
    """
    from proxy.cli import asking
    from proxy.cli.decision import find_decision, is_id

    asking.check_kinds(evidence)
    if len(request) == 1 and is_id(request[0]):
        if who or to:
            raise click.UsageError("a decision's id says who asked whom; take --who and --to out")
        decision = find_decision(find_config(config), request[0])
    elif len(request) == 1 and " " not in request[0] and who is None and to is None:
        raise click.UsageError(f"{request[0]!r} is no id of a record; a question needs --who and --to")
    elif who is None or to is None:
        raise click.UsageError(f"Missing option '{'--to' if who else '--who'}'.")
    else:
        decision = None
    site = open_site(config)
    asked: Question | None
    if decision is None:
        asked = asking.question(site, str(who), str(to), " ".join(request), evidence)
    else:
        asked = decision.question(site, evidence)
    if asked is not None:
        wall = asking.instant(at) if at is not None else decision.time if decision is not None else time.time()
        asked = replace(asked, wall=wall, dated=at is not None or decision is not None)
        asked = replace(asked, state=asking.state(site, asked.device, state))
    answer = None if asked is None else _Answer(site, asked)
    _show(site, decision, answer, output)
    return DONE if answer is None or answer.allowed else FINDINGS


class _Answer:
    """What the files here say: the rules, and what comes before them."""

    def __init__(self, site: Site, asked: Question) -> None:
        from proxy.cli import asking
        from proxy.identity.identify import refusal
        from proxy.policy.explain import explain
        from proxy.site.outright import refused_outright

        shadowed = asking.policy(site, asked)
        spec = protocols()[asked.protocol]
        principal = asked.principal
        told = explain(shadowed.enforced, asked, asking.grammar(spec), shadowed)
        self.standing = refusal(principal, site.devices.get(principal.id or ""))
        self.outright = refused_outright(site.devices, protocols(), asked.device, asked.actions)
        deaf = self.outright is not None or asked.protocol not in site.devices[asked.device].services
        if deaf and told.change is not None and told.change.snippet:
            told = replace(told, change=None)  # the proposed rule would change nothing
        self.told = told
        self.digest = shadowed.digest

    @property
    def allowed(self) -> bool:
        return self.told.allowed and self.standing is None and self.outright is None

    def text(self) -> str:
        from proxy.policy.explained import as_text

        before = _standing_text(self.told.asked.principal, self.standing) + _outright_text(self.outright)
        return before + as_text(self.told)

    def data(self) -> dict[str, Any]:
        from proxy.policy.explained import as_data

        data = as_data(self.told)
        data["identity"] = _reason(None if self.standing is None else (self.standing, self.standing.sentence))
        data["outright"] = _reason(self.outright)
        data["allowed"] = self.allowed
        return data


def _show(site: Site, decision: Decision | None, answer: _Answer | None, output: str) -> None:
    digest = None if answer is None else answer.digest
    room = None if decision is None or answer is None else decision.room(answer.told.rule)
    if output == "json":
        head: dict[str, Any] = {"apiVersion": API_VERSION, "kind": "Explanation"}
        data = {} if answer is None else answer.data()
        told = {} if decision is None else {"decision": decision.data(digest, room)}
        click.echo(json.dumps({**head, **data, **told}, indent=2))
        return
    lines: Sequence[str] = [] if decision is None else [*decision.text(site, digest, room), ""]
    lines = [*lines, *(answer.text().splitlines() if answer is not None else [])]
    click.echo("\n".join(printable(line, limit=4096) for line in lines).rstrip())


def _reason(told: tuple[Reason, str] | None) -> dict[str, str] | None:
    return None if told is None else {"code": told[0].code, "reason": told[1]}


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
