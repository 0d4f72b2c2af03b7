"""Recognize PEM text. RFC 7468 permits other text and other blocks before and between blocks."""

from __future__ import annotations

import re

CERTIFICATE = re.compile(r"^-----BEGIN (X509 )?CERTIFICATE-----", re.MULTILINE)
PRIVATE_KEY = re.compile(r"^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----", re.MULTILINE)


def is_pem(text: str) -> bool:
    """Return whether a text is PEM text and not the path of a file."""
    return "-----BEGIN" in text
