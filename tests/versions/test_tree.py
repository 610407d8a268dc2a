"""A tree is exactly the bytes of the site's files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.versions.tree import MAX_BYTES, Tree, UnfitError, read_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies/surfaces").mkdir(parents=True)
    (tmp_path / "fingerprints/devices").mkdir(parents=True)
    (tmp_path / "bulkhead.yaml").write_bytes(b"site: x\n")
    (tmp_path / "policies/surfaces/a.yaml").write_bytes(b"surface: a\n")
    (tmp_path / "fingerprints/devices/d.yaml").write_bytes(b"device: d\r\n")
    return tmp_path


def test_reads_what_the_loader_reads(folder: Path) -> None:
    for left in (".a.yaml.swp", "a.yaml~", "README.md"):
        (folder / "policies/surfaces" / left).write_text("no")
    (folder / "certs").mkdir()
    (folder / "certs/gateway.key").write_text("secret")
    tree = read_tree(folder / "bulkhead.yaml")
    assert tree.config == "bulkhead.yaml"
    assert dict(tree.files) == {
        "bulkhead.yaml": b"site: x\n",
        "policies/surfaces/a.yaml": b"surface: a\n",
        "fingerprints/devices/d.yaml": b"device: d\r\n",
    }


def test_goes_through_links_as_they_are_swapped_in_containers(folder: Path) -> None:
    (folder / "policies/surfaces/a.yaml").unlink()
    data = folder / "elsewhere"
    data.mkdir()
    (data / "a.yaml").write_text("surface: b\n")
    (folder / "policies/surfaces/a.yaml").symlink_to(data / "a.yaml")
    assert read_tree(folder / "bulkhead.yaml").files["policies/surfaces/a.yaml"] == b"surface: b\n"


@pytest.mark.parametrize("change", ["content", "name", "more", "config"])
def test_every_change_has_another_id(folder: Path, change: str) -> None:
    before = read_tree(folder / "bulkhead.yaml")
    config = folder / "bulkhead.yaml"
    match change:
        case "content":
            (folder / "policies/surfaces/a.yaml").write_bytes(b"surface: a \n")
        case "name":
            (folder / "policies/surfaces/a.yaml").rename(folder / "policies/surfaces/b.yaml")
        case "more":
            (folder / "policies/surfaces/b.yaml").write_bytes(b"")
        case "config":
            config = config.rename(folder / "plant.yaml")
    assert read_tree(config).id != before.id


def test_comes_back_from_its_archive_and_from_a_folder(folder: Path, tmp_path: Path) -> None:
    tree = read_tree(folder / "bulkhead.yaml")
    again = Tree.unpacked(tree.packed())
    assert again == tree and again.id == tree.id
    out = tmp_path / "out"
    out.mkdir()
    assert read_tree(tree.write_to(out)).id == tree.id


@pytest.mark.parametrize("what", ["fifo", "large", "missing"])
def test_what_is_no_file_is_not_taken_for_one(folder: Path, what: str) -> None:
    path = folder / "policies/surfaces/z.yaml"
    match what:
        case "fifo":
            os.mkfifo(path)
        case "large":
            path.write_bytes(b"#" * (MAX_BYTES + 1))
        case "missing":
            path.symlink_to(folder / "nothing")
    with pytest.raises(UnfitError, match=r"z\.yaml"):
        read_tree(folder / "bulkhead.yaml")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//b"])
def test_an_archive_cannot_write_elsewhere(name: str) -> None:
    tree = Tree("bulkhead.yaml", {"bulkhead.yaml": b"", name: b"x"})
    with pytest.raises(ValueError, match="does not belong"):
        Tree.unpacked(tree.packed())


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_a_broken_archive_is_told(data: bytes) -> None:
    with pytest.raises(ValueError):
        Tree.unpacked(data)
