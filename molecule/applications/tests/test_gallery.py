"""A package in src/: pyproject.toml, a gunicorn of its own, assets that are built, SQLite, Memcached."""

from __future__ import annotations

import hashlib
import re
import secrets

SITE = "https://gallery.test"
# Asks a Memcached for a key by its socket.
ASK = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/memcached-gallery/memcached.sock")
connection.sendall(b"get " + sys.argv[1].encode() + b"\\r\\n")
print(connection.recv(65536).decode())
"""


def wall(visitor) -> tuple[str, str]:
    """The page, and where its titles came from."""
    page = visitor.get(f"{SITE}/")
    assert page.status_code == 200, f"expected the wall, got {page.status_code}"
    return page.text, re.search(r'id="from">(\w+)', page.text)[1]


def hang(visitor) -> str:
    title = f"Still life {secrets.token_hex(6)}"
    assert visitor.post(f"{SITE}/", {"title": title}).status_code == 302
    return title


def test_titles_are_stored_and_cached(host, visitor):
    title = hang(visitor)
    first, second = wall(visitor), wall(visitor)
    assert [first[1], second[1]] == ["sqlite", "memcached"], f"got {first} and {second}"
    assert title in first[0] and title in second[0], f"expected {title} on both"
    with host.sudo("gallery"):
        cached = host.check_output("python3 -c %s titles", ASK)
        assert title in cached, f"expected {title} in Memcached, got {cached}"
        stored = host.check_output("ls /srv/gallery/shared/src/instance")
    assert "gallery.sqlite" in stored, f"expected the database to outlive releases, got {stored}"


def test_nobody_else_opens_its_memcached(host):
    for user in ("orders", "www-data"):
        with host.sudo(user):
            refused = host.run("python3 -c %s titles", ASK)
        assert "PermissionError" in refused.stderr, f"{user}: expected a refusal, got {refused}"


def stylesheet(visitor) -> tuple[str, str]:
    """The page's stylesheet: its address, which has a hash, and its text."""
    path = re.search(r'href="(/static/dist/site\.[0-9a-f]{12}\.css)"', wall(visitor)[0])[1]
    answer = visitor.get(f"{SITE}{path}")
    assert answer.status_code == 200, f"{path}: expected the stylesheet, got {answer.status_code}"
    assert "X-Release" not in answer.headers, f"expected nginx to serve {path} itself, got {answer.headers}"
    return path, answer.text


def test_assets_are_built_for_each_release(visitor, repository, deploy, live):
    path, text = stylesheet(visitor)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert path == f"/static/dist/site.{digest}.css", f"expected the name to tell the content, got {path}"
    assert "body{background:linen;" in text, f"expected a style without spaces, got {text}"

    title, before = hang(visitor), live("gallery")
    mark = f"#{secrets.token_hex(3)}"

    def recoloured(style: str) -> str:
        return re.sub("color: .*;", f"color: {mark};", style)

    repository("gallery").commit("src/gallery/style/site.css", recoloured)
    finished = deploy("gallery")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live("gallery") != before, f"expected another release than {before}"
    new, text = stylesheet(visitor)
    assert new != path and f"color:{mark}" in text, f"expected another stylesheet, got {new}: {text}"
    old = visitor.get(f"{SITE}{path}")
    assert old.status_code == 200, f"expected a page of before to find its own, got {old.status_code}"
    assert title in wall(visitor)[0], f"expected {title} to outlive the release"


def test_a_build_that_fails_goes_nowhere(visitor, repository, deploy, live):
    before = live("gallery")
    repository("gallery").commit("build.py", lambda text: f'{text}\nraise SystemExit("no linen today")\n')
    try:
        finished = deploy("gallery")
    finally:
        repository("gallery").undo()
    said = finished.stdout + finished.stderr
    assert finished.returncode != 0, f"expected the release to fail, got {said}"
    for words in ("python build.py", "no linen today"):
        assert words in said, f"expected {words!r}, got {said}"
    assert live("gallery") == before and wall(visitor), f"expected {before} to stay live"


def test_the_gunicorn_is_its_own(host, unit):
    with host.sudo():
        log = host.check_output("journalctl --unit=%s --output=cat --no-pager", unit("gallery"))
    assert "Starting gunicorn 23.0.0" in log, f"expected the gunicorn that it pins, got {log}"
    assert "Using worker: sync" in log, f"expected workers of the kind sync, got {log}"


def test_it_calls_nobody(host, unit):
    with host.sudo():
        pid = host.check_output("systemctl show --property MainPID --value %s", unit("gallery"))
        links = host.check_output("nsenter --target %s --net -- ip -brief link", pid).splitlines()
    assert [link.split()[0] for link in links] == ["lo"], f"expected a loopback alone, got {links}"
