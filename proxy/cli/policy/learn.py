"""`bulkhead policy learn`: rules from flows that were recorded, as a file for review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proxy.cli.exits import DONE, EnvironmentFailure, Findings
from proxy.cli.policy.past import Age, as_findings, copy_of, flows_option, past_of, rows_of, sound_site
from proxy.cli.report import API_VERSION
from proxy.cli.site import config_option, find_config, open_site, protocols

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.core.action import Target
    from proxy.core.surface import Surface
    from proxy.policy.backtest import Past
    from proxy.policy.learn import Grammar, Learnt, LeftOut
    from proxy.protocols.base import ProtocolSpec
    from proxy.site import Site


@click.command()
@config_option
@click.option("--surface", help="The surface whose members were spoken to; needed where several were.")
@click.option("--since", type=Age(), default="14d", show_default=True, help="Flows seen in this time: 14d, 8h, 30min.")
@click.option("--all", "everything", is_flag=True, help="All that was allowed, not only what the rules would refuse.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write there; a file that is there stays.")
@flows_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    config: Path | None,
    surface: str | None,
    since: float,
    everything: bool,
    out: Path | None,
    flows: Path | None,
    output: str,
) -> int:
    """Propose the fewest rules that allow what was seen, as a surface file for review.

    Without --all it looks at what monitored surfaces let through and their rules would refuse. What was refused is
    never learnt from. Rules that act (writes, commands, messages to others) are commented out: a person decides.

    Exits with 0, or with 1 if there is nothing to propose, 2 if it must be told which surface.
    """
    from proxy.policy.learn import learn
    from proxy.policy.learnt_file import as_file

    site = open_site(config)
    seen = [row for row in rows_of(config, flows, since) if row.allowed and (everything or row.would is False)]
    past, unread = past_of(seen, site.devices)
    of, past = _of(site, past, surface)
    rules, left = learn(past, _grammars(), site.roles, site.devices)
    for one in unread:
        click.echo(f"note: {one.row.who} to {one.row.to}: {one.why}", err=True)
    name = _name(site, of)
    text = as_file(name, of, rules, left)
    if any(rule.section for rule in rules):
        _must_load(find_config(config), name, text)
    shown = json.dumps(_data(name, of, rules, left, text), indent=2) if output == "json" else text.rstrip("\n")
    if out is None:
        click.echo(shown)
    else:
        _write(out, text)
    return DONE


def _of(site: Site, past: Sequence[Past], wanted: str | None) -> tuple[Surface, list[Past]]:
    """The surface, and the flows to its members."""
    by_name = {surface.name: surface for surface in site.surfaces}
    if wanted is not None and wanted not in by_name:
        raise click.UsageError(f"no surface {wanted!r}; there are: {', '.join(by_name)}")
    homes: dict[str, list[Past]] = {}
    for one in past:
        home = next((s.name for s in site.surfaces if one.device in s.members and wanted in (None, s.name)), None)
        if home is not None:
            homes.setdefault(home, []).append(one)
    if not homes:
        raise Findings(
            f"nothing was seen to learn from{f' at {wanted}' if wanted else ''}; --all takes what rules allow"
        )
    if len(homes) > 1:
        counts = ", ".join(f"{name} ({len(some)} flows)" for name, some in sorted(homes.items()))
        raise click.UsageError(f"flows to several surfaces were seen; take one with --surface: {counts}")
    ((name, some),) = homes.items()
    return by_name[name], some


def _grammars() -> Mapping[str, Grammar]:
    return {name: _grammar(spec) for name, spec in protocols().items()}


def _grammar(spec: ProtocolSpec) -> Grammar:
    from proxy.policy.learn import Grammar

    def parse(section: object) -> tuple[Target, ...]:
        faults: list[str] = []
        targets = spec.parse_rule(section, lambda path, wrong, mend="": faults.append(wrong))
        if faults:
            raise Findings(f"a bug in Bulkhead: it proposed {section!r}, and that is no rule: {'; '.join(faults)}")
        return targets

    return Grammar(spec.learn, parse)


def _name(site: Site, of: Surface) -> str:
    taken = {surface.name for surface in site.surfaces}
    base = f"{of.name[:52]}-learnt"
    return next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}-{n}") not in taken)


def _must_load(config: Path, name: str, text: str) -> None:
    """What is proposed has been tried: the site takes it."""
    with copy_of(config, {f"policies/surfaces/{name}.yaml": text}) as copy:
        site, problems = sound_site(copy, config.absolute().parent)
        if site is None:
            raise as_findings("a bug in Bulkhead: what it would propose is not valid:", problems, config)


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as fault:
        raise EnvironmentFailure(f"{out}: {fault.strerror}") from None
    click.echo(f"wrote {out}", err=True)


def _data(name: str, of: Surface, rules: Sequence[Learnt], left: Sequence[LeftOut], text: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "PolicyProposal",
        "surface": of.name,
        "name": name,
        "rules": [_rule(rule) for rule in rules],
        "leftOut": [{"why": one.why, "flows": one.flows, "messages": one.messages} for one in left],
        "file": text,
    }


def _rule(rule: Learnt) -> dict[str, Any]:
    return {
        "name": rule.name,
        "from": list(rule.from_),
        "to": list(rule.devices),
        rule.protocol: rule.section,
        "acts": rule.acts,
        "notes": list(rule.notes),
        "flows": list(rule.flows),
        "count": rule.count,
        "first": rule.first,
        "last": rule.last,
        "evidence": list(rule.evidence),
    }
