"""Logins of moderators for tests."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

PASSWORD = "long lines and slack water"  # noqa: S105 (for tests only)


def csrf_token(page: str) -> str:
    return re.search(r'name="csrf_token"[^>]* value="(.*?)"', page)[1]


def log_in(
    client: FlaskClient,
    name: str = "ada",
    password: str = PASSWORD,
    path: str = "/admin/login",
    code: str = "",
    address: str = "127.0.0.1",
):
    environ = {"REMOTE_ADDR": address}
    token = csrf_token(client.get(path, environ_base=environ).text)
    data = {"name": name, "password": password, "code": code, "csrf_token": token}
    return client.post(path, data=data, environ_base=environ)
