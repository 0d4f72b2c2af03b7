"""Password hashes that nginx verifies on every supported distribution release.

nginx itself verifies $apr1$, {SHA} and {SSHA} (src/core/ngx_crypt.c) and passes others to crypt(3) of
libxcrypt 4.4, of which crypt(5) has the formats. {PLAIN} is rejected, because the file would contain the
password.
"""

from __future__ import annotations

import base64
import binascii
import re

ALPHABET = "[./0-9A-Za-z]"
SALT = r"[!-#%-9;-~]"  # printable, without $ and :
FORMATS = {
    "$1$": rf"{SALT}{{1,8}}\${ALPHABET}{{22}}",
    "$apr1$": rf"{SALT}{{1,8}}\${ALPHABET}{{22}}",
    **dict.fromkeys(("$2a$", "$2b$", "$2y$"), rf"(0[4-9]|[12][0-9]|3[01])\${ALPHABET}{{53}}"),
    "$5$": rf"(rounds=[1-9][0-9]{{3,8}}\$)?{SALT}{{1,16}}\${ALPHABET}{{43}}",
    "$6$": rf"(rounds=[1-9][0-9]{{3,8}}\$)?{SALT}{{1,16}}\${ALPHABET}{{86}}",
    "$7$": rf"{ALPHABET}{{11,97}}\${ALPHABET}{{43}}",
    "$y$": rf"{ALPHABET}+\${ALPHABET}{{0,86}}\${ALPHABET}{{43}}",
    "{SHA}": r"[A-Za-z0-9+/]{27}=",
    "{SSHA}": r"[A-Za-z0-9+/]{28,}={0,2}",
}
SUPPORTED = ", ".join(FORMATS)
# Prefixes of other hashes. Only these are printed, because a password may begin like a hash.
KNOWN = (
    *("$argon2i$", "$argon2d$", "$argon2id$", "$pbkdf2$", "$pbkdf2-sha256$", "$pbkdf2-sha512$", "$scrypt$"),
    *("$gy$", "$sha1$", "$md5$", "$2x$", "$2$", "$3$", "$P$", "$H$", "$S$", "$bcrypt-sha256$", "$8$", "$9$"),
    *("{PLAIN}", "{CRYPT}", "{MD5}", "{SMD5}", "{SHA256}", "{SHA512}", "{SSHA256}", "{SSHA512}"),
    *("{ARGON2ID}", "{BLF-CRYPT}", "{PBKDF2}", "{SCRYPT}", "{CLEARTEXT}"),
    *("pbkdf2:sha256", "pbkdf2:sha512", "pbkdf2:sha1", "scrypt", "pbkdf2_sha256", "bcrypt_sha256", "argon2"),
)
HASH = re.compile(
    r"(?P<kind>\$[A-Za-z0-9-]+\$|\{[A-Z0-9.-]+\}|(pbkdf2|scrypt|argon2|bcrypt)[a-z0-9:_]*(?=\$)).*", re.DOTALL
)


def is_hash(text: str) -> bool:
    """Return whether nginx verifies a text as the hash of a password."""
    kind = _kind(text)
    if kind not in FORMATS or not re.fullmatch(FORMATS[kind], text[len(kind) :]):
        return False
    if not kind.startswith("{"):
        return True
    try:
        # nginx reads beyond the end of a salted digest with less than 20 bytes.
        digest = base64.b64decode(text[len(kind) :], validate=True)
    except binascii.Error:
        return False
    return len(digest) == 20 if kind == "{SHA}" else len(digest) > 20


def unsupported_hash(text: str) -> str:
    """Return the words for a hash that nginx does not verify, without the secret, or an empty string."""
    kind = _kind(text)
    if not kind or is_hash(text):
        return ""
    if kind in FORMATS:
        return f"an invalid hash of the kind {kind}"
    name = next((name for name in sorted(KNOWN, key=len, reverse=True) if kind.startswith(name)), "")
    return f"a hash of the kind {name}" if name else "a hash of an unknown kind"


def _kind(text: str) -> str:
    match = HASH.fullmatch(text)
    return match["kind"] if match else ""
