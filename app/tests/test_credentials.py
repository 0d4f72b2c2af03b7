"""Credentials from files, environment, keyring and KMS."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import boto3
import pytest
from moto import mock_aws

from harbour import credentials


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


def test_find_prefers_systemd_then_file_then_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert credentials.find("SECRET_KEY") is None

    monkeypatch.setenv("SECRET_KEY", "from the environment")
    assert credentials.find("SECRET_KEY") == "from the environment"

    file = folder / "elsewhere"
    file.write_text("from the named file\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(file))
    assert credentials.find("SECRET_KEY") == "from the named file"

    (folder / "SECRET_KEY").write_text("from systemd\n")
    assert credentials.find("SECRET_KEY") == "from systemd"


def test_find_ignores_empty_value(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "SECRET_KEY").write_text("\n")
    monkeypatch.setenv("SECRET_KEY", "  ")
    assert credentials.find("SECRET_KEY") is None


def test_find_with_missing_named_file_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere/key")
    monkeypatch.setenv("SECRET_KEY", "not a fallback")
    with pytest.raises(credentials.MissingCredentialError, match="/nowhere/key: No such file"):
        credentials.find("SECRET_KEY")


def test_find_with_binary_file_fails(folder: Path) -> None:
    (folder / "SECRET_KEY").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(credentials.MissingCredentialError, match="not UTF-8"):
        credentials.find("SECRET_KEY")


def test_require_without_value_lists_all_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(credentials.MissingCredentialError) as caught:
        credentials.require("SECRET_KEY", "to start")
    message = str(caught.value)
    assert message.startswith("SECRET_KEY is required to start")
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


# --- Keyring -----------------------------------------------------------------------------------


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Replace the keyring by a stub, and return its entries."""
    entries: dict[tuple[str, str], str] = {}
    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})

    def get_password(service: str, name: str) -> str | None:
        if (service, name) == ("harbour", "LOCKED"):
            raise errors.KeyringError("locked")
        return entries.get((service, name))

    module.get_password = get_password
    module.__spec__ = object()  # found by find_spec
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return entries


def test_find_queries_keyring_last(
    keyring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring["harbour", "SECRET_KEY"] = "from the keyring"
    keyring["another", "DATABASE_URL"] = "another service's"
    assert credentials.find("SECRET_KEY") == "from the keyring"
    assert credentials.find("DATABASE_URL") is None
    assert credentials.find("LOCKED") is None
    monkeypatch.setenv("SECRET_KEY", "from the environment")
    assert credentials.find("SECRET_KEY") == "from the environment"
    with pytest.raises(credentials.MissingCredentialError, match="keyring's entry DATABASE_URL"):
        credentials.require("DATABASE_URL", "to start")


def test_find_in_service_ignores_keyring(keyring: dict[tuple[str, str], str], folder: Path) -> None:
    keyring["harbour", "SECRET_KEY"] = "from the keyring"
    assert credentials.find("SECRET_KEY") is None
    assert folder.exists()
    with pytest.raises(credentials.MissingCredentialError) as caught:
        credentials.require("SECRET_KEY", "to start")
    assert "the keyring's" not in str(caught.value)


# --- AWS KMS -----------------------------------------------------------------------------------


@pytest.fixture
def encrypt(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Return a function that encrypts a value with KMS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        kms = boto3.client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]

        def encrypt_value(value: bytes) -> str:
            encrypted = kms.encrypt(KeyId=key, Plaintext=value)["CiphertextBlob"]
            return f"kms:{base64.b64encode(encrypted).decode()}"

        yield encrypt_value


def test_find_decrypts_kms_value(encrypt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", encrypt(b"from KMS\n"))
    assert credentials.find("SECRET_KEY") == "from KMS"


@pytest.mark.parametrize("value", ["kms:", "kms:?", "kms:aGVsbG8=", "kms:aGVsbG8"])
def test_find_with_invalid_kms_value_fails(encrypt, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SECRET_KEY", value)
    with pytest.raises(credentials.MissingCredentialError, match="cannot be decrypted by AWS KMS"):
        credentials.find("SECRET_KEY")
    monkeypatch.setenv("SECRET_KEY", encrypt(b"\xff\xfe"))
    with pytest.raises(credentials.MissingCredentialError, match="not base64 of encrypted UTF-8"):
        credentials.find("SECRET_KEY")


def test_find_kms_value_without_boto3_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "kms:aGVsbG8=")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(credentials.MissingCredentialError, match=r"requirements-aws\.txt"):
        credentials.find("SECRET_KEY")
