"""A decision that is on record: found by its id, and put to the files that are here now."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from proxy.audit.find import ID, Found, find
from proxy.cli.asking import asked_of, kinds
from proxy.cli.exits import EnvironmentFailure
from proxy.cli.place import find_state
from proxy.cli.site import protocols
from proxy.core.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.core.principal import Principal
    from proxy.core.surface import Rule
    from proxy.policy.question import Question
    from proxy.site import Site

SENTENCES = {reason.code: reason.sentence for reason in Reason}
CUT = ("…", "...")
"""What the log puts in place of the rest of a long text."""


def is_id(text: str) -> bool:
    return ID.fullmatch(text.upper()) is not None


def find_decision(config: Path, id: str) -> Decision:
    """Raises EnvironmentFailure if the log cannot be read, UsageError if the record is not in it."""
    state = find_state(config)
    folder = state / "audit"
    try:
        found = find(folder, id.upper())
    except OSError as fault:
        raise EnvironmentFailure(f"{folder}: {(fault.strerror or str(fault)).lower()}: no gateway wrote here") from None
    if found is None:
        raise click.UsageError(f"no record {id.upper()} in {folder}; the oldest segments are removed in time")
    return Decision(found, state)


class Decision(NamedTuple):
    found: Found
    state: Path

    @property
    def time(self) -> float:
        """Seconds since 1970."""
        return datetime.fromisoformat(self._text("time")).timestamp()

    def question(self, site: Site, evidence: Sequence[str]) -> Question | None:
        """The same question again; None if none was asked, or if the record does not have all of it."""
        to, protocol, action = self._text("to"), self._text("protocol"), self._text("action")
        if not self._text("verdict") or not action or action.endswith(CUT):
            return None
        if to not in site.devices or protocol not in protocols():
            return None
        try:
            return asked_of(protocols()[protocol], action, self._principal(site, evidence), to)
        except click.UsageError:
            return None

    def _principal(self, site: Site, evidence: Sequence[str]) -> Principal:
        from proxy.policy.assume import assumed

        who = "+".join([self._text("who"), *self._texts("attributes")])
        shown = kinds(evidence)
        return assumed(who, site.devices, tuple(self._texts("evidence")) if shown is None else shown)

    def room(self, rule: Rule | None) -> str | None:
        """When a rate or budget that was spent then has room again; ``rule`` is what the files here have of it."""
        from proxy.policy.mends import room

        spent = self._text("reason") == Reason.RATE_SPENT.code and rule is not None
        return room(rule) if spent and rule is not None and str(rule.ref) == self._text("rule") else None

    def text(self, site: Site, digest: str | None, room: str | None) -> list[str]:
        """``digest`` is that of the policy that answered again; None: nothing could be asked again."""
        get = self._text
        lines = [f"decision  {get('id')}  {get('time')}  {self.found.file}:{self.found.line}"]
        where = f" at listener {get('listener')}" if get("listener") else ""
        lines.append(f"  what      {get('what')}{where}")
        if get("action"):
            lines.append(f"  asked     {get('protocol')} {get('action')}")
        if get("who"):
            shown = ", ".join(self._texts("evidence")) or "nothing"
            lines.append(f"  who       {' '.join([get('who'), *self._texts('attributes')])}, showing {shown}")
        lines += [f"  to        {get('to')}"] if get("to") else []
        lines += [f"  answered  {self._answered()}"]
        lines += [f"  mend      {room}"] if room else []
        lines += [f"  rule      {get('rule')}  {get('at')}"] if get("rule") else []
        if get("nearest") and get("nearest") != get("rule"):
            lines.append(f"  nearest   {get('nearest')}  {get('nearest_at')}")
        if get("policy"):
            same = digest is not None and digest.startswith(get("policy"))
            here = "" if digest is None else f"; the files here say {'the same' if same else 'something else'}"
            lines.append(f"  policy    {get('policy')}, {self._standing()}{here}")
        return [*lines, "", *self._then(site, digest is not None)]

    def _answered(self) -> str:
        code, detail = self._text("reason"), self._text("detail")
        if not code:
            return {"allow": "allowed"}.get(self._text("verdict"), self._text("verdict") or "nothing was decided")
        told = f" ({detail})" if detail else ""
        return f"refused {code}: {SENTENCES.get(code, 'unknown to this version')}{told}"

    def _then(self, site: Site, asked_again: bool) -> Iterator[str]:
        if asked_again:
            yield f"The files here answer, as at {self._text('time')}:"
            return
        to, action = self._text("to"), self._text("action")
        if not self._text("verdict"):
            yield "Nothing was asked of the policy here."
        elif not action:
            yield "It was decided whether the link may open at all; ask for a request to see which rules there are."
        elif to not in site.devices:
            yield f"It cannot be asked again: there is no device {to} here."
        elif action.endswith(CUT):
            yield "It cannot be asked again: the record has only the beginning of what was asked."
        else:
            yield "It cannot be asked again: it is not in the words of this version's protocols."

    def _standing(self) -> str:
        """Whether the policy that decided is still in force, as far as the gateway wrote down what is."""
        from proxy.versions.store import VersionError, Versions

        digest = self._text("policy")
        try:
            versions = Versions(self.state / "policy")
            current = versions.current()
            if current is not None and current.policy.startswith(digest):
                return "which is in force"
            known = next((one for one in versions.history() if one.policy.startswith(digest)), None)
        except (VersionError, OSError):
            return "of which nothing is known here"
        return "which is not in force any more" if known else "which is not in the history of this site"

    def data(self, digest: str | None, room: str | None) -> dict[str, Any]:
        policy = self._text("policy")
        return {
            "record": self.found.fields,
            "file": self.found.file,
            "line": self.found.line,
            "policy": self._standing() if policy else None,
            "same_policy": digest.startswith(policy) if digest is not None and policy else None,
            "asked_again": digest is not None,
            "mend": room,
        }

    def _text(self, name: str) -> str:
        found = self.found.fields.get(name)
        return found if isinstance(found, str) else ""

    def _texts(self, name: str) -> list[str]:
        found = self.found.fields.get(name)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
