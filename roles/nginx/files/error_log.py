"""Write the messages of nginx to its error log, without query strings and referrers.

nginx adds `, request: "GET /path?query HTTP/1.1", upstream: "…", referrer: "…"` to messages of every level,
and has no option against it. Therefore it sends messages to the socket of this program.
"""

from __future__ import annotations

import re
import socket

LOG = "/var/log/nginx/error.log"
SYSLOG_HEADER = re.compile(r"<\d+>.*?nginx: ")
# nginx ends a message after 2048 bytes, so the closing quotation mark may be missing.
REQUEST, REFERRER = ', request: "', re.compile(r', referrer: ".*', re.DOTALL)
QUERY = re.compile(r'\?.*?(?="(?:, (?:upstream|host): "|$)|$)', re.DOTALL)


def without_query(message: str) -> str:
    """Return a message without the query strings and the referrer of its request."""
    message = SYSLOG_HEADER.sub("", message, count=1)
    start, field, request = message.partition(REQUEST)
    return start + field + QUERY.sub("?…", REFERRER.sub("", request))


def main() -> None:
    # systemd has opened the socket, and keeps it while this program restarts.
    with socket.socket(fileno=3) as messages:
        while True:
            message = messages.recv(65536).decode(errors="replace")
            # Opened for each message, because logrotate renames the file.
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(f"{without_query(message)}\n")


if __name__ == "__main__":
    main()
