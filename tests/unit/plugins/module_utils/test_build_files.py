"""The settings, the archive and the tree of a build."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import build, build_unit
from ansible_collections.decanter.stack.plugins.module_utils import build_guard as guard

CONF = """\
# Managed by Ansible=yes
; another comment=no
[Service]

TemporaryFileSystem=/srv:ro /run:ro
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
CapabilityBoundingSet=
Environment=A=1
LimitFSIZE=200M
"""


def test_properties_keep_order_repetition_and_empty_values():
    found = build_unit.properties(CONF)
    expected = [
        ("TemporaryFileSystem", "/srv:ro /run:ro"),
        ("SystemCallFilter", "@system-service"),
        ("SystemCallFilter", "~@privileged"),
        ("CapabilityBoundingSet", ""),
        ("Environment", "A=1"),
        ("LimitFSIZE", "200M"),
    ]
    assert found == expected, f"expected {expected}, got {found}"


@pytest.mark.parametrize(
    "value", ["plain", "a b", 'a"b', "a'b", "a\\b", "$HOME ${HOME}", "`id`", "ü", "#;", "a\\\n\nb", ""]
)
def test_quoted_values_are_unchanged_after_parsing(value):
    # systemd unescapes the same characters in double quotes as a shell does.
    program = f'X={build.quoted(value)}; printf %s "$X"'
    found = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True).stdout
    assert found == value, f"expected {value!r}, got {found!r}"


# --- The archive -------------------------------------------------------------------------------


def archive(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """Return an archive of members: name, type, and a link's target or a file's text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o755
            if kind == tarfile.REGTYPE:
                member.size = len(text)
            else:
                member.linkname = text
            tar.addfile(member, io.BytesIO(text.encode()))
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


def test_extract_writes_files_folders_and_symlinks(tmp_path):
    guard.extract(
        archive(
            ("a/b/file", FILE, "text"),
            ("empty", FOLDER, ""),
            ("a/link", LINK, "/etc"),
            ("a/up", LINK, "../.."),
        ),
        tmp_path,
    )
    found = (
        (tmp_path / "a/b/file").read_text(),
        os.readlink(tmp_path / "a/link"),
        (tmp_path / "empty").is_dir(),
    )
    assert found == ("text", "/etc", True), f"expected all three kinds, got {found}"


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ([("/absolute", FILE, "x")], "/absolute"),
        ([("../outside", FILE, "x")], "../outside"),
        ([("a/../../outside", FILE, "x")], "a/../../outside"),
        ([("hard", HARD, "/etc/passwd")], "hard"),
        ([("pipe", tarfile.FIFOTYPE, "")], "pipe"),
        ([("device", tarfile.CHRTYPE, "")], "device"),
        ([("a", LINK, "../outside"), ("a/planted", FILE, "x")], "a/planted"),
        ([("a", LINK, "../outside"), ("a/b", LINK, "x")], "a/b"),
        ([("a", LINK, "../outside"), ("./a//planted", FILE, "x")], "planted"),
        ([("a", LINK, "../outside/planted"), ("a", FILE, "x")], "a"),
        ([("a", LINK, "../outside"), ("a", FOLDER, "")], "a"),
        ([("\x1b[2J\n", HARD, "x")], r"\x1b[2J\n"),
    ],
)
def test_extract_rejects_archives_that_leave_the_folder(tmp_path, members, part):
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree").mkdir()
    with pytest.raises(build.BuildError) as error:
        guard.extract(archive(*members), tmp_path / "tree")
    message = str(error.value)
    assert part in message and message.isprintable(), f"expected {part} in one line, got {message!r}"
    found = [path.name for path in (tmp_path / "outside").iterdir()] + sorted(os.listdir(tmp_path))
    assert found == ["outside", "tree"], f"expected nothing outside, got {found}"


def test_finish_gives_a_tree_its_final_name(tmp_path):
    (tmp_path / ".new").mkdir()
    build.finish(tmp_path / ".new", tmp_path / "final")
    assert (tmp_path / "final").is_dir() and not (tmp_path / ".new").exists()


def test_environments_are_complete_and_newest_first(one):
    later = one.site.venvs / "20250303T000000Z-later"
    later.mkdir()
    build.marker(later).write_text("{}")
    found = [path.name for path in build.environments(one.site)]
    assert found == ["20250303T000000Z-later", "20250101T000000Z-old"], f"got {found}"
