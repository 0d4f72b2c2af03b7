"""A package in src/ with pyproject.toml, its own gunicorn, built assets, SQLite and Memcached."""

from __future__ import annotations

import hashlib
import re
import secrets

SITE = "https://gallery.test"
# Read a key from Memcached over its socket.
READ_KEY = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/memcached-gallery/memcached.sock")
connection.sendall(b"get " + sys.argv[1].encode() + b"\\r\\n")
print(connection.recv(65536).decode())
"""


def wall(visitor) -> tuple[str, str]:
    """Return the page and the origin of its titles, sqlite or memcached."""
    page = visitor.get(f"{SITE}/")
    assert page.status_code == 200, f"expected the page, got {page.status_code}"
    return page.text, re.search(r'id="from">(\w+)', page.text)[1]


def add_picture(visitor) -> str:
    title = f"Still life {secrets.token_hex(6)}"
    assert visitor.post(f"{SITE}/", {"title": title}).status_code == 302
    return title


def test_titles_are_stored_and_cached(host, visitor):
    title = add_picture(visitor)
    first, second = wall(visitor), wall(visitor)
    assert [first[1], second[1]] == ["sqlite", "memcached"], f"got {first} and {second}"
    assert title in first[0] and title in second[0], f"expected {title} on both"
    with host.sudo("gallery"):
        cached = host.check_output("python3 -c %s titles", READ_KEY)
        assert title in cached, f"expected {title} in Memcached, got {cached}"
        stored = host.check_output("ls /srv/gallery/shared/src/instance")
    assert "gallery.sqlite" in stored, f"expected the database in the shared folder, got {stored}"


def test_memcached_is_accessible_to_the_site_only(host):
    for user in ("orders", "www-data"):
        with host.sudo(user):
            result = host.run("python3 -c %s titles", READ_KEY)
        assert "PermissionError" in result.stderr, f"{user}: expected an error, got {result}"


def stylesheet(visitor) -> tuple[str, str]:
    """Return the path of the page's stylesheet, which contains a hash, and its text."""
    path = re.search(r'href="(/static/dist/site\.[0-9a-f]{12}\.css)"', wall(visitor)[0])[1]
    response = visitor.get(f"{SITE}{path}")
    assert response.status_code == 200, f"{path}: expected the stylesheet, got {response.status_code}"
    assert "X-Release" not in response.headers, (
        f"expected nginx to serve {path} itself, got {response.headers}"
    )
    return path, response.text


def test_assets_are_built_for_each_release(visitor, repository, deploy, live):
    path, text = stylesheet(visitor)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert path == f"/static/dist/site.{digest}.css", f"expected the hash of the content, got {path}"
    assert "body{background:linen;" in text, f"expected a style without spaces, got {text}"

    title, before = add_picture(visitor), live("gallery")
    mark = f"#{secrets.token_hex(3)}"

    def change_colour(style: str) -> str:
        return re.sub("color: .*;", f"color: {mark};", style)

    repository("gallery").commit("src/gallery/style/site.css", change_colour)
    result = deploy("gallery")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live("gallery") != before, f"expected another release than {before}"
    new, text = stylesheet(visitor)
    assert new != path and f"color:{mark}" in text, f"expected another stylesheet, got {new}: {text}"
    old = visitor.get(f"{SITE}{path}")
    assert old.status_code == 200, f"expected the stylesheet of the previous release, got {old.status_code}"
    assert title in wall(visitor)[0], f"expected {title} after the deploy"


def test_failed_build_keeps_the_live_release(visitor, repository, deploy, live):
    before = live("gallery")
    repository("gallery").commit("build.py", lambda text: f'{text}\nraise SystemExit("no linen today")\n')
    try:
        result = deploy("gallery")
    finally:
        repository("gallery").undo()
    output = result.stdout + result.stderr
    assert result.returncode != 0, f"expected the release to fail, got {output}"
    for text in ("python build.py", "no linen today"):
        assert text in output, f"expected {text!r}, got {output}"
    assert live("gallery") == before and wall(visitor), f"expected {before} to stay live"


def test_gunicorn_has_the_pinned_version_and_worker_class(host, unit):
    with host.sudo():
        log = host.check_output("journalctl --unit=%s --output=cat --no-pager", unit("gallery"))
    assert "Starting gunicorn 23.0.0" in log, f"expected the pinned gunicorn, got {log}"
    assert "Using worker: sync" in log, f"expected sync workers, got {log}"


def test_outbound_false_leaves_only_the_loopback_interface(host, unit):
    with host.sudo():
        pid = host.check_output("systemctl show --property MainPID --value %s", unit("gallery"))
        links = host.check_output("nsenter --target %s --net -- ip -brief link", pid).splitlines()
    assert [link.split()[0] for link in links] == ["lo"], f"expected the loopback interface only, got {links}"
