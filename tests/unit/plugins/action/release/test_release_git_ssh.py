"""The ssh key of a git repository, and the lock of its cache."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import KEY, Repository, packed, remote, source


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n"], ids=["without", "with"])
def test_a_key_given_as_text_is_a_file_for_as_long_as_git_runs(repository, ssh, text):
    repository.commit(app="one")
    assert packed(remote(repository, key=text))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert {"IdentitiesOnly=yes", "BatchMode=yes"} <= set(arguments), arguments
    assert (ssh / "key").read_text() == f"{KEY}\n", "expected ssh to be given the key, with a newline last"
    assert (ssh / "mode").read_text() == "600\n", "expected ssh, which insists on it, to find the key closed"
    file = Path(arguments[arguments.index("-i") + 1])
    assert not file.exists(), f"expected the key {file} to be gone"


def test_a_key_is_gone_when_git_fails_too(repository, ssh, tmp_path):
    with pytest.raises(release.SourceError) as refused:
        packed({"git": f"git@git.test:{tmp_path}/nowhere", "version": "main", "key": KEY})
    assert "c2VjcmV0" not in str(refused.value), "expected no key in the message"
    arguments = (ssh / "arguments").read_text().splitlines()
    file = Path(arguments[arguments.index("-i") + 1])
    assert not file.exists(), f"expected the key {file} to be gone"


def test_a_key_given_as_a_path_stays_where_it_is(repository, ssh, tmp_path):
    repository.commit(app="one")
    file = tmp_path / "it's a key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert packed(remote(repository, key=str(file)))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert arguments[arguments.index("-i") + 1] == str(file), arguments
    assert file.read_text() == f"{KEY}\n"


def test_without_a_key_ssh_decides(repository, ssh):
    repository.commit(app="one")
    assert packed(remote(repository))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert "-i" not in arguments and "IdentitiesOnly=yes" not in arguments, arguments


def test_two_that_fetch_at_once_wait_for_each_other(repository, ssh, monkeypatch):
    """Two hosts, or two sites: the first time, when there is nothing yet to bring up to date."""
    repository.commit(app="one")
    monkeypatch.setenv("SSH_SLEEP", "0.3")
    got: list[object] = []

    def fetch() -> None:
        try:
            got.append(packed(remote(repository))[0])
        except release.SourceError as error:
            got.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [{"app": "one"}] * 3, got
    calls = (ssh / "calls").read_text().split()
    assert calls == ["begin", "end"] * 3, f"expected one after the other, got {calls}"


def test_two_repositories_do_not_wait_for_each_other(repository, tmp_path):
    repository.commit(app="one")
    other = Repository(tmp_path / "other")
    other.commit(app="two")
    assert release.fetch(source(repository), None) != release.fetch(source(other), None)
