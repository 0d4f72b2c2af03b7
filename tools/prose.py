"""prose [FILE…]: report words that break the prose rules of CONTRIBUTING.md in tracked files.

Reads comments, messages, documents and names alike. Exits with 1 if there is a finding.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import NamedTuple

from tools.library import ROOT

# A pattern, and what to write instead.
DENIED = {
    r"(?<![\"=])\b(nobody|somebody|someone|whoever|whom|whose)\b(?!@)": "name the actor, or repeat the noun",
    r"(?<!kill-)\bwho\b": "name the actor: operator, client, visitor, CA",
    r"\b(says?|said|saying|tells?|told|telling)\b": "use reports, returns, sets or contains",
    r"(?<!-)\b(asks?|asked|asking)\b": "use requests, queries or checks",
    r"\b(knows?|known to|forgets?|forgot(ten)?|remembers?(?! token))\b": "use stores, has or supports",
    r"\banew\b": "use again",
    r"(?<!there )\b(is|are|was|were) (no (?!longer|more\b|such\b)|(?-i:none)[.,;:])": "use is not a",
    r"\b(to be had|let go|let be|put right|well again)\b": "use the standard term",
    r"\bbesides?\b": "use next to, with, or in addition to",
    r"\bvouch(es)? for\b": "use issues, signs or verifies",
    r"\b(hand(s|ed)? (it )?over|stands? in)\b": "use passes or replaces",
    r", for (it|they|that|there|this|these|those|no|what|the|an?|he|she|we|you)\b": "use because",
    r"(^|(?<=[#*-] )|(?<=\"\"\")|(?<=name: ))what\b(?!.*\?)": "start with a noun or an imperative verb",
}
PATTERNS = [(re.compile(pattern, re.IGNORECASE), remedy) for pattern, remedy in DENIED.items()]
# Patterns of paths, denied words that these files use, and the reason.
RESTART = "a changed comment restarts the service: rewrite it with the next change of a setting"
NOTES = "a key of notes on existing hosts"
ACCEPTED = {
    "CONTRIBUTING.md": ("whom", "an option of systemctl"),
    "app/*.md": ("forget", "a command of Harbour"),
    "app/*quiz*": ("forget", "a command of Harbour"),
    "app/*weather*": ("asked", "a column of Harbour"),
    "app/tests/test_queries.py": ("asked", "a path of Harbour"),
    "app/*/forms.py": ("Asking asking", "labels for visitors"),
    "app/*/neighbourhoods/*": ("Know whose who", "titles of the census"),
    "app/*/templates/*": ("Ask know", "texts for visitors"),
    "app/tests/fake_census.py": ("WHOSE", "titles of the census"),
    "app/tests/test_submit.py": ("Asking", "labels for visitors"),
    "docs/upgrade.md": ("ask", "the old name of a task file"),
    "molecule/browser/tests/*homes.py": ("Asking Ask know", "labels of Harbour"),
    "plugins/module_utils/build_requirements.py": ("know", "quotes uv"),
    "plugins/schema/sites/sites.yml": ("nobody", "the name of a system user"),
    "roles/base/templates/etc/systemd/system/swapfile.swap.j2": ("What", "a key of systemd"),
    "roles/certbot/files/certificates/failures.py": ("Ask", "quotes certbot"),
    "roles/certbot/files/certificates/renewal.py": ("asked", NOTES),
    "roles/certbot/files/certificates/state.py": ("asked", NOTES),
    "roles/mysql/templates/etc/mysql/mysql.conf.d/decanter.cnf.j2": ("said Who who tells", RESTART),
    "roles/mysql/templates/etc/systemd/system/mysql.service.d/decanter.conf.j2": ("say What asks", RESTART),
    "roles/services/templates/etc/decanter/redis/site.conf.j2": ("told What beside", RESTART),
    "roles/services/templates/etc/systemd/system/memcached@.service.j2": ("nobody says", RESTART),
    "roles/services/templates/etc/systemd/system/redis@.service.j2": ("nobody says", RESTART),
    "tests/unit/plugins/action/test_message.py": ("told", "an old name, which must not return"),
    "tests/unit/plugins/filter/test_sites_check.py": ("nobody", "the name of a system user"),
    "tests/unit/roles/certbot/test_certificates_failures.py": ("asked", NOTES),
}
# Generated files, data, and texts that other programs or authors wrote.
IGNORED = re.compile(
    r"tools/prose\.py|tests/unit/tools/test_prose\.py|(.*/)?LICENSE"
    r"|.*\.(lock|log|txt|svg|png|jpg|pem|crt|key|json|jsonl|toml|css|js|po|mo|xz)"
)


class Finding(NamedTuple):
    path: str
    number: int
    words: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.path}:{self.number}: found "{self.words}". Remedy: {self.remedy}.'


def check_text(path: str, text: str) -> Iterator[Finding]:
    """Yield the findings of a file. Names count: their underscores are read as spaces."""
    accepted = " ".join(words for pattern, (words, _) in ACCEPTED.items() if fnmatch(path, pattern)).split()
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, remedy in PATTERNS:
            for match in pattern.finditer(line.replace("_", " ")):
                words = match[0].strip(' #*"-')
                if words not in accepted:
                    yield Finding(path, number, words, remedy)


def tracked_files() -> list[str]:
    """Return the paths of git's index that are regular files."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [path for path in listed.split("\0") if (file := ROOT / path).is_file() and not file.is_symlink()]


def main(arguments: list[str]) -> int:
    findings = [
        finding
        for path in arguments or tracked_files()
        if not IGNORED.fullmatch(path)
        for finding in check_text(path, (ROOT / path).read_text("utf-8", errors="replace"))
    ]
    print(*findings, sep="\n", end="\n" if findings else "")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
