"""Configuration files that are not in the repository: who reads them, and when they change."""

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


def signed(key: str, title: str) -> dict[str, str]:
    """The page of the bulletin with this title."""
    return {"title": title, "signature": hmac.new(key.encode(), title.encode(), "sha256").hexdigest()}


def test_files_are_rendered_and_found_by_their_variables(visitor, key):
    served, expected = page(visitor, SITE), signed(key, "First edition")
    assert served == expected, f"expected {expected}, got {served}"


@pytest.mark.parametrize("path", ["etc/bulletin.cfg", "etc/key"])
def test_file_is_readable_by_its_site_only(host, live, path):
    file = f"/srv/{SITE}/releases/{live(SITE)}/{path}"
    with host.sudo(SITE):
        assert host.check_output("cat %s", file), f"expected {SITE} to read {path}"
        refused = host.run("sh -c 'echo >> %s'", file)
        assert "denied" in refused.stderr, f"expected no write, got {refused}"
    for user in ("nobody", "www-data", "almanac", f"build_{SITE}"):
        with host.sudo(user):
            refused = host.run("cat %s", file)
        assert "Permission denied" in refused.stderr, f"{user}: expected a refusal, got {refused}"


def test_changed_text_is_another_release_and_rollback_restores_it(visitor, deploy, live, play, sites, key):
    first, files = live(SITE), sites[SITE]["files"]
    second = files | {"etc/bulletin.cfg": {"content": 'TITLE = "Second edition"\n'}}
    finished = deploy(SITE, files=second)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live(SITE) != first, f"expected another release than {first}"
    served, expected = page(visitor, SITE), signed(key, "Second edition")
    assert served == expected, f"expected {expected}, got {served}"
    finished = play("rollback.yml", sites, "-e", f"site={SITE}")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert live(SITE) == first, f"expected {first}, got {live(SITE)}"
    served, expected = page(visitor, SITE), signed(key, "First edition")
    assert served == expected, f"expected {expected}, got {served}"
    assert deploy(SITE).returncode == 0 and live(SITE) == first, f"expected {first} to be used again"


def test_secret_file_is_shown_nowhere(host, deploy, inventory, tmp_path, live, sites):
    """A new secret is deployed with the most verbose output."""
    secret, files = secrets.token_hex(20), sites[SITE]["files"]
    changed = sites[SITE] | {"files": files | {"etc/key": {"content": secret}}}
    try:
        finished = verbose_deploy(inventory, tmp_path, sites | {SITE: changed}, SITE)
        release = live(SITE)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert secret not in finished.stdout + finished.stderr, "expected the secret in no output of the run"
        found = files_with(host, secret)
        expected = [f"/srv/{SITE}/releases/{release}/etc/key"]
        assert found == expected, f"expected the secret in {expected} only, got {found}"
        for user in ("nobody", "almanac", f"build_{SITE}"):
            found = files_with(host, secret, user)
            assert not found, f"{user}: expected no file with the secret, got {found}"
        found = logs_with(host, secret)
        assert not found, f"expected no output with the secret, got {found}"
    finally:
        deploy(SITE)
