"""Packages: apt runs only for missing packages."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.decanter.stack.plugins.action import packages

HALF = "half-configured nginx"


@pytest.fixture
def run(monkeypatch):
    """Run the action with the given output of dpkg. Return its result and its calls."""

    def call(lines: list[str], check: bool = False, **arguments: Any) -> tuple[dict[str, Any], list[Any]]:
        calls: list[Any] = []

        def command(self, text):
            calls.append(text)
            return {"stdout_lines": lines}

        def module(self, name, arguments, task_vars=None):
            calls.append((name, arguments))
            return {"changed": True}

        monkeypatch.setattr(packages.ActionModule, "__init__", lambda self: None)
        monkeypatch.setattr(packages.ActionBase, "run", lambda *_: {})
        monkeypatch.setattr(packages.ActionModule, "_low_level_execute_command", command)
        monkeypatch.setattr(packages.ActionModule, "_execute_module", module)
        one = packages.ActionModule()
        one._task = SimpleNamespace(args=arguments, check_mode=check)
        return one.run(task_vars={}), calls

    return call


def test_installed_packages_need_one_command(run):
    result, calls = run(["installed nginx", "installed ufw", "lists"], name=["nginx", "ufw"])
    assert (result, len(calls)) == ({"changed": False, "missing": []}, 1), calls
    assert "nginx" in calls[0] and "ufw" in calls[0]


@pytest.mark.parametrize("lines", [["installed ufw", "lists"], ["installed ufw", HALF, "lists"]])
def test_missing_and_half_configured_packages_are_installed(run, lines):
    result, calls = run(lines, name=["nginx", "ufw"])
    name, arguments = calls[1]
    assert (result["changed"], name, arguments["name"]) == (True, "ansible.builtin.apt", ["nginx"])
    assert (arguments["fail_on_autoremove"], arguments["install_recommends"]) == (True, False)
    assert arguments["cache_valid_time"] == 86400 and "update_cache" not in arguments, arguments


def test_missing_package_lists_are_fetched(run):
    arguments = run([], name=["nginx"])[1][1][1]
    assert (arguments["update_cache"], arguments["cache_valid_time"]) == (True, 0), arguments


def test_task_can_override_options_of_apt(run):
    assert run(["lists"], name=["nginx"], install_recommends=True)[1][1][1]["install_recommends"] is True


def test_package_names_are_quoted_for_the_shell(run):
    command = run(["lists"], name=["nginx; reboot"])[1][0]
    assert "'nginx; reboot'" in command, command


@pytest.mark.parametrize("name", ["nginx", None, {"nginx": 1}])
def test_name_that_is_not_a_list_is_rejected(run, name):
    with pytest.raises(AnsibleActionFail, match="expected a list of packages"):
        run([], name=name)


@pytest.mark.parametrize(("lines", "commands"), [([], 1), (["lists"], 2)])
def test_check_mode_without_lists_does_not_call_apt(run, lines, commands):
    result, calls = run(lines, check=True, name=["nginx"])
    assert (result, len(calls)) == ({"changed": True, "missing": ["nginx"]}, commands), calls


def test_package_with_an_installed_replacement_is_not_needed(run, tmp_path):
    """The shell searches the paths of replacements, which dpkg does not list."""
    (tmp_path / "it's 3.12/bin").mkdir(parents=True)
    program = tmp_path / "it's 3.12/bin/python3.12"
    program.touch(mode=0o755)
    arguments = {
        "name": ["nginx", "python3.12"],
        "instead": {"python3.12": [f"{tmp_path}/it's*/bin/*"]},
    }
    command = run(["lists"], **arguments)[1][0]
    search = command.split("; ", 1)[1]
    output = subprocess.run(["sh", "-c", search], capture_output=True, text=True).stdout.splitlines()
    assert output[0] == "installed python3.12", f"expected {program} to be found, got {output}"
    result, calls = run(["installed nginx", output[0], "lists"], **arguments)
    assert (result, len(calls)) == ({"changed": False, "missing": []}, 1), calls
    program.chmod(0o644)
    assert "python3.12" not in subprocess.run(["sh", "-c", search], capture_output=True, text=True).stdout
    options = run(["installed nginx", "lists"], **arguments)[1][1][1]
    assert options["name"] == ["python3.12"] and "instead" not in options, options


def test_optional_package_without_candidate_is_left_out(run, tmp_path, monkeypatch):
    tools = {
        "dpkg-query": "for name; do :; done; [ $name = installed-1 ]",
        # `apt-cache pkgnames` prints all names with this prefix.
        "apt-cache": "[ $1 = pkgnames ] && printf 'known-1\\nunknown-1-doc\\n'",
    }
    for program, script in tools.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    names = ["nginx", "installed-1", "known-1", "unknown-1"]
    command = run(["lists"], name=names, optional=names[1:])[1][0]
    output = subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout.splitlines()
    unknown = [line for line in output if line.startswith("unknown")]
    assert unknown == ["unknown unknown-1"], f"expected one unknown package, got {output}"
    options = run(["installed installed-1", *unknown, "lists"], name=names, optional=names[1:])[1][1][1]
    assert options["name"] == ["nginx", "known-1"] and "optional" not in options, options
