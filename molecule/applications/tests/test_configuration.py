"""Configuration files that are not in the repository: content, permissions, changes and rollback."""

from __future__ import annotations

import hmac
import secrets

import pytest
from leaks import files_with, lab_secret, logs_with, verbose_deploy
from test_packages import page

SITE = "bulletin"


@pytest.fixture
def key(variables) -> str:
    return lab_secret(variables, "bulletin_key")


def expected_page(key: str, title: str) -> dict[str, str]:
    """Return the page of the bulletin with this title."""
    return {"title": title, "signature": hmac.new(key.encode(), title.encode(), "sha256").hexdigest()}


def test_files_are_rendered_and_named_in_the_environment(visitor, key):
    served, expected = page(visitor, SITE), expected_page(key, "First edition")
    assert served == expected, f"expected {expected}, got {served}"


@pytest.mark.parametrize("path", ["etc/bulletin.cfg", "etc/key"])
def test_file_is_readable_by_its_site_only(host, live, path):
    file = f"/srv/{SITE}/releases/{live(SITE)}/{path}"
    with host.sudo(SITE):
        assert host.check_output("cat %s", file), f"expected {SITE} to read {path}"
        result = host.run("sh -c 'echo >> %s'", file)
        assert "denied" in result.stderr, f"expected no write, got {result}"
    for user in ("nobody", "www-data", "almanac", f"build_{SITE}"):
        with host.sudo(user):
            result = host.run("cat %s", file)
        assert "Permission denied" in result.stderr, f"{user}: expected an error, got {result}"


def test_changed_file_is_another_release_until_rollback(visitor, deploy, live, play, sites, key):
    first, files = live(SITE), sites[SITE]["files"]
    second = files | {"etc/bulletin.cfg": {"content": 'TITLE = "Second edition"\n'}}
    result = deploy(SITE, files=second)
    assert result.returncode == 0, result.stdout + result.stderr
    assert live(SITE) != first, f"expected another release than {first}"
    served, expected = page(visitor, SITE), expected_page(key, "Second edition")
    assert served == expected, f"expected {expected}, got {served}"
    result = play("rollback.yml", sites, "-e", f"site={SITE}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live(SITE) == first, f"expected {first}, got {live(SITE)}"
    served, expected = page(visitor, SITE), expected_page(key, "First edition")
    assert served == expected, f"expected {expected}, got {served}"
    assert deploy(SITE).returncode == 0 and live(SITE) == first, f"expected {first} again"


def test_secret_file_does_not_leak(host, deploy, inventory, tmp_path, live, sites):
    """Deploy a new secret with the most verbose output."""
    secret, files = secrets.token_hex(20), sites[SITE]["files"]
    changed = sites[SITE] | {"files": files | {"etc/key": {"content": secret}}}
    try:
        result = verbose_deploy(inventory, tmp_path, sites | {SITE: changed}, SITE)
        release = live(SITE)
        assert result.returncode == 0, result.stdout + result.stderr
        assert secret not in result.stdout + result.stderr, "expected no secret in the output of the run"
        found = files_with(host, secret)
        expected = [f"/srv/{SITE}/releases/{release}/etc/key"]
        assert found == expected, f"expected the secret in {expected} only, got {found}"
        for user in ("nobody", "almanac", f"build_{SITE}"):
            found = files_with(host, secret, user)
            assert not found, f"{user}: expected no file with the secret, got {found}"
        commands = logs_with(host, secret)
        assert not commands, f"expected no output with the secret, got {commands}"
    finally:
        deploy(SITE)
