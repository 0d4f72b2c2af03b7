"""Interpreters that a user other than root can modify are rejected before root executes them."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.module_utils import interpreter as module

OTHER = 12345
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root and to other users")
# Without extended attributes os.setxattr fails; tmpfs before Linux 6.6 has none for users.
NAMED_USER = ((0x01, 7, 0xFFFFFFFF), (0x02, 7, OTHER), (0x04, 5, 0xFFFFFFFF), (0x10, 7, 0xFFFFFFFF))


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Return a folder that replaces /. The check skips the folders above it."""
    resolve = module.resolve

    def resolve_below(path: str) -> tuple[list[str], str]:
        visited, target = resolve(path)
        return [each for each in visited if each.startswith(str(tmp_path))], target

    monkeypatch.setattr(module, "resolve", resolve_below)
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture
def python(root) -> Path:
    """Return an interpreter with a standard library, which creates a file when it is executed."""
    folder = root / "opt/python3.12"
    (folder / "bin").mkdir(parents=True)
    (folder / "lib/python3.12/encodings").mkdir(parents=True)
    (folder / "lib/python3.12/os.py").write_text("")
    (folder / "lib/python3.12/encodings/utf_8.py").write_text("")
    program = folder / "bin/python3.12"
    program.write_text(
        f'#!/bin/sh\necho "$@" >{root}/executed\necho \'["/opt/python3.12", "soabi", "3.12.1"]\'\n'
    )
    program.chmod(0o755)
    return program


@ROOT_ONLY
def test_interpreter_of_root_is_accepted_and_executed(root, python):
    assert module.unsafe(str(python)) == ""
    assert module.interpreter([str(python)]) == str(python)
    assert module.about(str(python)) == ["/opt/python3.12", "soabi", "3.12.1"]
    assert (root / "executed").exists(), "expected the interpreter to be executed"


def test_interpreter_of_the_distribution_is_accepted():
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("this machine has no /usr/bin/python3")
    assert module.unsafe("/usr/bin/python3") == ""
    prefix, soabi, version = module.about("/usr/bin/python3")
    assert prefix == "/usr" and soabi.startswith("cpython-3") and version.startswith("3."), (prefix, soabi)


PARTS = {
    "interpreter": "opt/python3.12/bin/python3.12",
    "folder": "opt/python3.12/bin",
    "prefix": "opt/python3.12",
    "parent folder": "opt",
    "library folder": "opt/python3.12/lib/python3.12",
    "library subfolder": "opt/python3.12/lib/python3.12/encodings",
    "library module": "opt/python3.12/lib/python3.12/encodings/utf_8.py",
}


@ROOT_ONLY
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda path: os.chown(path, OTHER, 0), f"found the owner {OTHER}, expected root"),
        (
            lambda path: path.chmod(0o775),
            "found the mode 0775, expected no write permission for group and others",
        ),
        (
            lambda path: path.chmod(0o757),
            "found the mode 0757, expected no write permission for group and others",
        ),
    ],
    ids=["owner", "group", "others"],
)
def test_part_that_another_user_can_modify_is_rejected_unexecuted(root, python, part, change, fault):
    path = root / PARTS[part]
    change(path)
    found = module.unsafe(str(python))
    assert found == f"{path}: {fault}", f"{part}: expected {fault!r} for {path}, got {found!r}"
    for function in (module.about, lambda path: module.interpreter([path])):
        with pytest.raises(module.BuildError) as raised:
            function(str(python))
        assert str(raised.value).startswith(found), f"expected {found!r}, got {raised.value}"
    assert not (root / "executed").exists(), f"{part}: expected the interpreter not to be executed"


@ROOT_ONLY
def test_acl_that_grants_write_is_rejected(python):
    folder = python.parent
    try:
        os.setxattr(folder, module.ACL, acl(*NAMED_USER, (0x20, 5, 0xFFFFFFFF)))
    except OSError as error:
        pytest.skip(f"this file system has no ACLs: {error}")
    found = module.unsafe(str(python))
    assert found.startswith(f"{folder}: found "), f"expected a fault of {folder}, got {found!r}"
    read_only = [(tag, 5 if tag == 0x10 else mode, name) for tag, mode, name in NAMED_USER]
    os.setxattr(folder, module.ACL, acl(*read_only, (0x20, 5, 0xFFFFFFFF)))
    assert module.unsafe(str(python)) == "", "expected an ACL that grants no write permission to be accepted"


@pytest.mark.parametrize(
    ("entries", "tags"),
    [
        (NAMED_USER, [0x02]),
        (((0x01, 7, 0), (0x08, 2, 7), (0x10, 2, 0), (0x20, 0, 0)), [0x08]),
        (((0x01, 7, 0), (0x02, 7, 7), (0x10, 5, 0), (0x20, 2, 0)), [0x20]),
        (((0x01, 7, 0), (0x02, 7, 7), (0x10, 5, 0), (0x20, 5, 0)), []),
    ],
)
def test_acl_entries_that_grant_write_are_read(monkeypatch, entries, tags):
    monkeypatch.setattr(module.os, "listxattr", lambda path: [module.ACL])
    monkeypatch.setattr(module.os, "getxattr", lambda path, name: acl(*entries))
    found = list(module.acl_writers("/a"))
    assert found == tags, f"expected the tags {tags}, got {found}"


@ROOT_ONLY
def test_symlink_target_of_another_user_is_rejected(root, python):
    """Check each symlink of a chain, and the folders of its target."""
    hidden = root / "srv/shop/shared"
    hidden.mkdir(parents=True)
    (hidden / "python").symlink_to(python)
    (root / "usr").mkdir()
    first = root / "usr/python3.12"
    first.symlink_to("../srv/shop/shared/python")
    assert module.unsafe(str(first)) == ""
    os.chown(hidden, OTHER, OTHER)
    found = module.unsafe(str(first))
    assert found == f"{hidden}: found the owner {OTHER}, expected root", f"expected {hidden}, got {found!r}"
    os.chown(hidden, 0, 0)
    os.lchown(hidden / "python", OTHER, OTHER)
    found = module.unsafe(str(first))
    assert found.startswith(f"{hidden}/python: found the owner"), f"expected the link itself, got {found!r}"


@ROOT_ONLY
def test_environment_with_an_unsafe_base_is_rejected(root, python):
    """The interpreter of a virtual environment reads the standard library of `home` in pyvenv.cfg."""
    environment, base = root / "opt/tool", root / "srv/base"
    (environment / "bin").mkdir(parents=True)
    (base / "bin").mkdir(parents=True)
    (base / "lib/python3.12").mkdir(parents=True)
    (base / "lib/python3.12/os.py").write_text("")
    (environment / "bin/python").symlink_to(python)
    configuration = environment / "pyvenv.cfg"
    configuration.write_text(f"home = {base}/bin\nversion = 3.12.1\n")
    assert module.unsafe(str(environment / "bin/python")) == ""
    os.chown(base / "lib/python3.12/os.py", OTHER, 0)
    found = module.unsafe(str(environment / "bin/python"))
    assert found.startswith(f"{base}/lib/python3.12/os.py: found the owner"), found
    configuration.chmod(0o666)
    found = module.unsafe(str(environment / "bin/python"))
    assert found.startswith(f"{configuration}: found the mode 0666"), found


@ROOT_ONLY
def test_library_symlink_to_a_writable_file_is_rejected(root, python):
    outside = root / "srv/os.py"
    outside.parent.mkdir()
    outside.write_text("")
    outside.chmod(0o666)
    link = python.parents[1] / "lib/python3.12/site.py"
    link.symlink_to(outside)
    found = module.unsafe(str(python))
    assert found.startswith(f"{outside}: found the mode 0666"), f"expected {outside}, got {found!r}"


@ROOT_ONLY
def test_site_packages_are_neither_imported_nor_checked(root, python):
    packages = python.parents[1] / "lib/python3.12/site-packages"
    packages.mkdir()
    os.chown(packages, OTHER, OTHER)
    assert module.unsafe(str(python)) == ""
    module.about(str(python))
    options = (root / "executed").read_text().split()[:2]
    assert options == ["-I", "-S"], f"expected an interpreter without site, got {options}"


def test_program_without_a_standard_library_is_rejected(root, python, monkeypatch):
    monkeypatch.setattr(module, "modifiable", lambda path: "")
    monkeypatch.setattr(module, "standard_libraries", lambda path: [])
    found = module.unsafe(str(python))
    assert found == f"{python}: found no standard library next to it, expected one such as lib/python3.12"


@pytest.mark.parametrize(
    ("files", "libraries"),
    [
        (["lib/python3.12", "lib/python3.11"], ["lib/python3.12"]),
        (["lib64/python3.12", "lib/python3.12"], ["lib/python3.12", "lib64/python3.12"]),
        (["lib-python/3"], ["lib-python/3"]),
        (["lib/pypy3.10"], ["lib/pypy3.10"]),
    ],
)
def test_standard_library_of_an_interpreter_is_found(tmp_path, files, libraries):
    for folder in files:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "os.py").touch()
    found = module.standard_libraries(str(tmp_path / "bin/python3.12"))
    expected = [str(tmp_path / folder) for folder in libraries]
    assert found == expected, f"expected {expected}, got {found}"


@pytest.mark.parametrize("name", ["nowhere", "loop", "folder", "text"])
def test_path_that_is_not_an_interpreter_is_rejected(root, name):
    (root / "loop").symlink_to("loop")
    (root / "folder").mkdir()
    (root / "text").write_text("")
    path = str(root / name)
    found = module.unsafe(path)
    assert found.startswith(f"{path}: found ") and "\n" not in found, found
    if os.geteuid() == 0:
        problem = {"nowhere": "nothing", "loop": "a loop", "folder": "no program", "text": "no program"}[name]
        assert problem in found, f"expected {problem!r}, got {found!r}"


@ROOT_ONLY
def test_first_safe_interpreter_is_returned(root, python):
    unsafe = root / "opt/python3.11/bin/python3.12"
    unsafe.parent.mkdir(parents=True)
    unsafe.write_text(f"#!/bin/sh\ntouch {root}/unsafe\n")
    unsafe.chmod(0o777)
    patterns = [f"{root}/nowhere", f"{root}/opt/python*/bin/python3.12"]
    assert module.interpreter(patterns) == str(python)
    assert not (root / "unsafe").exists(), "expected the writable interpreter not to be executed"
    python.unlink()
    with pytest.raises(module.BuildError, match=rf"^{unsafe}: found the mode 0777") as raised:
        module.interpreter(patterns)
    assert "`make converge` installs a version" in str(raised.value), raised.value
    unsafe.unlink()
    with pytest.raises(
        module.BuildError, match=rf"^found no Python at {root}/nowhere, .*, expected one there"
    ):
        module.interpreter(patterns)


@ROOT_ONLY
def test_symlink_to_an_interpreter_is_resolved(root, python):
    link = root / "opt/bin/python3.12"
    link.parent.mkdir()
    link.symlink_to("../python3.12/bin/python3.12")
    assert module.interpreter([str(link)]) == str(python), "expected the program that the link leads to"
    (link.parents[1] / "pyvenv.cfg").write_text("version = 3.12.1\n")
    assert module.interpreter([str(link)]) == str(link), "expected an environment's interpreter to stay"


def test_interpreter_needs_no_venv_module():
    assert "ensurepip" not in module.ABOUT and "venv" not in module.ABOUT, module.ABOUT
    if module.unsafe(sys.executable) == "":
        assert module.about(sys.executable)[2] == ".".join(map(str, sys.version_info[:3]))
