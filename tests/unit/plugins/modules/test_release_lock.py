"""The lock of a site: its holder, interrupted runs, and reused process ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import site_module
from ansible_collections.decanter.stack.plugins.action import release_lock
from ansible_collections.decanter.stack.plugins.modules import release_lock as module

run_of = release_lock.run_of

# --- Identity of a run -------------------------------------------------------------------------


@pytest.fixture
def sleeper():
    """Start a process that a test can kill."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_run_has_one_identity_while_it_runs(sleeper):
    got = run_of(sleeper.pid)
    assert got == run_of(sleeper.pid) and got.split(".")[0] == str(sleeper.pid), got
    assert got.split(".")[1].isdigit() and got != run_of(os.getpid()), got


def test_ended_run_has_no_identity(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert run_of(sleeper.pid) == ""


def stat(name: str, started: int) -> str:
    """Return a line of /proc/PID/stat: the name in parentheses, and the start time as field 22."""
    return f"77 ({name}) S {' '.join(str(number) for number in range(4, 22))} {started} 23 24\n"


@pytest.mark.parametrize("name", ["ansible-playboo", "a b", "a) R (b", ")"])
def test_reused_process_id_is_another_run(name, monkeypatch, tmp_path):
    monkeypatch.setattr(release_lock, "Path", lambda path: tmp_path / path.strip("/"))
    (tmp_path / "proc/77").mkdir(parents=True)
    got = []
    for started in (1000, 1000, 2000):
        (tmp_path / "proc/77/stat").write_text(stat(name, started))
        got.append(run_of(77))
    assert got == ["77.1000", "77.1000", "77.2000"], got


def test_run_without_proc_is_its_process_id(monkeypatch, tmp_path, sleeper):
    """macOS has no /proc."""
    monkeypatch.setattr(release_lock, "Path", lambda path: tmp_path / path.strip("/"))
    assert run_of(sleeper.pid) == str(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert run_of(sleeper.pid) == ""


# --- The lock ----------------------------------------------------------------------------------


@pytest.fixture
def site(monkeypatch, tmp_path):
    """Return a site below a temporary folder."""
    temporary = site_module.temporary_site(tmp_path)
    monkeypatch.setattr(module, "Site", lambda name: temporary)
    return temporary


class Action(release_lock.ActionModule):
    """The action plugin, which calls the module in this process instead of on a host."""

    def __init__(
        self, state: str = "taken", what: str = "deploy", check_mode: bool = False, **more: bool
    ) -> None:
        self._task = SimpleNamespace(
            args={"site": "plain", "state": state, "what": what, **more}, check_mode=check_mode, async_val=0
        )
        self._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp/x"))
        self._display = SimpleNamespace(display=lambda line, color: self.shown.append(line))
        self.shown: list[str] = []

    def _execute_module(self, name, arguments, task_vars):
        return site_module.call(module, {"holder": {}, "stale": {}} | arguments, self._task.check_mode)


def locked(site, **more: str) -> dict[str, str]:
    """Write the lock of another run."""
    note = {"by": "ada@desk", "machine": "desk", "run": "1.1", "what": "deploy", "since": "then", **more}
    site.lock.write_text(json.dumps(note))
    return note


def test_lock_is_taken_and_released(site):
    Action(what="rollback").run()
    note = json.loads(site.lock.read_text())
    machine = release_lock.socket.gethostname()
    assert (note["what"], note["machine"], note["run"]) == ("rollback", machine, run_of(os.getppid())), note
    assert note["by"].endswith(f"@{machine}") and note["since"].endswith("+00:00"), note
    Action(state="free").run()
    assert list(site.root.iterdir()) == [], "expected no file"
    Action(state="free").run()


def test_holder_keeps_its_lock(site):
    Action().run()
    before = site.lock.read_text()
    assert Action().run()["held"] == {}
    assert site.lock.read_text() == before


def test_lock_of_another_machine_is_not_taken(site):
    note = locked(site)
    with pytest.raises(release_lock.AnsibleActionFail) as error:
        Action().run()
    assert str(error.value) == (
        "plain: locked by ada@desk since then (deploy). Nothing was changed. "
        "If that run no longer exists: make unlock SITE=plain."
    )
    assert json.loads(site.lock.read_text()) == note
    assert [path.name for path in site.root.iterdir()] == ["lock.json"]


def test_lock_of_a_running_local_run_is_not_taken(site, sleeper):
    locked(site, machine=release_lock.socket.gethostname(), run=run_of(sleeper.pid))
    with pytest.raises(release_lock.AnsibleActionFail, match="locked by ada@desk since"):
        Action().run()


@pytest.mark.parametrize("run", ["ended", "reused process id"])
def test_lock_of_an_interrupted_local_run_is_taken(site, sleeper, run):
    process = f"{sleeper.pid}.1"
    if run == "ended":
        process = run_of(sleeper.pid)
        sleeper.kill()
        sleeper.wait()
    locked(site, machine=release_lock.socket.gethostname(), run=process)
    action = Action(what="converge")
    action.run()
    assert action.shown == ["plain: the deploy of then was interrupted and is repeated"], action.shown
    assert json.loads(site.lock.read_text())["what"] == "converge"


def test_stale_lock_is_taken_by_only_one_run(site, monkeypatch):
    """Another run may take the lock between the check and the write."""
    stale = locked(site, machine=release_lock.socket.gethostname(), run="999999999.1")
    action, another = Action(), {**stale, "run": "1.1", "machine": "desk"}
    execute = action._execute_module

    def take_first(name, arguments, task_vars):
        if "stale" in arguments:
            site.lock.write_text(json.dumps(another))
        return execute(name, arguments, task_vars)

    monkeypatch.setattr(action, "_execute_module", take_first)
    with pytest.raises(release_lock.AnsibleActionFail, match="locked by ada@desk since"):
        action.run()
    assert json.loads(site.lock.read_text()) == another


def test_lock_of_another_run_is_not_released(site):
    """Another run may have taken the lock on one of several hosts."""
    note = locked(site)
    Action(state="free").run()
    assert json.loads(site.lock.read_text()) == note


def test_provisional_file_is_removed_after_a_successful_run(site):
    for final, exists in ((False, True), (True, False)):
        Action().run()
        site.provisional.write_text("{}")
        Action(state="free", final=final).run()
        assert not site.lock.exists()
        assert site.provisional.exists() is exists, f"final={final}: expected {exists}"


def test_provisional_file_of_another_run_stays(site):
    locked(site)
    site.provisional.write_text("{}")
    Action(state="free", final=True).run()
    assert site.provisional.exists()


def test_check_mode_takes_no_lock(site):
    Action(check_mode=True).run()
    assert list(site.root.iterdir()) == []


def test_all_tasks_of_a_run_have_one_identity(tmp_path):
    """Ansible starts a process for each task, so the identity is that of ansible-playbook."""
    (tmp_path / "play.yml").write_text(
        "- hosts: all\n  connection: local\n  gather_facts: false\n  tasks:\n    - shown:\n    - shown:\n"
    )
    (tmp_path / "action_plugins").mkdir()
    path = release_lock.__file__
    (tmp_path / "action_plugins/shown.py").write_text(
        f"import importlib.util, os\nspec = importlib.util.spec_from_file_location('x', {path!r})\n"
        "x = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(x)\n"
        "class ActionModule(x.ActionModule):\n"
        "    def run(self, tmp=None, task_vars=None):\n"
        f"        open({str(tmp_path / 'runs')!r}, 'a').write(x.run_of(os.getppid()) + '\\n')\n"
        "        return {'changed': False}\n"
    )
    command = [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", "a,b,", "play.yml"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        output = process.communicate(timeout=60)[0].decode()
    runs = (tmp_path / "runs").read_text().split()
    assert len(runs) == 4 and {run.split(".")[0] for run in runs} == {str(process.pid)}, (runs, output)
    assert len(set(runs)) == 1, runs
