"""The action release on the hosts of a run: one commit, and equal details once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import KEY, Repository, remote, source


class Action(release.ActionModule):
    """The action plugin without a host. It records the calls of the module."""

    def __init__(self, check_mode: bool = False, run: str = "a run", **arguments: object) -> None:
        self.run_id = run
        self._task = SimpleNamespace(args=arguments, check_mode=check_mode, async_val=0, diff=False)
        self._task.get_play = lambda: SimpleNamespace(_uuid=self.run_id)
        shell = SimpleNamespace(tmpdir="/tmp/x", join_path=lambda *parts: "/".join(parts))
        self._connection = SimpleNamespace(_shell=shell)
        self._display = SimpleNamespace(display=lambda line, color: self.shown.append(line))
        self.shown: list[str] = []
        self.calls: list[dict[str, object]] = []
        self.pin: dict[str, str] = {}
        self.failure: dict[str, object] = {}

    def _make_tmp_path(self) -> None: ...

    def _remove_tmp_path(self, path: str) -> None: ...

    def _transfer_file(self, local: str, remote_path: str) -> None:
        with release.tarfile.open(local) as tar:
            self.sent = {member.name: tar.extractfile(member).read().decode() for member in tar}

    def _execute_module(self, name, arguments, task_vars):
        self.calls.append(arguments)
        return {"changed": True, "pin": self.pin} | self.failure


def test_source_and_key_are_not_sent_to_the_host(repository, ssh):
    commit = repository.commit(app="one")
    arguments = {"site": {"name": "plain"}, "source": remote(repository, key=KEY), "python": "python3"}
    check = Action(make=False, **arguments)
    state = check.run()
    assert state["commit"] == commit
    repository.commit(app="two")
    build = Action(make=True, commit=commit, id=f"ID-{state['content']}", run="another", **arguments)
    build.run()
    assert build.sent == {"app": "one"}, f"expected the commit of the check, got {build.sent}"
    [check_call], [build_call] = check.calls, build.calls
    assert (
        check_call["content"] == build_call["content"]
        and check_call["record"]["commit"] == build_call["record"]["commit"]
    )
    assert "archive" not in check_call and build_call["archive"] == "/tmp/x/source.tar.gz"
    for call in (check_call, build_call):
        assert "c2VjcmV0" not in repr(call) and not {"source", "make", "commit"} & call.keys(), call


def test_all_hosts_of_a_run_use_one_commit(repository, ssh):
    """A push during the run changes nothing, because the commit is fetched once."""
    tagged = repository.commit(app="none")
    repository.git("tag", "v1")
    first = repository.commit(app="one")
    arguments = {"make": False, "site": {"name": "plain"}, "source": remote(repository)}
    assert Action(**arguments).run()["commit"] == first
    second = repository.commit(app="two")
    assert Action(**arguments).run()["commit"] == first
    other = {**arguments["source"], "version": "v1"}
    assert Action(**arguments | {"source": other}).run()["commit"] == tagged
    assert (ssh / "calls").read_text().split() == ["begin", "end"], "expected one fetch"
    assert Action(**arguments).run()["commit"] == first, "expected the commit of the first version again"
    assert Action(run="the next", **arguments).run()["commit"] == second


def test_folder_that_changes_during_a_run_is_rejected(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("1")
    arguments = {"site": {"name": "plain"}, "source": {"path": str(folder)}}
    state = Action(make=False, **arguments).run()
    (folder / "app.py").write_text("2")
    action = Action(make=True, id=f"{state['moment']}-{state['content']}", **arguments)
    with pytest.raises(release.AnsibleActionFail, match="files changed during this run"):
        action.run()
    assert action.calls == []


@pytest.fixture
def run_folder(tmp_path, monkeypatch) -> Path:
    """Return the folder that ansible-core creates for the processes of a run."""
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setitem(vars(release.C), "DEFAULT_LOCAL_TMP", str(folder))
    return folder


def failure_of(repository: Repository, host: str, site: str = "shop", **failure: object) -> dict[str, object]:
    """Return the result of the action for a host on which the module fails."""
    action = Action(make=False, site={"name": site}, source=source(repository))
    action.failure = {"failed": True, "msg": f"{site}: no release was built.", **failure}
    return action.run(task_vars={"inventory_hostname": host})


def test_equal_details_of_two_hosts_are_returned_once(repository, run_folder):
    repository.commit(app="one")
    log = "The log of the build ends:\nerror: no C compiler"
    first, second, other = (failure_of(repository, f"web{number}", details=log) for number in (1, 2, 1))
    assert first["details"] == other["details"] == log, "expected the log on the first host"
    assert second["details"] == "the same as on web1"
    assert first["msg"] == second["msg"], "expected the reason on each host"


def test_different_details_are_returned_on_each_host(repository, run_folder):
    repository.commit(app="one")
    logs = {"web1": "error: no C compiler", "web2": "error: no space left"}
    got = {host: failure_of(repository, host, details=log)["details"] for host, log in logs.items()}
    assert got == logs
    assert failure_of(repository, "web2", site="blog", details=logs["web1"])["details"] == logs["web1"]
    assert "details" not in failure_of(repository, "web3")


def test_details_are_returned_without_the_run_folder(repository, run_folder):
    repository.commit(app="one")
    run_folder.rmdir()
    got = [failure_of(repository, host, details="a log")["details"] for host in ("web1", "web2")]
    assert got == ["a log"] * 2


def test_check_mode_sends_no_archive(repository):
    repository.commit(app="one")
    action = Action(check_mode=True, make=True, site={"name": "plain"}, source=source(repository))
    action.run()
    assert [call.keys() & {"archive"} for call in action.calls] == [set()]
    assert not hasattr(action, "sent")


def test_source_without_files_is_rejected(repository):
    repository.commit(**{"venv/x": "x"})
    action = Action(make=True, site={"name": "plain"}, source=source(repository))
    with pytest.raises(release.AnsibleActionFail, match="found no file that git would track"):
        action.run()
    assert action.calls == []


def test_pinned_site_is_reported(repository):
    repository.commit(app="one")
    action = Action(make=False, site={"name": "plain"}, source=source(repository))
    action.pin = {"release": "ID", "by": "ada@desk", "since": "2026-01-01T00:00:00+00:00"}
    action.run()
    assert action.shown == [
        "plain: pinned to release ID by ada@desk since 2026-01-01T00:00:00+00:00. "
        "make deploy SITE=plain removes the pin."
    ]
