"""Stub of Amazon Route 53 (moto): copy TXT records to the DNS server of the tests before each response.

The user certbot has the permissions of docs/route53-policy.json. Requests without a key of this user fail.
Reads /etc/route53/route53.json: zones, key, secret, policy, dns (the management URL of pebble-challtestsrv).
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Each request, also the first, needs the signature of a user with the permission.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import IAMRequestBase
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

CONFIGURATION = json.loads(Path("/etc/route53/route53.json").read_text())
ZONES = get_backend("route53")[DEFAULT_ACCOUNT_ID]["aws"]
USERS = get_backend("iam")[DEFAULT_ACCOUNT_ID]["aws"]


def init_without_data(self: IAMRequestBase, *arguments: Any, data: Any, **options: Any) -> None:
    """Ignore `data`: for a request without a body, moto passes header fields, which are not signed."""
    ORIGINAL_INIT(self, *arguments, data={}, **options)


ORIGINAL_INIT, IAMRequestBase.__init__ = IAMRequestBase.__init__, init_without_data


def prepare() -> None:
    """Create the zones, and the user with its policy and key."""
    for name in CONFIGURATION["zones"]:
        ZONES.create_hosted_zone(name, private_zone=False)
    USERS.create_user("us-east-1", "certbot")
    # moto evaluates actions, but neither zones nor conditions.
    for statement in CONFIGURATION["policy"]["Statement"]:
        statement.update(Resource="*")
        statement.pop("Condition", None)
    USERS.put_user_policy("certbot", "proofs", json.dumps(CONFIGURATION["policy"]))
    key = USERS.create_access_key("certbot")
    key.access_key_id, key.secret_access_key = CONFIGURATION["key"], CONFIGURATION["secret"]


def txt_records() -> dict[str, list[str]]:
    """Return the values of the TXT records of all zones, by name."""
    return {
        record.name: [value.strip('"') for value in record.records]
        for zone in ZONES.zones.values()
        for record in zone.rrsets
        if record.type == "TXT"
    }


def post_to_dns(action: str, record: dict[str, str]) -> None:
    request = urllib.request.Request(f"{CONFIGURATION['dns']}/{action}", json.dumps(record).encode())
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


class DnsUpdater:
    """WSGI middleware that copies changed TXT records to the DNS server before it returns moto's response."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application, self.published = application, {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/proofs":  # lists the records for tests
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(txt_records()).encode()]
        starts: list[Any] = []
        body = b"".join(self.application(environ, lambda *arguments: starts.append(arguments)))
        # moto wraps errors in <Errors>, which Amazon does not.
        body = body.replace(b"<Errors><Error>", b"<Error>").replace(b"</Error></Errors>", b"</Error>")
        status, headers = starts[0][:2]
        start_response(status, [header for header in headers if header[0].lower() != "content-length"])
        self.update_dns()
        return [body]

    def update_dns(self) -> None:
        records = txt_records()
        for name in self.published.keys() | records.keys():
            if self.published.get(name) != records.get(name):
                post_to_dns("clear-txt", {"host": name})
                for value in records.get(name, []):
                    post_to_dns("set-txt", {"host": name, "value": value})
        self.published = records


prepare()
run_simple("0.0.0.0", 5000, DnsUpdater(DomainDispatcherApplication(create_backend_app)))
