"""MySQL and MariaDB.

Root's client uses the server's socket. If the database is on another host, it logs in as the site's own user
over TLS, and verifies the server's certificate and name.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from ansible_collections.decanter.stack.plugins.module_utils.databases.engine import (
    Driver,
    Engine,
    option_file,
)
from ansible_collections.decanter.stack.plugins.module_utils.shared.files import replacement

# One row for each object that a release's code depends on: its kind, its place, its definition.
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
# The names of options in an option file of MariaDB's and MySQL's clients.
OPTIONS = {"host": "host", "port": "port", "user": "user", "password": "password", "ca": "ssl-ca"}


class MySQL(Engine):
    socket = "/run/mysqld/mysqld.sock"
    port = 3306
    units = ("mariadb.service", "mysql.service")
    drivers: ClassVar = {
        "mysql": Driver(("mysqlclient",), True, "&ssl_mode=VERIFY_IDENTITY"),
        "mysql+mysqldb": Driver(("mysqlclient",), True, "&ssl_mode=VERIFY_IDENTITY"),
        # PyMySQL verifies the server as soon as it has a CA.
        "mysql+pymysql": Driver(("pymysql",), True),
        "mysql+mysqlconnector": Driver(
            ("mysql-connector-python", "mysql-connector"),
            True,
            "&use_pure=true&ssl_verify_cert=true&ssl_verify_identity=true",
        ),
        "mysql+aiomysql": Driver(("aiomysql",)),
        "mysql+asyncmy": Driver(("asyncmy",)),
        "mysql+cymysql": Driver(("cymysql",)),
    }

    def query(self, scheme: str, parts: Mapping[str, str]) -> str:
        if "ca" in parts:
            driver = self.drivers.get(scheme)
            return f"ssl_ca={quote(parts['ca'])}{driver.verification if driver else ''}&charset=utf8mb4"
        if "socket" in parts:
            return f"unix_socket={quote(parts['socket'])}&charset=utf8mb4"
        return "charset=utf8mb4"

    def client_options(self, login: Mapping[str, str]) -> str:
        lines = ["# Ansible managed. A deploy reads the schema and writes dumps with this login.\n[client]\n"]
        for key, option in OPTIONS.items():
            escaped = login[key].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            lines.append(f'{option}="{escaped}"\n')
        return "".join(lines)

    def schema(self, site: str, name: str) -> dict[str, str]:
        options = ["--batch", "--skip-column-names", "--execute", STRUCTURE, name]
        command = [*self._client(site, "mariadb", "mysql"), *options]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = (line.split("\t", 2) for line in out.splitlines())
        return {f"{kind} {place}": definition for kind, place, definition in rows}

    def dump(self, site: str, name: str, path: Path) -> None:
        command = self._client(site, "mariadb-dump", "mysqldump")
        # A dump of tablespaces requires privileges beyond the site's database.
        command.append("--no-tablespaces")
        if Path(command[0]).name == "mysqldump":
            command.append("--set-gtid-purged=OFF")
        # A consistent snapshot that does not block writes.
        command += ["--single-transaction", "--quick", "--routines", "--triggers", "--events", name]
        with replacement(path, 0o600) as file:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                assert process.stdout and process.stderr
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file) as packed:
                    shutil.copyfileobj(process.stdout, packed, 1 << 20)
                error = process.stderr.read().decode(errors="replace")
            if process.returncode != 0:
                raise RuntimeError(f"the dump of the database {name} failed: {error.strip()}")

    @staticmethod
    def _client(site: str, mariadb: str, mysql: str) -> list[str]:
        """Return the command of the client that is installed: new packages of MariaDB have no `mysql`."""
        program = shutil.which(mariadb)
        if not option_file(site).exists():
            return [program or mysql, "--no-defaults", f"--socket={MySQL.socket}", "--user=root"]
        verified = "--ssl-verify-server-cert" if program else "--ssl-mode=VERIFY_IDENTITY"
        return [program or mysql, f"--defaults-file={option_file(site)}", verified]
