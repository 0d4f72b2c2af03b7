"""The mail settings of hosts."""

from __future__ import annotations

import pytest
from ansible_collections.decanter.stack.plugins.filter.inventory_check import inventory_errors
from inventory_lines import GROUPS, SITES

MAIL = {"to": ["ops@a.test"], "server": "smtp.a.test"}
LOGIN = {"user": "decanter", "password": "secret"}


@pytest.mark.parametrize("mail", [{}, MAIL, MAIL | LOGIN, MAIL | {"security": "none", "from": "a@a.test"}])
def test_valid_mail_settings_are_accepted(mail):
    assert inventory_errors({"web1": {"base_mail": mail}}, GROUPS, SITES) == []


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (["ops@a.test"], ": found a list, expected a dictionary such as {to: [ops@myproject.org], server: "),
        (MAIL | {"two": 1}, ".two: found an unknown key, expected one of: to, server, "),
        ({"server": "a"}, ".to: found nothing, expected a list of addresses such as ops@myproject.org"),
        (MAIL | {"to": "ops@a.test"}, '.to: found "ops@a.test", expected a list of addresses'),
        (MAIL | {"to": ["ops"]}, '.to[0]: found "ops", expected an address such as ops@myproject.org'),
        (MAIL | {"from": "Ops <ops@a.test>"}, '.from: found "Ops <ops@a.test>", expected an address'),
        ({"to": ["ops@a.test"]}, ".server: found nothing, expected the name of a mail server"),
        (MAIL | {"security": "ssl"}, '.security: found "ssl", expected one of: starttls, tls, none'),
        (MAIL | {"port": "smtp"}, '.port: found "smtp", expected an integer from 1 to 65535'),
        (MAIL | {"password": "secret"}, ".user: found nothing, expected a value, because password is set"),
        (MAIL | {"user": "decanter"}, ".password: found nothing, expected a value, because user is set"),
        (
            MAIL | LOGIN | {"security": "none"},
            ".security: found none with a password, expected starttls or",
        ),
        (MAIL | {"ca": "/nowhere.pem"}, '.ca: found "/nowhere.pem", expected a file on the controller'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_mail_setting_is_rejected_once(mail, expected):
    hosts = {"web1": {"base_mail": mail}, "other": {"base_mail": mail}}
    groups = GROUPS | {"all": ["web1", "other"]}
    (got,) = inventory_errors(hosts, groups, SITES)
    assert got.startswith(f"hosts.web1.base_mail{expected}") and "secret" not in got, got
