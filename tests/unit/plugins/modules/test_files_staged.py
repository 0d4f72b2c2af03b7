"""A program checks the new content of a folder before it replaces the current one."""

from __future__ import annotations

import base64
import getpass
import grp
import json
import os
import stat
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from run_module import CompletedModule, run_module

pytestmark = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="only root can mount the copy of a folder",
)
OWNER = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
# Reads the files in their order, like a program with includes, and fails at the first word `wrong`.
PROGRAM = """#!/bin/sh
grep -rHn warn "$1" | sed 's/^/[warn] /' >&2
found=$(grep -rHn wrong "$1" | sort | head -n 1)
[ -z "$found" ] || { echo "[emerg] invalid value in $found" >&2; exit 1; }
"""


class Service:
    """A folder of configuration files, and a program that checks it."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.program = root, root / "etc/service", root / "program"
        (self.folder / "sites").mkdir(parents=True)
        (self.folder / "package.conf").write_text("of a package")
        (self.folder / "package.conf").chmod(0o640)
        (self.folder / "main.conf").write_text("old")
        (self.folder / "link").symlink_to("package.conf")
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)

    def put(self, *contents: tuple[str, str], command: str = "", **options: bool) -> CompletedModule:
        """Run the module for files below the folder. A file in sites/ belongs to the site of this name."""
        entries: list[dict[str, Any]] = [
            {"path": self.folder / name, "state": "file", "content": content} | OWNER
            for name, content in contents
        ]
        for entry in entries:
            entry["site"] = entry["path"].stem if entry["path"].parent.name == "sites" else None
            entry["path"] = str(entry["path"])
        packed = base64.b64encode(zlib.compress(json.dumps(entries).encode())).decode()
        staged = {"folder": str(self.folder), "test": command or f"{self.program} {self.folder}"}
        return run_module("files", packed=packed, staged=staged, **options)

    def content(self) -> dict[str, str]:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_text() for path in paths}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_valid_content_replaces_the_folder_once(service):
    before = (service.folder / "package.conf").stat()
    files = (("main.conf", "new"), ("sites/shop.conf", "shop"))
    done = service.put(*files)
    assert (done.code, done.result["changed"], done.result["rejected"]) == (0, True, []), done
    got = service.content()
    assert (got["main.conf"], got["sites/shop.conf"], got["link"]) == ("new", "shop", "of a package"), got
    after = (service.folder / "package.conf").stat()
    for field in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
        got, expected = getattr(after, field), getattr(before, field)
        assert got == expected, f"package.conf: expected {field} {expected}, got {got}"
    assert (service.folder / "link").is_symlink()
    inode = service.folder.stat().st_ino
    done = service.put(*files)
    assert (done.code, done.result["paths"]) == (0, []), done
    assert service.folder.stat().st_ino == inode, "expected no exchange without a change"


def test_program_reads_new_content_at_the_path_of_the_folder(service):
    command = f"sh -c 'grep -q new {service.folder}/main.conf && echo seen > {service.root}/seen'"
    assert service.put(("main.conf", "new"), command=command).code == 0
    assert (service.root / "seen").exists()


def test_rejected_content_leaves_the_folder_untouched(service):
    before, changed = service.content(), service.folder.stat().st_ctime_ns
    done = service.put(("main.conf", "wrong"), ("other.conf", "valid"))
    assert done.code == 1 and service.content() == before, done
    assert (done.result["changed"], done.result["paths"]) == (False, []), done
    expected = (
        f"{service.folder}: the new content is invalid. The folder was not changed.\n[emerg] invalid value"
    )
    assert done.result["msg"].startswith(expected), f"expected {expected!r}, got {done.result['msg']!r}"
    assert names(service.folder.parent) == ["service"], "expected no copy of the folder"
    assert service.folder.stat().st_ctime_ns == changed, "expected the folder not to be replaced"


def test_check_mode_reports_changes_and_makes_none(service):
    before = service.content()
    done = service.put(("main.conf", "new"), check=True, diff=True)
    assert (done.code, done.result["paths"]) == (0, [str(service.folder / "main.conf")]), done
    assert (done.result["diff"][0]["before"], done.result["diff"][0]["after"]) == ("old", "new"), done
    assert service.content() == before and names(service.folder.parent) == ["service"]


def test_diff_names_the_path_of_the_file_not_of_its_copy(service):
    (diff,) = service.put(("main.conf", "new"), diff=True).result["diff"]
    path = str(service.folder / "main.conf")
    assert diff == {"before": "old", "after": "new", "before_header": path, "after_header": path}


def test_rejected_sites_keep_their_content_and_others_are_applied(service):
    service.put(("sites/shop.conf", "old"), ("sites/blog.conf", "old"))
    files = [("main.conf", "new"), ("sites/blog.conf", "warn")]
    files += [("sites/shop.conf", "wrong"), ("sites/new.conf", "wrong")]
    done = service.put(*files)
    assert done.code == 0, done
    got = service.content()
    expected = {"main.conf": "new", "sites/blog.conf": "warn", "sites/shop.conf": "old"}
    assert got == expected | {"link": "of a package", "package.conf": "of a package"}, got
    rejected = {each["item"]: each["msg"] for each in done.result["rejected"]}
    assert sorted(rejected) == ["new", "shop"], done
    expected = (
        f"shop: `{service.program} {service.folder}` rejects its new files: "
        f"invalid value in {service.folder}/sites/shop.conf"
    )
    assert rejected["shop"].startswith(expected), f"expected {expected!r}, got {rejected['shop']!r}"
    inode = service.folder.stat().st_ino
    done = service.put(*files)
    assert (done.result["paths"], len(done.result["rejected"])) == ([], 2), done
    assert service.folder.stat().st_ino == inode, "expected no exchange if only rejected sites need a change"


def test_site_with_a_longer_name_is_not_rejected(service):
    done = service.put(
        ("sites/shop-two.conf", "valid"), ("sites/shop.conf", "valid"), ("sites/shop-a.conf", "wrong")
    )
    assert [each["item"] for each in done.result["rejected"]] == ["shop-a"], done


def test_fault_in_a_file_of_another_program_is_not_that_of_a_site(service):
    (service.folder / "sites/manual.conf").write_text("wrong")
    before = service.content()
    done = service.put(("sites/shop.conf", "valid"))
    assert done.code == 1 and "sites/manual.conf" in done.result["msg"], done
    assert service.content() == before


def rejection_of(site: Path, error: str) -> str:
    """Return a command that fails with an error if the file of a site exists."""
    return f"""sh -c "[ ! -e {site} ] || {{ echo '[emerg] 1#1: {error}' >&2; false; }}\""""


def test_new_site_that_conflicts_with_another_is_left_out(service):
    service.put(("sites/blog.conf", "old"))
    sites = service.folder / "sites"
    command = rejection_of(sites / "shop.conf", f"{sites}/blog.conf conflicts with {sites}/shop.conf")
    done = service.put(("sites/blog.conf", "new"), ("sites/shop.conf", "new"), command=command)
    assert [each["item"] for each in done.result["rejected"]] == ["shop"], done
    assert (sites / "blog.conf").read_text() == "new" and not (sites / "shop.conf").exists()


def test_site_with_an_invalid_certificate_is_left_out(service):
    sites = service.folder / "sites"
    command = rejection_of(
        sites / "shop.conf", "cannot load certificate /etc/decanter/tls/shop/fullchain.pem"
    )
    done = service.put(("sites/blog.conf", "new"), ("sites/shop.conf", "new"), command=command)
    assert [each["item"] for each in done.result["rejected"]] == ["shop"], done
    assert names(sites) == ["blog.conf"]


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_killed_run_leaves_the_old_folder(service, signal):
    before = service.content()
    # The parent of the command is the module, because `exec` keeps the process.
    done = service.put(("main.conf", "new"), command=f"sh -c 'kill -{signal} $PPID'")
    assert done.code != 0 and service.content() == before, done
    done = service.put(("main.conf", "old"))
    assert (done.code, done.result["changed"]) == (0, False), done
    assert names(service.folder.parent) == ["service"], "expected the copy of the killed run to be removed"


def test_previous_content_stays_until_the_program_runs_with_the_new_one(service):
    service.put(("main.conf", "new"))
    service.put(("main.conf", "newer"))
    previous = service.folder.with_name(".service.previous")
    assert (previous / "main.conf").read_text() == "old", "expected the content that the program runs with"
    assert stat.S_IMODE((previous / "package.conf").stat().st_mode) == 0o640


def test_files_outside_of_the_folder_wait_for_the_check(service):
    outside = {"path": str(service.root / "drop-in.conf"), "state": "file", "content": "new"} | OWNER
    inside = {"path": str(service.folder / "main.conf"), "state": "file", "content": "wrong"} | OWNER
    packed = base64.b64encode(zlib.compress(json.dumps([outside, inside]).encode())).decode()
    staged = {"folder": str(service.folder), "test": f"{service.program} {service.folder}"}
    assert run_module("files", packed=packed, staged=staged).code == 1
    assert not (service.root / "drop-in.conf").exists(), "expected no change next to a rejected one"
