"""Rules of a site's environment variables and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    error_line,
    expected_words,
    schema_at,
    shown,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.structure import validator
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.values import part

# The value of a variable in an EnvironmentFile of systemd.
VARIABLE_VALUE = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")
# Secrets that the host fetches: the path of a parameter, or encrypted text.
FETCHED = {
    "ssm:": (
        re.compile(r"ssm:(/[A-Za-z0-9_.-]+){1,15}"),
        "ssm: and the path of a parameter, such as ssm:/staging/harbour/SECRET_KEY",
    ),
    "kms:": (
        re.compile(r"kms:(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
        "kms: and text that AWS KMS encrypted, in base64",
    ),
}


def environment_errors(site_id: Any, site: Any) -> Iterator[str]:
    secrets = part(site, "secrets")
    yield from duplicate_lines(site_id, site)
    if part(site, "secret_delivery", kind=str) == "environment":
        yield from secret_variable_lines(site_id, secrets)
    for name, value in secrets.items():
        for kind, (pattern, expected) in FETCHED.items():
            if isinstance(value, str) and value.startswith(kind) and not pattern.fullmatch(value):
                yield error_line((site_id, "secrets", name), value, expected=expected)
    if isinstance(site, dict) and site.get("instance_role") is True and site.get("outbound") is False:
        expected = "false, because the instance role requires network access and outbound is false"
        yield error_line((site_id, "instance_role"), True, expected=expected)


def duplicate_lines(site_id: Any, site: Any) -> Iterator[str]:
    """Yield one line for each name that two of `env`, `secrets` and `database.variables` have."""
    env, secrets = part(site, "env"), part(site, "secrets")
    variables = part(site, "database", "variables")
    for key, names, others, other in (
        (("secrets",), secrets, env, "env"),
        (("database", "variables"), variables, env, "env"),
        (("database", "variables"), variables, secrets, "secrets"),
    ):
        for name in names.keys() & others.keys():
            found = f"a name that is in {other} as well"
            yield error_line((site_id, *key, name), found=found, expected="it in one of the two")


def secret_variable_lines(site_id: Any, secrets: dict[Any, Any]) -> Iterator[str]:
    """Yield the errors of secrets that become environment variables."""
    rules = schema_at((site_id, "env"))[0]["propertyNames"]
    names = validator().evolve(schema=rules)
    for name, value in secrets.items():
        steps = (site_id, "secrets", name)
        for error in names.iter_errors(name):
            yield error_line(steps, found=f"the name {shown(name)}", expected=expected_words(error.schema))
        if isinstance(value, str) and not VARIABLE_VALUE.fullmatch(value):
            yield error_line(steps, value, expected="no control characters in an environment variable")
