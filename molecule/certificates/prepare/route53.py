"""Speaks as Amazon Route 53 does (moto), and tells the tests' DNS what is written there before it answers.

One user may do what docs/certificates.md says and nothing else; whoever has no key of hers is refused. Reads
/etc/route53.json: zones, key, secret, policy, dns (where pebble-challtestsrv is told what to say).
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Every request is signed by somebody who may make it.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

TOLD = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else "/etc/route53.json").read_text())
ZONES = get_backend("route53")[DEFAULT_ACCOUNT_ID]["aws"]
USERS = get_backend("iam")[DEFAULT_ACCOUNT_ID]["aws"]


def prepare() -> None:
    """Make the zones, and the user with her key."""
    for name in TOLD["zones"]:
        ZONES.create_hosted_zone(name, private_zone=False)
    USERS.create_user("us-east-1", "certbot")
    USERS.put_user_policy("certbot", "proofs", json.dumps(TOLD["policy"]))
    key = USERS.create_access_key("certbot")
    key.access_key_id, key.secret_access_key = TOLD["key"], TOLD["secret"]


def proofs() -> dict[str, list[str]]:
    """The text records of all zones, by their names."""
    return {
        record.name: [value.strip('"') for value in record.records]
        for zone in ZONES.zones.values()
        for record in zone.rrsets
        if record.type == "TXT"
    }


def tell(what: str, told: dict[str, str]) -> None:
    request = urllib.request.Request(f"{TOLD['dns']}/{what}", json.dumps(told).encode())
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


class TellsDns:
    """What moto answers, once DNS has what it was told."""

    def __init__(self, answer: Callable[..., Iterable[bytes]]) -> None:
        self.answer, self.known = answer, {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answered = list(self.answer(environ, start_response))
        now = proofs()
        for name in self.known.keys() | now.keys():
            if self.known.get(name) != now.get(name):
                tell("clear-txt", {"host": name})
                for value in now.get(name, []):
                    tell("set-txt", {"host": name, "value": value})
        self.known = now
        return answered


prepare()
run_simple("0.0.0.0", 5000, TellsDns(DomainDispatcherApplication(create_backend_app)))
