"""The folder the demo works in: whose it may empty, and a copy of the site that says the same on other ports."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.cli.site import protocols
from proxy.demo.errors import DemoError, SiteError
from proxy.demo.workplace import SERVED, check_ports, make_folder, open_site, prepare

if TYPE_CHECKING:
    from proxy.site import Site

TOP = Path(__file__).parents[2]


def test_an_empty_folder_is_made_and_only_an_own_one_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    make_folder(folder)
    assert (folder / ".gitignore").read_text() == "*\n"
    (folder / "left").write_text("over")
    make_folder(folder)
    assert not (folder / "left").exists()

    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis").write_text("precious")
    with pytest.raises(DemoError, match="not of a demo"):
        make_folder(stranger)
    assert (stranger / "thesis").exists()


def test_the_copy_on_other_ports_says_the_same(tmp_path: Path) -> None:
    source = open_site(TOP / "bulkhead.yaml", protocols())
    place = prepare(TOP / "bulkhead.yaml", tmp_path, protocols(), move_ports=True)
    site = place.site
    old = {source.admin.port, *(one.bind.port for one in source.listeners), *_ports(source)}
    new = {site.admin.port, *(one.bind.port for one in site.listeners), *_ports(site)}
    assert {place.plc[1], place.uns[1], place.robot[1]} == set(_ports(site))
    assert len(new) == len(old)
    assert not new & old
    assert [one.name for one in site.listeners] == [one.name for one in source.listeners]
    assert {one.bind.host for one in site.listeners} == {one.bind.host for one in source.listeners}
    assert site.surfaces == source.surfaces
    for name, port in zip(SERVED, _ports(source), strict=True):
        (kind, service), *_ = site.devices[name].services.items()
        device = replace(site.devices[name], services={kind: replace(service, port=port)})
        assert device == source.devices[name]
    others = set(site.devices) - set(SERVED)
    assert {name: site.devices[name] for name in others} == {name: source.devices[name] for name in others}


def _ports(site: Site) -> list[int]:
    return [site.devices[name].services[kind].port for name, kind in SERVED.items()]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    site = prepare(TOP / "bulkhead.yaml", tmp_path, protocols(), move_ports=True).site
    check_ports(site)
    with socket.create_server((site.listeners[0].bind.host, site.listeners[0].bind.port)):
        with pytest.raises(DemoError, match=rf"{site.listeners[0].bind} \({site.listeners[0].name}\)"):
            check_ports(site)


def test_another_site_is_told_what_it_lacks(tmp_path: Path) -> None:
    for name in ("policies", "fingerprints"):
        shutil.copytree(TOP / name, tmp_path / name)
    config = tmp_path / "bulkhead.yaml"
    config.write_text((TOP / "bulkhead.yaml").read_text().replace("cell-3-plain", "cell-9-plain"))
    with pytest.raises(SiteError, match="lacks the listener cell-3-plain"):
        open_site(config, protocols())
    config.write_text("site: [")
    with pytest.raises(SiteError, match="not valid"):
        open_site(config, protocols())
