"""The prose lint: the words it reports, and those it accepts."""

import fnmatch

import pytest

from tools import prose


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("# Nobody reads it.", ["Nobody"]),
        ("    # The program says so, and asks again.", ["says", "asks"]),
        ("def test_a_host_that_nobody_told(self):", ["nobody", "told"]),
        ('    """What a host returns."""', ["What"]),
        ("- name: What a host returns", ["What"]),
        ("# This address is no address, so the other is none.", ["is no", "is none."]),
        ("# The file stays, for it is read later.", [", for it"]),
    ],
)
def test_denied_words_are_found(line, words):
    found = [finding.words for finding in prose.check_text("a.py", line)]
    assert sorted(found) == sorted(words), f"{line!r}: expected {words}, found {found}"


@pytest.mark.parametrize(
    "line",
    [
        "# The client sends a request, because the cache is empty.",
        "## What does a deploy change?",
        "    if value is None:",
        "# There is no certificate, and the old one is no longer valid.",
        "ansible-playbook --ask-vault-pass",
        "    known_hosts: /etc/ssh/ssh_known_hosts",
    ],
)
def test_standard_terms_pass(line):
    found = list(prose.check_text("a.py", line))
    assert not found, f"{line!r}: expected no finding, found {found}"


def test_accepted_words_pass_in_their_file_only():
    path = "roles/certbot/files/certificates/failures.py"
    line = '    "Ask for help",'
    assert not list(prose.check_text(path, line)), f"{path}: expected no finding"
    assert [f.words for f in prose.check_text("a.py", line)] == ["Ask"], "a.py: expected the finding Ask"


@pytest.mark.parametrize(("pattern", "accepted"), prose.ACCEPTED.items(), ids=prose.ACCEPTED)
def test_accepted_words_are_still_used(pattern, accepted):
    paths = fnmatch.filter(prose.tracked_files(), pattern)
    text = " ".join((prose.ROOT / path).read_text(errors="replace").replace("_", " ") for path in paths)
    unused = [word for word in accepted[0].split() if word not in text]
    assert not unused, f"{pattern}: remove {unused} from ACCEPTED"
