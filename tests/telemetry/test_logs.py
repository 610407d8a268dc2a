"""Log lines that hostile text cannot break (T80)."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.telemetry.logs import JsonFormatter, KeyValueFormatter, printable, set_up_logging

HOSTILE = "ok\n2026-11-21 info gateway: all is well\x1b[2J\x1b]0;x\x07\u202e\u2028\x85\x7f\ud800"


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("gateway", logging.WARNING, __file__, 1, message, None, None)
    made.created, made.msecs = 1_795_271_460.25, 250.0
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def test_key_value_lines() -> None:
    line = KeyValueFormatter().format(record("link closed", link=3, why="idle for 5 s"))
    assert line == '2026-11-21T14:31:00.250Z warning gateway: link closed link=3 why="idle for 5 s"'


def test_names_in_any_script_stay_readable() -> None:
    line = KeyValueFormatter().format(record("gerät fertig", place="größe-3"))
    assert line.endswith("gerät fertig place=größe-3")


def test_json_lines() -> None:
    assert json.loads(JsonFormatter().format(record("link closed", link=3))) == {
        "time": "2026-11-21T14:31:00.250Z",
        "level": "warning",
        "logger": "gateway",
        "message": "link closed",
        "link": "3",
    }


@given(st.text(st.characters()), st.text(st.characters()))
@example(HOSTILE, HOSTILE)
@example('a" level=error who="root', "x=y z")
def test_t80_no_text_breaks_a_line(message: str, value: str) -> None:
    made = record("%s", who=value)
    made.args = (message,)
    for formatter in (KeyValueFormatter(), JsonFormatter()):
        line = formatter.format(made)
        assert line.isprintable(), line
        assert len(line.splitlines()) == 1
    assert json.loads(JsonFormatter().format(made))["who"] == value


def test_t80_a_value_cannot_pose_as_another_field() -> None:
    line = KeyValueFormatter().format(record("closed", who='x" why="allowed', n=1))
    assert line.endswith('closed who="x\\" why=\\"allowed" n=1')


def test_a_traceback_is_one_line() -> None:
    made = record("failed")
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        made.exc_info = (ValueError, error, error.__traceback__)
    for formatter in (KeyValueFormatter(), JsonFormatter()):
        line = formatter.format(made)
        assert len(line.splitlines()) == 1 and line.isprintable()
        assert "ValueError" in line and "test_logs.py" in line


def test_long_values_are_cut() -> None:
    assert len(printable("x" * 10_000)) == 4096
    assert len(KeyValueFormatter().format(record("m", x="y" * 100_000))) < 5000
    assert len(JsonFormatter().format(record("m", x="y" * 100_000))) < 5000


@given(st.text(st.characters()))
def test_escaping_loses_nothing(text: str) -> None:
    assert len({printable(text), printable(text + "!")}) == 2
    if text.isprintable() and "\\" not in text:
        assert printable(text) == text


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    level, handlers = logger.level, logger.handlers.copy()
    yield logger
    logger.setLevel(level)
    logger.handlers = handlers


def test_json_unless_somebody_looks(root: logging.Logger) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    piped, terminal = io.StringIO(), Terminal()
    first = set_up_logging(piped)
    second = set_up_logging(terminal)
    logging.getLogger("gateway").info("listening", extra={"listener": "cell-3"})
    root.removeHandler(first)
    root.removeHandler(second)
    assert json.loads(piped.getvalue())["listener"] == "cell-3"
    assert terminal.getvalue().endswith("info gateway: listening listener=cell-3\n")
