"""Atomic replacement of files and symlinks."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils.shared import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("content", "mode"), [("grüße\n", 0o644), (b"\xff", 0o600)])
def test_write_file_ignores_the_umask(tmp_path, content, mode):
    before = os.umask(0o077)
    try:
        files.write_file(tmp_path / "f", content, mode)
    finally:
        os.umask(before)
    assert (tmp_path / "f").read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode
    assert names(tmp_path) == ["f"]


def test_write_file_replaces_the_rest_of_a_killed_run(tmp_path):
    (tmp_path / "f").write_text("old")
    (tmp_path / ".f.new").symlink_to("elsewhere")
    files.write_file(tmp_path / "f", "new")
    assert (tmp_path / "f").read_text() == "new" and names(tmp_path) == ["f"]


def test_full_disk_keeps_the_old_file_and_names_it(tmp_path, monkeypatch):
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "f").write_text("old")
    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left on device") as raised:
        files.write_file(tmp_path / "f", "new")
    assert raised.value.filename == str(tmp_path / "f")
    assert (tmp_path / "f").read_text() == "old" and names(tmp_path) == ["f"]


def test_missing_folder_is_named_by_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        files.write_file(tmp_path / "none/f", "new")
    assert raised.value.filename == str(tmp_path / "none/f")


def test_error_in_the_block_keeps_the_old_file(tmp_path):
    (tmp_path / "f").write_text("old")
    with contextlib.suppress(RuntimeError), files.replacement(tmp_path / "f") as file:
        file.write(b"new")
        raise RuntimeError
    assert (tmp_path / "f").read_text() == "old" and names(tmp_path) == ["f"]


def test_replacement_is_private_until_the_end(tmp_path):
    with files.replacement(tmp_path / "f") as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600


def test_replace_symlink_returns_whether_the_target_has_changed(tmp_path):
    path = tmp_path / "link"
    assert files.replace_symlink(path, "one") is True
    assert files.replace_symlink(path, "one") is False
    (tmp_path / ".link.new").symlink_to("left behind")
    assert files.replace_symlink(path, "two") is True
    assert os.readlink(path) == "two" and names(tmp_path) == ["link"]


@pytest.mark.parametrize(
    ("content", "expected"), [('{"a": 1}', {"a": 1}), ('{"a"', {}), ("[1]", {}), (None, {})]
)
def test_read_json_returns_a_dictionary(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "f").write_text(content)
    assert files.read_json(tmp_path / "f") == expected


def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    return tmp_path / "new", tmp_path / "old"


def test_folders_are_exchanged_in_one_step(tmp_path):
    new, old = folders(tmp_path)
    (old / "request.pem").touch()
    assert files.exchange(new, old), "expected a file system with RENAME_EXCHANGE in the folder of the tests"
    assert ((old / "content").read_text(), names(new)) == ("new", ["content", "request.pem"])


class Kernel:
    """A C library with a renameat2 that fails."""

    def __init__(self, error: int) -> None:
        self.error = error

    def renameat2(self, *_: object) -> int:
        files.ctypes.set_errno(self.error)
        return -1


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EXDEV])
def test_exchange_that_is_not_supported_changes_nothing(tmp_path, monkeypatch, error):
    new, old = folders(tmp_path)
    monkeypatch.setattr(files.ctypes, "CDLL", lambda *_, **__: Kernel(error))
    assert files.exchange(new, old) is False and (old / "content").read_text() == "old"


def test_failed_exchange_names_the_folder(tmp_path, monkeypatch):
    new, old = folders(tmp_path)
    monkeypatch.setattr(files.ctypes, "CDLL", lambda *_, **__: Kernel(errno.EACCES))
    with pytest.raises(PermissionError, match=str(old)):
        files.exchange(new, old)
