"""A private index: its package is installed, and its credentials are shown nowhere."""

from __future__ import annotations

import secrets

import pytest
from leaks import files_with, lab_secret, logs_with, verbose_deploy, watched_processes
from test_packages import page

SITE = "members"
PAGE = {"motto": "Measure twice", "version": "1.0"}


@pytest.fixture
def another_commit(repository):
    """A commit without effect: what follows is another release."""
    repository(SITE).commit("app.py", lambda text: f"{text}# {secrets.token_hex(8)}\n")
    yield
    repository(SITE).undo()


def assert_hidden(host, secret: str, output: str) -> None:
    """Assert that neither the output of a run nor the host afterwards has a secret."""
    assert secret not in output, "expected the password in no output of the run"
    found = files_with(host, secret)
    assert not found, f"expected no file with the password, got {found}"
    found = logs_with(host, secret)
    assert not found, f"expected no output with the password, got {found}"


@pytest.mark.usefixtures("another_commit")
def test_private_index_is_used_and_its_password_is_shown_nowhere(
    host, visitor, ssh, live, inventory, tmp_path, sites, variables
):
    before = live(SITE)
    # The part of letters and digits, which no quotes change.
    password = lab_secret(variables, "packages_password")
    with watched_processes(ssh, password) as found:
        finished = verbose_deploy(inventory, tmp_path, sites, SITE)
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    assert live(SITE) != before, f"expected another release than {before}"
    assert not found, f"expected no process with the password in its command line, got {found}"
    assert page(visitor, SITE) == PAGE, f"expected {PAGE}, got {page(visitor, SITE)}"
    assert_hidden(host, password, output)


@pytest.mark.usefixtures("another_commit")
def test_wrong_password_is_reported_with_index_and_status(host, visitor, live, inventory, tmp_path, sites):
    before, wrong = live(SITE), secrets.token_hex(16)
    index = sites[SITE]["indexes"][0] | {"password": wrong}
    changed = sites | {SITE: sites[SITE] | {"indexes": [index]}}
    finished = verbose_deploy(inventory, tmp_path, changed, SITE)
    output = finished.stdout + finished.stderr
    assert finished.returncode != 0, f"expected a failure, got {output}"
    message = next((line for line in output.splitlines() if "no release was built" in line), output)
    for words in ("the package index http://applications:8200 rejects the credentials", "401"):
        assert words in message, f"expected {words!r}, got {message}"
    assert_hidden(host, wrong, output)
    assert live(SITE) == before and page(visitor, SITE) == PAGE, f"expected {before} to stay live"


@pytest.mark.usefixtures("another_commit")
def test_token_in_requirements_is_filled_from_build_secrets(
    host, visitor, ssh, deploy, live, inventory, tmp_path, sites, variables
):
    before, token = live(SITE), lab_secret(variables, "packages_token")
    keys = {"requirements": "token.txt", "indexes": [], "build_secrets": {"INDEX_TOKEN": token}}
    try:
        with watched_processes(ssh, token) as found:
            finished = verbose_deploy(inventory, tmp_path, sites | {SITE: sites[SITE] | keys}, SITE)
        output = finished.stdout + finished.stderr
        assert finished.returncode == 0, output
        assert live(SITE) != before, f"expected another release than {before}"
        assert page(visitor, SITE) == PAGE, f"expected {PAGE}, got {page(visitor, SITE)}"
        assert not found, f"expected no process with the token in its command line, got {found}"
        assert_hidden(host, token, output)
    finally:
        deploy(SITE)
