"""Filters for the password hashes of nginx and MySQL."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.password_hashes import is_hash

ROUNDS = 5000  # the default of crypt; a worker of nginx handles no other request during the computation


def hashed(password: str, owner: str) -> str:
    """Return the hash of a password. A hash is returned unchanged.

    The salt is derived from the password, so that a run without changes writes the same file. scrypt derives
    it, because guessing passwords with the salt must not be faster than with the hash.
    """
    if is_hash(password):
        return password
    from ansible.utils.encrypt import do_encrypt

    salt = hashlib.scrypt(password.encode(), salt=owner.encode(), n=2**14, r=8, p=1, dklen=12)
    return do_encrypt(password, "sha512_crypt", salt=base64.b64encode(salt, b"./").decode(), rounds=ROUNDS)


def password_files(passwords: dict[str, dict[str, str]], folder: str) -> list[dict[str, Any]]:
    """Return nginx's password file of each site, and their folder, as entries of the module `files`."""
    files: list[dict[str, Any]] = [{"path": folder, "state": "directory", "exclusive": True}]
    for site, users in sorted(passwords.items()):
        lines = [f"{user}:{hashed(text, f'{site}/{user}')}\n" for user, text in sorted(users.items())]
        content = "# Ansible managed. Users of the site.\n" + "".join(lines)
        file = {"path": f"{folder}/{site}", "content": content}
        files.append(file | {"group": "www-data", "mode": "0640"})
    return files


def mysql_salt(user: dict[str, Any]) -> str:
    """Return a constant salt for a user, so that hashes of the same password are equal."""
    owner = f"decanter {user['name']}@{user.get('host', 'localhost')}"
    return hashlib.sha256(owner.encode()).hexdigest()[:20]


def mysql_replaced(users: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the users of the role mysql that get a new password for the same authentication plugin.

    `found` are the server's accounts: name, host, plugin, proof (SHA-256 of the hash), second (whether the
    server also accepts a previous password, which applications then use).
    """
    from ansible_collections.community.mysql.plugins.module_utils.implementations.mysql.hash import (
        mysql_sha256_password_hash,
    )

    def proof(user: dict[str, Any]) -> str:
        expected = mysql_sha256_password_hash(user["password"], mysql_salt(user))
        return hashlib.sha256(expected.encode()).hexdigest()

    known = {
        (one["name"], one["host"]): one["proof"]
        for one in found
        if one["plugin"] == "caching_sha2_password" and not one["second"]
    }
    return [
        user
        for user in users
        if user.get("auth") == "password"
        and (current := known.get((user["name"], user.get("host", "localhost"))))
        and current != proof(user)
    ]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "mysql_replaced": mysql_replaced,
            "mysql_salt": mysql_salt,
            "password_files": password_files,
        }
