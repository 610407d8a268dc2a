"""What people and machines do to text files: each function takes chance and a sound file, and returns what became of
it, or None if the file offers no place for it.

``REFUSED`` lists those after which no site is left, whatever the place: they are never a matter of taste.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

Mutation = Callable[["random.Random", str], "str | bytes | None"]
KEYS = (
    "surface members mode audit needs rules never tests from to rate budget when while monitor replaces modbus mqtt "
    "who expect because role shift zone days except window open close units read write connect publish subscribe will "
    "retain command max_bytes qos share identify diagnose function min max step ramp type until why then at state "
    "device kind place address services identity require x509 mac_ip unsafe_address_only port site listeners bind "
    "protocol tls test cases client_id clear-retained extra"
).split()
"""Every key that the files of the two sites use. A word that is none of these may be a name."""
KEY = re.compile(rf"(?<![\w-])({'|'.join(sorted(map(re.escape, KEYS), key=len, reverse=True))})(?=:(?:\s|$))")
VERB = re.compile(r"(?<=[{,] )(read|write|publish|subscribe|command|identify|diagnose|function|share|receive)(?=: )")
KEY_LINE = re.compile(r"^ *[\w-]+:(?: |$)")
IDS = re.compile(
    r"(?<=[\s\[\"])(?:plc|hmi|sensor|drive|uns)-[a-d0-9][\w-]*|(?<=[\s\[])(?:scada|mes|erp|engineer)(?=[\],\s])"
)
NUMBER = re.compile(r"(?<![\w.\"/:-])\d+(?![\w.\"/:])")
QUOTED_NUMBER = re.compile(r"\d+")
RANGE = re.compile(r"(holding|input|coil) (\d+)(?:-(\d+))?")
WORDS = ("yes", "no", "on", "off", "null", "~", "true", "false", "", "[]", "{}", "1", "0x10", "1_000", "1e3", ".inf")
TWINS = {"a": "\u0430", "e": "\u0435", "o": "\u043e", "c": "\u0441", "p": "\u0440", "x": "\u0445", "i": "\u0456"}
HIDDEN = ("\u200b", "\u00a0", "\u202e", "\u00ad", "\ufeff", "\u2028")
CONFLICT = ("<<<<<<< HEAD", "=======", ">>>>>>> theirs")
SOME = ("*", "plc-*", "hmi-*", "sensor-*", "uns*", "role:panels", "role:masters", "mbaps:Operator", "mbaps-null")


def code_lines(text: str) -> list[int]:
    """Lines that are neither comments nor marks of the document."""
    return [
        at
        for at, line in enumerate(text.split("\n"))
        if line.strip() and line.strip()[0] not in "#-." or " - {" in line
    ]


def changed(
    chance: random.Random, text: str, pattern: re.Pattern[str], new: Callable[[re.Match[str]], str]
) -> str | None:
    """``text`` with one match replaced, that does not stand in a comment."""
    found = [m for m in pattern.finditer(text) if "#" not in text[text.rfind("\n", 0, m.start()) + 1 : m.start()]]
    if not found:
        return None
    one = chance.choice(found)
    return text[: one.start()] + new(one) + text[one.end() :]


def edited(
    chance: random.Random, text: str, new: Callable[[str], str | None], where: Callable[[str], object] = bool
) -> str | None:
    """``text`` with one line replaced, or taken out for None."""
    lines = text.split("\n")
    places = [at for at in code_lines(text) if where(lines[at])]
    if not places:
        return None
    at = chance.choice(places)
    line = new(lines[at])
    lines[at : at + 1] = [] if line is None else [line]
    return "\n".join(lines)


def typo(chance: random.Random, word: str) -> str:
    at = chance.randrange(len(word))
    slip = chance.randrange(4)
    if slip == 0 and len(word) > 2:
        return word[:at] + word[at + 1 :]
    if slip == 1:
        return word[:at] + word[at] + word[at:]
    if slip == 2 and at + 1 < len(word) and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + chance.choice([c for c in "abcdefghijklmnopqrstuvwxyz" if c != word[at]]) + word[at + 1 :]


def key_typo(chance: random.Random, text: str) -> str | None:
    return changed(chance, text, KEY, lambda m: _other(chance, m[0], KEYS))


def verb_typo(chance: random.Random, text: str) -> str | None:
    return changed(chance, text, VERB, lambda m: _other(chance, m[0], KEYS))


def id_typo(chance: random.Random, text: str) -> str | None:
    return changed(chance, text, IDS, lambda m: typo(chance, m[0]))


def _other(chance: random.Random, word: str, known: list[str]) -> str:
    while (slip := typo(chance, word)) in known:
        pass
    return slip


def indentation(chance: random.Random, text: str) -> str | None:
    by = chance.choice((-3, -2, -1, 1, 2, 3))
    return edited(chance, text, lambda line: " " * by + line if by > 0 else line.removeprefix(" " * -by))


def truncation(chance: random.Random, text: str) -> bytes:
    data = text.encode()
    return data[: chance.randrange(1, len(data) - 1)]


def bom(chance: random.Random, text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def utf16(chance: random.Random, text: str) -> bytes:
    return text.encode("utf-16")


def quotes(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    places = [m.start() for m in re.finditer("[\"']", text)]
    if places and chance.random() < 0.5:
        at = chance.choice(places)
        return text[:at] + text[at + 1 :]
    return text[:at] + chance.choice("\"'`") + text[at:]


def duplicate_key(chance: random.Random, text: str) -> str | None:
    lines = text.split("\n")
    places = [at for at in code_lines(text) if KEY_LINE.match(lines[at])]
    at = chance.choice(places)
    lines.insert(at, lines[at])
    return "\n".join(lines)


def merge_conflict(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    first, middle, last = sorted(chance.sample(range(1, len(lines) - 1), 3))
    for at, mark in ((last, CONFLICT[2]), (middle, CONFLICT[1]), (first, CONFLICT[0])):
        lines.insert(at, mark)
    return "\n".join(lines)


def tabs(chance: random.Random, text: str) -> str | None:
    if chance.random() < 0.3:
        return changed(chance, text, re.compile(" "), lambda _: "\t")
    return edited(chance, text, lambda line: "\t" + line.lstrip(" "), lambda line: line.startswith(" "))


def crlf(chance: random.Random, text: str) -> str:
    if chance.random() < 0.5:
        return text.replace("\n", "\r\n")
    at = chance.choice([m.start() for m in re.finditer("\n", text)])
    return text[:at] + chance.choice(("\r\n", "\r", "\n\n", "\x85")) + text[at + 1 :]


def control_character(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice("\0\x01\x07\x08\x1b\x7f") + text[at:]


def swapped_values(chance: random.Random, text: str) -> str | None:
    """Of two lines with the same key."""
    lines = text.split("\n")
    by_key: dict[str, list[int]] = {}
    for at in code_lines(text):
        key, colon, value = lines[at].partition(": ")
        if colon and value.strip():
            by_key.setdefault(key, []).append(at)
    pairs = [(a, b) for some in by_key.values() for a in some for b in some if a < b and lines[a] != lines[b]]
    if not pairs:
        return None
    one, other = chance.choice(pairs)
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def odd_word(chance: random.Random, text: str) -> str | None:
    """A value becomes a word that YAML 1.1 takes for something else."""
    return edited(chance, text, lambda line: line.partition(":")[0] + ": " + chance.choice(WORDS), KEY_LINE.match)


def anchors(chance: random.Random, text: str) -> str | None:
    lines = text.split("\n")
    places = [at for at in code_lines(text) if KEY_LINE.match(lines[at])]
    one, other = sorted(chance.sample(places, 2)) if len(places) > 1 else (places[0], places[0])
    key, _, value = lines[one].partition(":")
    lines[one] = f"{key}: &a {value.strip()}"
    twist = chance.randrange(3)
    if twist == 0 and other != one:
        lines[other] = lines[other].partition(":")[0] + ": *a"
    elif twist == 1 and other != one:
        indent = re.match(" *", lines[other])
        lines.insert(other, f"{indent[0] if indent else ''}<<: *a")
    return "\n".join(lines)


def tags(chance: random.Random, text: str) -> str | None:
    tag = chance.choice(("!!str", "!!python/object/apply:os.getpid []", "!!set", "!x", "!!binary"))
    return edited(chance, text, lambda line: line.replace(": ", f": {tag} ", 1), lambda line: ": " in line)


def numbers(chance: random.Random, text: str) -> str | None:
    """As text, in another base, as a float, or another one."""
    forms: tuple[Callable[[int], str], ...] = (
        lambda n: f'"{n}"', lambda n: f"0x{n:x}", lambda n: f"0o{n:o}", lambda n: f"0{n}", lambda n: f"{n}.0",
        lambda n: f"{n}e1", lambda n: f"-{n}", lambda n: str(n + 1), lambda n: str(n * 10), lambda n: f"{n}_0",
    )  # fmt: skip
    form = chance.choice(forms)
    pattern = chance.choice((NUMBER, NUMBER, QUOTED_NUMBER))
    return changed(chance, text, pattern, lambda m: form(int(m[0])))


def look_alike(chance: random.Random, text: str) -> str | None:
    """A letter of a word that means something becomes one that looks the same, or gets one that nobody sees."""
    pattern = chance.choice((IDS, KEY))

    def spoilt(match: re.Match[str]) -> str:
        word = match[0]
        places = [at for at, letter in enumerate(word) if letter in TWINS]
        if places and chance.random() < 0.6:
            at = chance.choice(places)
            return word[:at] + TWINS[word[at]] + word[at + 1 :]
        at = chance.randrange(len(word))
        return word[:at] + chance.choice(HIDDEN) + word[at:]

    return changed(chance, text, pattern, spoilt)


def removed_line(chance: random.Random, text: str) -> str | None:
    return edited(chance, text, lambda _: None)


def swapped_lines(chance: random.Random, text: str) -> str | None:
    lines = text.split("\n")
    places = code_lines(text)
    at = chance.choice(places[:-1])
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return "\n".join(lines)


def removed_never(chance: random.Random, text: str) -> str | None:
    """A whole entry of `never:`, or all of them."""
    entries = re.search(r"^never:\n((?:  .*\n)+)", text, re.MULTILINE)
    if entries is None:
        return None
    if chance.random() < 0.3:
        return text.replace(entries[0], "", 1)
    blocks = re.findall(r"(?m)^  [\w-]+:.*\n(?:   .*\n)*", entries[1])
    return text.replace(chance.choice(blocks), "", 1)


def from_and_to(chance: random.Random, text: str) -> str | None:
    """Of one rule, the two are exchanged."""
    pattern = re.compile(r"    from: (?P<a>.*)\n    to: (?P<b>.*)\n")
    return changed(chance, text, pattern, lambda m: f"    from: {m['b']}\n    to: {m['a']}\n")


def widened_range(chance: random.Random, text: str) -> str | None:
    def wider(match: re.Match[str]) -> str:
        first, last = int(match[2]), int(match[3] or match[2])
        return f"{match[1]} {max(0, first - chance.choice((0, 1, 10)))}-{last + chance.choice((1, 10, 1000, 65000))}"

    return changed(chance, text, RANGE, wider)


def widened_value(chance: random.Random, text: str) -> str | None:
    def wider(match: re.Match[str]) -> str:
        return f"{match[1]}: {int(match[2]) * 10 + 1}" if match[1] != "min" else "min: -1"

    return changed(chance, text, re.compile(r"(min|max|step|ramp|qos): (\d+)"), wider)


def wider_names(chance: random.Random, text: str) -> str | None:
    """An id becomes a pattern, a role, or one name more."""
    if chance.random() < 0.3:
        return changed(
            chance,
            text,
            re.compile(r"(?m)(from|members|to|needs|when): \[?"),
            lambda m: f"{m[1]}: [{chance.choice(SOME)}, ",
        )
    return changed(chance, text, IDS, lambda m: f'"{chance.choice(SOME)}"')


def wider_topic(chance: random.Random, text: str) -> str | None:
    topic = re.compile(r"\"[^\"\n]*/[^\"\n]*\"")
    return changed(
        chance,
        text,
        topic,
        lambda m: chance.choice(('"#"', '"+/#"', f'{m[0].rpartition("/")[0]}/#"', m[0].replace("{device}", "+"))),
    )


def dropped_condition(chance: random.Random, text: str) -> str | None:
    """needs, when, while, rate, budget, audit, require: a line less."""
    word = re.compile(r" *(needs|when|while|rate|budget|audit|require|replaces|mode|qos|max_bytes):")
    return edited(chance, text, lambda _: None, lambda line: word.match(line) is not None)


def empty(chance: random.Random, text: str) -> str:
    return chance.choice(("", "\n", "---\n...\n", "# nothing\n", "---\n{}\n...\n", "null\n"))


def wrong_first_key(chance: random.Random, text: str) -> str | None:
    first = re.compile(r"(?m)^(surface|role|shift|window|device|site|test):")
    return changed(
        chance, text, first, lambda m: chance.choice([k for k in ("surface", "role", "policy", "x") if k != m[1]]) + ":"
    )


def two_documents(chance: random.Random, text: str) -> str:
    more = chance.choice(("---\nrules: {}\n", text, "---\n", "--- {}\n"))
    return text + more if chance.random() < 0.7 else text.replace("\n...\n", f"\n{more}...\n")


def end_missing(chance: random.Random, text: str) -> str | None:
    return text.replace("\n...\n", "\n") if "\n...\n" in text else None


def comment(chance: random.Random, text: str) -> str | None:
    """A hash eats a line, or the rest of one."""

    def eaten(line: str) -> str:
        if chance.random() < 0.5:
            return "# " + line
        at = chance.choice([at for at, letter in enumerate(line) if letter == " "] or [0])
        return line[:at] + " #" + line[at:]

    return edited(chance, text, eaten)


def odd_byte(chance: random.Random, text: str) -> bytes:
    data = bytearray(text.encode())
    at = chance.randrange(len(data))
    data[at] = chance.choice([byte for byte in range(256) if byte != data[at]])
    return bytes(data)


def letter(chance: random.Random, text: str) -> str:
    """One key stroke anywhere."""
    at = chance.randrange(len(text))
    stroke = chance.choice("abz019 -_:,[]{}*#&!|>%@\"'./\\\n")
    return text[:at] + stroke + text[at + chance.randrange(2) :]


def new_key(chance: random.Random, text: str) -> str | None:
    """A line that opens something, where there is room for it."""
    line = chance.choice(
        (
            "unsafe_writes_without_proof: true",
            "mode: monitor",
            "safety: true",
            "audit: after",
            "enabled: false",
            "needs: []",
        )
    )
    at = text.find("\n", text.find("---\n") + 4 if "---\n" in text else 0)
    return text[: at + 1] + line + "\n" + text[at + 1 :] if at > 0 else None


def other_time(chance: random.Random, text: str) -> str | None:
    """Of a shift or window: another clock time, day or zone."""
    if "shift:" not in text and "window:" not in text:
        return None
    twist = chance.randrange(3)
    if twist == 0:
        return changed(chance, text, re.compile(r"(\d\d):(\d\d)"), lambda m: f"{chance.randrange(26):02}:{m[2]}")
    if twist == 1:
        return changed(
            chance, text, re.compile(r"mon|tue|wed|thu|fri"), lambda _: chance.choice(("sat", "sun", "Mon", "day"))
        )
    return changed(
        chance,
        text,
        re.compile(r"Europe/Berlin"),
        lambda _: chance.choice(("UTC", "CET", "Asia/Tokyo", "Europe/berlin", "+01:00")),
    )


REFUSED: dict[str, Mutation] = {
    "key-typo": key_typo,
    "verb-typo": verb_typo,
    "bom": bom,
    "utf16": utf16,
    "duplicate-key": duplicate_key,
    "merge-conflict": merge_conflict,
    "control-character": control_character,
    "empty": empty,
    "wrong-first-key": wrong_first_key,
    "two-documents": two_documents,
    "end-missing": end_missing,
    "look-alike": look_alike,
}
OTHERS: dict[str, Mutation] = {
    "id-typo": id_typo,
    "indentation": indentation,
    "truncation": truncation,
    "quotes": quotes,
    "tabs": tabs,
    "crlf": crlf,
    "swapped-values": swapped_values,
    "odd-word": odd_word,
    "anchors": anchors,
    "tags": tags,
    "numbers": numbers,
    "removed-line": removed_line,
    "swapped-lines": swapped_lines,
    "removed-never": removed_never,
    "from-and-to": from_and_to,
    "widened-range": widened_range,
    "widened-value": widened_value,
    "wider-names": wider_names,
    "wider-topic": wider_topic,
    "dropped-condition": dropped_condition,
    "comment": comment,
    "odd-byte": odd_byte,
    "letter": letter,
    "new-key": new_key,
    "other-time": other_time,
}
