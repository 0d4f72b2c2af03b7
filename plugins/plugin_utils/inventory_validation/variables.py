"""Variables of hosts: their values, and names that are unknown or were renamed."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

Variables = Mapping[str, Any]
Hostvars = Mapping[str, Variables]
Groups = Mapping[str, Sequence[str]]

ROLES = Path(__file__).parents[3] / "roles"
# Variables of earlier versions, each with its new name.
RENAMED = {
    "balancer_tls": "balancer_tls_mode",
    "gunicorn_release_header": "python_app_release_header",
    "gunicorn_threads": "python_app_threads",
    "gunicorn_workers": "python_app_workers",
    "hosts_are_alone": "web_hosts_independent",
    "memcached_absent": "services_absent",
    "memcached_instances": "services_instances",
    "memcached_memory_mb": "services_memcached_memory_mb",
    "redis_absent": "services_absent",
    "redis_instances": "services_instances",
    "redis_memory_mb": "services_redis_memory_mb",
    "redis_policy": "services_redis_policy",
    "redis_purge": "services_purge",
}
# Values of earlier versions, each with its new name, by the variable's new name.
RENAMED_VALUES = {
    "balancer_kind": {"nginx": "haproxy"},
    "balancer_tls_mode": {"ends": "terminate", "passes": "passthrough"},
}


@functools.cache
def role_variables() -> dict[str, frozenset[str]]:
    """Return the names that each role's argument specs declare, by role."""
    declared = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        specs = yaml_load(path.read_text("utf-8"))["argument_specs"]
        names = (name for spec in specs.values() for name in spec.get("options", {}))
        declared[path.parents[1].name] = frozenset(names)
    return declared


def renamed(name: str) -> str | None:
    """Return the new name of a renamed variable, with those of its values, or None for other variables."""
    new = RENAMED.get(name)
    values = [f"{value} instead of {old}" for old, value in RENAMED_VALUES.get(new or "", {}).items()]
    return f"{new} ({', '.join(values)})" if values else new


def undeclared(name: str) -> str | None:
    """Return the expected words for a name with a role's prefix that the role does not declare, else None."""
    # The longest role name, because python_app_x does not belong to a role `python`.
    role = max((role for role in role_variables() if name.startswith(f"{role}_")), key=len, default=None)
    if role is None or name in role_variables()[role]:
        return None
    near = difflib.get_close_matches(name, sorted(role_variables()[role]), n=1)
    return f"one of the role {role}'s" + (f" (did you mean {near[0]}?)" if near else "")


def variable_errors(hostvars: Hostvars, hosts: Iterable[str]) -> Iterator[str]:
    """Yield one line for each renamed or undeclared variable, whatever the number of hosts that have it.

    Read names only, because a value may be a secret, or a template that cannot be resolved yet.
    """
    owners: dict[str, list[str]] = {}
    for host in hosts:
        for name in list(hostvars[host]):
            owners.setdefault(str(name), []).append(host)
    for name, having in sorted(owners.items()):
        if expected := renamed(name) or undeclared(name):
            found = "a variable that was renamed" if name in RENAMED else "an undeclared variable"
            found += f" (on {len(having)} hosts)" if len(having) > 1 else ""
            yield f"hosts.{having[0]}.{name}: found {found}, expected {expected}"


def text_of(variables: Variables, name: str) -> str:
    """Return the value of one variable, the only one that is resolved; an empty string if it is not set.

    The variable's old name counts, so that a renamed variable causes one error and not two.
    """
    names = [name, *(old for old, new in RENAMED.items() if new == name)]
    return next((str(variables.get(one) or "") for one in names if one in list(variables)), "")


def list_of(variables: Variables, name: str) -> list[Any] | None:
    """Return the value of a variable that is a list, empty if it is not set; None for another type."""
    found = variables[name] if name in list(variables) else []
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else None


def host_address(hostvars: Hostvars, host: str) -> str:
    """Return the address at which web hosts and balancers reach a host."""
    return str(hostvars[host].get("balancer_address", hostvars[host].get("ansible_host", host)))


def first_host_lines(
    hostvars: Hostvars, hosts: Iterable[str], errors: Callable[[Variables], Iterable[str]]
) -> Iterator[str]:
    """Yield each distinct error of the hosts' variables once, with the first host that has it."""
    seen: set[str] = set()
    for host in hosts:
        for line in errors(hostvars[host]):
            if line not in seen:
                seen.add(line)
                yield f"hosts.{host}.{line}"
