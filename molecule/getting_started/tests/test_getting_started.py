"""The commands of docs/getting-started.md, run in their order in an empty folder against a new server.

The clone contains the commits of this checkout, without uncommitted changes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tools.library import ROOT

pytest_plugins = ["tests.hosts.fixtures.lab"]

PAGE = ROOT / "docs/getting-started.md"
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RESPONSES = re.compile(r"^curl \S+ +# (.*)$", re.MULTILINE)  # the page has the response in a comment
INSTALLED = "bin/setup"  # the command after which the clone is complete
LIMIT = 15 * 60  # seconds, which the page promises


def replace_once(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f'{PAGE.name}: expected "{old}" once, found {text.count(old)} times'
    return text.replace(old, new)


@pytest.fixture
def ca_address(host) -> str:
    return host.ansible("ansible.builtin.debug", "var=scenario_ca")["scenario_ca"]


@pytest.fixture
def roots(variables, ca_address, tmp_path) -> Path:
    """Return a file with the root certificates of the CA, which browsers would have."""
    url, ca = f"https://{ca_address}:15000/roots/0", f"{variables['lab_directory']}/ca.crt"
    file = tmp_path / "roots.pem"
    file.write_text(requests.get(url, verify=ca, timeout=20).text)
    return file


@pytest.fixture
def script(variables, ca_address, roots, tmp_path) -> str:
    """Return the commands of the page, with the values of the lab."""
    blocks = COMMANDS.findall(PAGE.read_text())
    # An operator uses Let's Encrypt, public DNS and the ports of the internet.
    settings = tmp_path / "lab.yml"
    settings.write_text(
        f"certbot_server: https://{ca_address}:14000/dir\n"
        f"certbot_ca_bundle: {variables['lab_directory']}/ca.crt\n"
        f"nginx_public_https_port: {variables['lab_https_port']}\n"
        f"verify_address: {variables['ansible_host']}\n"
        f"verify_acme_ca: {roots}\n"
    )
    position = next(number for number, block in enumerate(blocks) if INSTALLED in block)
    blocks.insert(position + 1, f"cp {settings} inventories/production/group_vars/all/lab.yml\n")
    script = "".join(blocks)
    script = replace_once(script, "https://git.example.org/decanter/stack", str(ROOT))
    script = replace_once(script, "203.0.113.10 ", f"{variables['ansible_host']} ")
    script = replace_once(script, "user=admin", f"user={variables['ansible_user']}")
    return replace_once(script, "hello.myproject.org", variables["scenario_name"])


@pytest.fixture
def environment(variables, roots, tmp_path) -> dict[str, str]:
    """Return environment variables with which ssh and curl reach the lab, as they reach a public server."""
    options = shlex.split(variables["ansible_ssh_common_args"])
    options += ["-i", variables["ansible_ssh_private_key_file"], "-p", str(variables.get("ansible_port", 22))]
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin/ssh"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {shlex.join(options)} "$@"\n')
    ssh.chmod(0o755)
    server = f"{variables['ansible_host']}:{variables['lab_https_port']}"
    (tmp_path / ".curlrc").write_text(
        f"cacert = {roots}\n"
        f"connect-to = {variables['scenario_name']}:443:{server}\n"
        'noproxy = "*"\nfail\nsilent\nshow-error\n'
    )
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))
    }
    return plain | {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "CURL_HOME": str(tmp_path),
        # sftp starts ssh by its absolute path.
        "ANSIBLE_SSH_COMMON_ARGS": shlex.join(options),
    }


def run_commands(script: str, folder: Path, environment: dict[str, str]) -> str:
    """Run the commands until one fails, and return the responses that curl printed."""
    # Responses go to a file, because the output has all commands.
    record = f'curl() {{ command curl "$@" | tee -a {folder}/responses; }}\n'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", record + script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * LIMIT,
    )
    assert done.returncode == 0, f"expected exit status 0, got {done.returncode}:\n{done.stdout[-8000:]}"
    return (folder / "responses").read_text()


def test_commands_of_the_page_deploy_an_application(script, environment, tmp_path):
    expected = RESPONSES.findall(PAGE.read_text())
    assert len(expected) >= 3, f"expected three responses on the page, got {expected}"
    folder = tmp_path / "operator"
    folder.mkdir()
    start = time.monotonic()
    responses = run_commands(script, folder, environment).splitlines()
    seconds = time.monotonic() - start
    print(f"The commands of the page took {seconds:.0f} s.")
    assert responses == expected, f"expected the responses {expected}, got {responses}"
    assert seconds < LIMIT, f"expected less than {LIMIT} s, got {seconds:.0f} s"
