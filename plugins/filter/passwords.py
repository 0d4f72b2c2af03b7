"""What nginx and MySQL compare passwords with."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

# As crypt(3) writes it: SHA-256, SHA-512, or a bcrypt that the hosts' libc knows.
HASHED = re.compile(r"\$(5|6|2[aby])\$[!-9;-~]{20,120}")
DIGITS = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROUNDS = 5000  # crypt's own; nginx answers nobody else while it computes them


def sha512_crypt(password: str, salt: str) -> str:
    """A hash as crypt(3) makes it, by https://www.akkadia.org/drepper/SHA-crypt.txt."""
    key, seasoning = password.encode(), salt.encode()
    other = hashlib.sha512(key + seasoning + key).digest()
    first = hashlib.sha512(key + seasoning + _stretched(other, len(key)))
    length = len(key)
    while length:
        first.update(other if length & 1 else key)
        length >>= 1
    result = first.digest()
    long_key = _stretched(hashlib.sha512(key * len(key)).digest(), len(key))
    long_salt = _stretched(hashlib.sha512(seasoning * (16 + result[0])).digest(), len(seasoning))
    for number in range(ROUNDS):
        text = long_key if number & 1 else result
        text += long_salt if number % 3 else b""
        text += long_key if number % 7 else b""
        text += result if number & 1 else long_key
        result = hashlib.sha512(text).digest()
    # Three bytes at a time, from all over, and the last alone.
    order, triple = [], (0, 21, 42)
    for _ in range(21):
        order.append(triple)
        triple = (triple[1] + 1, triple[2] + 1, triple[0] + 1)
    numbers = [(result[a] << 16 | result[b] << 8 | result[c], 4) for a, b, c in order]
    coded = "".join(_coded(number, digits) for number, digits in [*numbers, (result[63], 2)])
    return f"$6${salt}${coded}"


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _coded(number: int, digits: int) -> str:
    return "".join(chr(DIGITS[number >> 6 * digit & 63]) for digit in range(digits))


def hashed(password: str, whose: str) -> str:
    """A password's hash, or what is one already.

    The salt is made of the password, so that a run with nothing to change changes nothing; and by scrypt, for
    whoever tries passwords by it needs longer than by the hash itself.
    """
    if HASHED.fullmatch(password):
        return password
    salt = hashlib.scrypt(password.encode(), salt=whose.encode(), n=2**14, r=8, p=1, dklen=12)
    return sha512_crypt(password, base64.b64encode(salt, b"./").decode())


def password_files(passwords: dict[str, dict[str, str]], folder: str) -> list[dict[str, Any]]:
    """A file for each site, as nginx reads it, in a folder that has nothing else."""
    files: list[dict[str, Any]] = [{"path": folder, "state": "directory", "exclusive": True}]
    for site, users in sorted(passwords.items()):
        lines = [f"{user}:{hashed(text, f'{site}/{user}')}\n" for user, text in sorted(users.items())]
        content = "# Ansible managed. Who may see the site.\n" + "".join(lines)
        file = {"path": f"{folder}/{site}", "content": content}
        files.append(file | {"group": "www-data", "mode": "0640"})
    return files


def mysql_salt(user: dict[str, Any]) -> str:
    """The same for a user each time: what the server has can be compared with what it is to have."""
    whose = f"decanter {user['name']}@{user.get('host', 'localhost')}"
    return hashlib.sha256(whose.encode()).hexdigest()[:20]


def mysql_replaced(users: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of role mysql's users whose password is about to be replaced by another of the same kind.

    `found` is what the server has: name, host, plugin, proof (SHA-256 of its hash), second (whether a
    password that was replaced is good as well, which is then the one that applications know).
    """
    from ansible_collections.community.mysql.plugins.module_utils.implementations.mysql.hash import (
        mysql_sha256_password_hash,
    )

    def proof(user: dict[str, Any]) -> str:
        kept = mysql_sha256_password_hash(user["password"], mysql_salt(user))
        return hashlib.sha256(kept.encode()).hexdigest()

    known = {
        (one["name"], one["host"]): one["proof"]
        for one in found
        if one["plugin"] == "caching_sha2_password" and not one["second"]
    }
    return [
        user
        for user in users
        if user.get("auth") == "password"
        and (there := known.get((user["name"], user.get("host", "localhost"))))
        and there != proof(user)
    ]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "mysql_replaced": mysql_replaced,
            "mysql_salt": mysql_salt,
            "password_files": password_files,
        }
