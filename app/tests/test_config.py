"""Settings and the configuration derived from them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harbour import config
from harbour.credentials import MissingCredentialError

MYSQL = "mysql+pymysql://harbour@localhost/harbour?unix_socket=/run/mysqld/mysqld.sock"


def test_production_settings_come_from_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "DATABASE_URL").write_text(MYSQL)
    (tmp_path / "SECRET_KEY").write_text("key")
    settings = config.load(tmp_path / "instance", {})
    assert settings["SQLALCHEMY_DATABASE_URI"] == MYSQL
    assert settings["SQLALCHEMY_ENGINE_OPTIONS"] == {
        "connect_args": {"connect_timeout": 3},
        "pool_pre_ping": True,
        "pool_recycle": 280,
        "pool_timeout": 5,
        "isolation_level": "READ COMMITTED",
    }
    assert settings["SECRET_KEY"] == (tmp_path / "SECRET_KEY").read_text()
    assert settings["SESSION_COOKIE_SECURE"] is True
    assert not (tmp_path / "instance").exists()


def test_production_without_secret_key_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", MYSQL)
    with pytest.raises(MissingCredentialError, match="SECRET_KEY is required when DATABASE_URL"):
        config.load(tmp_path, {})


def test_development_has_defaults_for_all_settings(tmp_path: Path) -> None:
    instance = tmp_path / "instance"
    settings = config.load(instance, {})
    key = instance / "secret_key"
    assert settings["SECRET_KEY"] == key.read_text().strip()
    assert len(settings["SECRET_KEY"]) == 64
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert settings["SQLALCHEMY_DATABASE_URI"] == f"sqlite:///{instance}/harbour.db"
    assert settings["SESSION_COOKIE_SECURE"] is False
    assert config.load(instance, {})["SECRET_KEY"] == settings["SECRET_KEY"]
    assert [path.name for path in instance.iterdir()] == ["secret_key"]


def test_concurrent_processes_share_generated_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: config.load(tmp_path, {})["SECRET_KEY"], range(64)))
    assert len(set(keys)) == 1


def test_town_has_default_and_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load(tmp_path, {})["HARBOUR_TOWN"] == "Harbour"
    monkeypatch.setenv("HARBOUR_TOWN", "St. John's")
    assert config.load(tmp_path, {})["HARBOUR_TOWN"] == "St. John's"
    assert config.load(tmp_path, {"HARBOUR_TOWN": "Cobh"})["HARBOUR_TOWN"] == "Cobh"


def test_proxies_default_to_zero_and_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load(tmp_path, {})["HARBOUR_PROXIES"] == 0
    monkeypatch.setenv("HARBOUR_PROXIES", "1")
    assert config.load(tmp_path, {})["HARBOUR_PROXIES"] == 1


@pytest.mark.parametrize("value", ["yes", "-1", "1.5"])
def test_invalid_number_of_proxies_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HARBOUR_PROXIES", value)
    with pytest.raises(config.ConfigurationError, match="HARBOUR_PROXIES"):
        config.load(tmp_path, {})


@pytest.mark.parametrize("url", ["hunter2", "mysql+pymysql://me:hunter2@host:port/database"])
def test_invalid_database_url_is_not_in_message(tmp_path: Path, url: str) -> None:
    with pytest.raises(config.ConfigurationError, match="DATABASE_URL") as caught:
        config.load(tmp_path, {"DATABASE_URL": url, "SECRET_KEY": "key"})
    assert "hunter2" not in str(caught.value)


# --- Optional settings -------------------------------------------------------------------------


def test_without_redis_storage_is_in_memory(tmp_path: Path) -> None:
    settings = config.load(tmp_path, {})
    assert settings["CACHE_TYPE"] == "SimpleCache"
    assert settings["RATELIMIT_STORAGE_URI"] == "memory://"


@pytest.mark.parametrize(
    ("url", "limits"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("unix:///run/redis.sock?db=0", "redis+unix:///run/redis.sock?db=0"),
    ],
)
def test_with_redis_cache_and_limits_are_in_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, limits: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    settings = config.load(tmp_path, {})
    assert (settings["CACHE_TYPE"], settings["CACHE_REDIS_URL"]) == ("RedisCache", url)
    assert settings["RATELIMIT_STORAGE_URI"] == limits
    assert settings["RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"] is True


def test_photos_default_to_instance_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load(tmp_path, {})["HARBOUR_PHOTOS"] == f"{tmp_path}/photos"
    for location in ("/srv/photos", "s3://homes", "s3://homes/a/b"):
        monkeypatch.setenv("HARBOUR_PHOTOS", location)
        assert config.load(tmp_path, {})["HARBOUR_PHOTOS"] == location


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HARBOUR_PHOTOS", "s3://", "s3://BUCKET"),
        ("HARBOUR_PHOTOS", "s3://Homes", "s3://BUCKET"),
        ("HARBOUR_LIMITS", "maybe", "expected on or off"),
        ("SMTP_URL", "hunter2", "SMTP_URL: invalid"),
        ("SMTP_URL", "smtp://me:hunter2@host:port", "SMTP_URL: invalid"),
        ("SMTP_URL", "http://me:hunter2@host", "SMTP_URL: invalid"),
        ("SMTP_URL", "smtps://me:hunter2@host", "HARBOUR_MAIL_FROM: SMTP_URL requires"),
    ],
)
def test_invalid_setting_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigurationError, match=message) as caught:
        config.load(tmp_path, {})
    assert "hunter2" not in str(caught.value)
