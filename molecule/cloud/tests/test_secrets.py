"""Secrets that are kept at AWS are where the application reads them, and nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

# web1 is away by now.
HOST = "web2"


@pytest.fixture(scope="module")
def kept(lab) -> dict[str, str]:
    """Their values, as the account has them."""
    folder = Path(lab["lab_directory"]) / "secrets"
    names = {"SECRET_KEY": "SECRET_KEY", "REDIS_URL": "redis", "METRICS_TOKEN": "METRICS_TOKEN"}
    return {name: (folder / file).read_text().strip() for name, file in names.items()}


def test_they_are_what_the_account_has(inside, kept):
    got = {name: inside(HOST, "cat", f"/run/decanter-credentials/harbour/{name}") for name in kept}
    wrong = [name for name, value in kept.items() if value not in got[name]]
    assert not wrong, f"expected the account's values, got others of {wrong}"


def test_the_application_knows_one_that_was_encrypted(balancer, kept):
    def status(token: str) -> int:
        connection = balancer.connect(HOST)
        connection.request(
            "GET", "/metrics", headers={"Host": "harbour.test", "Authorization": f"Bearer {token}"}
        )
        got = connection.getresponse().status
        connection.close()
        return got

    got = [status(kept["METRICS_TOKEN"]), status("another")]
    assert got[0] == 200 and got[1] != 200, f"expected the token to be right and no other, got {got}"


FOLDERS = ("/etc", "/srv", "/opt", "/var", "/root", "/home", "/usr/local", "/tmp")
# What is looked for comes by standard input, for arguments can be read by others.
READ = "exec 3<&0; {} | grep -cF -f /dev/fd/3"
WHERE = {
    "its disk": ["grep", "-rlF", "--devices=skip", "--exclude-dir=journal", "-f", "-", *FOLDERS],
    "its journal": ["sh", "-c", READ.format("journalctl --no-pager")],
    "its processes": [
        "sh",
        "-c",
        READ.format("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'"),
    ],
    "its units": ["sh", "-c", READ.format("systemctl show '*'")],
}


@pytest.mark.parametrize("where", WHERE)
def test_they_are_nowhere_else(where, inside: Callable[..., str], kept):
    got = inside(HOST, *WHERE[where], told="\n".join(kept.values()) + "\n", checked=False)
    assert got in ("", "0"), f"expected none of them in {where}, got {got}"


def test_they_are_in_no_file_of_the_repository(kept):
    search = ["git", "-C", str(ROOT), "grep", "--untracked", "-lF", "-f", "-"]
    got = subprocess.run(search, input="\n".join(kept.values()), capture_output=True, text=True)
    assert got.stdout == "", f"expected none of them in the repository, got {got.stdout}"
