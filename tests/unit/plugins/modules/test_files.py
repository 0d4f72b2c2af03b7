"""Files, folders and links in one call: changes, errors, and secrets that are not printed."""

from __future__ import annotations

import base64
import getpass
import grp
import json
import os
import stat
import zlib
from pathlib import Path
from typing import Any

import pytest
from run_module import CompletedModule, run_module

# The user of the tests, because only root can change the owner of a file.
OWNER = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
KILL = "sh -c 'kill -9 $PPID'"


def put(*entries: dict[str, Any], **options: bool) -> CompletedModule:
    """Run the module for these entries, packed as the action plugin packs them."""
    files = [
        {"state": "file"} | OWNER | {key: str(value) for key, value in entry.items()} for entry in entries
    ]
    for entry, given in zip(files, entries, strict=True):
        entry |= {"exclusive": True} if given.get("exclusive") else {}
    packed = base64.b64encode(zlib.compress(json.dumps(files).encode())).decode()
    return run_module("files", packed=packed, **options)


def changed(done: CompletedModule) -> list[str]:
    assert done.code == 0, f"expected 0, got {done}"
    assert done.result["changed"] == bool(done.result["paths"]), done
    return [Path(path).name for path in done.result["paths"]]


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def entries(tmp_path) -> list[dict[str, Any]]:
    """Return an entry of each state."""
    (tmp_path / "old").write_text("old")
    return [
        {"path": tmp_path / "d", "state": "directory", "mode": "2750"},
        {"path": tmp_path / "d/f", "content": "a: ö\r\n", "mode": "0640"},
        {"path": tmp_path / "l", "state": "link", "src": "d/f"},
        {"path": tmp_path / "old", "state": "absent"},
    ]


def test_entries_are_created_once(entries, tmp_path):
    assert changed(put(*entries)) == ["d", "f", "l", "old"]
    assert names(tmp_path) == ["d", "l"] and names(tmp_path / "d") == ["f"]
    assert (tmp_path / "l").read_bytes() == "a: ö\r\n".encode()
    assert (mode(tmp_path / "d"), mode(tmp_path / "d/f")) == ("2750", "0640")
    inode = (tmp_path / "d/f").stat().st_ino
    assert changed(put(*entries)) == [], "expected nothing to change the second time"
    assert (tmp_path / "d/f").stat().st_ino == inode, "expected the file not to be replaced"


def test_check_mode_reports_changes_and_makes_none(entries, tmp_path):
    assert changed(put(*entries, check=True)) == ["d", "f", "l", "old"]
    assert names(tmp_path) == ["old"]
    put(*entries)
    assert changed(put(*entries, check=True)) == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda d: (d / "d/f").write_text("a: ö\n"), ["f"]),
        (lambda d: (d / "d/f").write_bytes(b"\xff\xfe"), ["f"]),
        (lambda d: (d / "d/f").chmod(0o666), ["f"]),
        (lambda d: (d / "d").chmod(0o777), ["d"]),
        (lambda d: [(d / "l").unlink(), (d / "l").symlink_to("/nowhere")], ["l"]),
        (lambda d: [(d / "l").unlink(), (d / "l").write_text("text")], ["l"]),
        (lambda d: [(d / "d/f").unlink(), (d / "d/f").symlink_to("/etc/passwd")], ["f"]),
        (lambda d: [(d / "d/f").unlink(), os.mkfifo(d / "d/f")], ["f"]),
        (lambda d: [(d / "old").mkdir(), (d / "old/x").write_text("x")], ["old"]),
    ],
    ids=[
        "line endings",
        "binary",
        "mode",
        "mode of the folder",
        "link to another path",
        "file for a link",
        "link for a file",
        "pipe for a file",
        "folder for nothing",
    ],
)
def test_damaged_entry_is_restored(entries, tmp_path, damage, expected):
    put(*entries)
    damage(tmp_path)
    assert changed(put(*entries)) == expected
    assert (tmp_path / "l").read_bytes() == "a: ö\r\n".encode()
    assert changed(put(*entries)) == []


def test_diff_shows_state_before_and_after(entries, tmp_path):
    put(*entries)
    (tmp_path / "d/f").write_text("before\n")
    (tmp_path / "d").chmod(0o700)
    diff = put(*entries, check=True, diff=True).result["diff"]
    assert (diff[0]["before"]["mode"], diff[0]["after"]["mode"]) == ("0700", "2750"), diff
    assert (diff[1]["before"], diff[1]["after"]) == ("before\n", "a: ö\r\n"), diff
    assert diff[1]["after_header"] == str(tmp_path / "d/f")
    assert "diff" not in put(*entries, check=True).result, "expected no diff without --diff"


def test_exclusive_folder_removes_other_entries(tmp_path):
    for name in ("kept", "stray", ".hidden", "sub/kept", "folder/stray"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("x")
    (tmp_path / "outside").write_text("x")
    (tmp_path / "d/link").symlink_to(tmp_path / "outside")
    wanted = [
        {"path": f"{tmp_path}/d/", "state": "directory", "exclusive": True},
        {"path": f"{tmp_path}//d/kept", "content": "x"},
        {"path": tmp_path / "d/sub/kept", "content": "x"},
    ]
    removed = [".hidden", "folder", "link", "stray"]
    assert [name for name in changed(put(*wanted, check=True)) if name in removed] == removed
    changed(put(*wanted))
    assert names(tmp_path / "d") == ["kept", "sub"] and (tmp_path / "outside").exists()
    assert changed(put(*wanted)) == []


def test_folder_is_never_replaced_by_a_file(tmp_path):
    (tmp_path / "f/data").mkdir(parents=True)
    for state in ({"content": "x"}, {"state": "link", "src": "x"}):
        done = put({"path": tmp_path / "f", **state})
        assert done.code == 1 and "found a directory, expected a" in done.result["msg"], done
    assert (tmp_path / "f/data").is_dir()


def test_invalid_content_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    first = {"path": tmp_path / "first", "content": "x"}
    done = put(
        first, {"path": path, "content": "new", "validate": "sh -c 'echo wrong in line 1 >&2; exit 1' %s"}
    )
    assert done.code == 1 and path.read_text() == "old", done
    for words in (f"{path}: the new content is invalid", "wrong in line 1"):
        assert words in done.result["msg"], f"expected {words!r}, got {done.result['msg']}"
    assert done.result["changed"] and done.result["paths"] == [str(tmp_path / "first")], done
    assert names(tmp_path) == ["f", "first"], "expected no temporary file"


def test_content_is_validated_before_it_is_installed(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    check = f"sh -c 'grep -q new %s && grep -q old {path}'"
    assert changed(put({"path": path, "content": "new", "validate": check})) == ["f"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"validate": "/does/not/exist %s"}, "/does/not/exist"),
        ({"owner": "no-such-user"}, "no-such-user"),
        ({"group": "no-such-group"}, "no-such-group"),
    ],
)
def test_impossible_entry_fails_with_one_line(tmp_path, entry, expected):
    done = put({"path": tmp_path / "f", "content": "secret words", **entry})
    assert done.code == 1 and expected in done.result["msg"], done
    assert "\n" not in done.result["msg"] and "Traceback" not in done.text, done
    assert names(tmp_path) == [], "expected no file"


def test_missing_folder_is_named(tmp_path):
    done = put({"path": tmp_path / "none/f", "content": "x"})
    assert done.code == 1 and str(tmp_path / "none/f") in done.result["msg"].replace(".f.new", "f"), done


def test_killed_run_keeps_old_file_and_is_completed(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o640)
    done = put({"path": path, "content": "new", "validate": KILL})
    assert done.code == -9, f"expected the module to be killed, got {done}"
    assert (path.read_text(), mode(path)) == ("old", "0640")
    left = [name for name in names(tmp_path) if name != "f"]
    assert [mode(tmp_path / name) for name in left] == ["0600"], "expected a private temporary file"
    assert changed(put({"path": path, "content": "new", "mode": "0640"})) == ["f"]
    assert names(tmp_path) == ["f"] and path.read_text() == "new"


def test_content_is_not_printed(tmp_path):
    """Check the result and the arguments that AnsibleModule logs."""
    entry = {"path": tmp_path / "f", "content": "correct horse"}
    for done in (put(entry, check=True), put(entry), put(entry), put({**entry, "owner": "no-such-user"})):
        assert "horse" not in done.text and "c29ycmVjd" not in done.text, done
        packed = done.result["invocation"]["module_args"]["packed"]
        assert packed == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", f"expected a hidden value, got {packed}"
