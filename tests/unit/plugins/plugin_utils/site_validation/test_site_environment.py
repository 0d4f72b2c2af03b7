"""The environment variables and the secrets of a site."""

from __future__ import annotations

import pytest
import yaml
from ansible.parsing.vault import EncryptedString
from ansible_collections.decanter.stack.plugins.filter import sites_check
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.yaml_traps import BOOLEAN, UNSAFE
from jinja2 import Undefined
from sites_examples import QUOTES, SECRET, changed, minimal
from sites_tables import accepted, rejected, rows

VALID = [
    ("secret_delivery", "environment"),
    ("instance_role", True),
    ("env.PYTHONUNBUFFERED", "1"),
    ("secrets.a", "multi\nline"),
    ("env.TITLE", "Changement"),
    ("env.TITLE", "exchange me, Wechselmechanik, échangeme"),
]
test_valid_value_is_accepted = accepted(VALID)

ENV_NAME = "1 to 255 upper-case letters, digits and underscores, a letter first"
NOT_EMPTY = "a string that is not empty (put numbers in quotes)"
INVALID = [
    *rows("env", "a dictionary of environment variables", (["A"], "a list")),
    *rows("env.A", QUOTES, 5),
    *rows("env.A", f"{QUOTES}; {BOOLEAN}", True),
    *rows("env.A", f"{QUOTES}; YAML reads 3.10 and 3.1 without quotes as the same number", 3.1),
    *rows("env.A", "a string on one line, without control characters except tabs", "a\nb", "a\x1bb"),
    *rows("env.a", ENV_NAME, ("x", 'the name "a"')),
    *rows("env[5]", ENV_NAME, ({5: "x"}, "the name 5"), at="env"),
    *rows('env["A B\\u2028"]', ENV_NAME, ({"A B\u2028": "x"}, 'the name "A B\\u2028"'), at="env"),
    *rows("secrets", "a dictionary of secrets", (SECRET, "a string")),
    *rows(
        "secrets.A",
        NOT_EMPTY,
        ("", "an empty string"),
        (5, "a number"),
        ([SECRET], "a list"),
    ),
    *rows("secrets.A", f"{NOT_EMPTY}; {BOOLEAN}", (True, "a boolean")),
    *rows(
        "secrets._a",
        "1 to 255 letters, digits and underscores, a letter first",
        ({"_a": SECRET}, 'the name "_a"'),
        at="secrets",
    ),
    *rows(
        "env.A",
        "your own value",
        *(
            (value, f'the placeholder "{value}"')
            for value in (
                "Replace_Me",
                "CHANGE-ME",
                "change_me",
                "changeme1",
                "https://REPLACE_ME/a",
                "replaceme",
            )
        ),
    ),
    *rows("secrets.A", "your own value", (f"CHANGEME_{SECRET}", "a placeholder")),
    *rows(
        "env.A",
        QUOTES,
        (10**5000, "a huge number"),
        ({1, 2}, "a value of another type"),
        (EncryptedString(ciphertext="x"), "a value that cannot be read"),
    ),
    *rows(
        "env.A",
        f"{QUOTES}; YAML reads a date without quotes as a date, not as a string",
        (yaml.safe_load("2024-01-31"), "a date"),
    ),
    *rows("env.A", f"{QUOTES}; {UNSAFE}", (Undefined(name="x"), "an undefined variable")),
    *rows("secrets.A", "a text without NUL bytes", (f"{SECRET}\0", "a string")),
    *rows("env[false]", f"{ENV_NAME}; {BOOLEAN}", ({False: "x"}, "the name false"), at="env"),
]
test_invalid_value_is_rejected = rejected(INVALID)

ENV_TAKEN = "another name, because the system or Decanter sets this variable"
TAKEN_VARIABLES = [
    *("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "DECANTER_X"),
    *("CREDENTIALS_DIRECTORY", "LISTEN_FDS", "GUNICORN_CMD_ARGS"),
]


@pytest.mark.parametrize("name", TAKEN_VARIABLES)
def test_env_reserved_variable_is_rejected(name: str, root: str) -> None:
    assert sites_check.site_errors(changed(minimal(), f"env.{name}", "x"), root) == [
        f'sites.harbour.env.{name}: found the name "{name}", expected {ENV_TAKEN}'
    ]


def test_name_in_env_and_secrets_is_rejected(root: str) -> None:
    sites = changed(changed(minimal(), "env.A", "x"), "secrets.A", SECRET)
    assert sites_check.site_errors(sites, root) == [
        "sites.harbour.secrets.A: found a name that is in env as well, expected it in one of the two"
    ]


PARAMETER = "ssm: and the path of a parameter, such as ssm:/staging/harbour/SECRET_KEY"
ENCRYPTED = "kms: and text that AWS KMS encrypted, in base64"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ssm:/staging/harbour/SECRET_KEY", ""),
        (f"kms:{'AQIC' * 12}", ""),
        (f"kms:{'AQIC' * 12}AQ==", ""),
        ("ssm:staging/harbour", PARAMETER),
        ("ssm:/staging//a", PARAMETER),
        ("ssm:/a b", PARAMETER),
        ("ssm:", PARAMETER),
        ("kms:", ENCRYPTED),
        ("kms:aGVsbG8=", ENCRYPTED),
        (f"kms:{'AQIC' * 12}A", ENCRYPTED),
    ],
)
def test_secret_address_is_validated(value: str, expected: str, root: str) -> None:
    lines = [f"sites.harbour.secrets.A: found a string, expected {expected}"] if expected else []
    assert sites_check.site_errors(changed(minimal(), "secrets", {"A": value}), root) == lines


def test_instance_role_without_outbound_is_rejected(root: str) -> None:
    sites = changed(changed(minimal(), "outbound", False), "instance_role", True)
    assert sites_check.site_errors(sites, root) == [
        "sites.harbour.instance_role: found true, expected false, because the instance role requires "
        "network access and outbound is false"
    ]


@pytest.mark.parametrize(
    ("name", "value", "found", "expected"),
    [
        ("lower", SECRET, 'the name "lower"', ENV_NAME),
        ("LD_PRELOAD", SECRET, 'the name "LD_PRELOAD"', ENV_TAKEN),
        ("A", f"{SECRET}\x07", "a string", "no control characters in an environment variable"),
    ],
)
def test_secret_in_environment_with_invalid_name_is_rejected(name, value, found, expected, root) -> None:
    sites = changed(minimal(), "secrets", {name: value, "FINE": f"{SECRET}\n\t'\"\\ü"})
    if name != "LD_PRELOAD":
        assert sites_check.site_errors(sites, root) == [], "expected no error for a secret in a file"
    assert sites_check.site_errors(changed(sites, "secret_delivery", "environment"), root) == [
        f"sites.harbour.secrets.{name}: found {found}, expected {expected}"
    ]
