"""Certificates of OPC UA applications: what they say, that channels take them, and how they are renewed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from asyncua.crypto import uacrypto
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from proxy.pki.application import Application, ApplicationAuthority, application_of
from proxy.pki.applications import ApplicationFolder
from proxy.pki.authority import AuthorityError
from proxy.pki.certificate import CertificateError
from proxy.pki.files import KeyFileError
from proxy.pki.folder import CertificateFolder
from proxy.pki.leaf import Leaf
from proxy.protocols.opcua.security.certificates import OwnCertificate, Peer, Trust
from tests.pki.crafted import NOW

if TYPE_CHECKING:
    from pathlib import Path

OWN = Application(
    "opcua", "urn:bulkhead:bottling:opcua", dns=("gw.plant.example",), ips=(ip_address("10.3.0.1"),), life=timedelta(90)
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "certs"
    folder = ApplicationFolder(path, "bottling")
    folder.create_authority(NOW)
    folder.issue(OWN, NOW)
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> ApplicationFolder:
    shutil.copytree(made, tmp_path / "certs")
    return ApplicationFolder(tmp_path / "certs", "bottling")


def leaf(folder: ApplicationFolder, name: str = "opcua") -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder.path / f"{name}.crt").read_bytes())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_what_a_certificate_says(folder: ApplicationFolder) -> None:
    """OPC 10000-6, table 48."""
    certificate = leaf(folder)
    get = certificate.extensions.get_extension_for_class
    names = get(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:bulkhead:bottling:opcua"]
    assert names.get_values_for_type(x509.DNSName) == ["gw.plant.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.3.0.1")]
    usage = get(x509.KeyUsage).value
    assert usage.digital_signature and usage.content_commitment and usage.key_encipherment and usage.data_encipherment
    assert not usage.key_cert_sign and not usage.crl_sign
    uses = get(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert get(x509.BasicConstraints).value == x509.BasicConstraints(ca=False, path_length=None)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048
    assert isinstance(certificate.signature_algorithm_parameters, padding.PKCS1v15)
    assert certificate.signature_hash_algorithm is not None and certificate.signature_hash_algorithm.name == "sha256"
    assert certificate.not_valid_after_utc - NOW == timedelta(90)
    assert application_of(certificate) == OWN


def test_the_gateway_s_own_channel_and_asyncua_take_it(folder: ApplicationFolder) -> None:
    own = OwnCertificate.load((folder.path / "opcua.crt").read_bytes(), (folder.path / "opcua.key").read_bytes())
    assert own.chain == own.der == der(leaf(folder))
    peer = Peer.read(own.chain)
    assert isinstance(peer, Peer) and peer.uris == ("urn:bulkhead:bottling:opcua",)
    trust = Trust([(folder.path / "opcua-ca.crt").read_bytes()])
    assert trust.accepts(own.chain, NOW.timestamp() + 1) is None
    assert trust.accepts(own.chain, NOW.timestamp() + 91 * 86400) is not None
    assert Trust([(folder.path / "opcua.crt").read_bytes()]).accepts(der(leaf(folder, "opcua-ca")), 0) is not None
    theirs = uacrypto.x509_from_der(own.der)
    assert theirs is not None and theirs.subject == leaf(folder).subject


def test_t50_a_file_on_a_trust_list_brings_no_authority_along(folder: ApplicationFolder) -> None:
    folder.issue(Application("hmi-1", "urn:hmi-1:viewer"), NOW)
    folder.issue(Application("hmi-2", "urn:hmi-2:viewer"), NOW)
    trust = Trust([(folder.path / "hmi-1.crt").read_bytes()])
    at = NOW.timestamp() + 1
    assert trust.accepts(der(leaf(folder, "hmi-1")), at) is None
    assert trust.accepts(der(leaf(folder, "hmi-2")), at) is not None


def test_the_authority_signs_applications_and_nothing_below(folder: ApplicationFolder) -> None:
    root = leaf(folder, "opcua-ca")
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    key = root.public_key()
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 3072
    leaf(folder).verify_directly_issued_by(root)
    with pytest.raises(x509.ExtensionNotFound):
        root.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_t10_no_two_sites_have_the_same_keys(folder: ApplicationFolder) -> None:
    before = {path.name: path.read_bytes() for path in folder.path.glob("*.key")}
    folder.create_authority(NOW, replace=True)
    assert (folder.path / "opcua-ca.key").read_bytes() != before["opcua-ca.key"]


def test_t69_keys_are_for_their_owner_alone(folder: ApplicationFolder) -> None:
    for path in folder.path.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (folder.path / "opcua-ca.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        folder.issue(Application("hmi-1", "urn:hmi-1:viewer"), NOW)
    assert not folder.has("hmi-1")


@pytest.mark.parametrize(
    ("application", "wrong"),
    [
        (Application("hmi-1", ""), "ApplicationUri"),
        (Application("hmi-1", "urn:hmi 1"), "ApplicationUri"),
        (Application("hmi-1", "hmi-1"), "ApplicationUri"),
        (Application("hmi-1", "urn:ü"), "ApplicationUri"),
        (Application("hmi-1", "urn:" + "x" * 300), "ApplicationUri"),
        (Application("hmi-1", "spiffe://bottling/device/scada"), "SPIFFE"),
        (Application("hmi-1", "SPIFFE://bottling/device/scada"), "SPIFFE"),
        (Application("hmi-1", "urn:hmi", bits=1024), "bits"),
        (Application("HMI", "urn:hmi"), "name"),
        (Application("../hmi", "urn:hmi"), "name"),
        (Application("site-ca", "urn:hmi"), "no name for"),
        (Application("opcua-ca", "urn:hmi"), "no name for"),
        (Application("gateway", "urn:hmi"), "no name for"),
        (Application("hmi-1", "urn:hmi", dns=("*.example",)), "DNS"),
    ],
)
def test_what_cannot_be_is_not_issued(folder: ApplicationFolder, application: Application, wrong: str) -> None:
    before = sorted(os.listdir(folder.path))
    with pytest.raises(ValueError, match=wrong):
        folder.issue(application, NOW, replace=True)
    assert sorted(os.listdir(folder.path)) == before


def test_a_certificate_of_another_kind_is_never_replaced(folder: ApplicationFolder) -> None:
    others = CertificateFolder(folder.path, "bottling")
    others.create_authority(NOW)
    others.issue(Leaf("scada"), NOW)
    before = (folder.path / "scada.crt").read_bytes()
    with pytest.raises(ValueError, match="choose another name"):
        folder.issue(Application("scada", "urn:scada"), NOW, replace=True)
    assert (folder.path / "scada.crt").read_bytes() == before


def test_renewing_keeps_key_and_names_and_begins_now(folder: ApplicationFolder) -> None:
    key, old = (folder.path / "opcua.key").read_bytes(), leaf(folder)
    assert folder.due(NOW, timedelta(60)) == folder.due(NOW + timedelta(59)) == []
    assert folder.due(NOW + timedelta(61)) == ["opcua"]  # two thirds of its life are over
    later = NOW + timedelta(40)
    assert folder.due(later, timedelta(60)) == ["opcua"]
    folder.renew("opcua", later)
    new = leaf(folder)
    assert (folder.path / "opcua.key").read_bytes() == key
    assert new.not_valid_after_utc == later + timedelta(90) and new.serial_number != old.serial_number
    assert application_of(new) == application_of(old) == OWN
    assert folder.due(later, timedelta(60)) == []


def test_renewing_never_shows_a_pair_that_does_not_fit(
    folder: ApplicationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at at each call that changes the folder, as a power cut would leave it."""
    seen = 0

    def look(real: Callable[..., None]) -> Callable[..., None]:
        def doing(*args: object, **more: object) -> None:
            nonlocal seen
            for _ in range(2):
                OwnCertificate.load((folder.path / "opcua.crt").read_bytes(), (folder.path / "opcua.key").read_bytes())
                seen += 1
                if _ == 0:
                    real(*args, **more)

        return doing

    for name in ("replace", "link", "unlink"):
        monkeypatch.setattr(os, name, look(getattr(os, name)))
    folder.renew("opcua", NOW + timedelta(40))
    assert seen >= 4


def test_a_new_key_if_asked_for_and_after_a_power_cut(folder: ApplicationFolder) -> None:
    key = (folder.path / "opcua.key").read_bytes()
    folder.renew("opcua", NOW, new_key=True)
    fresh = (folder.path / "opcua.key").read_bytes()
    assert fresh != key
    OwnCertificate.load((folder.path / "opcua.crt").read_bytes(), fresh)
    (folder.path / "opcua.key").write_bytes(key)  # cut between the two files
    folder.renew("opcua", NOW)
    OwnCertificate.load((folder.path / "opcua.crt").read_bytes(), (folder.path / "opcua.key").read_bytes())


def test_what_is_revoked_is_not_renewed_and_stands_on_the_list(folder: ApplicationFolder) -> None:
    serial = leaf(folder).serial_number
    CertificateFolder(folder.path, "bottling").revoke([(serial, "opcua")], "stolen", NOW)
    assert folder.due(NOW + timedelta(80)) == []
    with pytest.raises(CertificateError, match="revoked"):
        folder.renew("opcua", NOW)
    folder.write_list(NOW)
    root = leaf(folder, "opcua-ca")
    found = x509.load_der_x509_crl((folder.path / "opcua-ca.crl").read_bytes())
    key = root.public_key()
    assert isinstance(key, rsa.RSAPublicKey) and found.is_signature_valid(key)
    assert found.issuer == root.subject and [one.serial_number for one in found] == [serial]
    assert found.next_update_utc == NOW.replace(microsecond=0) + timedelta(365)


def test_a_new_authority_has_an_empty_list(folder: ApplicationFolder) -> None:
    assert list(x509.load_der_x509_crl((folder.path / "opcua-ca.crl").read_bytes())) == []


def test_what_is_not_ours_is_not_renewed(folder: ApplicationFolder) -> None:
    other = ApplicationAuthority.create("bottling", NOW).issue(Application("hmi-1", "urn:hmi-1"), NOW)
    (folder.path / "hmi-1.crt").write_bytes(other.pem)
    (folder.path / "hmi-1.key").write_bytes(other.key_pem)
    assert folder.due(NOW + timedelta(400)) == ["opcua"]
    for name in ("hmi-1", "opcua-ca", "nobody"):
        with pytest.raises(CertificateError, match="not of an application"):
            folder.renew(name, NOW)


def test_what_lies_in_the_folder_is_listed_with_its_state(folder: ApplicationFolder) -> None:
    CertificateFolder(folder.path, "bottling").create_authority(NOW)  # EC: not of OPC UA
    (folder.path / "notes.crt").write_text("to do")
    found = {entry.file: entry for entry in folder.list(NOW)}
    assert {file: (one.kind, one.state) for file, one in found.items()} == {
        "opcua-ca.crt": ("authority", "valid"),
        "opcua.crt": ("issued", "valid"),
    }
    assert found["opcua.crt"].bits == 2048 and len(found["opcua.crt"].thumbprint) == 40
    assert {one.state for one in folder.list(NOW + timedelta(100)) if one.kind == "issued"} == {"expired"}


def test_another_site_s_authority_signs_nothing_here(folder: ApplicationFolder) -> None:
    with pytest.raises(AuthorityError, match="bottling"):
        ApplicationFolder(folder.path, "brewery").issue(OWN, NOW)
    (folder.path / "opcua-ca.key").write_bytes((folder.path / "opcua.key").read_bytes())
    with pytest.raises(AuthorityError, match="another certificate"):
        folder.authority()


def test_certs_show_and_revoke_know_applications_without_an_ec_authority(folder: ApplicationFolder) -> None:
    listed = CertificateFolder(folder.path, "bottling").list(NOW)
    assert {(entry.file, entry.state) for entry in listed.entries} == {
        ("opcua-ca.crt", "valid"),
        ("opcua.crt", "valid"),
    }
