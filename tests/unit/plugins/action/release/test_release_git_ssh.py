"""The ssh key of a git repository, and the lock of its cache."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible_collections.decanter.stack.plugins.action import release
from git_repository import KEY, Repository, contents, remote, source


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n"], ids=["without newline", "with newline"])
def test_key_in_the_inventory_is_a_temporary_file(repository, ssh, text):
    repository.commit(app="one")
    assert contents(remote(repository, key=text))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert {"IdentitiesOnly=yes", "BatchMode=yes"} <= set(arguments), arguments
    assert (ssh / "key").read_text() == f"{KEY}\n", "expected the key with a final newline"
    assert (ssh / "mode").read_text() == "600\n", "expected mode 600, which ssh requires"
    file = Path(arguments[arguments.index("-i") + 1])
    assert not file.exists(), f"expected the key {file} to be deleted"


def test_key_file_is_deleted_after_a_failure(repository, ssh, tmp_path):
    with pytest.raises(release.SourceError) as error:
        contents({"git": f"git@git.test:{tmp_path}/nowhere", "version": "main", "key": KEY})
    assert "c2VjcmV0" not in str(error.value), "expected no key in the message"
    arguments = (ssh / "arguments").read_text().splitlines()
    file = Path(arguments[arguments.index("-i") + 1])
    assert not file.exists(), f"expected the key {file} to be deleted"


def test_key_given_as_a_path_is_used_in_place(repository, ssh, tmp_path):
    repository.commit(app="one")
    file = tmp_path / "it's a key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert contents(remote(repository, key=str(file)))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert arguments[arguments.index("-i") + 1] == str(file), arguments
    assert file.read_text() == f"{KEY}\n"


def test_without_a_key_ssh_uses_its_defaults(repository, ssh):
    repository.commit(app="one")
    assert contents(remote(repository))[0] == {"app": "one"}
    arguments = (ssh / "arguments").read_text().splitlines()
    assert "-i" not in arguments and "IdentitiesOnly=yes" not in arguments, arguments


def test_concurrent_fetches_are_serialized(repository, ssh, monkeypatch):
    """Several hosts or sites may fetch a repository before its cache exists."""
    repository.commit(app="one")
    monkeypatch.setenv("SSH_SLEEP", "0.3")
    results: list[object] = []

    def fetch() -> None:
        try:
            results.append(contents(remote(repository))[0])
        except release.SourceError as error:
            results.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"app": "one"}] * 3, results
    calls = (ssh / "calls").read_text().split()
    assert calls == ["begin", "end"] * 3, f"expected one call after the other, got {calls}"


def test_repositories_have_separate_caches(repository, tmp_path):
    repository.commit(app="one")
    other = Repository(tmp_path / "other")
    other.commit(app="two")
    assert release.fetch(source(repository), None) != release.fetch(source(other), None)
