"""The folder the demo works in: whose it may empty, and a copy of the site that says the same on other ports."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cli.site import protocols
from proxy.demo.errors import DemoError, SiteError
from proxy.demo.workplace import PLC, check_ports, make_folder, open_site, prepare

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
    old = {source.admin.port, *(one.bind.port for one in source.listeners), source.devices[PLC].services["modbus"].port}
    new = {site.admin.port, *(one.bind.port for one in site.listeners), place.plc[1]}
    assert len(new) == len(old)
    assert not new & old
    assert [one.name for one in site.listeners] == [one.name for one in source.listeners]
    assert {one.bind.host for one in site.listeners} == {one.bind.host for one in source.listeners}
    assert site.surfaces == source.surfaces
    services = {"modbus": replace(site.devices[PLC].services["modbus"], port=15020)}
    assert {**site.devices, PLC: replace(site.devices[PLC], services=services)} == source.devices


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
