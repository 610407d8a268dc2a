"""What may never be committed: secrets, machine paths, registry hosts. Samples are spelled in two halves."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.house.repository import ROOT, tracked_paths, tracked_texts

NEEDLES = {
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:work|root|Users)/|/home/(?!bulkhead)\w+/"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a certificate": re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----"),
    "a package registry's host": re.compile(
        r"\b(?:pypi\.(?:org|python)|pythonhosted\.org|npmjs\.|deb\.debian\.org|archive\.ubuntu\.com|proxy\.golang\.org)"
    ),
    "a package index option": re.compile(
        r"--(?:extra-|emit-|default-)?index(?:-url)?\b|--(?:emit-)?find-links\b|\b(?:PIP|UV)_[A-Z_]*(?:INDEX|FIND_LINKS)"
        r"|(?m:^\s*\[\[?(?:tool\.uv\.)?index\])|\bindex-url\s*="
    ),
}
KEY_FILES = {".crt", ".cer", ".csr", ".der", ".jks", ".key", ".p12", ".pem", ".pfx"}


@pytest.mark.parametrize("what", NEEDLES)
def test_no_tracked_file_holds(what: str) -> None:
    found = [
        f"{path}:{text.count(chr(10), 0, hit.start()) + 1}"
        for path, text in tracked_texts().items()
        for hit in NEEDLES[what].finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "sample"),
    [
        ("a path of somebody's machine", "see /wo" + "rk/main/run"),
        ("a path of somebody's machine", "key: /ho" + "me/anna/site.key"),
        ("a private key", "-----BEGIN " + "EC PRIVATE KEY-----"),
        ("a certificate", "-----BEGIN " + "CERTIFICATE-----"),
        ("a package registry's host", "files.python" + "hosted.org"),
        ("a package index option", "pip install --extra-" + "index-url x"),
        ("a package index option", "ENV PIP_" + "INDEX_URL=x"),
        ("a package index option", "[[tool.uv." + "index]]"),
    ],
)
def test_a_needle_finds_what_it_is_for(what: str, sample: str) -> None:
    assert NEEDLES[what].search(sample)


def test_no_key_or_certificate_file_is_tracked() -> None:
    assert [path for path in tracked_paths() if PurePosixPath(path).suffix in KEY_FILES] == []


def test_certs_holds_no_more_than_its_explanation() -> None:
    kept = {"certs/README.md", "certs/.gitignore"}
    assert {path for path in tracked_paths() if path.startswith("certs/")} <= kept


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_scripts_are_executable(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111 == 0o111


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
