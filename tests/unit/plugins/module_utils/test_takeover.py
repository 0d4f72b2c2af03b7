"""Results of a hostile build: root copies them without following a symlink or keeping a right."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import takeover

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")

GROUP, BUILDER = 4321, 54321  # numbers that are neither root's nor this user's
LIMIT = 1 << 20
LONGEST = 20  # seconds that any rejection may take on a busy machine


@pytest.fixture
def source(tmp_path) -> Iterator[Path]:
    """Return a folder that the builder owns."""
    path = tmp_path / "source"
    path.mkdir()
    yield path
    # pytest cannot remove deeply nested folders.
    subprocess.run(["rm", "-rf", str(path), str(tmp_path / "target")], check=True)


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def outside(tmp_path) -> Path:
    """Return a file of root's outside of the build, as an attacker wants to read or write it."""
    path = tmp_path / "outside"
    path.write_text("secret")
    path.chmod(0o600)
    return path


def take(source: Path, target: Path) -> None:
    takeover.give(source, BUILDER, BUILDER)
    takeover.Takeover(GROUP, LIMIT).take(source, target)


def rejection(source: Path, target: Path) -> str:
    """Return the message with which a tree is rejected, within bounded time."""
    begun = time.monotonic()
    with pytest.raises(takeover.TakeoverError) as error:
        takeover.Takeover(GROUP, LIMIT).take(source, target)
    lasted = time.monotonic() - begun
    assert lasted < LONGEST, f"expected a rejection within {LONGEST} s, got one after {lasted:.0f} s"
    message = str(error.value)
    assert message.isprintable() and len(message) < 400, f"expected one printable line, got {message!r}"
    return message


def rights(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def nest(folder: Path, depth: int) -> None:
    """Create folders one in another, more than a path can name."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


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
    assert (target / "link").lstat().st_uid == 0, f"expected root's, got {(target / 'link').lstat().st_uid}"
    assert (rights(to) if to.exists() else None) == before, f"expected {to} unchanged"
    assert (source / "link").lstat().st_uid == BUILDER, "expected `give` to give the symlink itself"


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
    assert (target / "a").stat().st_nlink == 1, "expected files of their own"


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


def test_access_lists_and_attributes_are_gone(source, target):
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
    assert found == ["file"], f"expected the file alone, got {found}"


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
    assert size == 0, f"expected nothing copied of it, got {size} bytes"


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
def test_names_of_any_bytes_are_kept(source, target, name):
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
    message = rejection(source, target)  # asserts it
    message.encode()
    assert "hard link" in message, f"expected the hard link named, got {message}"


@pytest.fixture
def earlier(tmp_path) -> Path:
    """Return an earlier environment, which is root's."""
    earlier = tmp_path / "earlier"
    (earlier / "below/deep").mkdir(parents=True)
    (earlier / "empty").mkdir()
    for name in ("kept", "replaced", "removed", "below/deep/kept"):
        (earlier / name).write_text("text")
        (earlier / name).chmod(0o644)
    (earlier / "link").symlink_to("kept")
    return earlier


def test_kept_files_of_an_earlier_environment_become_hard_links(source, target, earlier):
    (source / "below").mkdir()
    for name in ("replaced", "new", "below/new"):
        (source / name).write_text("TEXT")
    takeover.give(source, BUILDER, BUILDER)
    kept = ["kept", "replaced", "below/deep/kept", "link"]
    takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, kept)
    inodes = {path.lstat().st_ino for path in earlier.rglob("*") if not path.is_dir()}
    found = {str(path.relative_to(target)): path.lstat().st_ino in inodes for path in target.rglob("*")}
    expected = dict.fromkeys(("kept", "below/deep/kept", "link"), True)
    expected |= dict.fromkeys(("below", "below/deep", "below/new", "new", "replaced"), False)
    assert found == expected, f"expected these files, linked or not: {expected}, got {found}"
    assert (target / "replaced").read_text() == "TEXT", "expected the file of the build"
    assert (earlier / "replaced").read_text() == "text", "expected the earlier environment unchanged"
    assert rights(target / "below/deep") == (0, GROUP, 0o755), f"got {rights(target / 'below/deep')}"


@pytest.mark.parametrize(
    "path",
    ["missing", "/etc/hostname", "../outside", "below/../kept", "./kept", "kept/", "behind/inside", ""],
)
def test_kept_file_that_the_earlier_environment_does_not_have_is_rejected(
    source, target, earlier, outside, path
):
    (outside.parent / "inside").write_text("secret")
    (earlier / "behind").symlink_to(outside.parent)
    with pytest.raises(takeover.TakeoverError, match="among the files to keep") as error:
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["kept", path])
    assert str(error.value).isprintable(), f"expected one printable line, got {str(error.value)!r}"
    linked = [path for path in (outside, outside.parent / "inside") if path.stat().st_nlink > 1]
    assert not linked, f"expected no hard link to a file outside of the earlier environment, got {linked}"


def test_kept_folder_is_rejected(source, target, earlier):
    with pytest.raises(OSError):
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["below"])


@pytest.mark.parametrize("kind", ["file", "symlink", "folder for a file", "folder for a symlink"])
def test_build_that_contradicts_what_it_keeps_is_rejected(source, target, earlier, outside, kind):
    if kind == "file":
        (source / "below").write_text("text")
    elif kind == "symlink":
        (source / "below").symlink_to(outside.parent)
    else:
        (earlier / "link").unlink()
        (earlier / "link").symlink_to(outside.parent)
        folder = source / ("kept" if kind.endswith("file") else "link")
        folder.mkdir()
        (folder / "planted").write_text("text")
    with pytest.raises(takeover.TakeoverError, match=r"expected a (file|folder) as before"):
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["kept", "link", "below/deep/kept"])
    assert not (outside.parent / "planted").exists(), "expected nothing behind the symlink"


def test_kept_files_count_towards_the_limits(source, target, earlier, monkeypatch):
    with pytest.raises(takeover.TakeoverError, match="more than 0 MiB"):
        takeover.Takeover(GROUP, 3).take(source, target, earlier, ["kept"])
    takeover.remove(target)
    monkeypatch.setattr(takeover, "MOST_ENTRIES", 1)
    with pytest.raises(takeover.TakeoverError, match="more than 1 files"):
        takeover.Takeover(GROUP, LIMIT).take(source, target, earlier, ["kept", "replaced"])


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


def test_give_changes_no_file_behind_symlinks(tmp_path, outside):
    (tmp_path / "tree/folder").mkdir(parents=True)
    (tmp_path / "tree/folder/file").write_text("text")
    for name, to in (("file", outside), ("parent", outside.parent), ("etc", "/etc"), ("dangling", "missing")):
        (tmp_path / "tree" / name).symlink_to(to)
    before = rights(outside), rights(outside.parent), rights(Path("/etc"))
    takeover.give(tmp_path / "tree", BUILDER, GROUP)
    after = rights(outside), rights(outside.parent), rights(Path("/etc"))
    assert after == before, f"expected {before}, got {after}"
    found = {path.lstat().st_uid for path in (tmp_path / "tree", *(tmp_path / "tree").rglob("*"))}
    assert found == {BUILDER}, f"expected all of the tree to be the builder's, got {found}"


def test_size_counts_blocks_and_entries(source):
    (source / "folder").mkdir()
    (source / "folder/file").write_bytes(bytes(100_000))
    with open(source / "sparse", "w") as file:
        file.truncate(1 << 30)
    size, count = takeover.size_of(source)
    assert count == 3 and 100_000 <= size < 1 << 20, (
        f"expected 3 entries of 100 kB, got {count} of {size} bytes"
    )


def test_size_of_missing_folder_is_zero(tmp_path):
    assert takeover.size_of(tmp_path / "missing") == (0, 0)


def test_size_does_not_follow_symlinks(source):
    (source / "etc").symlink_to("/etc")
    assert takeover.size_of(source)[1] == 1


def test_size_of_deep_nesting_is_rejected(source):
    nest(source, 3000)
    with pytest.raises(takeover.TakeoverError, match="nested"):
        takeover.size_of(source)


def test_remove_deletes_deep_nesting_and_no_target_of_a_symlink(source, outside):
    nest(source, 3000)
    (source / "link").symlink_to(outside)
    (source / "folder").symlink_to(outside.parent)
    takeover.remove(source)
    assert not source.exists() and outside.read_text() == "secret"
    takeover.remove(source)  # what is gone stays gone
