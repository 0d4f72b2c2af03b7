"""Files, folders and links in one call: what changes, what is left alone, and what nobody gets to see."""

from __future__ import annotations

import base64
import getpass
import grp
import json
import os
import re
import stat
import zlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.action import files as action
from playbook_run import run_playbook
from run_module import Done, run_module

# Whoever runs the tests: only root may give files away.
OURS = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
KILL = "sh -c 'kill -9 $PPID'"


def put(*entries: dict[str, Any], **options: bool) -> Done:
    """Have the module put these in place, as the action plugin asks it to."""
    files = [
        {"state": "file"} | OURS | {key: str(value) for key, value in entry.items()} for entry in entries
    ]
    for entry, given in zip(files, entries, strict=True):
        entry |= {"exclusive": True} if given.get("exclusive") else {}
    packed = base64.b64encode(zlib.compress(json.dumps(files).encode())).decode()
    return run_module("files", packed=packed, **options)


def changed(done: Done) -> list[str]:
    assert done.code == 0, f"expected 0, got {done}"
    assert done.result["changed"] == bool(done.result["paths"]), done
    return [Path(path).name for path in done.result["paths"]]


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def entries(tmp_path) -> list[dict[str, Any]]:
    """One of each."""
    (tmp_path / "old").write_text("old")
    return [
        {"path": tmp_path / "d", "state": "directory", "mode": "2750"},
        {"path": tmp_path / "d/f", "content": "a: ö\r\n", "mode": "0640"},
        {"path": tmp_path / "l", "state": "link", "src": "d/f"},
        {"path": tmp_path / "old", "state": "absent"},
    ]


def test_all_are_made_once(entries, tmp_path):
    assert changed(put(*entries)) == ["d", "f", "l", "old"]
    assert names(tmp_path) == ["d", "l"] and names(tmp_path / "d") == ["f"]
    assert (tmp_path / "l").read_bytes() == "a: ö\r\n".encode()
    assert (mode(tmp_path / "d"), mode(tmp_path / "d/f")) == ("2750", "0640")
    inode = (tmp_path / "d/f").stat().st_ino
    assert changed(put(*entries)) == [], "expected nothing to change the second time"
    assert (tmp_path / "d/f").stat().st_ino == inode, "expected the file to be left alone"


def test_check_mode_tells_what_would_change_and_changes_nothing(entries, tmp_path):
    assert changed(put(*entries, check=True)) == ["d", "f", "l", "old"]
    assert names(tmp_path) == ["old"]
    put(*entries)
    assert changed(put(*entries, check=True)) == []


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda d: (d / "d/f").write_text("a: ö\n"), ["f"]),
        (lambda d: (d / "d/f").write_bytes(b"\xff\xfe"), ["f"]),
        (lambda d: (d / "d/f").chmod(0o666), ["f"]),
        (lambda d: (d / "d").chmod(0o777), ["d"]),
        (lambda d: [(d / "l").unlink(), (d / "l").symlink_to("/nowhere")], ["l"]),
        (lambda d: [(d / "l").unlink(), (d / "l").write_text("no link")], ["l"]),
        (lambda d: [(d / "d/f").unlink(), (d / "d/f").symlink_to("/etc/passwd")], ["f"]),
        (lambda d: [(d / "d/f").unlink(), os.mkfifo(d / "d/f")], ["f"]),
        (lambda d: [(d / "old").mkdir(), (d / "old/x").write_text("x")], ["old"]),
    ],
    ids=[
        "line ends",
        "no text",
        "mode",
        "folder's mode",
        "link elsewhere",
        "no link",
        "a link",
        "a pipe",
        "a folder",
    ],
)
def test_what_was_spoilt_is_mended(entries, tmp_path, spoil, expected):
    put(*entries)
    spoil(tmp_path)
    assert changed(put(*entries)) == expected
    assert (tmp_path / "l").read_bytes() == "a: ö\r\n".encode()
    assert changed(put(*entries)) == []


def test_a_diff_shows_both_sides(entries, tmp_path):
    put(*entries)
    (tmp_path / "d/f").write_text("before\n")
    (tmp_path / "d").chmod(0o700)
    diff = put(*entries, check=True, diff=True).result["diff"]
    assert (diff[0]["before"]["mode"], diff[0]["after"]["mode"]) == ("0700", "2750"), diff
    assert (diff[1]["before"], diff[1]["after"]) == ("before\n", "a: ö\r\n"), diff
    assert diff[1]["after_header"] == str(tmp_path / "d/f")
    assert "diff" not in put(*entries, check=True).result, "expected no diff where none was asked for"


def test_what_else_is_in_an_exclusive_folder_is_removed(tmp_path):
    for name in ("kept", "stray", ".hidden", "sub/kept", "folder/stray"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("x")
    (tmp_path / "beside").write_text("x")
    (tmp_path / "d/link").symlink_to(tmp_path / "beside")
    wanted = [
        {"path": f"{tmp_path}/d/", "state": "directory", "exclusive": True},
        {"path": f"{tmp_path}//d/kept", "content": "x"},
        {"path": tmp_path / "d/sub/kept", "content": "x"},
    ]
    removed = [".hidden", "folder", "link", "stray"]
    assert [name for name in changed(put(*wanted, check=True)) if name in removed] == removed
    changed(put(*wanted))
    assert names(tmp_path / "d") == ["kept", "sub"] and (tmp_path / "beside").exists()
    assert changed(put(*wanted)) == []


def test_a_folder_never_makes_way_for_a_file(tmp_path):
    (tmp_path / "f/data").mkdir(parents=True)
    for state in ({"content": "x"}, {"state": "link", "src": "x"}):
        done = put({"path": tmp_path / "f", **state})
        assert done.code == 1 and "found a directory, expected a" in done.result["msg"], done
    assert (tmp_path / "f/data").is_dir()


def test_content_that_is_refused_leaves_the_old_file(tmp_path):
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
    assert names(tmp_path) == ["f", "first"], "expected nothing of the new file to be left"


def test_content_is_checked_before_it_takes_its_place(tmp_path):
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
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, entry, expected):
    done = put({"path": tmp_path / "f", "content": "secret words", **entry})
    assert done.code == 1 and expected in done.result["msg"], done
    assert "\n" not in done.result["msg"] and "Traceback" not in done.text, done
    assert names(tmp_path) == [], "expected nothing to be left of it"


def test_a_folder_that_is_missing_is_named(tmp_path):
    done = put({"path": tmp_path / "none/f", "content": "x"})
    assert done.code == 1 and str(tmp_path / "none/f") in done.result["msg"].replace(".f.new", "f"), done


def test_killed_half_way_the_old_file_is_whole_and_the_next_run_ends_it(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o640)
    done = put({"path": path, "content": "new", "validate": KILL})
    assert done.code == -9, f"expected the module to be killed, got {done}"
    assert (path.read_text(), mode(path)) == ("old", "0640")
    left = [name for name in names(tmp_path) if name != "f"]
    assert [mode(tmp_path / name) for name in left] == ["0600"], "expected what is left to be nobody else's"
    assert changed(put({"path": path, "content": "new", "mode": "0640"})) == ["f"]
    assert names(tmp_path) == ["f"] and path.read_text() == "new"


def test_contents_are_said_nowhere(tmp_path):
    """Not in the result, nor in what AnsibleModule logs of its arguments."""
    entry = {"path": tmp_path / "f", "content": "correct horse"}
    for done in (put(entry, check=True), put(entry), put(entry), put({**entry, "owner": "nobody-at-all"})):
        assert "horse" not in done.text and "c29ycmVjd" not in done.text, done
        packed = done.result["invocation"]["module_args"]["packed"]
        assert packed == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", f"expected it to be hidden, got {packed}"


# --- What the action plugin makes of a task's list ---------------------------------------------

SITES = [{"name": "a"}, {"name": "b"}]


def expand(*files: Any) -> list[dict[str, Any]]:
    return list(action.expand(files, SITES))


def test_a_path_is_a_template():
    assert expand("/etc/a.conf") == [
        {"path": "/etc/a.conf", "state": "file", "template": "etc/a.conf.j2", "site": None}
    ]


def test_a_path_with_site_is_one_for_each():
    got = expand(
        {"path": "/etc/{site}/x", "owner": "{site}"},
        {"path": "/l/{site}", "state": "link", "src": "/s/{site}"},
    )
    assert [file["path"] for file in got] == ["/etc/a/x", "/etc/b/x", "/l/a", "/l/b"]
    assert [file.get("template") for file in got] == ["etc/site/x.j2"] * 2 + [None] * 2
    assert [file["owner"] for file in got[:2]] == ["a", "b"] and got[2]["src"] == "/s/a"
    assert [file["site"]["name"] for file in got[:2]] == ["a", "b"]


def test_content_needs_no_template():
    assert expand({"path": "/f", "content": ""}) == [{"path": "/f", "content": "", "state": "file"}]


def test_directory_entry_copies_a_folder_and_shared_files(tmp_path):
    source = tmp_path / "program"
    (source / "sub/__pycache__").mkdir(parents=True)
    (source / "__main__.py").write_bytes(b"a\r\n\n")
    (source / "sub/b.py").write_text("\N{SNOWMAN}\n")
    (source / "sub/__pycache__/b.cpython-311.pyc").write_bytes(b"\xff")
    given = {"folder": "program", "mode": "0750"}
    entry, _ = expand({"path": "/lib/{site}", "group": "{site}", **given})
    assert entry == {"path": "/lib/a", "state": "directory", "group": "a", **given}
    assert list(action.copies(entry, source)) == [
        {"path": "/lib/a/__main__.py", "state": "file", "content": "a\r\n\n", "group": "a"},
        {"path": "/lib/a/sub", "state": "directory", "group": "a", "mode": "0750"},
        {"path": "/lib/a/sub/b.py", "state": "file", "content": "\N{SNOWMAN}\n", "group": "a"},
    ]
    (entry,) = expand({"path": "/lib/shared", "shared": ["journal", "files"]})
    copies = list(action.copies(entry, action.SHARED, entry["shared"]))
    assert [copy["path"] for copy in copies] == ["/lib/shared/files.py", "/lib/shared/journal.py"]
    assert copies[1]["content"] == (action.SHARED / "journal.py").read_text()


def test_folder_with_a_binary_file_is_an_error(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\xff")
    with pytest.raises(ValueError) as error:
        list(action.copies({"path": "/lib"}, tmp_path))
    assert str(error.value) == f"/lib: found {tmp_path}/a.bin, expected a text in UTF-8"


ROLE_TASK = """
- name: Write the program
  decanter.stack.files:
    files:
      - {path: "{{ target }}", state: directory, owner: "{{ owner }}", group: "{{ group }}"}
      - {path: "{{ target }}/program", folder: program, owner: "{{ owner }}", group: "{{ group }}"}
      - {path: "{{ target }}/shared", shared: [files], owner: "{{ owner }}", group: "{{ group }}"}
"""


def test_role_copies_its_folder_once_and_keeps_other_files(tmp_path):
    target, files = tmp_path / "target", tmp_path / "roles/one/files/program"
    files.mkdir(parents=True)
    (files / "__main__.py").write_text("print(1)\n")
    (tmp_path / "roles/one/tasks").mkdir()
    (tmp_path / "roles/one/tasks/main.yml").write_text(ROLE_TASK)
    play = {"name": "Write", "hosts": "localhost", "gather_facts": False, "roles": ["one"]}
    play["vars"] = OURS | {"target": str(target)}
    (tmp_path / "play.yml").write_text(json.dumps([play]))

    def run(*options: str) -> str:
        arguments = ("-i", "localhost,", "--connection", "local", "--diff", *options)
        done = run_playbook(tmp_path / "play.yml", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "+print(1)" in run("--check") and not target.exists()
    run()
    assert (target / "program/__main__.py").read_text() == "print(1)\n"
    assert names(target / "shared") == ["files.py"]
    (target / "shared/other.py").write_text("of another role")
    (target / "program/__pycache__").mkdir()
    assert "changed=0" in run("--check") and "changed=0" in run()
    (files / "added.py").write_text("added = True\n")
    output = run()
    assert re.findall(r"^\+\+\+ (.*)$", output, re.M) == [f"after: {target}/program/added.py"], output
    assert names(target / "program") == ["__main__.py", "__pycache__", "added.py"]
    assert names(target / "shared") == ["files.py", "other.py"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"path": "/f", "contents": "x"}, "found contents, expected content, copy, exclusive, folder, group"),
        (
            {"path": "/f", "folder": "a", "state": "file"},
            "/f: found the state file, expected directory with folder or shared",
        ),
        ({"path": "/f", "folder": "/a"}, "/f: found the folder '/a', expected a folder of the role"),
        ({"path": "/f", "folder": ["a"]}, "/f: found the folder ['a'], expected a folder of the role"),
        ({"path": "/f", "shared": ["file"]}, "/f: found shared ['file'], expected a list of: addresses"),
        ({"path": "/f", "shared": "files"}, "/f: found shared 'files', expected a list of: addresses"),
        (
            {"path": "/f", "state": "touch"},
            "/f: found the state touch, expected file, directory, link, absent",
        ),
        ({"state": "directory"}, "found the path none, expected an absolute one"),
        ("etc/a.conf", "found the path etc/a.conf, expected an absolute one"),
        ({"path": "/l", "state": "link"}, "/l: found no src"),
        ({"path": "/f", "mode": 420}, '/f: found the mode 420, expected text such as "0644"'),
        ({"path": "/f", "mode": "u=rw"}, "/f: found the mode 'u=rw', expected"),
        ({"path": "/f", "content": {"key": "horse"}}, "/f: found the content a dict, expected text"),
        (["/f"], "expected a path or a dictionary"),
    ],
)
def test_what_is_no_file_is_refused(given, expected):
    with pytest.raises(ValueError) as refused:
        expand(given)
    assert expected in str(refused.value), f"expected {expected!r}, got {refused.value}"
    assert "horse" not in str(refused.value)
