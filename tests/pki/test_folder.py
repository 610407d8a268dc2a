from __future__ import annotations

import os
import stat
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from proxy.pki.authority import AuthorityError
from proxy.pki.certificate import CertificateError
from proxy.pki.files import KeyFileError
from proxy.pki.folder import AUTHORITY, CertificateFolder
from proxy.pki.leaf import Leaf
from proxy.pki.revocation import RevocationList
from tests.pki.crafted import NOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    folder = CertificateFolder(tmp_path / "certs", "bottling")
    folder.create_authority(NOW)
    return folder


def states(folder: CertificateFolder, later: timedelta = timedelta(0)) -> dict[str, str]:
    return {entry.file: entry.state for entry in folder.list(NOW + later).entries}


def test_t69_keys_and_their_folder_are_for_their_owner_alone(folder: CertificateFolder) -> None:
    folder.issue(Leaf("scada"), NOW)
    folder.issue(Leaf("anna", "person"), NOW, out=folder.path / "out")
    private = 0
    for root, _, files in os.walk(folder.path):
        assert stat.S_IMODE(os.stat(root).st_mode) == 0o700
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                if b"PRIVATE KEY" in file.read():
                    private += 1
                    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert private == 3


def test_t69_an_authority_whose_key_others_may_read_signs_nothing(folder: CertificateFolder) -> None:
    (folder.path / "site-ca.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        folder.issue(Leaf("scada"), NOW)
    assert not folder.has("scada")


def test_an_authority_is_not_replaced_by_accident(folder: CertificateFolder) -> None:
    before = (folder.path / "site-ca.key").read_bytes()
    with pytest.raises(FileExistsError):
        folder.create_authority(NOW)
    assert (folder.path / "site-ca.key").read_bytes() == before


def test_the_authority_of_another_site_is_refused(folder: CertificateFolder) -> None:
    with pytest.raises(AuthorityError, match="bottling"):
        CertificateFolder(folder.path, "brewery").issue(Leaf("scada"), NOW)


def test_nobody_is_called_like_the_authority(folder: CertificateFolder) -> None:
    with pytest.raises(ValueError, match="authority"):
        folder.issue(Leaf(AUTHORITY), NOW, replace=True)


def test_states_over_the_life_of_a_certificate(folder: CertificateFolder) -> None:
    folder.issue(Leaf("scada"), NOW)
    assert states(folder) == {"site-ca.crt": "valid", "scada.crt": "valid"}
    assert states(folder, timedelta(minutes=-10))["scada.crt"] == "not yet valid"
    assert states(folder, timedelta(hours=24))["scada.crt"] == "expired"
    serial = next(e.facts.serial for e in folder.list(NOW).entries if e.name == "scada")
    folder.revoke([(serial, "scada")], "stolen", NOW)
    assert states(folder)["scada.crt"] == "revoked"


def test_a_new_authority_disowns_what_the_old_one_issued(folder: CertificateFolder) -> None:
    folder.issue(Leaf("scada"), NOW)
    folder.create_authority(NOW, replace=True)
    assert states(folder)["scada.crt"] == "of another authority"


def test_a_replaced_certificate_is_still_known_so_that_it_can_be_revoked(folder: CertificateFolder) -> None:
    first = folder.issue(Leaf("scada"), NOW).certificate.serial_number
    second = folder.issue(Leaf("scada"), NOW, replace=True).certificate.serial_number
    third = folder.issue(Leaf("scada"), NOW, out=folder.path / "usb-stick").certificate.serial_number
    assert {e.facts.serial for e in folder.list(NOW).entries if e.name == "scada"} == {first, second, third}


def test_a_certificate_that_was_not_written_is_not_recorded(folder: CertificateFolder) -> None:
    folder.issue(Leaf("scada"), NOW)
    with pytest.raises(FileExistsError):
        folder.issue(Leaf("scada"), NOW)
    assert len(os.listdir(folder.path / "issued")) == 1


def test_records_of_ended_certificates_go_after_a_day(folder: CertificateFolder) -> None:
    folder.issue(Leaf("scada"), NOW)
    (folder.path / "issued" / "broken.crt").write_bytes(b"")
    for days, records in ((1.9, 2), (2.1, 2)):
        folder.issue(Leaf("scada"), NOW + timedelta(days=days), replace=True)
        assert len(os.listdir(folder.path / "issued")) - 1 == records  # one is the broken file
    assert (folder.path / "issued" / "broken.crt").exists()


def test_a_file_that_is_no_certificate_hides_no_other(folder: CertificateFolder) -> None:
    (folder.path / "notes.crt").write_text("to do")
    folder.issue(Leaf("scada"), NOW)
    listing = folder.list(NOW)
    assert listing.unreadable == ("notes.crt",)
    assert {entry.file for entry in listing.entries} == {"site-ca.crt", "scada.crt"}


def test_without_an_authority_there_is_nothing_to_list(tmp_path: Path) -> None:
    folder = CertificateFolder(tmp_path, "bottling")
    with pytest.raises(FileNotFoundError):
        folder.list(NOW)
    (tmp_path / "site-ca.crt").write_bytes(b"")
    with pytest.raises(CertificateError):
        folder.list(NOW)


def test_revocations_carry_who_when_and_why(folder: CertificateFolder) -> None:
    folder.revoke([(0x1F, "scada")], "laptop stolen", NOW)
    (entry,) = RevocationList(folder.path / "revoked.yaml").entries
    assert entry == (0x1F, "scada", "2026-03-02T07:00:00Z", "laptop stolen")
