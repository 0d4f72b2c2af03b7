"""`make new-site` reads a source beside the application."""

from __future__ import annotations

import pytest
from new_site_command import APP, FACTORY, command, entries, files, read_source


def test_a_source_with_everything(tmp_path):
    contents = {
        "Procfile": "web: gunicorn -k gevent shop:app\nworker: rq worker\n"
        "release: flask db upgrade\nBIG_One: x\n",
        "shop/__init__.py": "import os, redis\nfrom flask import Flask\nfrom os import environ\n"
        "app = Flask(__name__, static_folder='assets', static_url_path='/files')\n"
        "X = request.environ['HTTP_X']\nY = request.environ.get('HTTP_Y')\n"
        "A = os.environ['A']\nos.environ['SET'] = '1'\nB = os.getenv('B', 'b')\nC = environ.get('C')\n"
        "@app.get('/healthz')\ndef health(): ...\n",
        "shop/assets/x.css": "",
        "shop/assets/uploads/.keep": "",
        "requirements/prod.txt": "-r base.txt\nFlask_SQLAlchemy==2.5\nPyMySQL[rsa]>=1\n",
        ".env.example": "# Settings\nMAIL_SERVER=localhost\nA=1\n",
    }
    found = read_source(files(tmp_path, contents))
    assert found.migrate == "flask db upgrade", f"got {found.migrate!r}"
    assert found.processes == {"worker": "rq worker", "big-one": "x"}, f"got {found.processes}"
    assert found.static == [{"url": "/files/", "path": "shop/assets"}], f"got {found.static}"
    assert found.health == "/healthz", f"got {found.health!r}"
    assert found.worker_class == "gevent", f"got {found.worker_class!r}"
    assert found.requirements == "requirements/prod.txt", f"got {found.requirements!r}"
    assert found.uploads == ["shop/assets/uploads"], f"got {found.uploads}"
    assert found.env == {"A": True, "B": False, "C": False, "MAIL_SERVER": False}, f"got {found.env}"
    assert {"flask-sqlalchemy", "pymysql", "redis"} <= found.uses, f"got {found.uses}"
    assert found.database and found.declared, "expected a database and requirements, got none"


def test_template_in_a_docker_command_is_ignored(tmp_path):
    contents = {
        "Dockerfile": "FROM x\nCMD gunicorn 'a:b(\"{{ x }}\")'\n",
        "compose.yml": "services:\n  web: {command: \"gunicorn 'c:d({{ x }})'\"}\n",
        "gunicorn.conf.py": "wsgi_app = 'e:f({{ x }})'\nworker_class = '{{ x }}'\n",
        "start.sh": "#!/bin/sh\nflask db upgrade {{ x }}\ngunicorn g:h\n",
        "Procfile": "web: ./start.sh\n",
    }
    found = read_source(files(tmp_path, contents))
    values = (found.wsgi, found.migrate, found.build, found.worker_class)
    assert values == ("g:h", "", [], ""), f"expected no template, got {values}"


def test_no_template_comes_from_a_source(tmp_path):
    """Ansible would run it on the controller."""
    lines = "one: echo {{ x }}\ntwo: {% x %}\nthree: {# x #}\nfour: echo ${X} {}\n"
    found = read_source(files(tmp_path, {"Procfile": lines, ".flaskenv": "FLASK_APP=a:b({{x}})"}))
    assert found.processes == {"four": "echo ${X} {}"}, f"got {found.processes}"
    assert found.wsgi == "", f"expected nothing, got {found.wsgi}"


def test_a_health_route_below_a_prefix_is_not_guessed(tmp_path):
    text = "bp = Blueprint('x', __name__, url_prefix='/api')\n@bp.get('/health')\ndef health(): ...\n"
    assert read_source(files(tmp_path, {"app.py": text})).health == "", (
        "expected no path, because the prefix is unknown"
    )


@pytest.mark.parametrize(
    ("contents", "command"),
    [
        ({"migrations/env.py": ""}, "flask db upgrade"),
        ({"alembic.ini": "", "alembic/env.py": ""}, "alembic upgrade head"),
        (
            {"alembic.ini": "", "migrations/env.py": "", "requirements.txt": "Flask-Migrate\n"},
            "flask db upgrade",
        ),
        ({"requirements.txt": "flask-migrate\n"}, ""),
        ({"shop/migrations/env.py": "", "shop/__init__.py": FACTORY}, "flask db upgrade -d shop/migrations"),
        ({"src/shop/migrations/env.py": ""}, "flask db upgrade -d src/shop/migrations"),
        (
            {"db/alembic.ini": "[alembic]\nscript_location = db/alembic\n", "db/alembic/env.py": ""},
            "alembic -c db/alembic.ini upgrade head",
        ),
        (
            {"db/alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\n", "db/alembic/env.py": ""},
            "alembic -c db/alembic.ini upgrade head",
        ),
        (
            {"db/alembic.ini": "[alembic]\nscript_location = alembic\n", "db/alembic/env.py": ""},
            "cd db && alembic upgrade head",
        ),
        (
            {"shop/migrations/env.py": "", "shop/migrations/alembic.ini": "[alembic]\n"},
            "flask db upgrade -d shop/migrations",
        ),
        (
            {"pyproject.toml": "[tool.alembic]\nscript_location = 'x'\n", "x/env.py": ""},
            "alembic upgrade head",
        ),
        ({"shop/tables/env.py": "", "shop/tables/alembic.ini": ""}, "flask db upgrade -d shop/tables"),
        ({"shop/migrations/__init__.py": "", "shop/migrations/0001.py": ""}, ""),
    ],
)
def test_migrations_are_found(tmp_path, contents, command):
    found = read_source(files(tmp_path, contents)).migrate
    assert found == command, f"expected {command!r}, got {found!r}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "psycopg2-binary==2.9\n"),
        ("pyproject.toml", "[project]\ndependencies = ['psycopg2-binary>=2']\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npsycopg2-binary = '^2'\n"),
        ("Pipfile", "[packages]\npsycopg2_binary = '*'\n"),
        ("models.py", "import psycopg2\n"),
    ],
)
def test_an_engine_that_is_not_supported_is_said(tmp_path, name, text):
    found = read_source(files(tmp_path, {name: text}))
    assert found.unsupported == ["PostgreSQL"] and not found.database, f"got {found}"
    lines = command.noticed(found)
    assert any("PostgreSQL, which Decanter does not set up" in line for line in lines), f"got {lines}"


# --- Environment variables ---------------------------------------------------------------------

MIDDLEWARE = """
class Proxy:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        environ["PATH_INFO"] = environ["PATH_INFO"].rstrip("/")
        if environ.get("HTTP_HOST") or environ["REMOTE_ADDR"]:
            pass
        return self.app(environ, start_response)
"""
READS = {
    "a middleware": (MIDDLEWARE, {}),
    "a middleware beside an import": ("from os import environ\nA = environ['A']\n" + MIDDLEWARE, {"A": True}),
    "a variable": ("environ = request_environ()\nA = environ['A']\n", {}),
    "a local variable": ("import os\ndef f(request):\n    os = request\n    return os.environ['A']\n", {}),
    "a lambda": ("from os import environ\nf = lambda environ: environ['A']\n", {}),
    "another object's": ("A = request.environ['A']\nB = flask.request.environ.get('B')\n", {}),
    "another getenv": ("def getenv(name): ...\nA = getenv('A')\n", {}),
    "os.environ": ("import os\nA = os.environ['A']\nB = os.environ.get('B')\n", {"A": True, "B": False}),
    "a new name for os": ("import os as system\nA = system.environ['A']\n", {"A": True}),
    "os.path": ("import os.path\nA = os.environ['A']\n", {"A": True}),
    "new names": (
        "from os import environ as env, getenv as g\nA = env['A']\nB = g('B')\n",
        {"A": True, "B": False},
    ),
    "another name for os.environ.get": ("import os\nenv = os.environ.get\nA = env('A')\n", {"A": False}),
    "an import in a function": (
        "def f():\n    from os import environ\n    return environ['A']\n",
        {"A": True},
    ),
    "another variable for it": ("import os\nenv = os.environ\nA = env['A']\n", {"A": True}),
    "a membership test": ("import os\nA = os.environ['A'] if 'A' in os.environ else 1\n", {"A": False}),
    "a fault that is caught": (
        "import os\ntry:\n    A = os.environ['A']\nexcept KeyError:\n    A = 1\n",
        {"A": False},
    ),
    "a method": ("import os\nclass Config:\n    A = os.environ['A']\n", {"A": True}),
    "a development server": ("import os\nif __name__ == '__main__':\n    app.run(os.environ['A'])\n", {}),
    "a file that it names": (
        "app.config.from_envvar('A')\napp.config.from_envvar('B', silent=True)\n",
        {"A": True, "B": False},
    ),
}


@pytest.mark.parametrize(("text", "expected"), READS.values(), ids=READS)
def test_environment_reads_are_only_those_of_os(tmp_path, text, expected):
    found = read_source(files(tmp_path, {"app.py": text})).env
    assert found == expected, f"expected {expected}, got {found}"


CONFIGS = "class DevelopmentConfig: ...\nclass ProductionConfig: ...\n"
TABLE = (
    CONFIGS
    + "config = {'development': DevelopmentConfig, 'default': DevelopmentConfig,\n"
    + "          'production': ProductionConfig}\n"
)
SELECTORS = {
    "a fallback by or": (
        {"config.py": TABLE, "app.py": "import os\nx = os.getenv('FLASK_CONFIG') or 'default'\n"},
        {"FLASK_CONFIG": "production"},
    ),
    "a default": (
        {"config.py": TABLE, "app.py": "import os\nx = os.environ.get('FLASK_CONFIG', 'development')\n"},
        {"FLASK_CONFIG": "production"},
    ),
    "required": (
        {"config.py": TABLE, "app.py": "import os\nx = os.environ['FLASK_CONFIG']\n"},
        {"FLASK_CONFIG": "production"},
    ),
    "another spelling": (
        {
            "config.py": "configs = dict(dev=A, prod=B)\n",
            "app.py": "import os\nx = os.getenv('APP_ENV', 'dev')\n",
        },
        {"APP_ENV": "prod"},
    ),
    "a comparison": (
        {
            "app.py": "import os\nenv = os.getenv('FLASK_ENV', 'development')\n"
            "if env == 'production':\n    x = 1\n"
        },
        {"FLASK_ENV": "production"},
    ),
    "a match": (
        {"app.py": "import os\nmatch os.getenv('SHOP_ENV', 'dev'):\n    case 'production':\n        x = 1\n"},
        {"SHOP_ENV": "production"},
    ),
    "an import path": (
        {
            "config.py": CONFIGS,
            "app.py": "import os\nx = os.getenv('APP_SETTINGS', 'config.DevelopmentConfig')\n",
        },
        {"APP_SETTINGS": "config.ProductionConfig"},
    ),
    "an import path without a default": (
        {
            "config.py": CONFIGS,
            "app.py": "import os\nname = os.getenv('APP_SETTINGS')\napp.config.from_object(name)\n",
        },
        {"APP_SETTINGS": "config.ProductionConfig"},
    ),
    "a class by its name": (
        {
            "config.py": CONFIGS,
            "app.py": "import os\nenv = os.getenv('FLASK_ENV', 'development')\n"
            "app.config.from_object(f'config.{env.capitalize()}Config')\n",
        },
        {"FLASK_ENV": "production"},
    ),
    "a module": (
        {
            "config/dev.py": "",
            "config/prod.py": "",
            "app.py": "import os\nname = os.getenv('FLASK_ENV', 'dev')\n"
            "app.config.from_pyfile(f'config/{name}.py')\n",
        },
        {"FLASK_ENV": "prod"},
    ),
    "no such configuration": (
        {
            "config.py": "config = {'development': A, 'testing': B}\n",
            "app.py": "import os\nx = os.getenv('FLASK_CONFIG', 'development')\n",
        },
        {"FLASK_CONFIG": "REPLACE_ME"},
    ),
    "production is the default": (
        {"config.py": TABLE, "app.py": "import os\nx = os.getenv('FLASK_CONFIG', 'production')\n"},
        {},
    ),
    "not a selector": (
        {"config.py": TABLE, "app.py": "import os\nx = os.getenv('TOWN', 'development')\n"},
        {},
    ),
}


@pytest.mark.parametrize(("contents", "expected"), SELECTORS.values(), ids=SELECTORS)
def test_configuration_selector_with_development_default_is_proposed(tmp_path, contents, expected):
    source = read_source(files(tmp_path, contents))
    answers = {"server_names": ["a.test"], "source": {"path": "x"}, "wsgi": "a:b"}
    found = entries.make_entry("shop", answers, source, None).get("env", {})
    assert found == expected, f"expected {expected}, got {found}"
    noted = any("FLASK_CONFIG" in line for line in command.noticed(source))
    assert noted == ("REPLACE_ME" in expected.values()), f"got {command.noticed(source)}"


# --- Uploads -----------------------------------------------------------------------------------

MAKES = (
    "import os\nfrom flask import Flask\ndef create_app():\n"
    "    app = Flask(__name__)\n    {}\n    return app\n"
)
TUTORIAL = MAKES.format("os.makedirs(app.instance_path)").replace(
    "(__name__)", "(__name__, instance_relative_config=True)"
)
KEPT = "open(os.path.join(app.instance_path, 'x.json'))"
UPLOADS = {
    "a folder of pictures": ({"uploads/a.png": "x"}, ["uploads"]),
    "a package": ({"shop/uploads/__init__.py": "", "shop/__init__.py": FACTORY}, []),
    "a package's templates": ({"shop/uploads/form.html": "<form>"}, []),
    "front-end sources": ({"static/uploads/upload.js": "x", "client/uploads/a.vue": "x"}, []),
    "a package.json": ({"uploads/package.json": "{}"}, []),
    "code deeper in it": ({"uploads/a/b/c.py": "", "static/uploads/a.png": "x"}, ["static/uploads"]),
    "Flask's tutorial": ({"flaskr/__init__.py": TUTORIAL}, ["instance"]),
    "Flask's tutorial in src": ({"src/flaskr/__init__.py": TUTORIAL}, ["src/instance"]),
    "a module in src": ({"src/shop.py": TUTORIAL}, ["src/instance"]),
    "instance_relative_config": (
        {"app.py": "from flask import Flask\napp = Flask('app', instance_relative_config=True)\n"},
        ["instance"],
    ),
    "a path in the instance folder": ({"shop/__init__.py": MAKES.format(KEPT)}, ["instance"]),
    "SQLite of Flask-SQLAlchemy": (
        {
            "app.py": APP + "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///shop.db'\n",
            "requirements.txt": "flask-sqlalchemy\n",
        },
        ["instance"],
    ),
    "SQLite in instance": (
        {"app.py": APP + "import sqlite3\ndb = sqlite3.connect('instance/shop.db')\n"},
        ["instance"],
    ),
    "an instance folder with code": ({"flaskr/__init__.py": TUTORIAL, "instance/config.py": "A = 1\n"}, []),
    "a folder that it creates": (
        {"app.py": APP + "import os\nos.makedirs('logs', exist_ok=True)\n"},
        ["logs"],
    ),
    "a folder that it names": (
        {"app.py": APP + "app.config['UPLOAD_FOLDER'] = 'media/pictures'\n"},
        ["media/pictures"],
    ),
    "a folder beside a package's file": (
        {
            "shop/__init__.py": FACTORY,
            "shop/config.py": "import os\nhere = os.path.dirname(__file__)\n"
            "UPLOAD_FOLDER = os.path.join(here, 'static', 'pictures')\n",
        },
        ["shop/static/pictures"],
    ),
    "a folder beside the package": (
        {"shop/config.py": "from pathlib import Path\nUPLOAD_DIR = Path(__file__).parent.parent / 'media'\n"},
        ["media"],
    ),
    "a folder in root_path": (
        {"shop/__init__.py": MAKES.format("os.makedirs(os.path.join(app.root_path, 'files'))")},
        ["shop/files"],
    ),
    "SQLite by a constant": (
        {
            "app.py": APP + "NAME = 'shop.db'\napp.config['SQLALCHEMY_DATABASE_URI'] = f'sqlite:///{NAME}'\n",
            "requirements.txt": "flask-sqlalchemy\n",
        },
        ["instance"],
    ),
    "SQLite by a path": (
        {
            "app.py": APP + "app.config['SQLALCHEMY_DATABASE_URI'] = f'sqlite:///{compute()}'\n",
            "requirements.txt": "flask-sqlalchemy\n",
        },
        [],
    ),
    "a folder elsewhere": ({"app.py": APP + "import os\nos.makedirs('/tmp/x')\nos.makedirs('../x')\n"}, []),
    "one in another": (
        {"app.py": APP + "import os\nos.makedirs('uploads/a')\n", "uploads/x.png": "x"},
        ["uploads"],
    ),
}


@pytest.mark.parametrize(("contents", "expected"), UPLOADS.values(), ids=UPLOADS)
def test_uploads_are_folders_that_the_application_writes(tmp_path, contents, expected):
    found = read_source(files(tmp_path, contents)).uploads
    assert found == expected, f"expected {expected}, got {found}"


def test_uploads_with_code_are_mentioned(tmp_path):
    contents = {"shop/__init__.py": FACTORY, "shop/uploads/__init__.py": "", "requirements.txt": "flask\n"}
    lines = command.noticed(read_source(files(tmp_path, contents)))
    assert any("shop/uploads" in line and "__init__.py" in line for line in lines), f"got {lines}"


# --- Databases ---------------------------------------------------------------------------------

PLUGIN = {
    "search/engines/postgresql.py": "import psycopg2\n",
    "search/engines/mysql.py": "import mysql.connector, pymysql\n",
}
OWN = {
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


@pytest.mark.parametrize(("contents", "database", "unsupported"), OWN.values(), ids=OWN)
def test_database_needs_evidence_that_it_is_the_applications_own(tmp_path, contents, database, unsupported):
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
def test_missing_driver_is_proposed_where_the_schema_has_install(tmp_path, monkeypatch, contents, expected):
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


def test_driver_of_an_extra_brings_its_scheme_and_packages(tmp_path, monkeypatch):
    text = PROJECT + "[project.optional-dependencies]\nmysql = ['mysqlclient']\n"
    source = read_source(files(tmp_path, {"pyproject.toml": text}))
    monkeypatch.setattr(entries, "KEYS", entries.KEYS | {"install": {"type": "array"}})
    answers = {"server_names": ["a.test"], "source": {"path": "x"}, "wsgi": "a:b", "database": True}
    found = entries.make_entry("shop", answers, source, None)
    assert found["install"] == [".[mysql]"], f"got {found}"
    assert found["database"]["scheme"] == "mysql+mysqldb", f"got {found}"
    assert "default-libmysqlclient-dev" in found["packages"], f"got {found}"
