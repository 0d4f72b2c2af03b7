"""Password hashes for nginx and MySQL."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess

import pytest
from ansible_collections.decanter.stack.plugins.filter.passwords import (
    hashed,
    mysql_replaced,
    mysql_salt,
    password_files,
)
from repository import ROOT

# https://www.akkadia.org/drepper/SHA-crypt.txt
KNOWN = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"

# Hashes of "correct horse", by libxcrypt 4.4.33.
HASHES = (
    "$y$j9T$QFd4fVrcGLTV0nw76EZ/L.$Q40DXosJnqJMlx96NPMD7YNKOe5X3tvL1b7q41UPu/6",
    "$7$CU..../....rJhltGOpnIIRY1kTeKvGL.$sAu1bqgHUi/QHAe7xa3yPOT5n31aRbKrCQKLv51AOo9",
    "$2b$05$cqgxob.fCBWKIyf62YR3BeSj3QgB6Iuqmvs3ZPYEfiqjJD0Mue2PC",
    "$2y$05$k/lfW6AETB1NLK7YA11kQOkmLUQ4aTKGNEc3M7JUl1XZ/YyNebUwu",
    "$2a$05$dc1L8wZq7hi.z1Ao7AQSDO5E3tmccfarhfBx.OhYWIX6vJA.apfyW",
    "$6$ABT.x8Pw0pTrgOJ5$wqHYaPZCwDbvK4NRSdCkaPreAKsieXPliDXYecB5j3djQ65dh9wZ4cZfQgdyge2IcaM1ukOr44Evtdt88AOZI0",
    "$5$XfojPw/l1MKKDx0P$nLoAYHjYg8By/qOpWR/NoT5z3wjU2y9UxOVaiPMRSXA",
    "$1$bHPZuRM2$6DYkP/5Cea8jTplLxqlTj0",
)
OF_NGINX = (
    "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
    "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
    "{SSHA}VBPuJHI7uixaa6LQGWx4s+5GKNgxMjM0",
)


@pytest.mark.parametrize(
    ("password", "salt", "digest"),
    [
        (
            *("correct horse", "YNU1qWOfy4WNALPb"),
            "4W45F2b5JQMIcMoAK//x6Eal8ROZPgzCqN6.ctP8ereoX7NMfO2E2yQmV5xtbL18BFqqBSFCQdHudT/rQehE7.",
        ),
        (
            *("pässwörd € 漢", "QRz8OqC2KWT59LZk"),
            "DbNU6VbZFNC2U6WlJLaiMhO5q49rvDcgid.nrR08LIWyDiGor2YF1k46e4ccf.qgVThdCyniuZ1VCENpX81OW1",
        ),
    ],
)
def test_hash_is_the_same_in_every_version(password, salt, digest):
    """A different hash of the same password would change a file on each host."""
    assert hashed(password, "harbour/ada") == f"$6${salt}${digest}"


@pytest.mark.parametrize("lock", ["requirements.txt", "roles/fleet/files/ansible.txt"])
def test_library_is_locked_wherever_playbooks_run(lock):
    assert "libpass==" in (ROOT / lock).read_text(), f"{lock}: expected libpass"


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed here")
@pytest.mark.parametrize(
    "password", ["a", "correct horse", "x" * 63, "x" * 64, "x" * 65, "x" * 128, "%$\\'\""]
)
def test_hash_is_equal_to_that_of_openssl(password):
    got = hashed(password, "harbour/ada")
    command = ["openssl", "passwd", "-6", "-salt", got.split("$")[2], "-stdin"]
    expected = subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout
    assert got == expected.strip()


def test_hash_depends_on_the_password_and_the_user():
    assert hashed("correct horse", "a/b") == hashed("correct horse", "a/b")
    several = {
        hashed(*given) for given in (("correct horse", "a/b"), ("correct horse", "a/c"), ("correct", "a/b"))
    }
    assert len(several) == 3, several


@pytest.mark.parametrize("given", [*HASHES, *OF_NGINX, "$6$rounds=656000" + KNOWN[2:]])
def test_hash_is_not_hashed_again(given):
    assert hashed(given, "a/b") == given


@pytest.mark.parametrize("given", HASHES)
def test_libcrypt_verifies_the_hash(given):
    """libcrypt of the hosts verifies all hashes except those that nginx itself verifies."""
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError:
        pytest.skip("this machine has no libcrypt.so.1")
    crypt.restype = ctypes.c_char_p
    assert crypt(b"correct horse", given.encode()) == given.encode()


def test_password_file_is_readable_by_nginx_only():
    folder, file = password_files({"harbour": {"bob": KNOWN, "ada": KNOWN}}, "/etc/nginx/passwords")
    assert folder == {"path": "/etc/nginx/passwords", "state": "directory", "exclusive": True}
    assert (file["path"], file["mode"], file["group"]) == ("/etc/nginx/passwords/harbour", "0640", "www-data")
    assert file["content"].splitlines()[1:] == [f"ada:{KNOWN}", f"bob:{KNOWN}"]


# --- MySQL -------------------------------------------------------------------------------------

ADA = {"name": "ada", "host": "%", "auth": "password", "password": "secret"}


@pytest.fixture
def account() -> dict[str, object]:
    """Return the account of ADA as the server stores it."""
    from ansible_collections.community.mysql.plugins.module_utils.implementations.mysql.hash import (
        mysql_sha256_password_hash,
    )

    proof = hashlib.sha256(mysql_sha256_password_hash("secret", mysql_salt(ADA)).encode()).hexdigest()
    return {"name": "ada", "host": "%", "plugin": "caching_sha2_password", "proof": proof, "second": 0}


def test_salt_depends_on_the_user_and_host():
    assert len(mysql_salt(ADA)) == 20
    assert len({mysql_salt(ADA), mysql_salt(ADA | {"host": "h"}), mysql_salt(ADA | {"name": "b"})}) == 3


def test_only_a_changed_password_is_replaced(account):
    new = ADA | {"password": "another"}
    for users, found, expected in (
        ([ADA], [account], []),
        ([new], [account], [new]),
        ([new], [], []),  # the user does not exist yet
        ([new], [account | {"host": "localhost"}], []),
        # A user with two passwords keeps the old one, which applications still use.
        ([new], [account | {"second": 1}], []),
        # A user cannot have two passwords of different plugins.
        ([new], [account | {"plugin": "mysql_native_password"}], []),
        ([{"name": "ada", "host": "%"}], [account], []),  # authenticated by the socket
    ):
        got = mysql_replaced(users, found)
        assert got == expected, f"{users}, {found}: expected {expected}, got {got}"
