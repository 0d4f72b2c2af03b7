"""The database of a source, and the driver for it."""

from __future__ import annotations

import pytest
from new_site_command import APP, command, entries, files, read_source

PLUGIN = {
    "search/engines/postgresql.py": "import psycopg2\n",
    "search/engines/mysql.py": "import mysql.connector, pymysql\n",
}
DATABASES = {
    "a plugin's drivers": (PLUGIN | {"requirements.txt": "flask\nredis\n"}, False, []),
    "a plugin's drivers, nothing declared": (PLUGIN, False, []),
    "a driver that may be missing": (
        {"app.py": APP + "try:\n    import pymongo\nexcept ImportError:\n    pymongo = None\n"},
        False,
        [],
    ),
    "a driver for development": (
        {"requirements.txt": "flask\n", "requirements-dev.txt": "psycopg2\nPyMySQL\n"},
        False,
        [],
    ),
    "a driver in the requirements": ({"requirements.txt": "psycopg2\n"} | PLUGIN, False, ["PostgreSQL"]),
    "a driver in setup.cfg": (
        {"setup.cfg": "[options]\ninstall_requires =\n    PyMySQL>=1\n    flask\n"},
        True,
        [],
    ),
    "a driver in setup.py": (
        {"setup.py": "setup(install_requires=['flask', 'psycopg2>=2'])\n"},
        False,
        ["PostgreSQL"],
    ),
    "a driver and its address": (
        {
            "requirements.txt": "flask\n",
            "app.py": "import os, psycopg2\nx = psycopg2.connect(os.environ['DATABASE_URL'])\n",
        },
        False,
        ["PostgreSQL"],
    ),
    "SQLAlchemy and an address": (
        {"requirements.txt": "sqlalchemy\n", "app.py": "import os\nURL = os.environ['DATABASE_URL']\n"},
        True,
        [],
    ),
    "an address with a scheme": (
        {
            "requirements.txt": "sqlalchemy\n",
            "app.py": "SQLALCHEMY_DATABASE_URI = 'postgresql://localhost/x'\n",
        },
        False,
        ["PostgreSQL"],
    ),
    "Flask-SQLAlchemy": ({"requirements.txt": "flask-sqlalchemy\n"}, True, []),
    "SQLite alone": (
        {
            "requirements.txt": "flask-sqlalchemy\n",
            "app.py": APP + "SQLALCHEMY_DATABASE_URI = 'sqlite:///x.db'\n",
        },
        False,
        [],
    ),
    "SQLite as a fallback": (
        {
            "requirements.txt": "flask-sqlalchemy\n",
            "app.py": "import os\nSQLALCHEMY_DATABASE_URI = os.getenv('DATABASE_URL') or 'sqlite:///x.db'\n",
        },
        True,
        [],
    ),
}


@pytest.mark.parametrize(("contents", "database", "unsupported"), DATABASES.values(), ids=DATABASES)
def test_database_is_proposed_only_if_the_application_uses_it(tmp_path, contents, database, unsupported):
    found = read_source(files(tmp_path, contents))
    assert (found.database, found.unsupported) == (database, unsupported), (
        f"expected {database} and {unsupported}, got {found.database} and {found.unsupported}"
    )


# --- The driver --------------------------------------------------------------------------------

FLASK_SQL = {"requirements.txt": "flask-sqlalchemy\n"}
PROJECT = "[project]\nname = 'shop'\ndependencies = ['flask-sqlalchemy']\n"
DRIVERS = {
    "none": (FLASK_SQL, ["pymysql"]),
    "required": ({"requirements.txt": "flask-sqlalchemy\npymysql\n"}, None),
    "another one": ({"requirements.txt": "flask-sqlalchemy\nmysqlclient\n"}, None),
    "imported only": (
        FLASK_SQL | {"app.py": "import os, pymysql\nx = os.environ['DATABASE_URL']\n"},
        ["pymysql"],
    ),
    "an extra": (
        {"pyproject.toml": PROJECT + "[project.optional-dependencies]\ndatabase = ['PyMySQL>=1']\n"},
        [".[database]"],
    ),
    "two extras": (
        {
            "pyproject.toml": PROJECT
            + "[project.optional-dependencies]\ndb = ['PyMySQL']\nmysql = ['PyMySQL']\ntest = ['PyMySQL']\n"
        },
        [".[mysql]"],
    ),
    "an extra for tests": (
        {"pyproject.toml": PROJECT + "[project.optional-dependencies]\ntest = ['PyMySQL']\n"},
        ["pymysql"],
    ),
    "an extra for another database": (
        {"pyproject.toml": PROJECT + "[project.optional-dependencies]\ndatabase = ['psycopg2']\n"},
        ["pymysql"],
    ),
    "a group": ({"pyproject.toml": PROJECT + "[dependency-groups]\nmysql = ['pymysql']\n"}, ["group:mysql"]),
    "Poetry's extra": (
        {
            "pyproject.toml": "[tool.poetry.dependencies]\nflask-sqlalchemy = '^3'\n"
            "pymysql = {version = '^1', optional = true}\n"
            "[tool.poetry.extras]\nmysql = ['pymysql']\n"
        },
        [".[mysql]"],
    ),
    "setup.cfg's extra": (
        {
            "setup.cfg": "[options]\ninstall_requires = flask-sqlalchemy\n"
            "[options.extras_require]\nmysql = PyMySQL\n"
        },
        [".[mysql]"],
    ),
    "its own scheme": (
        FLASK_SQL
        | {
            "app.py": "import os\nhost = os.environ['DB_HOST']\n"
            "SQLALCHEMY_DATABASE_URI = f'mysql+mysqlconnector://u@{host}/x'\n"
        },
        ["mysql-connector-python"],
    ),
    "no database": ({"requirements.txt": "flask\n"}, None),
    "a template": (
        {"pyproject.toml": PROJECT + "[project.optional-dependencies]\n'mysql{{ 1 }}' = ['PyMySQL']\n"},
        ["pymysql"],
    ),
}


@pytest.mark.parametrize(("contents", "expected"), DRIVERS.values(), ids=DRIVERS)
def test_missing_driver_is_proposed_if_the_schema_has_install(tmp_path, monkeypatch, contents, expected):
    source = read_source(files(tmp_path, contents))
    answers = {
        "server_names": ["a.test"],
        "source": {"path": "x"},
        "wsgi": "a:b",
        "database": source.database,
    }

    monkeypatch.setattr(entries, "KEYS", entries.KEYS | {"install": {"type": "array"}})
    found = entries.make_entry("shop", answers, source, None)
    assert found.get("install") == expected, f"expected {expected}, got {found}"
    assert not any("driver" in line for line in command.noticed(source)), f"got {command.noticed(source)}"

    monkeypatch.setattr(
        entries, "KEYS", {key: value for key, value in entries.KEYS.items() if key != "install"}
    )
    found = entries.make_entry("shop", answers, source, None)
    assert "install" not in found, f"expected no install, got {found}"
    lines = [line for line in command.noticed(source) if "driver" in line]
    assert bool(lines) == bool(expected), f"expected {expected}, got {lines}"


def test_driver_of_an_extra_adds_its_scheme_and_packages(tmp_path, monkeypatch):
    text = PROJECT + "[project.optional-dependencies]\nmysql = ['mysqlclient']\n"
    source = read_source(files(tmp_path, {"pyproject.toml": text}))
    monkeypatch.setattr(entries, "KEYS", entries.KEYS | {"install": {"type": "array"}})
    answers = {"server_names": ["a.test"], "source": {"path": "x"}, "wsgi": "a:b", "database": True}
    found = entries.make_entry("shop", answers, source, None)
    assert found["install"] == [".[mysql]"], f"got {found}"
    assert found["database"]["scheme"] == "mysql+mysqldb", f"got {found}"
    assert "default-libmysqlclient-dev" in found["packages"], f"got {found}"
