"""The files that the action `files` renders for its module."""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.action import files as action
from playbook_run import run_playbook

# The user of the tests, because only root can change the owner of a file.
OWNER = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- The entries of a task ---------------------------------------------------------------------

SITES = [{"name": "a"}, {"name": "b"}]


def expand(*files: Any) -> list[dict[str, Any]]:
    return list(action.expand(files, SITES))


def test_path_alone_names_its_template():
    assert expand("/etc/a.conf") == [
        {"path": "/etc/a.conf", "state": "file", "template": "etc/a.conf.j2", "site": None}
    ]


def test_path_with_slice_is_expanded_for_each_site():
    files = list(action.expand([{"path": "/etc/{slice}", "content": "{slice} of {site}"}], [{"name": "a-b"}]))
    got = [(file["path"], file["content"]) for file in files]
    assert got == [("/etc/decanter-a_b.slice", "decanter-a_b.slice of a-b")], got


def test_path_with_site_is_expanded_for_each_site():
    got = expand(
        {"path": "/etc/{site}/x", "owner": "{site}"},
        {"path": "/l/{site}", "state": "link", "src": "/s/{site}"},
    )
    assert [file["path"] for file in got] == ["/etc/a/x", "/etc/b/x", "/l/a", "/l/b"]
    assert [file.get("template") for file in got] == ["etc/site/x.j2"] * 2 + [None] * 2
    assert [file["owner"] for file in got[:2]] == ["a", "b"] and got[2]["src"] == "/s/a"
    assert [file["site"]["name"] for file in got] == ["a", "b"] * 2


def test_content_needs_no_template():
    assert expand({"path": "/f", "content": ""}) == [
        {"path": "/f", "content": "", "state": "file", "site": None}
    ]


def test_directory_entry_copies_a_folder_and_shared_files(tmp_path):
    source = tmp_path / "program"
    (source / "sub/__pycache__").mkdir(parents=True)
    (source / "__main__.py").write_bytes(b"a\r\n\n")
    (source / "sub/b.py").write_text("\N{SNOWMAN}\n")
    (source / "sub/__pycache__/b.cpython-311.pyc").write_bytes(b"\xff")
    given = {"folder": "program", "mode": "0750"}
    entry, _ = expand({"path": "/lib/{site}", "group": "{site}", **given})
    assert entry == {"path": "/lib/a", "state": "directory", "group": "a", "site": SITES[0], **given}
    assert list(action.copies(entry, source)) == [
        {"path": "/lib/a/__main__.py", "state": "file", "content": "a\r\n\n", "group": "a"},
        {"path": "/lib/a/sub", "state": "directory", "group": "a", "mode": "0750"},
        {"path": "/lib/a/sub/b.py", "state": "file", "content": "\N{SNOWMAN}\n", "group": "a"},
    ]
    (entry,) = expand({"path": "/lib/shared", "shared": ["journal", "files"]})
    copies = list(action.copies(entry, action.SHARED, entry["shared"]))
    assert [copy["path"] for copy in copies] == ["/lib/shared/files.py", "/lib/shared/journal.py"]
    assert copies[1]["content"] == (action.SHARED / "journal.py").read_text()


def test_folder_with_a_binary_file_is_rejected(tmp_path):
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
    play["vars"] = OWNER | {"target": str(target)}
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
def test_invalid_entry_is_rejected(given, expected):
    with pytest.raises(ValueError) as error:
        expand(given)
    assert expected in str(error.value), f"expected {expected!r}, got {error.value}"
    assert "horse" not in str(error.value)
