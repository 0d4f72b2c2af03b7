"""Environment variables and secrets of a site's application."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.decanter.stack.plugins.module_utils.paths import SitePaths
from ansible_collections.decanter.stack.plugins.module_utils.site import SERVICES
from ansible_collections.decanter.stack.plugins.plugin_utils.sites.database import (
    Server,
    client_options,
    connection_variables,
)

# The placeholder for the folder of a release in variables and commands.
RELEASE = "{release}"
# A secret that the host fetches: a parameter of AWS Systems Manager, or a value encrypted by AWS KMS.
FETCHED = ("ssm:", "kms:")


@dataclass(frozen=True)
class Environment:
    """The environment variables of a site, and the names of its secrets."""

    variables: Mapping[str, str]
    # Variables that contain `{release}`: their value differs by unit.
    release_variables: Mapping[str, str]
    # Names of secrets that units receive: as files, as environment variables, and fetched by the host.
    credentials: Sequence[str]
    secret_variables: Sequence[str]
    fetched: Sequence[str]


def resolve_environment(site: Mapping[str, Any], name: str, server: Server) -> Environment:
    """Return the environment of a site without the values of secrets."""
    secrets = application_secrets(site, name, server)
    variables = dict(site["env"])
    plain, _ = connection_variables(site, name, server)
    variables |= plain
    for service in (SERVICES[key] for key in sorted(site["services"])):
        if service.variable not in site["secrets"]:
            variables.setdefault(service.variable, service.address.format(name))
    return Environment(
        variables={key: value for key, value in variables.items() if RELEASE not in value},
        release_variables={key: value for key, value in site["env"].items() if RELEASE in value},
        credentials=sorted(secrets["credentials"]),
        secret_variables=sorted(secrets["secret_variables"]),
        fetched=sorted(secrets["fetched"]),
    )


def application_secrets(site: Mapping[str, Any], name: str, server: Server) -> dict[str, Any]:
    """Return the secrets of a site by kind: see Environment; database_options: of root's client."""
    _, password = connection_variables(site, name, server)
    secrets = dict(site["secrets"]) | password
    fetched = {key: value for key, value in secrets.items() if value.startswith(FETCHED)}
    kept = {key: value for key, value in secrets.items() if key not in fetched}
    as_files = site["secret_delivery"] == "credentials"
    return {
        "credentials": kept if as_files else {},
        "secret_variables": {} if as_files else kept,
        "fetched": fetched,
        "database_options": client_options(site, name, server),
    }


def credential_files(name: str, delivery: str, secrets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the files of a site that only root can read, as entries of the module `files`.

    The folder of credentials has nothing else in it, so that a removed secret disappears from the host.
    """
    paths = SitePaths(name)
    fetched = ""
    if secrets["fetched"]:
        fetched = json.dumps({"as": delivery, "values": secrets["fetched"]}, indent=2, sort_keys=True)
    files: list[dict[str, Any]] = [
        {"path": paths.credentials, "state": "directory", "mode": "0700", "exclusive": True},
        _file(f"{paths.configuration}/secrets.env", environment_file(secrets["secret_variables"])),
        _file(f"{paths.configuration}/database.cnf", secrets["database_options"]),
        _file(f"{paths.configuration}/fetched.json", fetched and f"{fetched}\n"),
    ]
    if not secrets["fetched"]:
        files.append({"path": paths.fetched_credentials, "state": "absent"})
    files += [
        {"path": f"{paths.credentials}/{key}", "content": value, "mode": "0600"}
        for key, value in sorted(secrets["credentials"].items())
    ]
    return files


def _file(path: str, content: str) -> dict[str, Any]:
    return {"path": path, "mode": "0600"} | ({"content": content} if content else {"state": "absent"})


def environment_file(secrets: Mapping[str, str]) -> str:
    """Return secrets as an environment file of systemd, or "" without secrets.

    Double quotes keep newlines and spaces. A backslash escapes what a shell would interpret there.
    """
    if not secrets:
        return ""
    lines = ["# Ansible managed. systemd sets these variables (secret_delivery: environment).\n"]
    for name, value in sorted(secrets.items()):
        escaped = re.sub(r'([\\"`$])', r"\\\1", value)
        lines.append(f'{name}="{escaped}"\n')
    return "".join(lines)
