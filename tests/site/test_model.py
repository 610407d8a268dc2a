"""What a sound site becomes: ids instead of patterns, canonical addresses, and the place of each thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.core.inventory import Bindings, ServiceTls
from proxy.core.origin import Origin, RuleRef
from proxy.core.surface import Never, Rate, Role, Rule, RuleTest
from proxy.site import Bind, Limits, Listener, Site, TlsSetting, load_site
from tests.site.bell import BellAction, BellProtocol, BellService, BellTarget
from tests.site.folder import CONFIG, PARISH, SEXTON, SOUND, STAFF, TOWER, WARDEN, Files, changed, lines, load, write


def site_of(folder: Path, files: Files | None = None) -> Site:
    loaded = load(folder, SOUND if files is None else files)
    assert loaded.site is not None, loaded.problems
    return loaded.site


def test_listener(tmp_path: Path) -> None:
    tls = TlsSetting("required", ("1.3",), "gateway")
    bind = Bind("10.0.0.1", 7701)
    expected = Listener("door", bind, "bell", "tower", tls, "refuse", Origin(CONFIG, 4, 3))
    assert site_of(tmp_path).listeners == (expected,)


def test_listener_options(tmp_path: Path) -> None:
    files = changed(
        CONFIG,
        "listeners:\n",
        "limits: { links: 10, handshakes: 5, links_per_source: 4, links_per_identity: 3 }\nstate: records\n"
        'admin: { bind: "[::1]:99" }\nlisteners:\n'
        '  a: { bind: "[2001:DB8:0::1]:7702", protocol: bell, to: tower, deny_style: silence }\n'
        '  b: { bind: "10.0.0.1:7703", protocol: bell, to: tower, tls: { versions: ["1.3", "1.2"], certificate: b }}\n',
    )
    site = site_of(tmp_path, files)
    a, b, _ = site.listeners
    assert (str(a.bind), a.tls, a.deny_style) == ("[2001:db8::1]:7702", None, "silence")
    assert b.tls == TlsSetting("required", ("1.2", "1.3"), "b")
    assert (site.state, site.admin, site.limits) == (tmp_path / "records", Bind("::1", 99), Limits(10, 5, 4, 3))


def test_defaults(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    assert (site.name, site.folder, site.state) == ("village", tmp_path, tmp_path / "var")
    assert (site.admin, site.limits) == (Bind("127.0.0.1", 9464), Limits(8192, 256, 1024, 512))
    assert site.certs == tmp_path / "certs"


def test_device(tmp_path: Path) -> None:
    tower = site_of(tmp_path).devices["tower"]
    assert (tower.kind, tower.address, tower.place, tower.origin) == ("belfry", "10.0.0.9", None, Origin(TOWER, 2, 9))
    service = tower.services["bell"]
    assert (service.port, service.shared, service.options) == (7700, True, BellService("g"))
    assert service.origin == Origin(TOWER, 6, 3)


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("{}", ServiceTls("site-ca", "10.0.0.9")),
        ("{ ca: plant-ca, name: Bells.Example }", ServiceTls("plant-ca", "bells.example")),
        ('{ name: "2001:0db8::1", certificate: ringer }', ServiceTls("site-ca", "2001:db8::1", "ringer")),
    ],
)
def test_tls_towards_a_device(tls: str, expected: ServiceTls, tmp_path: Path) -> None:
    site = site_of(tmp_path, changed(TOWER, "tone: g", f"tone: g, tls: {tls}"))
    assert site.devices["tower"].services["bell"].tls == expected


@pytest.mark.parametrize("shareable", [True, False])
def test_what_cannot_be_shared_is_not(shareable: bool, tmp_path: Path) -> None:
    bell = BellProtocol()
    bell.shareable = shareable

    def shared(text: str, folder: str) -> bool | list[str]:
        write(tmp_path / folder, changed(TOWER, "tone: g", f"tone: g{text}"))
        loaded = load_site(tmp_path / folder / CONFIG, {"bell": bell})
        return loaded.site.devices["tower"].services["bell"].shared if loaded.site is not None else lines(loaded)

    assert shared("", "default") is shareable
    assert shared(", shared: false", "false") is False
    why = (
        f"{TOWER}:6:40: services.bell.shared: no connection can serve several clients of bell; "
        "delete the line: each client gets its own"
    )
    assert shared(", shared: true", "true") == (True if shareable else [why])


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("{}", Bindings()),
        ("{ require: [x509] }", Bindings(require=frozenset({"x509"}))),
        ('{ x509: { uri: "urn:plant:sexton" } }', Bindings(x509_uri="urn:plant:sexton")),
        ('{ x509: { cn: "Küster 1" } }', Bindings(x509_cn="Küster 1")),
        ("{ mac_ip: { mac: 00-0E-8C-AA-BB-02 } }", Bindings(mac="00:0e:8c:aa:bb:02")),
        ("{ mac_ip: { mac: 000e.8caa.bb02, ip: 10.0.0.7 } }", Bindings(mac="00:0e:8c:aa:bb:02", ip="10.0.0.7")),
        (
            "{ unsafe_address_only: true, require: [address] }",
            Bindings(address_only=True, require=frozenset({"address"})),
        ),
    ],
)
def test_bindings(identity: str, expected: Bindings, tmp_path: Path) -> None:
    text = f"device: sexton\nkind: person\naddress: 10.0.0.6\nidentity: {identity}\n"
    assert site_of(tmp_path, {**SOUND, SEXTON: text}).devices["sexton"].bindings == expected


def test_rules_nevers_and_tests(tmp_path: Path) -> None:
    (parish,) = site_of(tmp_path).surfaces
    listen = BellTarget("listen", frozenset({1, 2}))
    write = BellTarget("write", frozenset({7}))
    x509 = frozenset({"x509"})
    assert parish.origin == Origin(PARISH, 2, 10)
    assert parish.members == ("tower",)
    assert parish.rules == (
        Rule(RuleRef("parish", "hours", Origin(PARISH, 5, 3)), ("role:staff",), ("tower",), (listen,)),
        Rule(RuleRef("parish", "alarm", Origin(PARISH, 9, 3)), ("sexton",), ("tower",), (write,), x509, Rate(6, 60.0)),
    )
    silence = BellTarget("write", frozenset({9}))
    assert parish.nevers == (Never(RuleRef("parish", "silence", Origin(PARISH, 16, 3)), None, ("tower",), (silence,)),)
    action = BellAction("write", 7)
    assert parish.tests == (RuleTest(Origin(PARISH, 18, 5), "sexton", "tower", "write 7", (action,), True, "alarm"),)
    assert (parish.record_first, parish.writes_without_proof) == (False, False)


def test_surface_options(tmp_path: Path) -> None:
    options = "members: [tower]\nmode: enforce\naudit: before\nunsafe_writes_without_proof: true"
    (parish,) = site_of(tmp_path, changed(PARISH, "members: [tower]", options)).surfaces
    assert (parish.record_first, parish.writes_without_proof) == (True, True)


def test_role(tmp_path: Path) -> None:
    assert site_of(tmp_path).roles == (Role("staff", Origin(STAFF, 2, 7), ("sexton", "warden")),)


def with_towers(*more: str) -> Files:
    files = dict(SOUND)
    for number, name in enumerate(more):
        text = SOUND[TOWER].replace("tower", name).replace("10.0.0.9", f"10.0.1.{number + 1}")
        files[f"fingerprints/devices/{name}.yaml"] = text
    return files


def test_patterns_become_ids(tmp_path: Path) -> None:
    files = with_towers("tower-2", "tower-10", "gate")
    files[PARISH] = (
        SOUND[PARISH]
        .replace("members: [tower]", 'members: [tower, "tower-*"]')
        .replace("from: sexton\n    to: tower", 'from: ["w*", sexton, "sex*"]\n    to: "*-*0"')
        .replace("silence: { to: tower", 'silence: { from: "*n", to: "*"')
        .replace('"*"', '["t*", "g*"]')
    )
    (parish,) = site_of(tmp_path, files).surfaces
    assert parish.members == ("tower", "tower-10", "tower-2")
    assert (parish.rules[1].speakers, parish.rules[1].devices) == (("warden", "sexton"), ("tower-10",))
    (never,) = parish.nevers
    assert never.speakers == ("sexton", "warden")
    assert never.devices == ("tower", "tower-10", "tower-2", "gate"), "a never does not end at the edge of the surface"


def test_a_rule_stays_inside_its_surface(tmp_path: Path) -> None:
    files = with_towers("tower-2")
    files[PARISH] = SOUND[PARISH].replace("from: sexton\n    to: tower", 'from: sexton\n    to: "tow*"')
    assert site_of(tmp_path, files).surfaces[0].rules[1].devices == ("tower",)


def test_a_rule_for_nobody_is_left_out(tmp_path: Path) -> None:
    site = site_of(tmp_path, changed(PARISH, "from: sexton", 'from: "vicar-*"'))
    assert [rule.ref.name for rule in site.surfaces[0].rules] == ["hours"]


@pytest.mark.parametrize("speaker", ["mbaps:Operator", "mbaps:Wartung Süd", "mbaps-null", "mbaps:role:x"])
def test_certificate_roles_are_taken_as_they_are(speaker: str, tmp_path: Path) -> None:
    site = site_of(tmp_path, changed(PARISH, "from: sexton", f'from: "{speaker}"'))
    assert site.surfaces[0].rules[1].speakers == (speaker,)


def test_order_of_files_and_names_does_not_matter(tmp_path: Path) -> None:
    files = {**SOUND, "policies/surfaces/a.yaml": "surface: b\nmembers: [warden]\nrules: {}\n"}
    renamed = {name: text for name, text in files.items() if name != PARISH}
    renamed["policies/surfaces/0.yaml"] = files[PARISH]
    one, other = site_of(tmp_path / "1", files), site_of(tmp_path / "2", renamed)
    assert [surface.name for surface in one.surfaces] == [surface.name for surface in other.surfaces] == ["b", "parish"]
    assert one.digest == other.digest


def test_warden_is_bound_to_its_address(tmp_path: Path) -> None:
    """The address of `mac_ip` is the device's own unless another is given; it is not pinned a second time."""
    warden = site_of(tmp_path).devices["warden"]
    assert (warden.address, warden.bindings.ip) == ("10.0.0.8", None)
    assert WARDEN in str(warden.origin)
