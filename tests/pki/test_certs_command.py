"""`bulkhead certs` as a person at a shell meets it: exit codes, words, files."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from proxy.cli.main import run
from proxy.pki.folder import CertificateFolder
from proxy.pki.leaf import Leaf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SITE = """
site: bottling
listeners:
  cell-3-modbus: { bind: "127.0.0.1:8802", protocol: modbus, to: plc-3a, tls: { clients: required } }
  cell-3-north: { bind: "[fd00::1]:802", protocol: modbus, to: plc-3a }
"""


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    def json(self) -> list[dict[str, Any]]:
        found = json.loads(self.out)
        assert found.pop("apiVersion") == "bulkhead/v1"
        kind = found.pop("kind")
        ((name, records),) = found.items()
        assert (kind, name) in {("Certificates", "certificates"), ("Revocations", "revoked")}
        assert isinstance(records, list)
        return records


@pytest.fixture
def site(tmp_path: Path) -> Path:
    devices = tmp_path / "fingerprints" / "devices"
    devices.mkdir(parents=True)
    for name in ("scada", "plc-3a"):
        (devices / f"{name}.yaml").write_text(f"device: {name}\nkind: server\n")
    (tmp_path / "bulkhead.yaml").write_text(SITE)
    return tmp_path


@pytest.fixture
def certs(site: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*words: str) -> Answer:
        code = run(["certs", words[0], "--config", str(site / "bulkhead.yaml"), *words[1:]])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "PRIVATE" not in captured.out + captured.err  # T69
        return Answer(code, captured.out, captured.err)

    return call


def leaf(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_init_makes_authority_and_gateway(site: Path, certs: Callable[..., Answer]) -> None:
    answer = certs("init")
    assert answer.code == 0
    assert sorted(os.listdir(site / "certs")) == ["gateway.crt", "gateway.key", "issued", "site-ca.crt", "site-ca.key"]
    names = leaf(site / "certs" / "gateway.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "fd00::1"]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    certificate = leaf(site / "certs" / "gateway.crt")
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=30, minutes=5)


def test_t10_no_two_sites_share_a_key(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    first = {path.name: path.read_bytes() for path in (site / "certs").glob("*.key")}
    certs("init", "--force")
    second = {path.name: path.read_bytes() for path in (site / "certs").glob("*.key")}
    assert first.keys() == second.keys() == {"site-ca.key", "gateway.key"}
    assert not set(first.values()) & set(second.values())


def test_init_a_second_time_changes_nothing_and_says_what_to_do(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    before = {path: path.read_bytes() for path in (site / "certs").glob("*.*")}
    answer = certs("init")
    assert answer.code == 1
    assert "issue gateway --force" in answer.err
    assert {path: path.read_bytes() for path in (site / "certs").glob("*.*")} == before


def test_init_keeps_an_authority_that_has_no_gateway_yet(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    root = (site / "certs" / "site-ca.crt").read_bytes()
    (site / "certs" / "gateway.crt").unlink()
    (site / "certs" / "gateway.key").unlink()
    assert certs("init").code == 0
    assert (site / "certs" / "site-ca.crt").read_bytes() == root
    leaf(site / "certs" / "gateway.crt").verify_directly_issued_by(leaf(site / "certs" / "site-ca.crt"))


def test_a_listener_on_every_address_needs_to_be_told_the_names(site: Path, certs: Callable[..., Answer]) -> None:
    (site / "bulkhead.yaml").write_text(SITE.replace("127.0.0.1", "0.0.0.0").replace("[fd00::1]", "[::]"))
    answer = certs("init")
    assert answer.code == 0 and "--ip, --dns" in answer.err
    answer = certs("init", "--force", "--ip", "10.3.0.1", "--dns", "cell-3.example")
    assert answer.code == 0 and "note" not in answer.err
    names = leaf(site / "certs" / "gateway.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"127.0.0.1", "10.3.0.1"} <= {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}
    assert {"localhost", "cell-3.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert "0.0.0.0" not in {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}


def test_issue_writes_the_pair_and_prints_what_it_says(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    answer = certs("issue", "scada", "--role", "Operator", "--ttl", "8h30m", "-o", "json")
    assert answer.code == 0
    (made,) = answer.json()
    assert made["role"] == "Operator" and made["state"] == "valid" and made["file"] == "scada.crt"
    assert made["uris"] == ["spiffe://bottling/device/scada"]
    chain = x509.load_pem_x509_certificates((site / "certs" / "scada.crt").read_bytes())
    assert len(chain) == 2 and f"{chain[0].serial_number:x}" == made["serial"]
    assert chain[0].not_valid_after_utc - chain[0].not_valid_before_utc == timedelta(hours=8, minutes=35)


def test_issue_asks_for_a_device_of_the_inventory(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    answer = certs("issue", "scad")
    assert answer.code == 1 and "did you mean scada?" in answer.err and "--unlisted" in answer.err
    assert not (site / "certs" / "scad.crt").exists()
    assert certs("issue", "scad", "--unlisted").code == 0
    assert certs("issue", "anna", "--kind", "person").code == 0


def test_issue_replaces_only_when_told_to(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    certs("issue", "scada")
    key = (site / "certs" / "scada.key").read_bytes()
    answer = certs("issue", "scada")
    assert answer.code == 1 and "scada.crt exists; --force" in answer.err
    assert (site / "certs" / "scada.key").read_bytes() == key
    assert certs("issue", "scada", "--force").code == 0
    assert (site / "certs" / "scada.key").read_bytes() != key


def test_issue_elsewhere(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    assert certs("issue", "scada", "--out", str(site / "stick")).code == 0
    assert sorted(os.listdir(site / "stick")) == ["scada.crt", "scada.key"]
    assert not (site / "certs" / "scada.crt").exists()


def test_issue_gateway_renews_it_with_its_names(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    old = leaf(site / "certs" / "gateway.crt")
    assert certs("issue", "gateway", "--force").code == 0
    new = leaf(site / "certs" / "gateway.crt")
    assert new.serial_number != old.serial_number
    for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
        assert new.extensions.get_extension_for_class(kind) == old.extensions.get_extension_for_class(kind)
    assert certs("issue", "gateway", "--force", "--role", "Operator").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("issue", "Scada", "--unlisted"),
        ("issue", "../scada", "--unlisted"),
        ("issue", "site-ca", "--unlisted", "--force"),
        ("issue", "scada", "--ttl", "0h"),
        ("issue", "scada", "--ttl", "-1h"),
        ("issue", "scada", "--ttl", "tomorrow"),
        ("issue", "scada", "--ttl", ""),
        ("issue", "scada", "--ip", "10.3.0.300"),
        ("issue", "scada", "--dns", "*.example"),
        ("issue", "scada", "--role", ""),
        ("issue", "scada", "--kind", "gateway"),
        ("revoke",),
        ("revoke", "scada", "--serial", "1"),
        ("revoke", "--serial", "xyz"),
        ("issue",),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(
    site: Path, certs: Callable[..., Answer], words: tuple[str, ...]
) -> None:
    certs("init")
    before = sorted(os.listdir(site / "certs"))
    answer = certs(*words)
    assert answer.code == 2 and "Error" in answer.err
    assert sorted(os.listdir(site / "certs")) == before


def test_show_lists_all_or_one(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    certs("issue", "scada", "--role", "Operator")
    answer = certs("show")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split() == ["name", "state", "until", "role", "serial", "uri"]
    assert len(lines) == 4
    row = next(line for line in lines if line.startswith("scada"))
    assert re.fullmatch(r"scada +valid +\S+Z +Operator +[0-9a-f]+ +spiffe://bottling/device/scada", row)
    assert [one["name"] for one in certs("show", "scada", "-o", "json").json()] == ["scada"]
    assert certs("show", "nobody").code == 1


def test_show_names_a_file_that_is_no_certificate(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    (site / "certs" / "notes.crt").write_text("to do")
    answer = certs("show")
    assert answer.code == 1 and "notes.crt" in answer.err and "gateway" in answer.out


def test_revoke_takes_every_certificate_of_the_name_that_still_holds(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    ways: tuple[tuple[str, ...], ...] = ((), ("--force",), ("--out", str(site / "stick")))
    serials = [certs("issue", "scada", "-o", "json", *words).json()[0]["serial"] for words in ways]
    answer = certs("revoke", "scada", "--reason", "laptop stolen")
    assert answer.code == 0
    assert sorted(answer.out.split()[2::3]) == sorted(serials)
    assert {one["state"] for one in certs("show", "scada", "-o", "json").json()} == {"revoked"}
    text = (site / "certs" / "revoked.yaml").read_text()
    assert text.count("laptop stolen") == 3
    again = certs("revoke", "scada")
    assert again.code == 0 and "nothing changed" in again.err
    assert (site / "certs" / "revoked.yaml").read_text() == text
    assert certs("show", "gateway", "-o", "json").json()[0]["state"] == "valid"


def test_revoke_by_serial_needs_no_file_of_it(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    answer = certs("revoke", "--serial", "1F:0A", "-o", "json")
    assert answer.code == 0
    assert [(one["serial"], one["name"]) for one in answer.json()] == [("1f0a", "")]


def test_revoke_leaves_what_has_ended_alone(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    folder = CertificateFolder(site / "certs", "bottling")
    folder.create_authority(datetime.now(UTC) - timedelta(days=3), replace=True)
    folder.issue(Leaf("scada"), datetime.now(UTC) - timedelta(days=2))
    assert certs("show", "scada", "-o", "json").json()[0]["state"] == "expired"
    assert certs("revoke", "scada").code == 1
    assert certs("revoke", "nobody").code == 1
    assert not (site / "certs" / "revoked.yaml").exists()


@pytest.mark.parametrize("broken", ["fingerprints/devices/scada.yaml", "certs/notes.crt", "policies/surfaces/a.yaml"])
def test_revoke_works_while_another_file_is_broken(site: Path, certs: Callable[..., Answer], broken: str) -> None:
    certs("init")
    certs("issue", "scada")
    (site / broken).parent.mkdir(parents=True, exist_ok=True)
    (site / broken).write_text("a: [")
    assert certs("revoke", "scada").code == 0


def test_a_broken_list_is_said_and_never_overwritten(site: Path, certs: Callable[..., Answer]) -> None:
    certs("init")
    certs("issue", "scada")
    (site / "certs" / "revoked.yaml").write_text("revoked:\n")
    for words in (("show",), ("revoke", "scada"), ("revoke", "--serial", "1")):
        answer = certs(*words)
        assert answer.code == 3 and "revoked.yaml:1" in answer.err
    assert (site / "certs" / "revoked.yaml").read_text() == "revoked:\n"


def test_what_the_machine_lacks_is_exit_code_3(site: Path, certs: Callable[..., Answer]) -> None:
    for words in (("show",), ("issue", "scada"), ("revoke", "scada")):
        answer = certs(*words)
        assert answer.code == 3 and "certs init makes the authority" in answer.err
    certs("init")
    (site / "certs" / "site-ca.key").chmod(0o644)
    answer = certs("issue", "scada")
    assert answer.code == 3 and "chmod 600" in answer.err
    (site / "bulkhead.yaml").unlink()
    assert certs("show").code == 3


def test_a_broken_site_file_is_said_with_its_place(site: Path, certs: Callable[..., Answer]) -> None:
    (site / "bulkhead.yaml").write_text("site: bottling\nsite: brewery\n")
    answer = certs("init")
    assert answer.code == 1 and "bulkhead.yaml:2:1" in answer.err
    (site / "bulkhead.yaml").write_text("admin: {}\n")
    answer = certs("init")
    assert answer.code == 1 and "names no site" in answer.err
    assert not (site / "certs").exists()


def test_variables_replace_values_as_they_do_for_the_gateway(
    site: Path, certs: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKHEAD_SITE", "brewery")
    monkeypatch.setenv("BULKHEAD_LISTENERS__CELL_3_MODBUS__BIND", "10.9.9.9:802")
    certs("init")
    names = leaf(site / "certs" / "gateway.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "10.9.9.9" in {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://brewery/device/gateway"]


def test_the_site_is_found_from_its_own_folder(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BULKHEAD_CONFIG", raising=False)
    monkeypatch.chdir(site)
    assert run(["certs", "init"]) == 0
    monkeypatch.chdir("/")
    assert run(["certs", "show"]) == 3
    monkeypatch.setenv("BULKHEAD_CONFIG", str(site / "bulkhead.yaml"))
    assert run(["certs", "show"]) == 0
    assert "gateway" in capsys.readouterr().out
