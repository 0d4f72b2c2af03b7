"""An environment from a lock file: complete, or unchanged after an error."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.decanter.stack.plugins.module_utils import interpreter
from ansible_collections.decanter.stack.plugins.modules import locked_environment as module
from run_module import CompletedModule


@pytest.fixture
def build(tmp_path, capsys, monkeypatch):
    # The interpreter of the tests may belong to their user instead of root.
    monkeypatch.setattr(interpreter, "unsafe", lambda path: "")

    def run(requirements: str = "", python: str = sys.executable, check: bool = False) -> CompletedModule:
        arguments = {"path": str(tmp_path / "tool"), "requirements": requirements, "python": [python]}
        with (
            patch_module_args({**arguments, "_ansible_check_mode": check}),
            pytest.raises(SystemExit) as exited,
        ):
            module.main()
        output = capsys.readouterr().out
        return CompletedModule(exited.value.code, output, json.loads(output))

    return run


def test_environment_is_built_once_and_linked(build, tmp_path):
    assert build(check=True).result["changed"] and not (tmp_path / "tool").exists()
    done = build()
    assert done.code == 0 and done.result["changed"], done
    current = tmp_path / "tool/current"
    assert current.resolve() == Path(done.result["environment"]), done
    assert (current / "bin/python").exists()
    assert build().result["changed"] is False


def test_changed_lock_replaces_the_environment(build, tmp_path):
    first = Path(build().result["environment"])
    done = build("# nothing\n")
    assert (tmp_path / "tool/current").resolve() == Path(done.result["environment"]) != first
    assert not first.exists(), "expected the old environment to be removed"


def test_failed_build_leaves_the_old_environment(build, tmp_path):
    first = build().result["environment"]
    done = build("no-such-package @ file:///nowhere --hash=sha256:00\n")
    assert done.code != 0, done
    assert (tmp_path / "tool/current").resolve() == Path(first), "expected the old environment to stay"
    assert build().result["changed"], "expected the incomplete environment to be removed"
    assert sorted(os.listdir(tmp_path / "tool")) == sorted([Path(first).name, "current"])


def test_missing_python_fails_outside_check_mode(build):
    assert build(python="/nowhere/python3", check=True).result["changed"]
    done = build(python="/nowhere/python3")
    assert done.code != 0 and "found no Python at /nowhere/python3" in done.result["msg"], done
