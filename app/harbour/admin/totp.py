"""Codes of an app (TOTP, RFC 6238) and recovery codes.

The database stores the secret encrypted with a key derived from SECRET_KEY, the time step of the last
code, and hashes of the recovery codes. Each code is accepted once, on all workers and hosts.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import time
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from flask import current_app
from sqlalchemy import delete, insert, or_, update

from .. import logs
from ..extensions import db, row_count
from ..models import Moderator, RecoveryCode

DIGITS = 6
STEP = 30  # seconds
# Steps before and after the current one, because clocks of phones differ.
TOLERANCE = 1
RECOVERY_CODES = 8
RECOVERY_BYTES = 10  # random ones; 16 characters in base32
ENROLMENT = timedelta(minutes=15)  # from the page to its form

log = logs.get(__name__)


def _cipher() -> Fernet:
    key = HKDF(SHA256(), 32, salt=None, info=b"harbour totp").derive(
        current_app.config["SECRET_KEY"].encode()
    )
    return Fernet(base64.urlsafe_b64encode(key))


def new_secret() -> bytes:
    """Return a random secret of the length that RFC 4226 recommends."""
    return os.urandom(20)


def seal(moderator: Moderator, secret: bytes) -> str:
    """Return the encrypted secret of a moderator."""
    return _cipher().encrypt(f"{moderator.id}:".encode() + secret).decode()


def unseal(moderator: Moderator, sealed: str, max_age: timedelta | None = None) -> bytes | None:
    """Return the secret, or None if it is invalid, of another moderator, or too old."""
    try:
        ttl = int(max_age.total_seconds()) if max_age else None
        number, _, secret = _cipher().decrypt(sealed.encode(), ttl=ttl).partition(b":")
    except InvalidToken:
        return None
    return secret if number == str(moderator.id).encode() else None


def uri(moderator: Moderator, secret: bytes) -> str:
    """Return the address that apps read from the QR code."""
    return _totp(secret).get_provisioning_uri(moderator.name, f"{current_app.config['HARBOUR_TOWN']} homes")


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP)  # noqa: S303 (HMAC; apps support no other hash)


def step_of(secret: bytes, code: str) -> int | None:
    """Return the time step of a code, or None if it is not valid now."""
    current = int(time.time()) // STEP
    for step in range(current - TOLERANCE, current + TOLERANCE + 1):
        if hmac.compare_digest(_totp(secret).generate(step * STEP), code.encode()):
            return step
    return None


def accept(moderator: Moderator, code: str) -> bool:
    """Return whether the moderator has no app, or the code is valid. A valid code is used up."""
    if moderator.totp_secret is None:
        return True
    plain = re.sub(r"[\s-]", "", code).upper()
    if re.fullmatch(rf"[0-9]{{{DIGITS}}}", plain):
        return _accept_step(moderator, plain)
    used = db.session.execute(
        delete(RecoveryCode).where(
            RecoveryCode.moderator_id == moderator.id, RecoveryCode.code_hash == _digest(plain)
        )
    )
    db.session.commit()
    if row_count(used):
        log.warning("recovery_code_used", moderator=moderator.name)
    return bool(row_count(used))


def _accept_step(moderator: Moderator, code: str) -> bool:
    secret = unseal(moderator, moderator.totp_secret or "")
    if secret is None:
        log.error("totp_unreadable", moderator=moderator.name)  # SECRET_KEY has changed
        return False
    step = step_of(secret, code)
    if step is None:
        return False
    # Succeeds only if neither this code nor a later one was used, on any host.
    used = db.session.execute(
        update(Moderator)
        .where(Moderator.id == moderator.id, or_(Moderator.totp_step.is_(None), Moderator.totp_step < step))
        .values(totp_step=step)
    )
    db.session.commit()
    return bool(row_count(used))


def enable(moderator: Moderator, secret: bytes, step: int) -> list[str]:
    """Store a secret after its first code. Return new recovery codes, without a commit."""
    disable(moderator)
    moderator.totp_secret, moderator.totp_step = seal(moderator, secret), step
    codes = [base64.b32encode(os.urandom(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    rows = [{"moderator_id": moderator.id, "code_hash": _digest(code)} for code in codes]
    db.session.execute(insert(RecoveryCode), rows)
    return ["-".join(re.findall("....", code)) for code in codes]


def disable(moderator: Moderator) -> None:
    """Delete the secret and the recovery codes, without a commit."""
    moderator.totp_secret = moderator.totp_step = None
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.moderator_id == moderator.id))


def _digest(code: str) -> str:
    """Return the hash of a recovery code. A fast one suffices for 80 random bits."""
    return hashlib.sha256(code.encode()).hexdigest()
