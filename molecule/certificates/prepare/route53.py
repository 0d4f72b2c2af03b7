"""Speaks as Amazon Route 53 does (moto), and tells the tests' DNS what is written there before it answers.

One user may do what docs/route53-policy.json says and nothing else; whoever has no key of hers is refused.
Reads /etc/route53/route53.json: zones, key, secret, policy, dns (where pebble-challtestsrv is told).
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Every request is signed by somebody who may make it.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import IAMRequestBase
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

TOLD = json.loads(Path("/etc/route53/route53.json").read_text())
ZONES = get_backend("route53")[DEFAULT_ACCOUNT_ID]["aws"]
USERS = get_backend("iam")[DEFAULT_ACCOUNT_ID]["aws"]


def signed(self: IAMRequestBase, *arguments: Any, data: Any, **others: Any) -> None:
    """What was sent is what was signed; moto takes header fields for it where nothing was."""
    MADE(self, *arguments, data={}, **others)


MADE, IAMRequestBase.__init__ = IAMRequestBase.__init__, signed


def prepare() -> None:
    """Make the zones, and the user with her key."""
    for name in TOLD["zones"]:
        ZONES.create_hosted_zone(name, private_zone=False)
    USERS.create_user("us-east-1", "certbot")
    # moto knows actions, and neither which zone is meant nor conditions.
    for statement in TOLD["policy"]["Statement"]:
        statement.update(Resource="*")
        statement.pop("Condition", None)
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
        if environ["PATH_INFO"] == "/proofs":  # for tests
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(proofs()).encode()]
        begun: list[Any] = []
        body = b"".join(self.answer(environ, lambda *how: begun.append(how)))
        # A refusal in Amazon's own words, which moto wraps once more.
        body = body.replace(b"<Errors><Error>", b"<Error>").replace(b"</Error></Errors>", b"</Error>")
        status, fields = begun[0][:2]
        start_response(status, [field for field in fields if field[0].lower() != "content-length"])
        self.tell_what_is_new()
        return [body]

    def tell_what_is_new(self) -> None:
        now = proofs()
        for name in self.known.keys() | now.keys():
            if self.known.get(name) != now.get(name):
                tell("clear-txt", {"host": name})
                for value in now.get(name, []):
                    tell("set-txt", {"host": name, "value": value})
        self.known = now


prepare()
run_simple("0.0.0.0", 5000, TellsDns(DomainDispatcherApplication(create_backend_app)))
