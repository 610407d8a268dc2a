"""Questions in one line, for `tests:` and `explain`: ``publish line-2/state qos 1 bytes 200 retained``; and that line
made of what an inspector asked (`text_of`), whole, while `describe` is short. Several acts have ``;`` between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from proxy.protocols.mqtt.actions import (
    CONNECT,
    VERSION_OF,
    VERSIONS,
    Connect,
    Message,
    MqttAction,
    Subscription,
    word,
)
from proxy.protocols.mqtt.filters import MOST_BYTES, MOST_LEVELS, PLACEHOLDERS, SHARE
from proxy.protocols.mqtt.parts import nearest, size

EXAMPLES = (
    "publish line-2/sensor-1/temperature qos 1 bytes 200; publish line-2/state retained; subscribe line-2/# qos 1; "
    "subscribe $share/workers/line-2/#; connect as sensor-1"
)
PLAIN = 1
"""Bytes of a message where the question does not say: a retained one without any would clear (`clear-retained`)."""
_WORD = re.compile(r' *(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ "]*[^ ";]))(?P<end>;?)(?= |$)')
_OPTIONS = {
    **dict.fromkeys(("publish", "command"), ("qos", "bytes", "retained")),
    "will": ("qos", "bytes", "retained", "command"),
    "clear-retained": ("qos", "command"),
    "receive": ("qos", "bytes"),
    "reply-to": ("qos", "command"),
    "subscribe": ("qos",),
    "share": ("qos",),
    CONNECT: ("as", "user", "version"),
}
Options = dict[str, str]


class Word(NamedTuple):
    """``raw`` is what stands there: a brace that is escaped is meant as it is."""

    text: str
    raw: str


def parse_actions(text: str) -> tuple[MqttAction, ...]:
    """Raises ValueError with what is wrong and an example. Words with blanks stand in quotes, escaped as in JSON."""
    return tuple(action for words in _parts(text) for action in _part(words))


def text_of(asked: Sequence[MqttAction]) -> str:
    """The line that `parse_actions` reads as exactly these, which one packet asked."""
    parts, rest = [], list(asked)
    while rest:
        parts.append(_told(rest.pop(0), rest))
    return "; ".join(parts)


def _part(words: list[Word]) -> tuple[MqttAction, ...]:
    verb = words[0].text if words else ""
    if verb == "retain":
        raise ValueError("a retained message is asked with what carries it: publish line-2/state retained")
    if verb not in _OPTIONS:
        raise ValueError(f"unknown verb {verb!r}: {nearest(verb, _OPTIONS)}; for example: {EXAMPLES}")
    if verb == CONNECT:
        return (_connect(_options(verb, words[1:])),)
    if len(words) < 2:
        raise ValueError(f"{verb} needs a {'filter' if verb in ('subscribe', 'share') else 'topic'}: {EXAMPLES}")
    options = _options(verb, words[2:])
    if verb in ("subscribe", "share"):
        return (_subscription(verb, words[1], options),)
    return _messages(verb, _topic(words[1]), options)


def _parts(text: str) -> list[list[Word]]:
    found: list[list[Word]] = [[]]
    at, text = 0, text.strip()
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError(f'{text[at : at + 40]!r} is not a word; one with blanks is written as "a b"')
        bare, quoted = match["bare"], match["quoted"]
        found[-1].append(Word(bare, bare) if bare is not None else Word(_unescaped(quoted), quoted))
        if match["end"]:
            found.append([])
        at = match.end()
    return found


def _told(action: MqttAction, rest: list[MqttAction]) -> str:
    """Takes from ``rest`` what the line says besides ``action``."""
    if isinstance(action, Connect):
        name = f" as {_quoted(action.client_id)}" if action.client_id else ""
        user = "" if action.user is None else f" user {_quoted(action.user)}"
        return f"connect{name}{user} version {VERSION_OF.get(action.level, action.level)}"
    if isinstance(action, Subscription):
        text = action.filter if action.group is None else f"{SHARE}{action.group}/{action.filter}"
        return f"{action.verb} {_quoted(text)} qos {action.qos}"
    return _told_message(action, rest)


def _told_message(action: Message, rest: list[MqttAction]) -> str:
    topic, qos, size = action.topic, action.qos, action.size
    told = f"{_quoted(topic)} qos {qos}"

    def takes(verb: str, size: int = size) -> bool:
        if not rest or rest[0] != Message(verb, topic, qos, size):
            return False
        del rest[0]
        return True

    if action.verb == "reply-to":
        del rest[:1]  # the subscription that it stands for
        return f"reply-to {told}{' command' if takes('command', 0) else ''}"
    if action.verb == "clear-retained":
        return f"clear-retained {told}"
    if action.verb == "command" and not size and takes("clear-retained"):
        return f"clear-retained {told} command"
    command = " command" if action.verb == "will" and takes("command") else ""
    retained = " retained" if takes("retain" if size else "clear-retained") else ""
    return f"{action.verb} {told} bytes {size}{command}{retained}"


def _quoted(text: str) -> str:
    """As `word`, and safe where it ends in what ends a question, or holds what looks like a placeholder."""
    if text.endswith(";") or any(name in text for name in PLACEHOLDERS):
        return json.dumps(text).replace("\x7f", "\\u007f").replace("{", "\\u007b")
    return word(text)


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        raise ValueError(f'"{quoted[:40]}" is not escaped as JSON has it: \\" \\\\ \\u00e9') from None


def _options(verb: str, words: list[Word]) -> Options:
    """Pairs of a name and a value; `retained` and `command` have none. In any order, each once."""
    found: Options = {}
    rest = iter([one.text for one in words])
    for name in rest:
        if name not in _OPTIONS[verb]:
            known = ", ".join(_OPTIONS[verb])
            raise ValueError(f"{verb} knows no {name!r}" + (f"; it takes {known}" if known else ""))
        value = "" if name in ("retained", "command") else next(rest, None)
        if value is None or name in found:
            raise ValueError(f"{name} {'is there twice' if name in found else 'needs a value'}")
        found[name] = value
    return found


def _connect(options: Options) -> Connect:
    version = options.get("version", "5")
    if version not in VERSIONS:
        raise ValueError(f"version {version!r} is not one of {', '.join(VERSIONS)}")
    return Connect(options.get("as", ""), options.get("user"), VERSIONS[version])


def _messages(verb: str, topic: str, options: Options) -> tuple[MqttAction, ...]:
    """Every action that the packet asks, in the order in which the inspector has them. A Will on a command topic, and
    clearing what is retained there, is a command besides: ``command`` says so, since a question knows no broker."""
    qos = _qos(options)
    if verb == "reply-to":  # who asks for answers somewhere must be allowed to read them there
        found: list[MqttAction] = [Message(verb, topic, qos), Subscription("subscribe", topic)]
        return (*found, Message("command", topic, qos)) if "command" in options else tuple(found)
    payload = _payload(verb, options)
    found = [Message(verb, topic, qos, payload)]
    if "command" in options:
        found.insert(0 if verb == "clear-retained" else 1, Message("command", topic, qos, payload))
    if "retained" in options:
        if not payload and verb != "will":
            raise ValueError(f"a retained message without payload clears; ask clear-retained {topic}")
        found.append(Message("retain" if payload else "clear-retained", topic, qos, payload))
    return tuple(found)


def _payload(verb: str, options: Options) -> int:
    if verb == "clear-retained":
        return 0
    payload = size(options.get("bytes", str(PLAIN)))
    if payload is None:
        raise ValueError(f"bytes {options['bytes']!r} is not a size; for example bytes 200 or bytes 64KiB")
    return payload


def _subscription(verb: str, filter: Word, options: Options) -> Subscription:
    group, text = None, filter.text
    if text.startswith(SHARE):
        group, _, text = text.removeprefix(SHARE).partition("/")
        if not group or not text or set("+#") & set(group):
            raise ValueError("a shared subscription is $share/GROUP/FILTER, without wildcards in the group")
        verb = "share"
    elif verb == "share":
        raise ValueError(f"a shared subscription is $share/GROUP/FILTER, for example share {SHARE}workers/{text[:60]}")
    _check(text, filter.raw)
    levels = text.split("/")
    if "#" in levels[:-1] or any(level not in ("+", "#") and ("+" in level or "#" in level) for level in levels):
        raise ValueError(f"{text!r} is not a topic filter: + is a whole level, # the whole last one")
    return Subscription(verb, text, _qos(options), group)


def _topic(topic: Word) -> str:
    text = topic.text
    if "+" in text or "#" in text:
        raise ValueError(f"{text!r} is a filter; a message has one topic, without + and #")
    _check(text, topic.raw)
    return text


def _check(text: str, raw: str) -> None:
    if not text or len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES or text.count("/") >= MOST_LEVELS:
        raise ValueError(f"a topic has 1 to {MOST_BYTES} bytes and at most {MOST_LEVELS} levels")
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in text):
        raise ValueError(f"{text!r} has a character that no client may send")
    if any(name in raw for name in PLACEHOLDERS):
        raise ValueError(f"{text!r}: a question is about one topic; write out what the placeholder stands for")


def _qos(options: Options) -> int:
    text = options.get("qos", "0")
    if text not in ("0", "1", "2"):
        raise ValueError(f"qos {text!r} is not 0, 1 or 2")
    return int(text)
