"""A site's database as a release sees it: its schema, and a dump.

As root by the server's socket; or, where the database is elsewhere, as the site's own user over TLS, with
the authority and the server's name verified. How is in a file that root alone reads.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replacement

SOCKET = "/run/mysqld/mysqld.sock"

# What a release's code depends on, one row a thing: its kind, where it is, what it is.
STRUCTURE = """
SELECT 'column', CONCAT(TABLE_NAME, '.', COLUMN_NAME),
       CONCAT_WS(' ', COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA)
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
UNION ALL
SELECT 'index', CONCAT(TABLE_NAME, '.', INDEX_NAME),
       CONCAT_WS(' ', NON_UNIQUE, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX))
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()
GROUP BY TABLE_NAME, INDEX_NAME, NON_UNIQUE
UNION ALL
SELECT 'foreign key', CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME),
       CONCAT_WS(' ', GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION), REFERENCED_TABLE_NAME,
                 GROUP_CONCAT(REFERENCED_COLUMN_NAME ORDER BY ORDINAL_POSITION))
FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL
GROUP BY TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_NAME
"""


def elsewhere(site: str) -> Path:
    """How root's client logs in to a site's database elsewhere; there is none for one here."""
    return Path(f"/etc/decanter/{site}/database.cnf")


def client(site: str, mariadb: str, mysql: str) -> list[str]:
    """The command of whichever client is installed: MariaDB's newer packages have no mysql… any more."""
    program = shutil.which(mariadb)
    if not elsewhere(site).exists():
        return [program or mysql, "--no-defaults", f"--socket={SOCKET}", "--user=root"]
    verified = "--ssl-verify-server-cert" if program else "--ssl-mode=VERIFY_IDENTITY"
    return [program or mysql, f"--defaults-file={elsewhere(site)}", verified]


def schema(site: str, name: str) -> dict[str, str]:
    """The structure of a site's database: each column, index and foreign key, and what it is."""
    options = ["--batch", "--skip-column-names", "--execute", STRUCTURE, name]
    command = [*client(site, "mariadb", "mysql"), *options]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = (line.split("\t", 2) for line in out.splitlines())
    return {f"{kind} {where}": what for kind, where, what in rows}


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What has come, gone or changed between two schemas, a line each."""
    changed = sorted(thing for thing in then.keys() | now.keys() if then.get(thing) != now.get(thing))
    return [
        f"{thing} was {'added' if thing not in then else 'removed' if thing not in now else 'changed'}"
        for thing in changed
    ]


def dump(site: str, name: str, path: Path) -> None:
    """Write all of a site's database to a compressed file, root's alone; it is there whole or not at all."""
    command = client(site, "mariadb-dump", "mysqldump")
    # What would need rights on more than the site's own database.
    command.append("--no-tablespaces")
    if Path(command[0]).name == "mysqldump":
        command.append("--set-gtid-purged=OFF")
    command += [
        # One moment's data, without stopping anybody from writing.
        *("--single-transaction", "--quick", "--routines", "--triggers", "--events", name),
    ]
    with replacement(path, 0o600) as file:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file) as packed:
                shutil.copyfileobj(process.stdout, packed, 1 << 20)
            error = process.stderr.read().decode(errors="replace")
        if process.returncode != 0:
            raise RuntimeError(f"{name} could not be dumped: {error.strip()}")
