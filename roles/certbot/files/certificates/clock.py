"""Compare this host's clock with the CA's.

With a wrong clock each certificate seems expired or not yet valid, and certbot trusts no connection.
"""

from __future__ import annotations

import email.utils
import http.client
import os
import ssl
import urllib.request

from shared.certificate import DAY
from shared.journal import iso

TIMEOUT = 10.0  # seconds
TOLERANCE = 3600.0  # seconds; longer than delays of a network
NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the module ssl does not have


def clock_fault(server: str, ca_bundle: str, now: float) -> tuple[str, float]:
    """Return what is wrong with this host's clock, or an empty string, and the correct time."""
    correct = ca_time(server, ca_bundle)
    if correct is None or abs(correct - now) <= TOLERANCE:
        return "", now
    direction = "ahead of" if now > correct else "behind"
    fault = (
        f"this host's clock is wrong: {iso(now)} is {duration(abs(correct - now))} {direction} {server}. "
        "No certificate is ordered until the clock is right."
    )
    return fault, correct


def ca_time(url: str, ca_bundle: str) -> float | None:
    """Return the CA's time in seconds since 1970; None if its response has no valid date.

    The CA's certificate is verified, except for its dates.
    """
    context = ssl.create_default_context(cafile=ca_bundle if os.path.exists(ca_bundle) else None)
    context.verify_flags |= NO_CHECK_TIME
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=TIMEOUT) as response:
            return email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (OSError, http.client.HTTPException, TypeError, ValueError):
        return None  # The next order reports a CA that does not answer.


def duration(seconds: float) -> str:
    """Return seconds in the largest unit of which there are at least two."""
    for name, size in (("years", 365 * DAY), ("days", DAY)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 3600:.0f} hours"
