"""Relative paths of an inventory start at the folder of ansible.cfg, or at the working folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.decanter.stack.plugins.plugin_utils.project import project_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".", "/servers"),
        ("files/ca.pem", "/servers/files/ca.pem"),
        ("../ca.pem", "/servers/../ca.pem"),
        ("/etc/ca.pem", "/etc/ca.pem"),
        ("~/ca.pem", "/home/ada/ca.pem"),
        ("~ca.pem", "/servers/~ca.pem"),
    ],
)
def test_path_starts_at_the_folder_of_ansible_cfg(monkeypatch, path, expected):
    monkeypatch.setattr(constants.config, "_config_file", "/servers/ansible.cfg")
    monkeypatch.setenv("HOME", "/home/ada")
    assert project_path(path) == expected


def test_path_starts_at_the_working_folder_without_ansible_cfg(monkeypatch, tmp_path):
    monkeypatch.setattr(constants.config, "_config_file", None)
    monkeypatch.chdir(tmp_path)
    assert Path(project_path("ca.pem")) == tmp_path / "ca.pem"
