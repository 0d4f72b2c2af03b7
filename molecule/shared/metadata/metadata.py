"""Stub of the metadata service of an EC2 instance. Requests need the token of IMDSv2."""

from __future__ import annotations

import datetime
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token-of-the-lab"
ROLE = "web"


def documents() -> dict[str, str]:
    """Return the documents of the service, by path."""
    expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
    key = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "AKIALABONLY000000000"}
    key |= {"SecretAccessKey": "of-the-lab-alone", "Token": "of-a-session"}
    key |= {"LastUpdated": "2020-01-01T00:00:00Z", "Expiration": f"{expiry:%Y-%m-%dT%H:%M:%SZ}"}
    credentials = "/latest/meta-data/iam/security-credentials/"
    return {
        "/latest/meta-data/instance-id": os.environ["INSTANCE"],
        credentials: ROLE,
        f"{credentials}{ROLE}": json.dumps(key),
    }


class Metadata(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.respond(TOKEN if self.path == "/latest/api/token" else None)

    def do_GET(self) -> None:
        valid = self.headers.get("X-aws-ec2-metadata-token") == TOKEN
        self.respond(documents().get(self.path) if valid else None, 404 if valid else 401)

    def respond(self, text: str | None, error: int = 404) -> None:
        self.send_response(error if text is None else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.end_headers()
        self.wfile.write((text or "").encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
