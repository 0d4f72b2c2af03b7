"""The site's `files`, which root writes into the tree of a build."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import release_files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another group")

GROUP = 4321


@pytest.fixture
def tree(tmp_path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path) -> Path:
    """Return a folder outside of the tree, with a file. Root owns both."""
    path = tmp_path / "outside"
    path.mkdir(mode=0o700)
    (path / "config.ini").write_text("root's")
    (path / "config.ini").chmod(0o600)
    return path


def write(tree: Path, **files: str) -> None:
    release_files.write_files(tree, {path: {"text": text} for path, text in files.items()}, GROUP)


def content(folder: Path) -> dict[str, tuple[str, int]]:
    return {path.name: (path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}


def test_files_are_readable_by_the_group_only(tree):
    (tree / "etc").mkdir()
    write(tree, **{"config.ini": "a", "etc/one.ini": "ü", "new/folder/two.ini": ""})
    for path, text in (("config.ini", "a"), ("etc/one.ini", "ü"), ("new/folder/two.ini", "")):
        found = (tree / path).stat()
        got = (tree / path).read_text(), found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)
        assert got == (text, 0, GROUP, 0o640), (
            f"{path}: expected {text!r} of root and {GROUP}, mode 640, got {got}"
        )


def test_file_is_never_readable_by_others_while_it_is_written(tree, monkeypatch):
    modes, fchown = [], os.fchown

    def spy(descriptor, *owner):
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fchown(descriptor, *owner)

    monkeypatch.setattr(os, "fchown", spy)
    write(tree, secret="text")
    assert modes == [0o600], f"expected mode 600 until the group is set, got {[oct(mode) for mode in modes]}"


def test_file_of_the_source_is_replaced(tree):
    (tree / "config.ini").write_text("source's")
    (tree / "config.ini").chmod(0o777)
    with open(tree / "config.ini", "a") as file:
        write(tree, **{"config.ini": "site's"})
        file.write("builder's")
    assert content(tree) == {"config.ini": ("site's", 0o640)}, f"expected a new file, got {content(tree)}"


def test_hard_link_at_the_path_is_replaced(tree, outside):
    os.link(outside / "config.ini", tree / "config.ini")
    write(tree, **{"config.ini": "site's"})
    found = content(outside)["config.ini"]
    assert found == ("root's", 0o600), f"expected the other file unchanged, got {found}"


@pytest.mark.parametrize("target", ["config.ini", "missing", "."])
def test_symlink_at_the_path_is_replaced(tree, outside, target):
    (tree / "config.ini").symlink_to(outside / target)
    before = content(outside)
    write(tree, **{"config.ini": "site's"})
    assert not (tree / "config.ini").is_symlink() and (tree / "config.ini").read_text() == "site's"
    assert content(outside) == before, f"expected {before} outside of the tree, got {content(outside)}"


@pytest.mark.parametrize("path", ["link/config.ini", "link/new/config.ini", "folder/link/config.ini"])
@pytest.mark.parametrize("absolute", [True, False])
def test_symlink_at_a_parent_is_rejected(tree, outside, path, absolute):
    (tree / "folder").mkdir()
    link = tree / path[: path.index("link") + 4]
    link.symlink_to(outside if absolute else os.path.relpath(outside, link.parent))
    before = content(outside)
    with pytest.raises(release_files.FilesError, match=rf"^files: {path} cannot be written"):
        write(tree, **{path: "site's"})
    assert content(outside) == before, f"expected {before} outside of the tree, got {content(outside)}"


def test_symlink_in_place_of_the_tree_is_rejected(tree, outside):
    (tree / "link").symlink_to(outside)
    with pytest.raises(NotADirectoryError):
        write(tree / "link", **{"new.ini": "site's"})
    assert list(content(outside)) == ["config.ini"], f"expected nothing new, got {content(outside)}"


@pytest.mark.parametrize("path", ["folder", "file/config.ini"])
def test_path_of_another_type_in_the_source_is_rejected(tree, path):
    (tree / "folder").mkdir()
    (tree / "file").write_text("source's")
    with pytest.raises(release_files.FilesError, match="Remedy: choose another path"):
        write(tree, **{path: "site's"})


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))]
)
def test_pipe_or_device_at_the_path_is_replaced(tree, make):
    make(tree / "config.ini")
    write(tree, **{"config.ini": "site's"})
    assert content(tree) == {"config.ini": ("site's", 0o640)}, f"expected a file, got {content(tree)}"


def test_no_descriptor_is_left_open(tree, outside):
    (tree / "link").symlink_to(outside)
    before = os.listdir("/proc/self/fd")
    write(tree, **{"a/b/c": "text"})
    with pytest.raises(release_files.FilesError):
        write(tree, **{"a/b/c": "text", "link/c": "text"})
    assert os.listdir("/proc/self/fd") == before


def test_digests_depend_only_on_paths_and_texts():
    found = release_files.digests({"b": {"text": "2"}, "a": {"text": "1", "more": "ignored"}})
    expected = {"a": hashlib.sha256(b"1").hexdigest(), "b": hashlib.sha256(b"2").hexdigest()}
    assert found == expected and list(found) == ["a", "b"], f"expected {expected} in order, got {found}"
