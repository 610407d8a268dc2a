"""Rules from what was asked: topics with the speaker's own place and name as placeholders, ``+`` where many values of
one level were seen, and never a filter of everything.

What puts a message on the bus acts: others take it for true. Which version of MQTT was spoken is not learnt.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from proxy.protocols.base import Proposal
from proxy.protocols.mqtt.actions import CONNECT, Connect, Message, Subscription, word
from proxy.protocols.mqtt.filters import DEVICE, PLACE, SHARE, Filter, contains
from proxy.protocols.mqtt.ids import is_plain
from proxy.protocols.mqtt.rules import WITH_BYTES, WITH_QOS
from proxy.protocols.mqtt.words import filter_fault, shared_fault

if TYPE_CHECKING:
    from proxy.core.action import Action
    from proxy.core.names import Names

MANY = 4
"""Different values of one level, or client ids that begin alike, from which a wildcard reads better than a list."""
_PUTS = ("will", "publish", "command", "retain", "clear-retained", "reply-to")
_SHOWN = 5
_MOST_QOS = 2
_BREAKS = "-_.:"

Levels = tuple[str, ...]


def learn(asked: Sequence[Action], names: Names) -> Iterator[Proposal]:
    """See `proxy.protocols.base.ProtocolSpec.learn`."""
    notes: list[str] = []
    connect = _connect([action for action in asked if isinstance(action, Connect)], names, notes)
    messages = [action for action in asked if isinstance(action, Message)]
    wanted = [action for action in asked if isinstance(action, Subscription)]
    yield from _proposal(connect, _hears(wanted, messages, names, notes), wanted, notes, acts=False)
    notes = []
    puts = [message for message in messages if message.verb in _PUTS]
    lines: dict[str, object] = {}
    for verb in _PUTS:
        if topics := {message.topic for message in puts if message.verb == verb}:
            lines |= _line(verb, _merged(topics, names, notes), notes)
    if lines:
        yield from _proposal(connect, lines, puts, notes, acts=True)


def _proposal(
    connect: dict[str, object],
    lines: dict[str, object],
    asked: Sequence[Message | Subscription],
    notes: list[str],
    *,
    acts: bool,
) -> Iterator[Proposal]:
    section = {**connect, **lines}
    qos = max((one.qos for one in asked if one.verb in WITH_QOS), default=_MOST_QOS)
    if qos < _MOST_QOS and any(verb in section for verb in WITH_QOS):
        section["qos"] = qos
    sizes = [one.size for one in asked if isinstance(one, Message) and one.verb in WITH_BYTES]
    if sizes and any(verb in section for verb in WITH_BYTES):
        section["max_bytes"] = int(max(sizes))
    if section or notes:
        yield Proposal(section, acts, tuple(notes))


def _hears(
    wanted: Sequence[Subscription], messages: Sequence[Message], names: Names, notes: list[str]
) -> dict[str, object]:
    """What it subscribed to, and what it was given without having subscribed to it in a way that can be proposed."""
    own = _merged({one.filter for one in wanted if one.group is None}, names, notes)
    shared: list[str] = []
    for group in sorted({one.group for one in wanted if one.group is not None}):
        filters = _merged({one.filter for one in wanted if one.group == group}, names, notes)
        shared += [f"{SHARE}{group}/{text}" for text in filters]
    lines = _line("subscribe", own, notes) | _line("share", shared, notes)
    heard = [one for verb in lines for one in _filters(verb, lines[verb], names)]
    given = {one.topic for one in messages if one.verb == "receive"}
    rest = {topic for topic in given if not any(one.matches(topic) for one in heard)}
    return lines | _line("receive", _merged(rest, names, notes), notes)


def _filters(verb: str, texts: object, names: Names) -> Iterator[Filter]:
    for text in texts if isinstance(texts, list) else ():
        plain = text.removeprefix(SHARE).partition("/")[2] if verb == "share" else text
        bound = Filter(plain).bound(names)
        if bound is not None:
            yield bound


def _line(verb: str, filters: Iterable[str], notes: list[str]) -> dict[str, object]:
    """Without what no rule may say, and without filters of everything: those are told."""
    good: list[str] = []
    for text in filters:
        fault = shared_fault(text) if verb == "share" else filter_fault(text)
        inner = text.removeprefix(SHARE).partition("/")[2] if verb == "share" else text
        if fault is not None:
            notes.append(f"{verb} is left out: {fault[0]}")
        elif _means_everything(inner):
            notes.append(f"{verb} {word(text)} is left out: it means every topic; ask for what is needed by name")
        else:
            good.append(text)
    return {verb: good} if good else {}


def _means_everything(text: str) -> bool:
    return all(level in ("+", "#", "") for level in text.split("/"))


def _merged(texts: Iterable[str], names: Names, notes: list[str]) -> list[str]:
    """The topics or filters with placeholders and wildcards, those inside another left out, in order."""
    asked = {_placed(text, names) for text in texts}
    whole = asked
    merging = True
    while merging:
        merging = False
        for at in range(max((len(levels) for levels in whole), default=0) - 1, -1, -1):
            for likes in _alike(whole, at):
                first = min(likes)
                whole = (whole - likes) | {(*first[:at], "+", *first[at + 1 :])}
                merging = True
    notes += [_note(wide, asked) for wide in sorted(whole - asked)]
    filters = [Filter("/".join(levels)) for levels in sorted(whole)]
    wide = [one for one in filters if not _means_everything(one.text) and filter_fault(one.text) is None]
    return [one.text for one in filters if not any(o is not one and contains(o, one) for o in wide)]


def _note(wide: Levels, asked: set[Levels]) -> str:
    """What a filter that nobody asked for stands for."""
    inside = [o for o in asked if len(o) == len(wide) and all(w in (a, "+") for a, w in zip(o, wide, strict=True))]
    added = [at for at, level in enumerate(wide) if level == "+" and any(one[at] != "+" for one in inside)]
    text = word("/".join(wide))
    if len(added) > 1:
        return f"{text} stands for {len(inside)} topics seen and allows any other of this form"
    values = sorted({one[added[0]] for one in inside})
    shown = ", ".join(word(value) for value in values[:_SHOWN]) + (", ..." if len(values) > _SHOWN else "")
    return f"+ in {text} stands for {len(values)} values seen ({shown}) and allows any other"


def _placed(text: str, names: Names) -> Levels:
    levels = text.split("/")
    place = [] if names.place is None else names.place.split("/")
    for at in range(len(levels) - len(place) + 1 if place else 0):
        if levels[at : at + len(place)] == place:
            levels[at : at + len(place)] = [PLACE]
            break
    return tuple(DEVICE if level == names.device else level for level in levels)


def _alike(whole: set[Levels], at: int) -> Iterator[set[Levels]]:
    """Those that differ in level ``at`` alone, if there are many and a wildcard there says not too much."""
    groups: dict[tuple[Levels, Levels], set[Levels]] = {}
    for levels in whole:
        if at < len(levels) and levels[at] not in ("+", "#", PLACE, DEVICE) and not levels[at].startswith("$"):
            groups.setdefault((levels[:at], levels[at + 1 :]), set()).add(levels)
    for key in sorted(groups):
        says_something = any(level not in ("+", "#", "") for part in key for level in part)
        if len(groups[key]) >= MANY and says_something:
            yield groups[key]


def _connect(asked: Sequence[Connect], names: Names, notes: list[str]) -> dict[str, object]:
    """A rule without `connect` would take any client id."""
    if not asked:
        notes.append("which client id it used is not on record, so any is allowed")
        return {}
    ids = {one.client_id for one in asked}
    if "" in ids:
        notes.append("it asked for a client id of the broker's choice, so any is allowed")
        return {CONNECT: "all"}
    users = {one.user for one in asked}
    lines: dict[str, object] = {}
    for key, texts in (("client_id", ids), ("user", users)):
        if None in texts:
            continue
        some = _ids({text for text in texts if text is not None}, key, names, notes)
        if not some:
            return {}
        lines[key] = some
    return {CONNECT: lines}


def _ids(texts: set[str], key: str, names: Names, notes: list[str]) -> list[str]:
    plain = {text for text in texts if is_plain(text)}
    if plain != texts:
        notes.append(f"{key.replace('_', ' ')}s with characters outside the closed alphabet are left out")
    beginning = _beginning(plain)
    if len(plain) >= MANY and beginning and key == "client_id":
        notes.append(f"{word(beginning + '*')} stands for {len(plain)} client ids seen and allows any other like them")
        plain = {f"{beginning}*"}
    own = _own(names.device)
    return sorted(own(text) for text in plain)


def _beginning(texts: set[str]) -> str:
    """What all begin with, up to a sign that parts words."""
    common = os.path.commonprefix(sorted(texts))
    return common[: max((common.rfind(sign) for sign in _BREAKS), default=-1) + 1]


def _own(device: str | None) -> Callable[[str], str]:
    """A client id or user that is the device's name, or begins with it, in the words of a rule."""

    def own(text: str) -> str:
        if device is not None and (text == device or text.startswith(f"{device}-")):
            return DEVICE + text.removeprefix(device)
        return text

    return own
