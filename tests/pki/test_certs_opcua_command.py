"""`bulkhead certs opcua` as a person at a shell meets it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.cli.main import run
from proxy.pki.application import Application, application_of
from proxy.protocols.opcua.listener import OpcUaListener
from tests.pki.test_trusted import crafted, usage

if TYPE_CHECKING:
    from pathlib import Path

SITE = """
site: bottling
listeners:
  robot: { bind: "127.0.0.1:4841", protocol: opcua, to: robot-7 }
"""
HERE = (ip_address("127.0.0.1"),)


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    def json(self) -> list[dict[str, Any]]:
        found = json.loads(self.out)
        assert (found["apiVersion"], found["kind"]) == ("bulkhead/v1", "Applications")
        records: list[dict[str, Any]] = found["applications"]
        return records


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `init` leaves it: checked by the first test, copied by the others."""
    site = tmp_path_factory.mktemp("made")
    (site / "bulkhead.yaml").write_text(SITE)
    assert run(["certs", "opcua", "init", "--config", str(site / "bulkhead.yaml")]) == 0
    return site


class Shell:
    def __init__(self, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.site = site
        self.certs = site / "certs"
        self._capsys = capsys

    def __call__(self, *words: str) -> Answer:
        code = run(["certs", "opcua", words[0], "--config", str(self.site / "bulkhead.yaml"), *words[1:]])
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "PRIVATE" not in captured.out + captured.err  # T69
        return Answer(code, captured.out, captured.err)

    def leaf(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.certs / f"{name}.crt").read_bytes())


@pytest.fixture
def shell(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    shutil.copytree(made, tmp_path / "site")
    capsys.readouterr()
    return Shell(tmp_path / "site", capsys)


def test_init_makes_authority_list_and_certificate(shell: Shell) -> None:
    expected = ["issued", "opcua-ca.crl", "opcua-ca.crt", "opcua-ca.key", "opcua.crt", "opcua.key"]
    assert sorted(os.listdir(shell.certs)) == expected
    own = application_of(shell.leaf("opcua"))
    assert own == Application("opcua", "urn:bulkhead:bottling:opcua", 2048, timedelta(365), ("localhost",), HERE)


def test_init_a_second_time_changes_nothing_and_says_what_to_do(shell: Shell) -> None:
    before = {path: path.read_bytes() for path in shell.certs.glob("*.*")}
    answer = shell("init")
    assert answer.code == 1 and "certs opcua rotate opcua" in answer.err
    assert {path: path.read_bytes() for path in shell.certs.glob("*.*")} == before


def test_init_keeps_an_authority_whose_gateway_has_no_certificate(shell: Shell) -> None:
    root = (shell.certs / "opcua-ca.crt").read_bytes()
    (shell.certs / "opcua.crt").unlink()
    (shell.certs / "opcua.key").unlink()
    answer = shell("init", "--uri", "urn:line-2:gateway", "-o", "json")
    assert answer.code == 0 and [one["uris"] for one in answer.json()] == [["urn:line-2:gateway"]]
    assert (shell.certs / "opcua-ca.crt").read_bytes() == root


def test_init_force_makes_all_of_it_anew(shell: Shell) -> None:
    before = {path.name: path.read_bytes() for path in shell.certs.glob("*.key")}
    assert shell("init", "--force").code == 0
    after = {path.name: path.read_bytes() for path in shell.certs.glob("*.key")}
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())
    shell.leaf("opcua").verify_directly_issued_by(shell.leaf("opcua-ca"))


def test_issue_prints_what_it_says(shell: Shell) -> None:
    answer = shell("issue", "hmi-1", "--uri", "urn:hmi-1:viewer", "--ttl", "90d", "--dns", "hmi-1.plant.example")
    assert answer.code == 0 and "hmi-1.key" in answer.err
    header, row = answer.out.splitlines()
    assert header.split()[:5] == ["file", "kind", "state", "until", "key"]
    assert row.split()[:3] == ["hmi-1.crt", "issued", "valid"] and row.endswith("urn:hmi-1:viewer")
    again = shell("issue", "hmi-1", "--uri", "urn:hmi-1:viewer")
    assert again.code == 1 and "--force" in again.err


def test_issue_elsewhere(shell: Shell) -> None:
    assert shell("issue", "hmi-1", "--out", str(shell.site / "stick")).code == 0
    assert sorted(os.listdir(shell.site / "stick")) == ["hmi-1.crt", "hmi-1.key"]
    assert not (shell.certs / "hmi-1.crt").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("issue", "Hmi"),
        ("issue", "../hmi"),
        ("issue", "opcua-ca", "--force"),
        ("issue", "site-ca"),
        ("issue", "hmi-1", "--uri", "spiffe://bottling/device/scada"),
        ("issue", "hmi-1", "--bits", "1024"),
        ("issue", "hmi-1", "--ttl", "0d"),
        ("rotate", "--before", "soon"),
        ("trust",),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(shell: Shell, words: tuple[str, ...]) -> None:
    before = sorted(os.listdir(shell.certs))
    answer = shell(*words)
    assert answer.code == 2 and "Error" in answer.err
    assert sorted(os.listdir(shell.certs)) == before


def test_trust_copies_what_it_has_looked_at(shell: Shell) -> None:
    file = shell.site / "UaViewer.pem"
    ends = datetime.now(UTC) + timedelta(400)
    file.write_bytes(crafted(ends=ends).public_bytes(Encoding.PEM))
    answer = shell("trust", str(file), "--name", "hmi-1", "-o", "json")
    assert answer.code == 0 and "trust: [opcua-ca, hmi-1.der]" in answer.err
    assert (shell.certs / "hmi-1.der").read_bytes() == crafted(ends=ends).public_bytes(Encoding.DER)
    (made,) = answer.json()
    assert (made["file"], made["kind"], made["uris"]) == ("hmi-1.der", "trusted", ["urn:hmi-1:viewer"])
    assert made["sha1"] in shell("list").out
    again = shell("trust", str(file), "--name", "hmi-1")
    assert again.code == 1 and "--force" in again.err
    assert shell("trust", str(file), "--name", "hmi-1", "--force").code == 0
    assert shell("trust", str(file)).code == 0 and (shell.certs / "uaviewer.der").exists()
    assert shell("trust", str(file), "--name", "opcua", "--force").code == 2


def test_trust_refuses_what_no_channel_would_take(shell: Shell) -> None:
    file = shell.site / "it.der"
    ends = datetime.now(UTC) + timedelta(400)
    for certificate, wrong in (
        (crafted(uris=(), ends=ends), "0 URIs"),
        (crafted(ca=True, key_usage=usage(signs=True), ends=ends), "--authority"),
    ):
        file.write_bytes(certificate.public_bytes(Encoding.DER))
        answer = shell("trust", str(file))
        assert answer.code == 1 and wrong in answer.err
    file.write_bytes(b"\x1b[2J")
    assert shell("trust", str(file)).code == 1
    assert not (shell.certs / "it.der").exists()


def test_an_authority_is_trusted_only_by_that_word(shell: Shell) -> None:
    file = shell.site / "plant.der"
    root = crafted(uris=(), ca=True, key_usage=usage(signs=True), ends=datetime.now(UTC) + timedelta(400))
    file.write_bytes(root.public_bytes(Encoding.DER))
    assert shell("trust", str(file)).code == 1
    assert shell("trust", str(file), "--authority").code == 0


def test_rotate_renews_what_ends_soon_and_nothing_else(shell: Shell) -> None:
    answer = shell("rotate")
    assert answer.code == 0 and answer.out == "" and "nothing ends soon; wrote" in answer.err
    shell("issue", "hmi-1", "--ttl", "30d")
    old = shell.leaf("hmi-1")
    before = (shell.certs / "opcua.crt").read_bytes()
    assert shell("rotate").out == ""  # a third of its life is left and more
    answer = shell("rotate", "--before", "31d", "-o", "json")
    assert answer.code == 0 and [one["file"] for one in answer.json()] == ["hmi-1.crt"] and "SIGHUP" in answer.err
    assert (shell.certs / "opcua.crt").read_bytes() == before
    assert shell.leaf("hmi-1").serial_number != old.serial_number
    assert shell.leaf("hmi-1").public_key() == old.public_key()
    assert shell("rotate", "opcua", "--new-key").code == 0
    assert shell.leaf("opcua").public_key() != x509.load_pem_x509_certificate(before).public_key()
    assert shell("rotate", "nobody").code == 1


def test_what_is_revoked_is_not_renewed_and_the_list_tells_of_it(shell: Shell) -> None:
    shell("issue", "hmi-1", "--ttl", "30d")
    serial = shell.leaf("hmi-1").serial_number
    assert run(["certs", "revoke", "hmi-1", "--config", str(shell.site / "bulkhead.yaml")]) == 0
    assert shell("rotate").code == 0
    assert shell.leaf("hmi-1").serial_number == serial
    assert shell("rotate", "hmi-1").code == 1
    found = x509.load_der_x509_crl((shell.certs / "opcua-ca.crl").read_bytes())
    assert [one.serial_number for one in found] == [serial]
    assert [one["state"] for one in shell("list", "-o", "json").json() if one["file"] == "hmi-1.crt"] == ["revoked"]


def test_what_the_machine_lacks_is_exit_code_3(shell: Shell) -> None:
    (shell.certs / "opcua-ca.key").chmod(0o644)
    answer = shell("rotate")
    assert answer.code == 3 and "chmod 600" in answer.err
    (shell.certs / "opcua-ca.crt").unlink()
    answer = shell("issue", "hmi-1")
    assert answer.code == 3 and "certs opcua init makes the authority" in answer.err


def test_names_of_the_folder_are_those_of_the_gateway_s_defaults() -> None:
    listener = OpcUaListener()
    assert (listener.certificate_file, listener.key_file) == ("opcua.crt", "opcua.key")
    assert listener.trust_files == ("opcua-ca.crt",)
