"""An environment from a lock file, whole or not at all."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.decanter.stack.plugins.module_utils import interpreter
from ansible_collections.decanter.stack.plugins.modules import locked_environment as module
from run_module import Done


@pytest.fixture
def build(tmp_path, capsys, monkeypatch):
    # The interpreter of the tests may belong to the user who runs them.
    monkeypatch.setattr(interpreter, "unsafe", lambda path: "")

    def run(requirements: str = "", python: str = sys.executable, check: bool = False) -> Done:
        arguments = {"path": str(tmp_path / "tool"), "requirements": requirements, "python": [python]}
        with (
            patch_module_args({**arguments, "_ansible_check_mode": check}),
            pytest.raises(SystemExit) as ended,
        ):
            module.main()
        said = capsys.readouterr().out
        return Done(ended.value.code, said, json.loads(said))

    return run


def test_it_is_built_once_and_linked(build, tmp_path):
    assert build(check=True).result["changed"] and not (tmp_path / "tool").exists()
    done = build()
    assert done.code == 0 and done.result["changed"], done
    current = tmp_path / "tool/current"
    assert current.resolve() == Path(done.result["environment"]), done
    assert (current / "bin/python").exists()
    assert build().result["changed"] is False


def test_another_lock_is_another_environment(build, tmp_path):
    first = Path(build().result["environment"])
    done = build("# nothing\n")
    assert (tmp_path / "tool/current").resolve() == Path(done.result["environment"]) != first
    assert not first.exists(), "expected the old one to go"


def test_one_that_cannot_be_built_leaves_the_old_one(build, tmp_path):
    first = build().result["environment"]
    done = build("nobody-has-this @ file:///nowhere --hash=sha256:00\n")
    assert done.code != 0, done
    assert (tmp_path / "tool/current").resolve() == Path(first), "expected the old one to stay"
    assert build().result["changed"], "expected what is half built to go"
    assert sorted(os.listdir(tmp_path / "tool")) == sorted([Path(first).name, "current"])


def test_no_python(build):
    assert build(python="/nowhere/python3", check=True).result["changed"]
    done = build(python="/nowhere/python3")
    assert done.code != 0 and "found no Python at /nowhere/python3" in done.result["msg"], done
