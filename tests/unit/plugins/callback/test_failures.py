"""Failures are printed once, as plain lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playbook_run import run_playbook

from tools.library import ACCELERATED

# A module with a failure of each kind.
MODULE = """#!/usr/bin/python3
import traceback
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"kind": {"type": "str"}})
if module.params["kind"] == "exception":
    try:
        {}["absent"]
    except KeyError:
        module.fail_json(msg="first line\\nsecond: 'line'", exception=traceback.format_exc(), site="shop")
if module.params["kind"] == "repeat":
    text = "Traceback:\\n  in <module>\\nImportError: not-found"
    module.fail_json(msg="The application failed:\\n" + text, stderr=text + "\\n")
raise ValueError("broken module")
"""
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Test
      {task}
"""
ASSERTION = """ansible.builtin.assert:
        that: item | default(false)
        fail_msg: "sites.shop: found 'a', expected \\"b\\"\\nsites.blog: found nothing"
        quiet: true
"""


def run(tmp_path: Path, task: str, *arguments: str) -> str:
    """Return the output of a playbook with one task that fails, from its banner to the recap."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library/broken.py").write_text(MODULE)
    (tmp_path / "play.yml").write_text(PLAY.format(task=task.replace("\n", "\n      ")))
    done = run_playbook(tmp_path / "play.yml", *arguments)
    assert done.returncode == 2, f"expected a failed run, got {done.returncode}: {done.stdout}{done.stderr}"
    assert not done.stderr, f"expected no output on stderr, got {done.stderr}"
    return re.split(r"TASK \[Test\] \*+\n|\nPLAY RECAP", done.stdout)[1]


@pytest.mark.parametrize("settings", [{}, ACCELERATED], ids=["linear", "mitogen"])
def test_message_of_an_assertion_is_printed_once(settings, tmp_path, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    output = run(tmp_path, ASSERTION)
    assert output == (
        "fatal: [localhost]: FAILED! => \n"
        "  sites.shop: found 'a', expected \"b\"\n"
        "  sites.blog: found nothing\n"
    ), output


@pytest.mark.parametrize("option", ["--diff", "--check"])
def test_failure_with_an_option_is_printed_once(option, tmp_path):
    output = run(tmp_path, ASSERTION, option)
    assert output.count("sites.blog: found nothing") == 1, output


def test_failed_item_is_printed_once(tmp_path):
    output = run(tmp_path, ASSERTION + "loop: [true, false]\n")
    assert output == (
        "failed: [localhost] (item=False) => \n"
        "  sites.shop: found 'a', expected \"b\"\n"
        "  sites.blog: found nothing\n"
    ), output


def test_traceback_of_a_module_is_printed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_DISPLAY_TRACEBACK", "error")  # otherwise ansible-core records none
    output = run(tmp_path, "broken: {kind: exception}")
    assert output.startswith("fatal: [localhost]: FAILED! => \n  first line\n  second: 'line'\n"), output
    assert output.count("KeyError: 'absent'") == 1, output
    assert output.endswith("  site: shop\n"), output


@pytest.mark.parametrize("settings", [{}, ACCELERATED], ids=["linear", "mitogen"])
def test_exception_of_a_module_is_printed_once(settings, tmp_path, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    output = run(tmp_path, "broken: {kind: other}")
    assert output.count("broken module") == 1, output


def test_output_of_a_command_is_printed_as_lines(tmp_path):
    output = run(tmp_path, "ansible.builtin.shell: \"printf 'a\\\\nb'; echo \\\"c: 'd'\\\" >&2; exit 3\"")
    lines = output.splitlines()
    assert lines[1:7] == [
        "  non-zero return code",
        "  stdout:",
        "    a",
        "    b",
        "  stderr:",
        "    c: 'd'",
    ], output
    assert "  rc: 3" in lines, output


def test_text_that_the_message_contains_is_not_printed_again(tmp_path):
    output = run(tmp_path, "broken: {kind: repeat}")
    assert output.count("Traceback") == output.count("not-found") == 1, output


@pytest.mark.parametrize("loop", ["", "loop: [secret-item]\n"])
def test_result_with_no_log_stays_censored(loop, tmp_path):
    output = run(tmp_path, f"ansible.builtin.shell: echo secret-output; exit 1\nno_log: true\n{loop}")
    assert "secret" not in output.replace("secret-item]", ""), output
    assert "the output has been hidden" in output, output


def test_unreachable_host_is_printed_once(tmp_path):
    variables = "{ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}"
    (tmp_path / "play.yml").write_text(PLAY.format(task=f"ansible.builtin.ping:\n      vars: {variables}"))
    done = run_playbook(tmp_path / "play.yml")
    assert done.returncode == 4, done.stdout
    assert done.stdout.count("Connection refused") == 1, done.stdout
    assert "fatal: [localhost]: UNREACHABLE! => \n  Task failed: " in done.stdout, done.stdout


def test_verbose_run_names_the_file_of_the_task(tmp_path):
    output = run(tmp_path, ASSERTION, "-v")
    assert f"Origin: {tmp_path}/play.yml:6:7" in output, output


def test_success_prints_no_task(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY.format(task="ansible.builtin.assert: {that: true}"))
    done = run_playbook(tmp_path / "play.yml")
    assert done.returncode == 0 and "TASK" not in done.stdout, done.stdout + done.stderr
