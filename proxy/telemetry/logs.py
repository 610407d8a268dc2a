"""Logging of the process: key=value on a terminal, one JSON object a line otherwise, both safe to look at.

Text from the network may reach a log message. No character that a terminal or a line-based reader would act on
gets through: control characters, line ends, escape sequences and direction marks are written as escapes (T80).
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

LINE_LIMIT = 4096
"""Characters of one value; a traceback fits."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def printable(text: str, limit: int = LINE_LIMIT) -> str:
    """``text`` with everything unprintable escaped, at most ``limit`` characters of it before escaping."""
    if len(text) > limit:
        text = text[: limit - 1] + "\u2026"
    if text.isprintable() and "\\" not in text:
        return text
    return "".join([_escape(char) for char in text])


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


class _Formatter(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Time, level, logger and message first, then whatever came as ``extra``, then the traceback."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = str(value)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        return fields


class KeyValueFormatter(_Formatter):
    """``2026-11-21T14:31:00.123Z info gateway: listening listener=cell-3-modbus``, for people."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        head = f"{fields.pop('time')} {fields.pop('level')} {fields.pop('logger')}: {printable(fields.pop('message'))}"
        return " ".join([head, *(f"{printable(name, 64)}={_quoted(value)}" for name, value in fields.items())])


class JsonFormatter(_Formatter):
    """One JSON object a line, ASCII only, for collectors."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name[:64]: value[:LINE_LIMIT] for name, value in self.fields(record).items()}
        return json.dumps(fields, ensure_ascii=True)


def set_up_logging(
    stream: TextIO | None = None, *, as_json: bool | None = None, level: int = logging.INFO
) -> logging.Handler:
    """Sends all of the process's logging to ``stream`` (default standard error) and returns the handler.

    ``as_json`` None: JSON unless the stream is a terminal.
    """
    target = stream if stream is not None else sys.stderr
    if as_json is None:
        as_json = not target.isatty()
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonFormatter() if as_json else KeyValueFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    return handler


def _quoted(value: str) -> str:
    safe = printable(value)
    if safe and not any(char in safe for char in ' "='):
        return safe
    return '"' + safe.replace('"', '\\"') + '"'
