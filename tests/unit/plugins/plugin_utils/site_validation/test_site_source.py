"""The source and the WSGI application of a site."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import BLOCK, NUMBER
from jinja2 import Undefined
from sites_examples import FOLDER, GIT, REMOVE, SECRET, SSH_KEY, WSGI, changed, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("source.path", "."),
    ("wsgi", "wsgi:app"),
    *(
        ("source", {"git": address})
        for address in (
            *(GIT, "https://host.test/a/b", "ssh://git@host.test:22/a", "/a", "https://host.test/a@b:c"),
            *("deploy@host.test:a/b.git", "git://host.test/a", "file:///a@b"),
        )
    ),
    *(("source", {"git": GIT, "version": name}) for name in ("main", "v1.4", "fix/a-b", "0123abc")),
    ("source", {"git": GIT, "key": f"# deploy key\n{SSH_KEY}"}),
    ("source", {"git": GIT, "subdir": "a/b.c", "key": "tls/site.crt"}),
]
test_valid_value_is_accepted = accepted(VALID)

WITHOUT = "an address without them; put a deploy key into source.key, or the login into git's credentials"
LITERALS = 'literal values as arguments, such as create_app("production", debug=False)'
SOURCE = "a dictionary such as {path: app} or {git: URL, version: main}"
INVALID = [
    *rows("source", SOURCE, (REMOVE, "nothing")),
    *rows("wsgi", WSGI, (REMOVE, "nothing"), (None, "nothing")),
    *rows("source.path", FOLDER, ({}, "nothing"), at="source"),
    *rows("source", SOURCE, ("app", "a string"), ("secret:app", "a string")),
    *rows("source", SOURCE, ("path:app", "the key path without a space after its colon")),
    *rows("source.path", FOLDER, ({"version": "main"}, "nothing"), at="source"),
    *rows(
        "source.gti", "one of: git, key, path, subdir, version (did you mean git?)", ("x", "an unknown key")
    ),
    *rows("source.git", "one of the two", (GIT, "git and path")),
    *rows(
        "source.git",
        "the address of a git repository",
        ({"git": ""}, "an empty string"),
        {"git": "--upload-pack=x"},
        {"git": "a b"},
        {"git": 5},
        at="source",
    ),
    *rows("source.git", f"the address of a git repository; {BLOCK}", {"git": "a\n"}, at="source"),
    *(
        row
        for address in (
            f"https://ada:{SECRET}@host.test/x.git",
            f"https://{SECRET}@host.test/x.git",
            f"https://{SECRET}:x-oauth-basic@host.test/x.git",
            f"HTTPS://ada:@{SECRET}@host.test/x.git",
            f"ssh://git:{SECRET}@host.test/x.git",
        )
        for row in rows("source.git", WITHOUT, ({"git": address}, "an address with credentials"), at="source")
    ),
    *rows("source.version", "no version with path", ("main", "version with path")),
    *rows(
        "source.version",
        "a branch, a tag or a commit",
        ({"git": GIT, "version": ""}, "an empty string"),
        {"git": GIT, "version": "-x"},
        {"git": GIT, "version": "main~1"},
        {"git": GIT, "version": "a:b"},
        at="source",
    ),
    *rows(
        "source.version",
        f"a branch, a tag or a commit; {NUMBER}",
        {"git": GIT, "version": 1.4},
        at="source",
    ),
    *rows("source.subdir", "no subdir with path", ("src", "subdir with path")),
    *rows(
        "source.subdir",
        'a folder in the repository, relative to its top and without ".."',
        {"git": GIT, "subdir": "/a"},
        {"git": GIT, "subdir": "a/../.."},
        {"git": GIT, "subdir": "a b"},
        at="source",
    ),
    *rows("source.key", "no key with path", (SSH_KEY, "key with path")),
    *rows(
        "source.key",
        "a private ssh key or the path of a file on the controller",
        ({"git": GIT, "key": ""}, "an empty string"),
        ({"git": GIT, "key": 5}, "a number"),
        ({"git": GIT, "key": "../nowhere"}, "a path that does not exist"),
        at="source",
    ),
    *rows(
        "source.path",
        FOLDER,
        "nowhere",
        "app/pyproject.toml",
        "app/loop",
        "a\0b",
        ("x/" * 3000, f'"{("x/" * 30)[:59]}…"'),
        ("", "an empty string"),
    ),
    *rows("wsgi", WSGI, "harbour", "1a:app", "a:b(", "app:app.server", "web:make.app()"),
    *rows("wsgi", f"{WSGI}; {BLOCK}", "harbour:app\n"),
    *rows(
        "wsgi",
        "my_app.web:app, because my-app is not a module name: rename it to my_app in the source",
        "my-app.web:app",
    ),
    *rows("wsgi", WSGI, "my app:app", "my-app:", "my-app:a-b"),
    *rows("wsgi", LITERALS, "a:b(os.environ)", "a:b(debug=not True)", "a:b(1,,)", "a:b()()"),
]
test_invalid_value_is_rejected = rejected(INVALID)


def test_source_path_starts_at_the_home_folder(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", root)
    tls = {"mode": "provided", "certificate": "~/tls/site.crt", "key": "~/tls/site.crt"}
    assert sites_check.site_errors(changed(changed(minimal(), "source.path", "~/app"), "tls", tls), "/") == []
    assert sites_check.site_errors(changed(minimal(), "source.path", "~/nowhere"), root) == [
        f'sites.harbour.source.path: found "~/nowhere", expected {FOLDER}'
    ]


@pytest.mark.parametrize("source_root", [None, 7, [], Undefined(name="x")])
def test_source_root_of_another_type_is_rejected(source_root: Any, root: str) -> None:
    sites = changed(minimal(), "source.path", f"{root}/app")
    (line,) = sites_check.site_errors(sites, source_root)
    assert line.startswith("source_root: found ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("source", {"git": f"https://ada:{SECRET}@host.test/a b"}),
        ("source", {"git": f"https://{SECRET}@host.test/x.git", "path": "app"}),
        ("source.path", f"https://{SECRET}@host.test/x.git"),
        ("indexes", [{"name": "a", "url": f"https://ada:{SECRET}@host.test/simple"}]),
        ("install", [f"a @ git+https://{SECRET}@host.test/a.git"]),
        ("env.A", f"https://ada:{SECRET}@host.test\nx"),
    ],
)
def test_error_of_an_address_contains_no_credentials(key: str, value: Any, root: str) -> None:
    lines = sites_check.site_errors(changed(minimal(), key, value), root)
    assert lines, f"{key}: expected an error"
    assert SECRET not in "\n".join(lines)
