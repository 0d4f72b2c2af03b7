"""A private index: its package is installed, and its credentials do not leak."""

from __future__ import annotations

import secrets

import pytest
from leaks import files_with, lab_secret, logs_with, verbose_deploy, watch_processes
from test_packages import page

SITE = "members"
PAGE = {"motto": "Measure twice", "version": "1.0"}


@pytest.fixture
def new_commit(repository):
    """Commit a comment, so that the next deploy builds another release."""
    repository(SITE).commit("app.py", lambda text: f"{text}# {secrets.token_hex(8)}\n")
    yield
    repository(SITE).undo()


def assert_hidden(host, secret: str, output: str) -> None:
    """Assert that neither the output of a run nor the host contains a secret."""
    assert secret not in output, "expected no secret in the output of the run"
    files = files_with(host, secret)
    assert not files, f"expected no file with the secret, got {files}"
    commands = logs_with(host, secret)
    assert not commands, f"expected no output with the secret, got {commands}"


@pytest.mark.usefixtures("new_commit")
def test_private_index_is_used_and_its_password_does_not_leak(
    host, visitor, ssh, live, inventory, tmp_path, sites, variables
):
    before = live(SITE)
    # The part of letters and digits, which quotes do not change.
    password = lab_secret(variables, "packages_password")
    with watch_processes(ssh, password) as processes:
        result = verbose_deploy(inventory, tmp_path, sites, SITE)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    assert live(SITE) != before, f"expected another release than {before}"
    assert not processes, f"expected no process with the password in its command line, got {processes}"
    assert page(visitor, SITE) == PAGE, f"expected {PAGE}, got {page(visitor, SITE)}"
    assert_hidden(host, password, output)


@pytest.mark.usefixtures("new_commit")
def test_wrong_password_is_reported_with_index_and_status(host, visitor, live, inventory, tmp_path, sites):
    before, wrong = live(SITE), secrets.token_hex(16)
    index = sites[SITE]["indexes"][0] | {"password": wrong}
    changed = sites | {SITE: sites[SITE] | {"indexes": [index]}}
    result = verbose_deploy(inventory, tmp_path, changed, SITE)
    output = result.stdout + result.stderr
    assert result.returncode != 0, f"expected a failure, got {output}"
    message = next((line for line in output.splitlines() if "no release was built" in line), output)
    for text in ("the package index http://applications:8200 rejects the credentials", "401"):
        assert text in message, f"expected {text!r}, got {message}"
    assert_hidden(host, wrong, output)
    assert live(SITE) == before and page(visitor, SITE) == PAGE, f"expected {before} to stay live"


@pytest.mark.usefixtures("new_commit")
def test_token_in_requirements_is_filled_from_build_secrets(
    host, visitor, ssh, deploy, live, inventory, tmp_path, sites, variables
):
    before, token = live(SITE), lab_secret(variables, "packages_token")
    keys = {"requirements": "token.txt", "indexes": [], "build_secrets": {"INDEX_TOKEN": token}}
    try:
        with watch_processes(ssh, token) as processes:
            result = verbose_deploy(inventory, tmp_path, sites | {SITE: sites[SITE] | keys}, SITE)
        output = result.stdout + result.stderr
        assert result.returncode == 0, output
        assert live(SITE) != before, f"expected another release than {before}"
        assert page(visitor, SITE) == PAGE, f"expected {PAGE}, got {page(visitor, SITE)}"
        assert not processes, f"expected no process with the token in its command line, got {processes}"
        assert_hidden(host, token, output)
    finally:
        deploy(SITE)
