"""Packages of a lock that are not from the default index, and Pipfile.lock."""

from __future__ import annotations

import json

import pytest
from lock_files import WINDOWS, assert_in, assert_same, converter, lock, names, package, poetry, refused

SOURCE = '[package.source]\ntype = "{}"\nurl = "{}"\n'
GIT = '[package.source]\ntype = "git"\nurl = "{}"\nreference = "main"\nresolved_reference = "0123abc"\n'


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (GIT.format("https://host.test/own.git"), "own @ git+https://host.test/own.git@0123abc"),
        (GIT.format("git@host.test:a/own.git"), "own @ git+ssh://git@host.test/a/own.git@0123abc"),
        (
            GIT.format("ssh://git@host.test:22/own.git") + 'subdirectory = "libs/own"\n',
            "own @ git+ssh://git@host.test:22/own.git@0123abc#subdirectory=libs/own",
        ),
        (
            SOURCE.format("url", "https://files.test/own.whl"),
            "own @ https://files.test/own.whl --hash=sha256:own1.0",
        ),
        (SOURCE.format("file", "vendor/own.whl"), "own @ ./vendor/own.whl --hash=sha256:own1.0"),
    ],
)
def test_poetry_source_becomes_direct_reference(source, expected):
    text = lock(package("own", "1.0", source, top='groups = ["main"]'), version="2.1")
    assert_same(poetry(text, "").lines, [expected])
    assert_same(names(poetry(text, "").lines), {"own"})


def test_poetry_marker_of_direct_reference_follows_a_space():
    text = lock(package("own", "1.0", GIT.format("https://host.test/own.git")))
    project = '[tool.poetry.dependencies]\nown = {git = "https://host.test/own.git", platform = "linux"}'
    lines = poetry(text, project).lines
    assert_same(lines, ['own @ git+https://host.test/own.git@0123abc ; sys_platform == "linux"'])
    assert_same(names(lines, system=WINDOWS), set())


def test_poetry_private_index_is_returned_with_its_token():
    url = "https://ci:${TOKEN}@index.acme.test/simple"
    text = lock(
        package("own", "1.0", SOURCE.format("legacy", url) + 'reference = "acme"'),
        package("more", "1.0", SOURCE.format("legacy", url)),
        package("click", "8.0"),
    )
    found = poetry(text, '[tool.poetry.dependencies]\nown = {version = "*", source = "acme"}\nmore = "*"')
    assert_same(found.indexes, [url])
    assert_same(found.lines, ["more==1.0 --hash=sha256:more1.0", "own==1.0 --hash=sha256:own1.0"])


def test_poetry_same_package_from_two_indexes_keeps_both_markers():
    cpu = SOURCE.format("legacy", "https://cpu.test/simple") + 'reference = "cpu"'
    text = lock(package("torch", "2.1.0"), package("torch", "2.1.0+cpu", cpu))
    project = (
        '[tool.poetry.dependencies]\ntorch = [{version = "2.1.0", source = "cpu", platform = "linux"}, '
        '{version = "2.1.0", source = "pypi", platform = "!=linux"}]'
    )
    lines = poetry(text, project).lines
    assert_same(names(lines), {"torch==2.1.0+cpu"})
    assert_same(names(lines, system=WINDOWS), {"torch==2.1.0"})


def test_poetry_directory_is_local_and_has_its_dependencies():
    rest = '[package.dependencies]\nclick = "*"\n' + SOURCE.format("directory", "libs/own/")
    text = lock(package("own", "1.0", rest), package("click", "8.0"))
    found = poetry(text, '[tool.poetry.dependencies]\nown = {path = "libs/own", develop = true}')
    assert_same(found.local, ["libs/own"])
    assert_same(names(found.lines), {"click==8.0"})
    message = refused(poetry, text.replace("libs/own/", "/opt/own"), '[tool.poetry.dependencies]\nown = "*"')
    assert_in("poetry.lock: found own in /opt/own, expected a path relative to the lock", message)


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        ("^1.2.3", ["1.2.3", "1.9"], ["1.2.2", "2.0", "2.0rc1"]),
        ("^0.2.3", ["0.2.9"], ["0.3"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^1", ["1.0"], ["2"]),
        ("~1.2", ["1.2.9"], ["1.3"]),
        ("~1", ["1.9"], ["2"]),
        ("~=1.2.3", ["1.2.9"], ["1.3", "1.2.2"]),
        ("1.2.*", ["1.2", "1.2.9"], ["1.20", "1.3"]),
        ("*", ["0.1a1"], []),
        (">=1.0, !=1.5.*,<2 || 3.0", ["1.4", "3.0.0"], ["1.5.1", "2.0", "3.0.1"]),
        (">= 1.0 <2", ["1.0.post1"], ["1.0.dev1", "2"]),
        (">1.0", ["1.0.1"], ["1.0.post1", "1.0"]),
        ("2.1.0", ["2.1.0+cpu"], ["2.1.1+cpu"]),
        ("2.1.0+cpu", ["2.1.0+cpu"], ["2.1.0+cu118"]),
    ],
)
def test_poetry_constraint_admits_versions(constraint, inside, outside):
    project = f'[tool.poetry.dependencies]\na = "{constraint}"'
    for version in inside:
        assert_same(names(poetry(lock(package("a", version)), project).lines), {f"a=={version}"})
    for version in outside:
        assert_in(f"found a {version}", refused(poetry, lock(package("a", version)), project))


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^3.9", ["3.9", "3.10", "3.12"]),
        ("~3.9", ["3.9"]),
        (">=3.10,<3.12", ["3.10"]),
        ("3.9 || 3.12.*", ["3.9", "3.12"]),
        ("<3.9.5", ["3.9"]),
        ("!=3.10.*", ["3.9", "3.12"]),
        ("<=3.9", []),
    ],
)
def test_poetry_python_constraint_becomes_marker(constraint, expected):
    """Each target is 3.X.4, so 3.9.4 is newer than 3.9."""
    project = f'[tool.poetry.dependencies]\na = {{version = "*", python = "{constraint}"}}'
    lines = poetry(lock(package("a", "1")), project).lines
    assert_same([python for python in ("3.9", "3.10", "3.12") if names(lines, python)], expected)


def pipfile(default: dict, categories=(), **more):
    sources = [
        {"name": "pypi", "url": "https://pypi.test/simple", "verify_ssl": True},
        {"name": "office", "url": "https://pypi.office/simple"},
        {"name": "acme", "url": "https://ci:${TOKEN}@pypi.acme.test/simple", "verify_ssl": True},
    ]
    text = {"_meta": {"pipfile-spec": 6, "sources": sources}, "default": default, "develop": {}, **more}
    return converter.pipfile_requirements(json.loads(json.dumps(text)), categories)


def entry(version: str, **more) -> dict:
    return {"version": f"=={version}", "hashes": [f"sha256:{version}"], "index": "pypi", **more}


def test_pipfile_markers_and_extras_are_emitted():
    found = pipfile(
        {
            "click": entry("8.1.7", markers="python_version >= '3.7'"),
            "colorama": entry("0.4.6", markers="sys_platform == 'win32'"),
            "pywin32": entry("306", sys_platform="== 'win32'"),
            "pyjwt": entry("2.8.0", extras=["crypto"]),
            "cryptography": entry("42.0", markers="extra == 'crypto' and python_version >= '3.7'"),
        }
    )
    assert_same(names(found.lines), {"click==8.1.7", "pyjwt==2.8.0", "cryptography==42.0"})
    assert {"colorama==0.4.6", "pywin32==306"} <= names(found.lines, system=WINDOWS), found.lines
    assert_in("pyjwt[crypto]==2.8.0 --hash=sha256:2.8.0", "\n".join(found.lines))
    assert_same(found.indexes, [])


def test_pipfile_other_sources_are_emitted():
    found = pipfile(
        {
            "own": {
                "git": "https://host.test/own.git",
                "ref": "0123abc",
                "subdirectory": "py",
                "editable": True,
            },
            "shop": {"path": ".", "editable": True},
            "lib": {"path": "./libs/lib"},
            "wheel": {"file": "https://files.test/wheel.whl", "hashes": ["sha256:aa"]},
            "vendored": {"path": "vendor/vendored.whl"},
            "private": entry("1.0", index="acme"),
            "proxied": entry("1.0", index="office"),
        }
    )
    assert_same(
        found.lines,
        [
            "own @ git+https://host.test/own.git@0123abc#subdirectory=py",
            "private==1.0 --hash=sha256:1.0",
            "proxied==1.0 --hash=sha256:1.0",
            "vendored @ ./vendor/vendored.whl",
            "wheel @ https://files.test/wheel.whl --hash=sha256:aa",
        ],
    )
    assert_same(found.local, [".", "libs/lib"])
    assert_same(found.indexes, ["https://ci:${TOKEN}@pypi.acme.test/simple", "https://pypi.office/simple"])


def test_pipfile_unpinned_package_fails_only_where_it_is_needed():
    """Pipenv writes `*` for a package that the Python of the lock does not need."""
    lines = pipfile(
        {"click": entry("8.1.7"), "tomli": {"version": "*", "markers": "python_version < '3.11'"}}
    ).lines
    assert_same(names(lines, "3.11"), {"click==8.1.7"})
    assert_same(names(lines, "3.10"), {"click==8.1.7", "tomli==0+not.locked.for.this.python"})


def test_pipfile_categories_are_added_to_default():
    click = entry("8.1.7")
    more = {
        "develop": {"pytest": entry("8.0"), "click": {**click, "markers": "sys_platform == 'win32'"}},
        "prod": {"gunicorn": entry("21.2.0")},
    }
    assert_same(names(pipfile({"click": click}, **more).lines), {"click==8.1.7"})
    found = pipfile({"click": click}, ["dev-packages", "prod"], **more)
    assert_same(names(found.lines), {"click==8.1.7", "pytest==8.0", "gunicorn==21.2.0"})


@pytest.mark.parametrize(
    ("default", "categories", "more", "problem"),
    [
        ({}, (), {"develop": {"pytest": entry("8.0")}}, "found no package in default, expected at least one"),
        ({"a": entry("1")}, ["docs"], {}, "found no category docs, expected one of default, develop"),
        ({"a": {"version": "*"}}, (), {}, "found a * with 0 hashes, expected ==VERSION"),
        ({"a": {"hg": "https://host.test/a", "ref": "0"}}, (), {}, "found a  with 0 hashes"),
        (
            {"a": entry("1", index="other")},
            (),
            {},
            "found index other for a, expected one of pypi, office, acme",
        ),
        ({"a": entry("1", markers="python_version")}, (), {}, "expected a marker"),
        ({"a": entry("1")}, ["develop"], {"develop": {"a": entry("2")}}, "found a==1 and a==2"),
    ],
)
def test_pipfile_unusable_lock_is_rejected(default, categories, more, problem):
    message = refused(pipfile, default, categories, **more)
    assert_in("Pipfile.lock: ", message)
    assert_in(problem, message)


def test_pipfile_develop_alone_is_installed_if_named():
    assert_same(names(pipfile({}, ["develop"], develop={"pytest": entry("8.0")}).lines), {"pytest==8.0"})
