"""The build of a site: requirements, Python, packages, services, uploads and static files."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.source import OTHER_TOOLS
from repository import ROOT
from sites_examples import FOLDER, changed, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("static", [{"url": "/a/b-c/", "path": "src"}]),
    ("requirements", "pyproject.toml"),
    *(("python", python) for python in ("3.9", "3.13", "/usr/bin/python3", "/opt/python3.12/bin/python3.12")),
    ("uploads", ["a", "ab", "b/a", "b/c"]),
]
test_valid_value_is_accepted = accepted(VALID)

STATIC_PATH = 'a folder inside the source, relative to it and without ".."'
STATIC_URL = "a path that begins and ends with /, such as /static/, of at most 3000 characters"
INVALID = [
    *rows(
        "requirements",
        'a file inside the source, relative to it and without ".."',
        "nowhere.txt",
        "src",
        "../a.txt",
        "/a.txt",
        (["a.txt"], "a list"),
    ),
    *rows(
        "python",
        'a version in quotes, such as "3.12", or the path of an interpreter outside /home, /root and /srv; '
        "YAML reads 3.10 and 3.1 without quotes as the same number",
        3.1,
    ),
    *rows(
        "python",
        'a version in quotes, such as "3.12", or the path of an interpreter outside /home, /root and /srv',
        "3",
        "2.7",
        "3.12.1",
        "python3.12",
        "/root/.pyenv/bin/python",
        "/opt/../root/python",
        "/srv/shop/shared/pypy/bin/python",
        "//srv/shop/shared/python",
        "/./srv/shop/shared/python",
        "/opt/a b",
    ),
    *rows("build", "a list of commands", "npm run build"),
    *rows("build[0]", "a command on one line, such as npm run build", ["a\nb"], [1], at="build"),
    *rows("uploads", "a list of folders, such as [instance]", "instance"),
    *rows(
        "uploads[0]",
        'a folder inside the source, relative to it, without ".." and no / at its end',
        *([path] for path in (".", "./a", "/a", "a/", "a//b", "a/../b", "a/./b", ".venv", "a b")),
        at="uploads",
    ),
    *rows("uploads[1]", "a folder that does not overlap a/b", ["a/b", "a/b"], at="uploads"),
    *rows("uploads[1]", "a folder that does not overlap a/b", ["a/b", "a"], at="uploads"),
    *rows("uploads[1]", "a folder that does not overlap a", ["a", "a/b"], at="uploads"),
    *rows(
        "services", "a list of different services, such as [redis]", "redis", (["redis", "redis"], "a list")
    ),
    *rows("services[0]", "one of: redis, memcached", ["Redis"], at="services"),
    *rows("packages[0]", "the name of a Debian package, such as libmagic1", ["Foo"], at="packages"),
    *rows("packages", "a list of Debian package names", "git"),
    *rows("static[0].url", STATIC_URL, ([{"path": "src"}], "nothing"), at="static"),
    *rows("static[0].path", STATIC_PATH, ([{"url": "/a/"}], "nothing"), at="static"),
    *rows(
        "static[0].url",
        STATIC_URL,
        [{"url": "/", "path": "src"}],
        [{"url": "/a", "path": "src"}],
        [{"url": "a/", "path": "src"}],
        [{"url": "/a/../b/", "path": "src"}],
        [{"url": "/a;b/", "path": "src"}],
        at="static",
    ),
    *rows(
        "static[0].path",
        STATIC_PATH,
        [{"url": "/a/", "path": "/etc"}],
        [{"url": "/a/", "path": "src/../.."}],
        [{"url": "/a/", "path": "src/../src"}],
        [{"url": "/a/", "path": "nowhere"}],
        [{"url": "/a/", "path": "."}],
        [{"url": "/a/", "path": "link"}],
        [{"url": "/a/", "path": "loop"}],
        at="static",
    ),
    *rows(
        "static[1].url", "a url that no other folder has", [{"url": "/a/", "path": "src"}] * 2, at="static"
    ),
]
test_invalid_value_is_rejected = rejected(INVALID)


def test_static_folder_without_a_source_gives_no_second_error(root: str) -> None:
    sites = changed(minimal(), "static", [{"url": "/a/", "path": "nowhere"}])
    lines = sites_check.site_errors(changed(sites, "source.path", "missing"), root)
    assert lines == [f'sites.harbour.source.path: found "missing", expected {FOLDER}']
    lines = sites_check.site_errors(changed(sites, "source", {}), root)
    assert lines == [f"sites.harbour.source.path: found nothing, expected {FOLDER}"]


@pytest.mark.parametrize("name", sorted(OTHER_TOOLS))
def test_requirements_of_other_tools_are_rejected_with_the_export(name: str, root: str) -> None:
    sites = minimal()
    sites["harbour"]["source"] = {"git": "https://git.test/web", "version": "main"}
    sites["harbour"]["requirements"] = f"sub/{name}"
    (line,) = sites_check.site_errors(sites, root)
    expected = f"a file that uv reads: {OTHER_TOOLS[name]}"
    assert line == f'sites.harbour.requirements: found "sub/{name}", expected {expected}'


def test_files_of_other_tools_are_listed_once() -> None:
    programs = [path for part in ("plugins", "roles") for path in (ROOT / part).rglob("*.py")]
    listing = [path.name for path in programs if "conda-lock.yml" in path.read_text()]
    assert listing == ["source.py"]


def test_static_folder_of_a_build_may_be_missing(root: str) -> None:
    sites = changed(minimal(), "static", [{"url": "/static/", "path": "src/harbour/dist"}])
    assert sites_check.site_errors(sites, root) == [
        f'sites.harbour.static[0].path: found "src/harbour/dist", expected {STATIC_PATH}'
    ]
    assert sites_check.site_errors(changed(sites, "build", ["make"]), root) == []
    for path in (".", "link", "loop", "pyproject.toml"):
        assert sites_check.site_errors(changed(sites, "static.0.path", path), root) == [
            f'sites.harbour.static[0].path: found "{path}", expected {STATIC_PATH}'
        ]


def test_static_folder_inside_uploads_is_rejected(root: str) -> None:
    sites = changed(minimal(), "static", [{"url": "/static/", "path": "src/harbour/static"}])
    assert sites_check.site_errors(changed(sites, "uploads", ["src/harbour/static/uploads"]), root) == []
    expected = "a folder that is not among uploads, which the application serves"
    for upload in ("src/harbour/static", "src/harbour", "src"):
        assert sites_check.site_errors(changed(sites, "uploads", [upload]), root) == [
            f'sites.harbour.static[0].path: found "src/harbour/static", expected {expected}'
        ]
