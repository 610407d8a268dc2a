"""Questions in one line, for `tests:` and `explain`: ``publish line-2/state qos 1 bytes 200 retained``."""

from __future__ import annotations

import json
import re

from proxy.protocols.mqtt.actions import CONNECT, VERSIONS, Connect, Message, MqttAction, Subscription
from proxy.protocols.mqtt.filters import MOST_BYTES, MOST_LEVELS, SHARE
from proxy.protocols.mqtt.parts import nearest, size

EXAMPLES = (
    "publish line-2/sensor-1/temperature qos 1 bytes 200; publish line-2/state retained; subscribe line-2/# qos 1; "
    "subscribe $share/workers/line-2/#; connect as sensor-1"
)
PLAIN = 1
"""Bytes of a message where the question does not say: a retained one without any would clear (`clear-retained`)."""
_WORD = re.compile(r' *(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ "]+))(?= |$)')
_OPTIONS = {
    **dict.fromkeys(("publish", "command"), ("qos", "bytes", "retained")),
    "will": ("qos", "bytes", "retained", "command"),
    "clear-retained": ("qos", "command"),
    "receive": (),
    "reply-to": (),
    "subscribe": ("qos",),
    "share": ("qos",),
    CONNECT: ("as", "user", "version"),
}
Options = dict[str, str]


def parse_actions(text: str) -> tuple[MqttAction, ...]:
    """Raises ValueError with what is wrong and an example. Words with blanks stand in quotes, escaped as in JSON."""
    words = _words(text)
    verb = words[0] if words else ""
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


def _words(text: str) -> list[str]:
    found, at, text = [], 0, text.strip()
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise ValueError(f'{text[at : at + 40]!r} is not a word; one with blanks is written as "a b"')
        bare = match["bare"]
        found.append(bare if bare is not None else _unescaped(match["quoted"]))
        at = match.end()
    return found


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        raise ValueError(f'"{quoted[:40]}" is not escaped as JSON has it: \\" \\\\ \\u00e9') from None


def _options(verb: str, words: list[str]) -> Options:
    """Pairs of a name and a value; `retained` and `command` have none. In any order, each once."""
    found: Options = {}
    rest = iter(words)
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
    """Every action that the packet asks, as the inspector has it. A Will on a command topic, and clearing what is
    retained there, is a command besides: ``command`` says so, since a question knows no broker."""
    qos = _qos(options)
    if verb == "reply-to":  # who asks for answers somewhere must be allowed to read them there
        return Message(verb, topic), Subscription("subscribe", topic)
    payload = _payload(verb, options)
    found = [Message(verb, topic, qos, payload)]
    if "command" in options:
        found.append(Message("command", topic, qos, payload))
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


def _subscription(verb: str, text: str, options: Options) -> Subscription:
    group = None
    if text.startswith(SHARE):
        group, _, text = text.removeprefix(SHARE).partition("/")
        if not group or not text or set("+#") & set(group):
            raise ValueError("a shared subscription is $share/GROUP/FILTER, without wildcards in the group")
        verb = "share"
    elif verb == "share":
        raise ValueError(f"a shared subscription is $share/GROUP/FILTER, for example share {SHARE}workers/{text[:60]}")
    _check(text)
    levels = text.split("/")
    if "#" in levels[:-1] or any(level not in ("+", "#") and ("+" in level or "#" in level) for level in levels):
        raise ValueError(f"{text!r} is not a topic filter: + is a whole level, # the whole last one")
    return Subscription(verb, text, _qos(options), group)


def _topic(text: str) -> str:
    if "+" in text or "#" in text:
        raise ValueError(f"{text!r} is a filter; a message has one topic, without + and #")
    _check(text)
    return text


def _check(text: str) -> None:
    if not text or len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES or text.count("/") >= MOST_LEVELS:
        raise ValueError(f"a topic has 1 to {MOST_BYTES} bytes and at most {MOST_LEVELS} levels")
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in text):
        raise ValueError(f"{text!r} has a character that no client may send")
    if "{" in text and any(name in text for name in ("{device}", "{place}")):
        raise ValueError(f"{text!r}: a question is about one topic; write out what the placeholder stands for")


def _qos(options: Options) -> int:
    text = options.get("qos", "0")
    if text not in ("0", "1", "2"):
        raise ValueError(f"qos {text!r} is not 0, 1 or 2")
    return int(text)
