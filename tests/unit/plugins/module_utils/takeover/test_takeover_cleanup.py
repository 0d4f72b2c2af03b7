"""The owner, the size and the removal of a hostile tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import takeover
from takeover_trees import BUILDER, GROUP, nest, rights

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


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
    assert found == {BUILDER}, f"expected the builder as the only owner, got {found}"


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
    takeover.remove(source)  # no error for a missing folder
