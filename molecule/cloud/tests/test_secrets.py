"""Secrets from AWS exist only in the files that the application reads."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

HOST = "web2"


@pytest.fixture(scope="module")
def secrets(lab) -> dict[str, str]:
    """Return the secrets that prepare.yml stored in AWS."""
    folder = Path(lab["lab_directory"]) / "secrets"
    names = {"SECRET_KEY": "SECRET_KEY", "REDIS_URL": "redis", "METRICS_TOKEN": "METRICS_TOKEN"}
    return {name: (folder / file).read_text().strip() for name, file in names.items()}


def test_credential_files_contain_secrets_of_aws(run_on, secrets):
    got = {name: run_on(HOST, "cat", f"/run/decanter-credentials/harbour/{name}") for name in secrets}
    wrong = [name for name, value in secrets.items() if value not in got[name]]
    assert not wrong, f"expected the values of AWS, got others for {wrong}"


def test_application_reads_kms_secret(balancer, secrets):
    def status(token: str) -> int:
        connection = balancer.connect(HOST)
        connection.request(
            "GET", "/metrics", headers={"Host": "harbour.test", "Authorization": f"Bearer {token}"}
        )
        got = connection.getresponse().status
        connection.close()
        return got

    got = [status(secrets["METRICS_TOKEN"]), status("another")]
    assert got[0] == 200 and got[1] != 200, f"expected 200 for the correct token only, got {got}"


FOLDERS = ("/etc", "/srv", "/opt", "/var", "/root", "/home", "/usr/local", "/tmp")
# The patterns are in standard input, because `ps` shows arguments to all users.
GREP_OUTPUT = "exec 3<&0; {} | grep -cF -f /dev/fd/3"
SEARCHES = {
    "disk": ["grep", "-rlF", "--devices=skip", "--exclude-dir=journal", "-f", "-", *FOLDERS],
    "journal": ["sh", "-c", GREP_OUTPUT.format("journalctl --no-pager")],
    "processes": [
        "sh",
        "-c",
        GREP_OUTPUT.format("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'"),
    ],
    "units": ["sh", "-c", GREP_OUTPUT.format("systemctl show '*'")],
}


@pytest.mark.parametrize("place", SEARCHES)
def test_secrets_are_stored_nowhere_else(place, run_on: Callable[..., str], secrets):
    got = run_on(HOST, *SEARCHES[place], stdin="\n".join(secrets.values()) + "\n", check=False)
    assert got in ("", "0"), f"expected no secret in {place} of {HOST}, got {got}"


def test_repository_contains_no_secret(secrets):
    search = ["git", "-C", str(ROOT), "grep", "--untracked", "-lF", "-f", "-"]
    got = subprocess.run(search, input="\n".join(secrets.values()), capture_output=True, text=True)
    assert got.stdout == "", f"expected no secret in the repository, got {got.stdout}"
