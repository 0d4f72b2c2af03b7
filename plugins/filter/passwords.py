"""What nginx and MySQL compare passwords with."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

# As crypt(3) writes it: SHA-256, SHA-512, or a bcrypt that the hosts' libc knows.
HASHED = re.compile(r"\$(5|6|2[aby])\$[!-9;-~]{20,120}")
ROUNDS = 5000  # crypt's own; nginx answers no other request while it computes them


def hashed(password: str, whose: str) -> str:
    """A password's hash, or what is one already.

    The salt is made of the password, so that a run with nothing to change changes nothing; and by scrypt, for
    whoever tries passwords by it needs longer than by the hash itself.
    """
    if HASHED.fullmatch(password):
        return password
    from ansible.utils.encrypt import do_encrypt

    salt = hashlib.scrypt(password.encode(), salt=whose.encode(), n=2**14, r=8, p=1, dklen=12)
    return do_encrypt(password, "sha512_crypt", salt=base64.b64encode(salt, b"./").decode(), rounds=ROUNDS)


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
