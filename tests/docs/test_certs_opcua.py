"""docs/certs-opcua.md is true: typed from top to bottom, each command prints what the page says."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.cli.main import run
from tests.docs.page import typed, unread
from tests.pki.test_trusted import crafted, usage

PAGE = (Path(__file__).parents[2] / "docs" / "certs-opcua.md").read_text("utf-8")
SITE = 'site: bottling\nlisteners: { robot-7: { bind: "10.3.0.1:4840", protocol: opcua, to: robot-7 } }\n'
VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<until>"),
    (re.compile(r"\b[0-9a-f]{36,40}\b"), "<digits>"),
)


def masked(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text.strip()


def days(text: str) -> list[int]:
    """How far ahead each certificate ends, from the first to be made."""
    ends = [datetime.fromisoformat(found) for found in re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text)]
    return [round((end - ends[0]) / timedelta(days=1)) for end in ends]


def test_each_command_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unread(PAGE) == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bulkhead.yaml").write_text(SITE)
    ends = datetime.now(UTC) + timedelta(1825)
    (tmp_path / "viewer.der").write_bytes(crafted(ends=ends).public_bytes(Encoding.DER))
    root = crafted(uris=(), ca=True, key_usage=usage(signs=True), ends=ends)
    (tmp_path / "plant-ca.der").write_bytes(root.public_bytes(Encoding.DER))
    all_shown, all_printed = "", ""
    for one in typed(PAGE):
        program, *words = shlex.split(one.command)
        assert program == "bulkhead"
        code = run(words)
        out, err = capsys.readouterr()
        printed = (out + err).replace(f"{tmp_path}/", "")
        assert masked(printed) == masked(one.printed), one.command
        assert code == (1 if one.printed.startswith("Error") else 0)
        all_shown, all_printed = all_shown + one.printed, all_printed + printed
    assert days(all_shown) == days(all_printed)
