"""A site's database as a release sees it: its schema, and a dump. As root, by the server's socket."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

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


def client(mariadb: str, mysql: str) -> list[str]:
    """The command of whichever client is installed: MariaDB's newer packages have no mysql… any more."""
    return [shutil.which(mariadb) or mysql, "--no-defaults", f"--socket={SOCKET}", "--user=root"]


def schema(name: str) -> dict[str, str]:
    """The structure of a database: each column, index and foreign key, and what it is."""
    command = [*client("mariadb", "mysql"), "--batch", "--skip-column-names", "--execute", STRUCTURE, name]
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


def dump(name: str, path: Path) -> None:
    """Write all of a database to a compressed file, root's alone; it is there whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    command = [
        *client("mariadb-dump", "mysqldump"),
        # One moment's data, without stopping anybody from writing.
        *("--single-transaction", "--quick", "--routines", "--triggers", "--events", name),
    ]
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed:
                shutil.copyfileobj(process.stdout, packed, 1 << 20)
            error = process.stderr.read().decode(errors="replace")
        if process.returncode != 0:
            raise RuntimeError(f"{name} could not be dumped: {error.strip()}")
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
