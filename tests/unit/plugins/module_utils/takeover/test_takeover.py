"""Results of a hostile build, which root copies without following symlinks and without special modes."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import takeover
from takeover_trees import BUILDER, GROUP, LIMIT, nest, rejection, rights, take

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.mark.parametrize("kind", ["file", "folder", "dangling", "/etc"])
def test_symlinks_are_copied_and_not_followed(source, target, outside, kind):
    folder = outside.with_name("folder")
    folder.mkdir(mode=0o700)
    (folder / "inside").write_text("secret")
    to = {"file": outside, "folder": folder, "dangling": outside.with_name("missing"), "/etc": Path("/etc")}[
        kind
    ]
    before = rights(to) if to.exists() else None
    (source / "link").symlink_to(to)
    take(source, target)
    assert os.readlink(target / "link") == str(to), "expected the symlink itself"
    assert (target / "link").lstat().st_uid == 0, (
        f"expected the owner root, got {(target / 'link').lstat().st_uid}"
    )
    assert (rights(to) if to.exists() else None) == before, f"expected {to} unchanged"
    assert (source / "link").lstat().st_uid == BUILDER, (
        "expected `give` to change the owner of the symlink itself"
    )


def test_source_symlink_in_place_of_the_tree_is_rejected(tmp_path, target, outside):
    folder = tmp_path / "planted"
    folder.symlink_to("/etc")
    with pytest.raises(OSError):
        takeover.Takeover(GROUP, LIMIT).take(folder, target)
    assert not list(target.iterdir()), f"expected nothing of /etc, got {list(target.iterdir())}"


def test_target_that_exists_is_rejected(source, target):
    target.symlink_to("/etc")
    with pytest.raises(FileExistsError):
        takeover.Takeover(GROUP, LIMIT).take(source, target)


def test_hard_link_to_a_file_outside_is_rejected(source, target, outside):
    (source / "folder").mkdir()
    os.link(outside, source / "folder/innocent")
    found = rejection(source, target)
    assert "folder/innocent" in found and "hard link" in found, f"expected the hard link named, got {found}"
    outside_now = rights(outside)[2]
    assert outside_now == 0o600, f"expected mode 600 outside, got {outside_now:o}"


def test_one_hard_link_of_three_outside_is_rejected(source, target, tmp_path):
    (source / "a").write_text("a")
    os.link(source / "a", source / "b")
    os.link(source / "a", tmp_path / "c")
    assert "hard link" in rejection(source, target)


def test_hard_links_inside_become_separate_files(source, target):
    (source / "folder").mkdir()
    (source / "a").write_text("text")
    os.link(source / "a", source / "folder/b")
    take(source, target)
    found = [(target / name).read_text() for name in ("a", "folder/b")]
    assert found == ["text", "text"], f"expected both files, got {found}"
    assert (target / "a").stat().st_nlink == 1, "expected separate files"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o4755, 0o755),
        (0o2755, 0o755),
        (0o6777, 0o755),
        (0o666, 0o644),
        (0o600, 0o644),
        (0o700, 0o755),
        (0, 0o644),
    ],
)
def test_modes_lose_set_user_id_and_group_write(source, target, mode, expected):
    (source / "file").write_text("text")
    (source / "folder").mkdir()
    takeover.give(source, BUILDER, BUILDER)
    os.chmod(source / "file", mode)
    os.chmod(source / "folder", mode | 0o7000)
    takeover.Takeover(GROUP, LIMIT).take(source, target)
    found = rights(target / "file"), rights(target / "folder"), rights(target)
    wanted = (0, GROUP, expected), (0, GROUP, 0o755), (0, GROUP, 0o755)
    assert found == wanted, f"expected {wanted}, got {found}"


def test_acls_and_attributes_are_dropped(source, target):
    (source / "file").write_text("text")
    (source / "folder").mkdir()
    # Owner rw, user 54321 rw, group r, mask rw, others r: include/uapi/linux/posix_acl_xattr.h.
    entries = [(1, 6, -1), (2, 6, BUILDER), (4, 4, -1), (16, 6, -1), (32, 4, -1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", t, p, i & 0xFFFFFFFF) for t, p, i in entries)
    os.setxattr(source / "file", "system.posix_acl_access", value)
    os.setxattr(source / "folder", "system.posix_acl_default", value)
    os.setxattr(source / "file", "user.note", b"note")
    take(source, target)
    for name in ("file", "folder"):
        found = os.listxattr(target / name)
        assert not found, f"expected {name} without attributes, got {found}"


def test_pipes_sockets_and_devices_are_dropped(source, target):
    os.mkfifo(source / "pipe")
    os.mknod(source / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(source / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    (source / "file").write_text("text")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        take(source, target)
    found = sorted(os.listdir(target))
    assert found == ["file"], f"expected only the file, got {found}"


@pytest.mark.parametrize("depth", [150, 3000])
def test_deep_nesting_is_rejected(source, target, depth):
    nest(source, depth)
    message = rejection(source, target)
    assert "nested" in message, f"expected the nesting named, got {message}"


def test_huge_sparse_file_is_rejected_without_being_read(source, target):
    with open(source / "huge", "w") as file:
        file.truncate(1 << 30)
    message = rejection(source, target)
    assert "1 MiB" in message, f"expected the limit named, got {message}"
    size = (target / "huge").stat().st_size if (target / "huge").exists() else 0
    assert size == 0, f"expected an empty copy, got {size} bytes"


def test_files_that_exceed_the_limit_together_are_rejected(source, target):
    for number in range(5):
        (source / f"{number}").write_bytes(bytes(LIMIT // 4))
    assert "1 MiB" in rejection(source, target)


def test_too_many_entries_are_rejected(source, target, monkeypatch):
    monkeypatch.setattr(takeover, "MOST_ENTRIES", 50)
    for number in range(60):
        (source / f"{number}").mkdir()
    message = rejection(source, target)
    assert "50" in message, f"expected the limit named, got {message}"


@pytest.mark.parametrize(
    "name", [b"a\nb", b"\xff\xfe", b"\x1b[2J", b" ", b"-rf", "größe".encode(), b"n" * 255]
)
def test_names_with_any_bytes_are_kept(source, target, name):
    folder = os.fsencode(source) + b"/" + name
    os.mkdir(folder)
    Path(os.fsdecode(folder), os.fsdecode(name)).write_text("text")
    take(source, target)
    found = os.listdir(os.fsencode(target)), os.listdir(os.fsencode(target) + b"/" + name)
    assert found == ([name], [name]), f"expected {name!r} twice, got {found}"


@pytest.mark.parametrize("name", [b"a\nb", b"\xff\xfe", b"\x1b[2J", b"n" * 255])
def test_names_in_messages_are_printable(source, target, outside, name):
    os.mkdir(os.fsencode(source) + b"/" + name)
    os.link(outside, os.fsencode(source) + b"/" + name + b"/" + name)
    message = rejection(source, target)  # asserts printable text
    message.encode()
    assert "hard link" in message, f"expected the hard link named, got {message}"


def test_modification_times_are_kept(source, target):
    (source / "style.css").write_text("text")
    os.utime(source / "style.css", ns=(1, 1_600_000_000_123_456_789))
    take(source, target)
    found = (target / "style.css").stat().st_mtime_ns
    assert found == 1_600_000_000_123_456_789, f"expected the time of the source, got {found}"


def test_everything_belongs_to_root_and_the_group(source, target):
    (source / "a/b").mkdir(parents=True)
    (source / "a/b/file").write_text("text")
    (source / "a/link").symlink_to("b")
    take(source, target)
    paths = [target, *target.rglob("*")]
    found = {(path.lstat().st_uid, path.lstat().st_gid) for path in paths}
    assert found == {(0, GROUP)} and len(paths) == 5, (
        f"expected root and group {GROUP}, got {found} of {paths}"
    )


def test_open_descriptor_of_the_builder_does_not_write_to_the_copy(source, target):
    with open(source / "file", "w") as file:
        file.write("text")
        file.flush()
        take(source, target)
        file.write("more")
    found = (target / "file").read_text()
    assert found == "text", f"expected a new file, got {found}"
