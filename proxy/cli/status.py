"""`bulkhead status`: what a running gateway says of itself through its admin listener."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import click

from proxy.cli.exits import DONE, FINDINGS, UNREACHABLE
from proxy.cli.place import admin_address, find_place
from proxy.cli.site import config_option
from proxy.telemetry.logs import printable
from proxy.telemetry.status import API_VERSION

TIMEOUT = 5.0
LIMIT = 4 << 20
"""Bytes of one answer."""


class Unreachable(click.ClickException):
    """Nobody answers there, or somebody who is no gateway."""

    exit_code = UNREACHABLE


@click.command(name="status")
@config_option
@click.option("--address", metavar="HOST:PORT", help="The admin listener; else the one that the site names.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config: Path | None, address: str | None, output: str) -> int:
    """Show what a running gateway is doing.

    Exits with 0 if it is ready, 1 if it runs and is not, 4 if nobody answers.
    """
    host, port = _where(config, address)
    status, ready = ask(host, port, "/status"), ask(host, port, "/readyz?verbose")
    if output == "json":
        click.echo(json.dumps({**status, "readiness": ready}, indent=2))
    else:
        click.echo(as_text(status, ready))
    return DONE if ready.get("ready") is True else FINDINGS


def ask(host: str, port: int, path: str) -> dict[str, Any]:
    """One JSON answer of the admin listener. Raises Unreachable."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        found = json.loads(connection.getresponse().read(LIMIT))
    except OSError as error:
        raise Unreachable(f"no gateway answers at {where}: {error.strerror or error}; is `bulkhead run` on?") from None
    except (http.client.HTTPException, ValueError, RecursionError):
        found = None
    finally:
        connection.close()
    if not isinstance(found, dict) or found.get("apiVersion") != API_VERSION:
        raise Unreachable(f"what answers at {where} is not a gateway of this version")
    return found


def as_text(status: dict[str, Any], ready: dict[str, Any]) -> str:
    """A few aligned lines. Everything is escaped: whoever answers could be anybody."""
    audit = _dict(status.get("audit"))
    missing = [check for check in _rows(ready.get("checks")) if check.get("ok") is not True]
    lines = [
        _line("site", _text(status, "site"), f"version {_text(status, 'version')}"),
        _line("started", _text(status, "started"), f"config {_text(status, 'config')}"),
        _line("policy", _text(status, "policy")[:12], f"loaded {_text(status, 'policy_loaded')}"),
        *_reload_lines(_dict(status.get("reload"))),
        _line("audit", _health(audit), f"{_text(audit, 'records')} records, head {_text(audit, 'head')[:12]}"),
    ]
    lines += [_line("mode", name, mode) for name, mode in sorted(_dict(status.get("modes")).items())]
    lines += [_monitor_line(row) for row in _rows(status.get("monitors"))]
    for row in _rows(status.get("listeners")):
        tls = "TLS" if row.get("tls") is True else "channel" if row.get("channel") is True else "plain"
        what = f"{_text(row, 'protocol')} {tls} {_text(row, 'bind')} -> {_text(row, 'to')}"
        lines.append(_line("listener", _text(row, "name"), f"{what}, {_text(row, 'links')} links"))
        unsafe = row.get("unsafe")
        lines += [_line("UNSAFE", _text(row, "name"), word) for word in (unsafe if isinstance(unsafe, list) else [])]
    for row in _rows(status.get("devices")):
        what = f"{_text(row, 'address')} {_text(row, 'state')}, {_text(row, 'connections')} connections"
        lines.append(_line("device", _text(row, "id"), what))
    lines += [_publisher_line(row) for row in _rows(status.get("publishers"))]
    degraded = status.get("degraded")
    lines += [_line("degraded", "", line) for line in (degraded if isinstance(degraded, list) else [])]
    lines += [_line("not ready", _text(check, "name"), _text(check, "detail")) for check in missing]
    return "\n".join(lines or ["ready"])


def _publisher_line(row: dict[str, Any]) -> str:
    ends = f"{_text(row, 'source')} ({_text(row, 'device')}) -> {_text(row, 'to')} ({_text(row, 'broker')})"
    counts = f"{_text(row, 'published')} of {_text(row, 'samples')} values published, {_text(row, 'waiting')} wait"
    return _line("publisher", _text(row, "name"), f"{_text(row, 'format')} {ends}, {counts}")


def _monitor_line(row: dict[str, Any]) -> str:
    what = f"would refuse {_text(row, 'would_refuse')}, let through {_text(row, 'would_allow')}"
    until = f"until {_text(row, 'until')}, then {_text(row, 'then')}: {_text(row, 'why')}"
    return _line("monitor", f"{_text(row, 'surface')}/{_text(row, 'rule')}", f"{what}; {until}")


def _reload_lines(reload: dict[str, Any]) -> list[str]:
    """What is in force; and, if the files say something else than that, what became of them."""
    outcome = _text(reload, "outcome")
    what = f"{outcome} {_text(reload, 'time')} ({_text(reload, 'why')})"
    if outcome in ("taken", "unchanged"):
        return [_line("version", _text(reload, "in_force"), what)]
    lines = [_line("version", _text(reload, "in_force"), "in force")]
    lines.append(_line("files", _text(reload, "candidate"), f"NOT in force: {what}"))
    told = reload.get("told")
    return [*lines, *(_line("", "", line) for line in (told if isinstance(told, list) else [])[:5])]


def _where(config: Path | None, address: str | None) -> tuple[str, int]:
    if address is None:
        place = find_place(config)
        return place.host, place.port
    try:
        return admin_address(address)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--address") from None


def _health(audit: dict[str, Any]) -> str:
    return "healthy" if audit.get("healthy") is True else "CANNOT BE WRITTEN"


def _line(what: str, name: str, rest: object) -> str:
    return f"{what:<10}{name:<28}{printable(str(rest), 200)}".rstrip()


def _text(row: dict[str, Any], key: str) -> str:
    return printable(str(row.get(key, "?")), 100)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
