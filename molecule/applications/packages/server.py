"""server.py PORT FOLDER DIGEST…: a package index, git repositories and builds of Python, served over HTTP.

/open/simple/NAME/ lists the files of a package (PEP 503: a listing is a page of links). /private/simple/NAME/
is the same for authenticated users. A digest is the SHA-256 hash of USER:PASSWORD. Other paths are files of
FOLDER.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

CHALLENGE = {"WWW-Authenticate": 'Basic realm="packages"', "Content-Length": "0"}


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *rest, digests: frozenset[str], **options) -> None:
        self.digests = digests
        super().__init__(*rest, **options)

    def is_authenticated(self) -> bool:
        try:
            credentials = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        except binascii.Error:
            return False
        return hashlib.sha256(credentials).hexdigest() in self.digests

    def send_head(self):
        _, area, rest = self.path.split("/", 2) if self.path.count("/") > 1 else ("", "", "")
        if area == "private" and not self.is_authenticated():
            self.send_response(HTTPStatus.UNAUTHORIZED)
            for name, value in CHALLENGE.items():
                self.send_header(name, value)
            self.end_headers()
            return None
        if area in ("open", "private"):
            self.path = f"/{rest}"
        return super().send_head()


if __name__ == "__main__":
    port, folder, *digests = sys.argv[1:]
    handler = partial(Handler, directory=folder, digests=frozenset(digests))
    ThreadingHTTPServer(("", int(port)), handler).serve_forever()
