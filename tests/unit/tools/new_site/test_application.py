"""The application that `make new-site` proposes: from start commands, or from the Python files."""

from __future__ import annotations

import pytest
from new_site_command import APP, FACTORY, command, files, read_source

LAYOUTS = {
    "one file": ({"app.py": APP}, "app:app"),
    "wsgi.py before app.py": ({"app.py": APP, "wsgi.py": "from app import app\n"}, "wsgi:app"),
    "wsgi.py, renamed": ({"wsgi.py": "from x import y as application\n"}, "wsgi:application"),
    "another name": ({"shop.py": "from flask import Flask\nsite = Flask('x')\n"}, "shop:site"),
    "a factory's result": ({"main.py": "from x import create_app\napp = create_app()\n"}, "main:app"),
    "a package's factory": ({"shop/__init__.py": FACTORY}, "shop:create_app()"),
    "src": ({"src/shop/__init__.py": FACTORY, "setup.py": ""}, "shop:create_app()"),
    "a module of a package": ({"shop/__init__.py": "", "shop/web.py": FACTORY}, "shop.web:create_app()"),
    "a package before run.py": (
        {"shop/__init__.py": FACTORY, "run.py": "from x import y\napp = y()\n"},
        "shop:create_app()",
    ),
    "a factory with a required argument": ({"shop/__init__.py": "def create_app(config): ...\n"}, ""),
    "with a type": ({"app.py": "app: Flask = Flask('x')\n"}, "app:app"),
    "a Celery module is not an application": (
        {"shop/__init__.py": FACTORY, "my_celery.py": "app = create_app()\n"},
        "shop:create_app()",
    ),
    "objects named app of other libraries": (
        {"tasks.py": "app = Celery()\n", "cli.py": "app = Typer()\n"},
        "",
    ),
    "tests and environments are ignored": ({"tests/app.py": APP, "venv/app.py": APP, ".x/app.py": APP}, ""),
    "Python 2": ({"app.py": "print 'x'\n", "main.py": APP}, "main:app"),
    ".flaskenv": ({"app.py": APP, "x.py": APP, ".flaskenv": "# x\nexport FLASK_APP=x.py\n"}, "x:app"),
    ".flaskenv, a name": ({".flaskenv": 'FLASK_APP="shop.web:create_app"\n'}, "shop.web:create_app()"),
    "Procfile": ({"app.py": APP, "Procfile": "web: X=1 gunicorn -w 4 -b :$PORT 'a.b:c(1)' -\n"}, "a.b:c(1)"),
    "Procfile, bare": ({"app.py": APP, "Procfile": "web: gunicorn -w 4 serve\n"}, "serve:application"),
    "Procfile, no gunicorn": ({"app.py": APP, "Procfile": "web: python app.py\n"}, "app:app"),
    "Procfile, a template": ({"app.py": APP, "Procfile": "web: gunicorn 'a:b({{ x }})'\n"}, "app:app"),
    "Procfile, broken": ({"app.py": APP, "Procfile": "web: gunicorn 'a:b\n"}, "app:app"),
    "a syntax warning": ({"app.py": APP + "x = '\\d'\n"}, "app:app"),
}


@pytest.mark.parametrize(("contents", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_source_layout_gives_the_application(tmp_path, contents, expected):
    found = read_source(files(tmp_path, contents)).wsgi
    assert found == expected, f"expected {expected!r}, got {found!r}"


# Creates tables, which an import by gunicorn would repeat.
SEED = "from shop import create_app, db\napp = create_app()\nwith app.app_context():\n    db.create_all()\n"
RUN = "from shop import create_app\napp = create_app()\nif __name__ == '__main__':\n    app.run()\n"
# Flask's documentation and "The Flask Mega-Tutorial" have such a file in the top folder.
TOP = "import os\nfrom shop import create_app\napp = create_app(os.getenv('FLASK_CONFIG') or 'default')\n"
NEEDS_A_NAME = "from flask import Flask\ndef create_app(name):\n    return Flask(__name__)\n"
PREFERRED = {
    "a package before a script": ({"seed_db.py": SEED, "shop/__init__.py": FACTORY}, "shop:create_app()"),
    "a package before manage.py": ({"manage.py": RUN, "shop/__init__.py": FACTORY}, "shop:create_app()"),
    "a package before another script": ({"a.py": SEED, "shop/__init__.py": FACTORY}, "shop:create_app()"),
    "a package before scripts/": (
        {"scripts/wsgi_seed.py": SEED, "web/__init__.py": "", "web/main.py": FACTORY},
        "web.main:create_app()",
    ),
    "a script alone is not proposed": ({"seed_db.py": SEED, "shop/__init__.py": NEEDS_A_NAME}, ""),
    "a package before examples": (
        {"examples/__init__.py": "", "examples/app.py": APP, "z/__init__.py": APP},
        "z:app",
    ),
    "wsgi.py before app.py": ({"app.py": SEED, "wsgi.py": RUN, "shop/__init__.py": FACTORY}, "wsgi:app"),
    "a package's wsgi.py": ({"shop/__init__.py": FACTORY, "shop/wsgi.py": RUN}, "shop.wsgi:app"),
    "app.py that creates its tables": ({"app.py": SEED, "shop/__init__.py": NEEDS_A_NAME}, "app:app"),
    "one file that creates its tables": (
        {"shop.py": APP + "with app.app_context():\n    db.create_all()\n"},
        "shop:app",
    ),
    "a factory with an argument, called at the top": (
        {"flasky.py": TOP, "shop/__init__.py": NEEDS_A_NAME},
        "flasky:app",
    ),
    "setup.py is not an application": ({"setup.py": "from x import setup\napp = setup()\nsetup()\n"}, ""),
    "a choice": (
        {"wsgi.py": "import x\nif x.y:\n    app = x.create_app(1)\nelse:\n    app = x.create_app(2)\n"},
        "wsgi:app",
    ),
    "a factory of another name": (
        {
            "shop/__init__.py": "from flask import Flask\ndef build():\n"
            "    site = Flask(__name__)\n    return site\n"
        },
        "shop:build()",
    ),
    "a folder that cannot be imported": ({"my-shop/app.py": APP, "main.py": APP}, "main:app"),
    "a configuration by the factory's default": (
        {
            "config.py": "config = {'development': A, 'production': B}\n",
            "shop/__init__.py": FACTORY.replace("config=None", "config_name='development'"),
        },
        'shop:create_app("production")',
    ),
    "a configuration that the factory requires": (
        {
            "config.py": "config = {'development': A, 'production': B}\n",
            "shop/__init__.py": NEEDS_A_NAME.replace("name", "config_name"),
        },
        'shop:create_app("production")',
    ),
    "an argument that is not a configuration": (
        {"config.py": "config = {'development': A, 'production': B}\n", "shop/__init__.py": NEEDS_A_NAME},
        "",
    ),
    "a package named src": ({"src/__init__.py": FACTORY, "manage.py": RUN}, "src:create_app()"),
    "another file before manage.py": ({"manage.py": RUN, "zoo.py": APP}, "zoo:app"),
    "another file before a seed script": ({"seed_db.py": RUN, "zoo.py": APP}, "zoo:app"),
    "a subclass of Flask": (
        {"app.py": "import flask\nclass Shop(flask.Flask): ...\napp = Shop(__name__)\n"},
        "app:app",
    ),
}


@pytest.mark.parametrize(("contents", "expected"), PREFERRED.values(), ids=PREFERRED)
def test_source_with_several_candidates_gives_the_likeliest(tmp_path, contents, expected):
    found = read_source(files(tmp_path, contents)).wsgi
    assert found == expected, f"expected {expected!r}, got {found!r}"


# --- Applications of other kinds ---------------------------------------------------------------

OTHERS = {
    "Dash with its server": (
        {"app.py": "import dash\napp = dash.Dash(__name__)\nserver = app.server\n"},
        "app:server",
        "",
    ),
    "Dash": ({"app.py": "from dash import Dash\napp = Dash(__name__)\n"}, "", "server = app.server"),
    "Dash, another name": (
        {"board.py": "from dash import Dash as D\nboard = D('x')\n"},
        "",
        "server = board.server",
    ),
    "Dash in a Flask application": (
        {
            "app.py": APP.replace("app =", "server =")
            + "from dash import Dash\napp = Dash(__name__, server=server)\n"
        },
        "app:server",
        "",
    ),
    "Quart": ({"app.py": "from quart import Quart\napp = Quart(__name__)\n"}, "app:app", ""),
    "FastAPI": ({"main.py": "import fastapi\napp = fastapi.FastAPI()\n"}, "main:app", ""),
    "Starlette": (
        {"main.py": "from starlette.applications import Starlette\napp = Starlette()\n"},
        "main:app",
        "",
    ),
    "a factory of Quart": (
        {
            "shop/__init__.py": "from quart import Quart\ndef create_app():\n    return Quart('x')\n",
            "wsgi.py": "from shop import create_app\napp = create_app()\n",
        },
        "wsgi:app",
        "",
    ),
    "Quart for uvicorn": (
        {"Procfile": "web: uvicorn app:app\n", "app.py": "from quart import Quart\napp = Quart('x')\n"},
        "app:app",
        "",
    ),
    "an ASGI worker": (
        {
            "Procfile": "web: gunicorn -k uvicorn.workers.UvicornWorker app:app\n",
            "app.py": "from litestar import Litestar\napp = Litestar([])\n",
        },
        "app:app",
        "",
    ),
    "a subclass of Quart": (
        {"app.py": "from quart import Quart\nclass Shop(Quart): ...\napp = Shop('x')\n"},
        "app:app",
        "",
    ),
    "a desktop application": (
        {"app.py": "from PyQt6.QtWidgets import QApplication\napp = QApplication([])\n"},
        "",
        "",
    ),
    "aiohttp": ({"app.py": "from aiohttp import web\napp = web.Application()\n"}, "", ""),
    "ASGI inside WSGI": (
        {
            "app.py": "from a2wsgi import ASGIMiddleware\nfrom fastapi import FastAPI\n"
            "app = ASGIMiddleware(FastAPI())\n"
        },
        "app:app",
        "",
    ),
    "Flask next to FastAPI": (
        {"api.py": "from fastapi import FastAPI\napp = FastAPI()\n", "app.py": APP},
        "app:app",
        "",
    ),
    "Bottle": ({"app.py": "import bottle\napp = bottle.Bottle()\n"}, "app:app", ""),
}


@pytest.mark.parametrize(("contents", "wsgi", "words"), OTHERS.values(), ids=OTHERS)
def test_object_named_app_is_proposed_only_for_gunicorn(tmp_path, contents, wsgi, words):
    found = read_source(files(tmp_path, contents | {"requirements.txt": "flask\n"}))
    assert found.wsgi == wsgi, f"expected {wsgi!r}, got {found.wsgi!r}"
    lines = command.noticed(found)
    assert words in "\n".join(lines) and bool(words) == bool(lines), f"expected {words!r}, got {lines}"


@pytest.mark.parametrize(
    ("contents", "wsgi", "worker_class"),
    [
        ({"app.py": "from quart import Quart\napp = Quart(__name__)\n"}, "app:app", "asgi"),
        ({"Procfile": "web: gunicorn -k uvicorn.workers.UvicornWorker a:app\n", "a.py": ""}, "a:app", "asgi"),
        ({"Procfile": "web: uvicorn image.main:app\n"}, "image.main:app", "asgi"),
        ({"asgi.py": "from quart import Quart\napp = Quart('x')\n", "wsgi.py": APP}, "wsgi:app", ""),
    ],
)
def test_asgi_application_gets_the_asgi_worker(tmp_path, contents, wsgi, worker_class):
    found = read_source(files(tmp_path, contents | {"requirements.txt": "quart\n"}))
    got = (found.wsgi, found.worker_class)
    assert got == (wsgi, worker_class), f"expected {(wsgi, worker_class)}, got {got}"


# --- An application in a folder ----------------------------------------------------------------

BACKEND = {
    "backend/app.py": "import models\n" + APP,
    "backend/models.py": "",
    "backend/requirements.txt": "flask\n",
}
FRONTEND = {"frontend/package.json": '{"scripts": {"build": "vite build"}}', "frontend/src/main.js": "x"}
FOLDERS = {
    "backend next to frontend": (BACKEND | FRONTEND, "backend", "app:app"),
    "the top": ({"app.py": APP, "requirements.txt": "flask\n"} | FRONTEND, "", "app:app"),
    "a package at the top": (
        {"backend/__init__.py": FACTORY, "requirements.txt": "flask\n"},
        "",
        "backend:create_app()",
    ),
    "imports from the top": (
        {
            "backend/app.py": "from backend import models\n" + APP,
            "backend/models.py": "",
            "requirements.txt": "flask\n",
        },
        "",
        "backend.app:app",
    ),
    "a folder with a hyphen": (
        {"my-shop/app.py": APP, "my-shop/requirements.txt": "flask\n"},
        "my-shop",
        "app:app",
    ),
    "a package in the folder": (
        {"server/shop/__init__.py": FACTORY, "server/pyproject.toml": ""},
        "server",
        "shop:create_app()",
    ),
    "two levels": (
        {"services/users/app.py": APP, "services/users/requirements.txt": "", "services/client/x.js": ""},
        "services/users",
        "app:app",
    ),
    "a command that changes the folder": (
        BACKEND | {"Procfile": "web: cd backend && gunicorn app:app\n"},
        "backend",
        "app:app",
    ),
    "--chdir": (BACKEND | {"Procfile": "web: gunicorn --chdir backend app:app\n"}, "backend", "app:app"),
    "a Dockerfile in the folder": (
        BACKEND | {"backend/Dockerfile": "FROM x\nCMD gunicorn app:app\n"},
        "backend",
        "app:app",
    ),
    "a Dockerfile above it": (
        BACKEND | {"Dockerfile": "FROM x\nCMD gunicorn app:app\n"},
        "backend",
        "app:app",
    ),
    "--chdir src": ({"src/app.py": APP, "Procfile": "web: gunicorn --chdir src app:app\n"}, "", "app:app"),
}


@pytest.mark.parametrize(("contents", "folder", "wsgi"), FOLDERS.values(), ids=FOLDERS)
def test_application_in_a_folder_is_found(tmp_path, contents, folder, wsgi):
    found = read_source(files(tmp_path, contents))
    assert (found.folder, found.wsgi) == (folder, wsgi), (
        f"expected {wsgi!r} in {folder!r}, got {found.wsgi!r} in {found.folder!r}"
    )


@pytest.mark.parametrize("contents", [BACKEND | FRONTEND, {"app.py": APP} | FRONTEND])
def test_front_end_with_a_build_is_mentioned(tmp_path, contents):
    lines = command.noticed(read_source(files(tmp_path, contents)))
    assert any("frontend/package.json" in line and "build" in line for line in lines), f"got {lines}"


def test_second_application_in_another_folder_is_mentioned(tmp_path):
    contents = {f"{name}/{file}": text for name in ("api", "admin")
                for file, text in {"app.py": APP, "requirements.txt": "flask\n"}.items()}  # fmt: skip
    found = read_source(files(tmp_path, contents))
    assert found.folder == "api", f"expected api, got {found.folder!r}"
    lines = command.noticed(found)
    assert any("admin/" in line for line in lines), f"expected admin to be mentioned, got {lines}"
