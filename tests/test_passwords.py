"""What nginx compares passwords with."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from passwords import hashed, password_files, sha512_crypt

# From the specification that the function is made by.
KNOWN = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"


def test_a_hash_is_crypts():
    assert sha512_crypt("Hello world!", "saltstring") == KNOWN


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed here")
@pytest.mark.parametrize(
    "password", ["a", "correct horse", "x" * 63, "x" * 64, "x" * 65, "x" * 128, "%$\\'\""]
)
def test_a_hash_is_what_openssl_makes(password):
    got = hashed(password, "harbour/ada")
    command = ["openssl", "passwd", "-6", "-salt", got.split("$")[2], "-stdin"]
    expected = subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout
    assert got == expected.strip()


def test_a_hash_is_the_same_each_time_and_another_for_each():
    assert hashed("correct horse", "a/b") == hashed("correct horse", "a/b")
    several = {
        hashed(*given) for given in (("correct horse", "a/b"), ("correct horse", "a/c"), ("correct", "a/b"))
    }
    assert len(several) == 3, several


@pytest.mark.parametrize("given", [KNOWN, "$2y$10$" + "a" * 53, "$5$salt$" + "a" * 43])
def test_what_is_a_hash_stays_one(given):
    assert hashed(given, "a/b") == given


def test_a_file_is_readable_by_nginx_alone():
    folder, file = password_files({"harbour": {"bob": KNOWN, "ada": KNOWN}}, "/etc/nginx/passwords")
    assert folder == {"path": "/etc/nginx/passwords", "state": "directory", "exclusive": True}
    assert (file["path"], file["mode"], file["group"]) == ("/etc/nginx/passwords/harbour", "0640", "www-data")
    assert file["content"].splitlines()[1:] == [f"ada:{KNOWN}", f"bob:{KNOWN}"]
