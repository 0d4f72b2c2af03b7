"""The examples of each role's README are valid for the role's argument specs."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.decanter.stack.plugins.filter.sites_check import site_errors
from repository import ROLES, ROOT

# Modules, actions and filters. Their names may start with the name of a role.
PLUGINS = {path.stem for path in ROOT.glob("plugins/*/*.py")} | {
    name
    for path in ROOT.glob("plugins/filter/*.py")
    for name in re.findall(r"^def (\w+)", path.read_text(), re.M)
}


class Example(NamedTuple):
    """Variables that a README passes to an entry point of a role."""

    role: str
    entry_point: str
    variables: Mapping[str, Any]


def readme(role: str) -> str:
    """Return the written part of a role's README; the table of variables is generated."""
    return (ROLES[role] / "README.md").read_text().split("<!-- variables -->")[0]


def specs(role: str) -> dict[str, Any]:
    path = ROLES[role] / "meta/argument_specs.yml"
    return yaml.safe_load(path.read_text())["argument_specs"]


def examples(role: str) -> Iterator[Example]:
    """Return each use of a role in a README, by a play, by a task, or as variables of an inventory."""
    for text in re.findall(r"^```yaml\n(.*?)^```$", readme(role), re.M | re.S):
        data = yaml.safe_load(text)
        if isinstance(data, dict):
            yield Example(role, "inventory", data)
            continue
        for item in data:
            variables = item.get("vars", {})
            for use in item.get("roles", []):
                yield Example(name_of(use["role"]), "main", variables | use.get("vars", {}))
            for task in item.get("tasks", [item]):
                yield from role_tasks(task, variables)


def name_of(role: str) -> str:
    """Return the name of a role without that of the collection."""
    return role.removeprefix("decanter.stack.")


def role_tasks(task: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterator[Example]:
    """Return the use of a role by a task; variables of its play are those of the entry point `main`."""
    for key, use in task.items():
        if key.endswith(("include_role", "import_role")):
            entry_point = use.get("tasks_from", "main")
            common = variables if entry_point == "main" else {}
            yield Example(name_of(use["name"]), entry_point, {**common, **task.get("vars", {})})


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def resolvable(options: Mapping[str, Any], variables: Any) -> dict[str, Any]:
    """Return the options without the types of values that are templates, which only Ansible can resolve."""
    result = copy.deepcopy(dict(options))
    for name, option in result.items():
        if is_template(option.get("default")):
            del option["default"]
        value = variables.get(name) if isinstance(variables, Mapping) else None
        if is_template(value):
            result[name] = {"type": "raw", "required": option.get("required", False)}
        elif "options" in option:
            for item in value if isinstance(value, list) else [value]:
                option["options"] = resolvable(option["options"], item)
    return result


def problems(example: Example) -> list[str]:
    """Return what the argument specs of the role reject in an example."""
    every = specs(example.role)
    if example.entry_point == "inventory":
        options = {
            name: option for spec in every.values() for name, option in spec.get("options", {}).items()
        }
        options = {name: {**option, "required": False} for name, option in options.items()}
    elif example.entry_point in every:
        options = every[example.entry_point].get("options", {})
    else:
        return [f"no entry point {example.entry_point}"]
    # Ansible ignores variables that a role does not declare. An example must not contain any but `sites`,
    # which filters resolve for the role.
    unknown = [f"{name} is not declared" for name in example.variables.keys() - {"sites"} - options.keys()]
    unknown += site_errors(example.variables["sites"], str(ROOT)) if "sites" in example.variables else []
    declared = {name: value for name, value in example.variables.items() if name in options}
    return unknown + ArgumentSpecValidator(resolvable(options, declared)).validate(declared).error_messages


@pytest.mark.parametrize("role", ROLES)
def test_readme_examples_match_the_argument_specs(role):
    found = list(examples(role))
    assert any(example[:2] == (role, "main") for example in found), f"{role}: expected an example of a play"
    errors = [f"{example.role}: {problem}" for example in found for problem in problems(example)]
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize("role", ROLES)
def test_readme_names_variables_that_exist(role):
    declared = PLUGINS | {
        name for other in ROLES for spec in specs(other).values() for name in spec.get("options", {})
    }
    prefix = "|".join(ROLES)
    named = re.findall(rf"`((?:{prefix})_[a-z_]+)`", readme(role))
    unknown = [name for name in named if name not in declared]
    assert not unknown, f"{role}: expected declared variables, got {', '.join(unknown)}"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"balancer_members": [{"name": "web1"}]}, "missing required arguments: address"),
        ({"sites": {"myproject": {"source": {"git": "a"}, "wsgi": "a:b"}}}, "sites.myproject.server_names"),
        ({"python_app_sitse": []}, "python_app_sitse is not declared"),
        ({"python_app_task_timeout": "soon"}, "python_app_task_timeout"),
        ({"python_app_sites": "{{ sites }}", "python_app_task_timeout": "{{ timeout }}"}, ""),
    ],
)
def test_invalid_example_is_reported(variables, problem):
    role = "balancer" if "balancer_members" in variables else "python_app"
    found = problems(Example(role, "main", variables))
    assert problem in " ".join(found) and bool(found) == bool(problem), found
