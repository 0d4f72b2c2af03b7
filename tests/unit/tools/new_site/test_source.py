"""Settings that `make new-site` reads from a source, in addition to the application."""

from __future__ import annotations

import pytest
from new_site_command import FACTORY, command, files, read_source


def test_source_gives_all_settings(tmp_path):
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


def test_template_in_a_source_is_ignored(tmp_path):
    """Ansible would evaluate the template on the controller."""
    lines = "one: echo {{ x }}\ntwo: {% x %}\nthree: {# x #}\nfour: echo ${X} {}\n"
    found = read_source(files(tmp_path, {"Procfile": lines, ".flaskenv": "FLASK_APP=a:b({{x}})"}))
    assert found.processes == {"four": "echo ${X} {}"}, f"got {found.processes}"
    assert found.wsgi == "", f"expected nothing, got {found.wsgi}"


def test_health_route_with_a_prefix_is_not_proposed(tmp_path):
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
def test_unsupported_database_engine_is_mentioned(tmp_path, name, text):
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
    "a middleware and an import": ("from os import environ\nA = environ['A']\n" + MIDDLEWARE, {"A": True}),
    "a variable": ("environ = request_environ()\nA = environ['A']\n", {}),
    "a local variable": ("import os\ndef f(request):\n    os = request\n    return os.environ['A']\n", {}),
    "a lambda": ("from os import environ\nf = lambda environ: environ['A']\n", {}),
    "environ of another object": ("A = request.environ['A']\nB = flask.request.environ.get('B')\n", {}),
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
    "a handled KeyError": (
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
