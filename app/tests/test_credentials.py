"""Secrets come from the first place that has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harbour import credentials


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_each_place_is_found_in_its_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.find("SECRET_KEY") is None

    monkeypatch.setenv("SECRET_KEY", "from the environment")
    assert credentials.find("SECRET_KEY") == "from the environment"

    named = folder / "elsewhere"
    named.write_text("from the named file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(named))
    assert credentials.find("SECRET_KEY") == "from the named file"

    (folder / "SECRET_KEY").write_text("from systemd\n")
    assert credentials.find("SECRET_KEY") == "from systemd"


def test_an_empty_value_counts_as_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "SECRET_KEY").write_text("\n")
    monkeypatch.setenv("SECRET_KEY", "  ")
    assert credentials.find("SECRET_KEY") is None


def test_a_named_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere/key")
    monkeypatch.setenv("SECRET_KEY", "not to be fallen back on")
    with pytest.raises(credentials.MissingCredentialError, match="/nowhere/key: No such file"):
        credentials.find("SECRET_KEY")


def test_a_file_that_is_no_text_is_an_error(folder: Path) -> None:
    (folder / "SECRET_KEY").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(credentials.MissingCredentialError, match="not UTF-8"):
        credentials.find("SECRET_KEY")


def test_a_missing_one_is_named_with_every_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(credentials.MissingCredentialError) as caught:
        credentials.require("SECRET_KEY", "to start")
    message = str(caught.value)
    assert message.startswith("SECRET_KEY is needed to start")
    assert f"{folder}/SECRET_KEY" in message
    assert "SECRET_KEY_FILE is not set" in message
    assert "the environment variable SECRET_KEY" in message

    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    (folder / "empty").touch()
    monkeypatch.setenv("SECRET_KEY_FILE", str(folder / "empty"))
    with pytest.raises(credentials.MissingCredentialError) as caught:
        credentials.require("SECRET_KEY", "to start")
    assert "CREDENTIALS_DIRECTORY is not set" in str(caught.value)
    assert f"{folder}/empty (from SECRET_KEY_FILE)" in str(caught.value)
