"""Failures, each in one line."""

from __future__ import annotations

import re

# Lines of certbot that are not the reason of a failure.
GENERAL_LINES = (
    "Saving debug log",
    "Ask for help",
    "Some challenges have failed",
    "Hint:",
    "If you like",
    "Account registered",
)
ROUTE53_ERRORS = (
    r"An error occurred \((\w+)\) when calling the (\w+) operation(?: \([^)]*\))?: (.+)",
    r"(Unable to locate credentials)",
    r"(Unable to find a Route53 hosted zone for \S+)",
    r"(Timed out waiting for Route53 change.*)",
    r"botocore\.exceptions\.\w+: (.+)",
)
LONGEST = 500  # characters of another program's message


class CertificateError(Exception):
    """A step has failed, and the message is the reason."""


class DnsProviderError(CertificateError):
    """The DNS provider has rejected the record of a challenge. The CA has not validated a name."""


def describe(error: BaseException) -> str:
    """Return the message of an error; of an OSError without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def certbot_reason(output: str) -> str:
    """Return why certbot has failed: the problems that the CA reports, or the last line."""
    problems = re.findall(r"(?:Domain|Identifier): (\S+)\s+Type: +\S+\s+Detail: (.+)", output)
    if problems:
        return "; ".join(f"{name}: {detail}" for name, detail in problems)
    lines = [line.strip() for line in output.splitlines()]
    reasons = [line for line in lines if line and not line.startswith(GENERAL_LINES)]
    return reasons[-1][:LONGEST] if reasons else "certbot printed no reason"


def route53_reason(output: str) -> str:
    """Return the error of Route 53 in certbot's output, or an empty string."""
    for pattern in ROUTE53_ERRORS:
        if found := re.search(pattern, output):
            reason = ": ".join(found.groups())[:LONGEST]
            return f"{reason}, and the instance has no role" if "locate credentials" in reason else reason
    return ""
