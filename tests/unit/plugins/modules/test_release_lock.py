"""Who works on a site: told apart from a run that was cut off, and never by a number that came again."""

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

# --- Which run it is ---------------------------------------------------------------------------


@pytest.fixture
def sleeper():
    """A process of this test's own."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_run_is_the_same_as_long_as_it_lives(sleeper):
    got = run_of(sleeper.pid)
    assert got == run_of(sleeper.pid) and got.split(".")[0] == str(sleeper.pid), got
    assert got.split(".")[1].isdigit() and got != run_of(os.getpid()), got


def test_a_run_that_is_gone_is_nobody(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert run_of(sleeper.pid) == ""


def stat(name: str, started: int) -> str:
    """A line of /proc/PID/stat: the name in brackets, and the start as the twenty-second field."""
    return f"77 ({name}) S {' '.join(str(number) for number in range(4, 22))} {started} 23 24\n"


@pytest.mark.parametrize("name", ["ansible-playboo", "a b", "a) R (b", ")"])
def test_a_number_that_came_again_is_another_run(name, monkeypatch, tmp_path):
    monkeypatch.setattr(release_lock, "Path", lambda path: tmp_path / path.strip("/"))
    (tmp_path / "proc/77").mkdir(parents=True)
    got = []
    for started in (1000, 1000, 2000):
        (tmp_path / "proc/77/stat").write_text(stat(name, started))
        got.append(run_of(77))
    assert got == ["77.1000", "77.1000", "77.2000"], got


def test_without_proc_a_run_is_its_number(monkeypatch, tmp_path, sleeper):
    """On a Mac."""
    monkeypatch.setattr(release_lock, "Path", lambda path: tmp_path / path.strip("/"))
    assert run_of(sleeper.pid) == str(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert run_of(sleeper.pid) == ""


# --- Who holds a site --------------------------------------------------------------------------


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A site whose folder is here."""
    one = site_module.temporary_site(tmp_path)
    monkeypatch.setattr(module, "Site", lambda name: one)
    return one


class Action(release_lock.ActionModule):
    """The action plugin, with the module called here instead of on a host."""

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


def held(site, **more: str) -> dict[str, str]:
    """A note that somebody has left."""
    note = {"by": "ada@desk", "machine": "desk", "run": "1.1", "what": "deploy", "since": "then", **more}
    site.lock.write_text(json.dumps(note))
    return note


def test_a_site_is_taken_and_let_go(site):
    Action(what="rollback").run()
    note = json.loads(site.lock.read_text())
    machine = release_lock.socket.gethostname()
    assert (note["what"], note["machine"], note["run"]) == ("rollback", machine, run_of(os.getppid())), note
    assert note["by"].endswith(f"@{machine}") and note["since"].endswith("+00:00"), note
    Action(state="free").run()
    assert list(site.root.iterdir()) == [], "expected nothing to stay"
    Action(state="free").run()


def test_who_holds_it_already_may_go_on(site):
    Action().run()
    before = site.lock.read_text()
    assert Action().run()["held"] == {}
    assert site.lock.read_text() == before


def test_a_site_that_somebody_works_on_elsewhere_is_left_alone(site):
    note = held(site)
    with pytest.raises(release_lock.AnsibleActionFail) as refused:
        Action().run()
    assert str(refused.value) == (
        "plain: locked by ada@desk since then (deploy). Nothing was changed. "
        "If that run no longer exists: make unlock SITE=plain."
    )
    assert json.loads(site.lock.read_text()) == note
    assert [path.name for path in site.root.iterdir()] == ["lock.json"]


def test_a_run_of_this_machine_that_lives_is_left_alone(site, sleeper):
    held(site, machine=release_lock.socket.gethostname(), run=run_of(sleeper.pid))
    with pytest.raises(release_lock.AnsibleActionFail, match="locked by ada@desk since"):
        Action().run()


@pytest.mark.parametrize("run", ["gone", "come again"])
def test_a_run_of_this_machine_that_was_cut_off_is_done_anew(site, sleeper, run):
    number = f"{sleeper.pid}.1"
    if run == "gone":
        number = run_of(sleeper.pid)
        sleeper.kill()
        sleeper.wait()
    held(site, machine=release_lock.socket.gethostname(), run=number)
    action = Action(what="converge")
    action.run()
    assert action.shown == ["plain: the deploy of then was interrupted and is repeated"], action.shown
    assert json.loads(site.lock.read_text())["what"] == "converge"


def test_of_two_who_find_a_run_gone_only_one_has_it(site, monkeypatch):
    """Somebody else may have taken it between the finding and the taking."""
    stale = held(site, machine=release_lock.socket.gethostname(), run="999999999.1")
    action, another = Action(), {**stale, "run": "1.1", "machine": "desk"}
    execute = action._execute_module

    def late(name, arguments, task_vars):
        if "stale" in arguments:
            site.lock.write_text(json.dumps(another))
        return execute(name, arguments, task_vars)

    monkeypatch.setattr(action, "_execute_module", late)
    with pytest.raises(release_lock.AnsibleActionFail, match="locked by ada@desk since"):
        action.run()
    assert json.loads(site.lock.read_text()) == another


def test_what_another_run_has_taken_is_not_let_go(site):
    """Of several hosts one may have been taken over meanwhile."""
    note = held(site)
    Action(state="free").run()
    assert json.loads(site.lock.read_text()) == note


def test_note_to_switch_back_is_removed_with_the_lock_of_a_run_that_ended_well(site):
    for final, kept in ((False, True), (True, False)):
        Action().run()
        site.provisional.write_text("{}")
        Action(state="free", final=final).run()
        assert not site.lock.exists()
        assert site.provisional.exists() is kept, f"final={final}: expected {kept}"


def test_note_to_switch_back_of_another_run_stays(site):
    held(site)
    site.provisional.write_text("{}")
    Action(state="free", final=True).run()
    assert site.provisional.exists()


def test_a_check_takes_nothing(site):
    Action(check_mode=True).run()
    assert list(site.root.iterdir()) == []


def test_the_run_is_ansible_playbooks_and_not_a_tasks(tmp_path):
    """Each task is a child of its own: two tasks of one run must be one holder."""
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
        said = process.communicate(timeout=60)[0].decode()
    runs = (tmp_path / "runs").read_text().split()
    assert len(runs) == 4 and {run.split(".")[0] for run in runs} == {str(process.pid)}, (runs, said)
    assert len(set(runs)) == 1, runs
