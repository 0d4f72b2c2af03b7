"""Secrets reach a site and certbot as credentials or as variables."""

from __future__ import annotations

import configparser
import re

import pytest
from ansible.template import Templar
from templates_cases import CASES, HOSTS
from templates_rendering import LOADER, directives, everywhere, matching, role_variables


@everywhere
def test_secrets_are_delivered_in_one_way(host, case):
    """A unit has either LoadCredential= or EnvironmentFile=."""
    for name, site in CASES[case].sites.items():
        text = matching(host, case, rf"/etc/decanter/{name}/unit\.conf$")[0].text
        files = re.findall(r"^LoadCredential=(\w+):", text, re.M)
        as_variables = f"EnvironmentFile=/etc/decanter/{name}/secrets.env" in text.splitlines()
        expected = site.get("secret_delivery") == "environment"
        assert as_variables == expected and bool(files) == (bool(site.get("secrets")) and not expected), text


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("case", "state", "credentials"),
    [("route53", "file", ["aws:/etc/decanter/certbot-aws"]), ("route53-role", "absent", [])],
)
def test_route53_key_is_a_credential_if_set(host, case, state, credentials):
    unit = directives(matching(host, case, r"/decanter-certificates\.service$")[0].text)
    got = [value for value, _ in unit.get("LoadCredential", [])]
    assert got == credentials, f"expected {credentials}, got {got}"
    variables = role_variables("certbot", host, CASES[case])
    file = Templar(LOADER, variables).template(variables["__certbot_aws_file"])
    assert (file["state"], file["mode"]) == (state, "0600")
    if credentials:
        read = configparser.RawConfigParser()  # as boto3 does
        read.read_string(file["content"])
        key = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "a%b=c/d+e"}
        assert dict(read["default"]) == key, dict(read["default"])


def test_fetched_secrets_are_credentials_of_the_unit():
    (harbour, plain) = (
        next(file.text for file in matching("debian13", "fetched", f"/{site}/unit.conf$"))
        for site in ("harbour", "plain")
    )
    unit = "decanter-credentials@harbour.service"
    for line in (f"Wants={unit}", f"After={unit}"):
        assert f"\n{line}\n" in harbour, f"expected {line}, got {harbour}"
    expected = [
        "LoadCredential=API_KEY:/etc/decanter/harbour/credentials/API_KEY",
        "LoadCredential=SECRET_KEY:/run/decanter-credentials/harbour/SECRET_KEY",
    ]
    got = re.findall("^LoadCredential=.*", harbour, re.M)
    assert got == expected, f"expected {expected}, got {got}"
    assert re.findall("^EnvironmentFile=(.*)", plain, re.M)[1:] == [
        "/etc/decanter/plain/secrets.env",
        "/run/decanter-credentials/plain/environment",
    ], plain
    # A forged request of the application (SSRF) must not get the credentials of the instance's role.
    denied = "IPAddressDeny=169.254.169.254 fd00:ec2::254"
    assert denied in harbour and denied not in plain, "expected the deny rule only without instance_role"
    (minimal,) = matching("debian13", "minimal", "/unit.conf$")
    assert denied in minimal.text and "decanter-credentials" not in minimal.text
