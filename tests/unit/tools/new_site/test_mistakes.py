"""Warnings of `make new-site` about mistakes that only appear in production."""

from __future__ import annotations

import pytest
from new_site_command import APP, FACTORY, command, files, read_source

VIEW = "@app.post('/x')\ndef view():\n    {}\n    return ''\n"
SCHEDULER = (
    "from apscheduler.schedulers.background import BackgroundScheduler\n"
    "scheduler = BackgroundScheduler()\nscheduler.start()\n"
)
MISTAKES = {
    "a generated key": (APP + "import os\napp.secret_key = os.urandom(24)\n", "SECRET_KEY"),
    "a generated key in the configuration": (
        APP + "import secrets\napp.config['SECRET_KEY'] = secrets.token_hex()\n",
        "SECRET_KEY",
    ),
    "a generated key in a class": (
        "import os\nclass Config:\n    SECRET_KEY = os.urandom(32)\n",
        "SECRET_KEY",
    ),
    "a generated key by a variable": (
        APP + "from secrets import token_hex\nkey = token_hex(16)\napp.config.update(SECRET_KEY=key)\n",
        "SECRET_KEY",
    ),
    "a generated key in a factory": (
        "import uuid\nfrom flask import Flask\ndef create_app():\n    app = Flask('x')\n"
        "    app.config.from_mapping(SECRET_KEY=uuid.uuid4().hex)\n    return app\n",
        "SECRET_KEY",
    ),
    "a scheduler": (
        APP + SCHEDULER,
        "timers",
    ),
    "Flask-APScheduler": (
        APP + "from flask_apscheduler import APScheduler\ns = APScheduler()\ns.init_app(app)\ns.start()\n",
        "timers",
    ),
    "a thread": (APP + "import threading\nthreading.Thread(target=print).start()\n", "processes"),
    "a list": (APP + "notes = []\n" + VIEW.format("notes.append(1)"), "notes"),
    "a dictionary": (APP + "carts: dict = {}\n" + VIEW.format("carts[1] = 2"), "carts"),
    "a set": (APP + "seen = set()\n" + VIEW.format("seen.add(1)"), "seen"),
    "a defaultdict": (
        APP
        + "from collections import defaultdict\nhits = defaultdict(int)\n"
        + VIEW.format("hits['x'] += 1"),
        "hits",
    ),
    "an item's removal": (APP + "carts = {}\n" + VIEW.format("del carts[1]"), "carts"),
    "a counter": (APP + "count = 0\n" + VIEW.format("global count; count += 1"), "count"),
    "a nested list": (APP + "data = {'a': []}\n" + VIEW.format("data['a'].append(1)"), "data"),
    "a view's class": (
        APP + "from flask.views import MethodView\nitems = []\nclass V(MethodView):\n    def post(self):\n"
        "        items.append(1)\n",
        "items",
    ),
    "a function that a view calls": (
        APP + "items = []\ndef keep(x):\n    items.append(x)\n" + VIEW.format("keep(1)"),
        "items",
    ),
    "a scheduler of another name": (
        APP
        + SCHEDULER.replace("BackgroundScheduler\n", "BackgroundScheduler as Jobs\n", 1).replace(
            "= BackgroundScheduler", "= Jobs"
        ),
        "timers",
    ),
    "a list that is replaced": (
        APP + "notes = []\n" + VIEW.format("global notes; notes = notes + [1]"),
        "notes",
    ),
    "several names": (APP + "a, notes = 1, []\n" + VIEW.format("notes.append(1)"), "notes"),
    "an item of a list": (APP + "notes = [{}]\n" + VIEW.format("note = notes[0]; note['x'] = 1"), "notes"),
    "a loop's item": (APP + "notes = [{}]\n" + VIEW.format("for note in notes: note['x'] = 1"), "notes"),
    "a message's handler": (APP + "seen = set()\n@socketio.on('x')\ndef on_x():\n    seen.add(1)\n", "seen"),
    "a class's counter": (APP + "class Store:\n    count = 0\n" + VIEW.format("Store.count += 1"), "count"),
    "SQLite of Peewee": (APP + "from peewee import SqliteDatabase\ndb = SqliteDatabase('x.db')\n", "WAL"),
    "a class's list": (
        APP + "class Store:\n    items = []\n" + VIEW.format("Store.items.append(1)"),
        "items",
    ),
    "the configuration": (APP + VIEW.format("app.config['X'] = 1"), "config"),
    "a key from a function": (
        APP + "import secrets\ndef key():\n    return secrets.token_hex()\napp.secret_key = key()\n",
        "SECRET_KEY",
    ),
    "SQLite": (APP + "import sqlite3\ndb = sqlite3.connect('instance/x.db')\n", "WAL"),
    "a server on import": (APP + "app.run()\n", "app.run"),
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_gets_a_warning_with_a_remedy(tmp_path, text, words):
    lines = command.noticed(read_source(files(tmp_path, {"app.py": text, "requirements.txt": "flask\n"})))
    assert len(lines) == 1 and words in lines[0], f"expected one line with {words}, got {lines}"
    assert lines[0].count(". ") >= 1, f"expected a remedy, got {lines}"


def test_view_that_changes_another_module_gets_a_warning(tmp_path):
    contents = {
        "shop/__init__.py": FACTORY,
        "shop/state.py": "carts = {}\n",
        "shop/views.py": "from .state import carts\n@bp.route('/')\ndef view():\n    carts[1] = 2\n",
        "requirements.txt": "flask\n",
    }
    lines = command.noticed(read_source(files(tmp_path, contents)))
    assert len(lines) == 1 and "carts" in lines[0] and "shop/views.py" in lines[0], f"got {lines}"


FINE = {
    "a key from the environment": APP
    + "import os\napp.secret_key = os.environ.get('SECRET_KEY') or os.urandom(24)\n",
    "a key from a variable of another name": APP
    + "import os\napp.secret_key = os.environ.get('APP_KEY') or os.urandom(24)\n",
    "a copy of an item": APP + "notes = [{}]\n" + VIEW.format("note = dict(notes[0]); note['x'] = 1"),
    "a user's counter": APP + "from flask import g\n" + VIEW.format("g.count += 1"),
    "a token for a user": APP + "import secrets\n" + VIEW.format("token = secrets.token_hex()"),
    "a constant": APP + "NAMES = ['a']\n" + VIEW.format("return NAMES[0]"),
    "a local list": APP + "notes = []\n" + VIEW.format("notes = []; notes.append(1)"),
    "a parameter": APP + "notes = []\n@app.get('/')\ndef view(notes):\n    notes.append(1)\n",
    "a list that imports fill": APP + "notes = []\nnotes.append(1)\n",
    "a function that no view calls": APP + "notes = []\ndef register(x):\n    notes.append(x)\n",
    "SQLite with WAL": APP
    + "import sqlite3\ndb = sqlite3.connect('instance/x.db')\ndb.execute('PRAGMA journal_mode=WAL')\n",
    "SQLite for tests": APP + "URL = 'sqlite:///:memory:'\n",
    "a guarded server": APP + "if __name__ == '__main__':\n    app.run()\n",
    "the session": APP + "from flask import session\n" + VIEW.format("session['x'] = 1"),
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_correct_source_gets_no_warning(tmp_path, text):
    lines = command.noticed(read_source(files(tmp_path, {"app.py": text, "requirements.txt": "flask\n"})))
    assert lines == [], f"expected no line, got {lines}"


def test_scheduler_in_an_imported_module_gets_a_warning(tmp_path):
    contents = {
        "shop/__init__.py": FACTORY + "from . import scheduler\n",
        "shop/scheduler.py": SCHEDULER,
        "requirements.txt": "flask\n",
    }
    lines = command.noticed(read_source(files(tmp_path, contents)))
    assert len(lines) == 1 and "shop/scheduler.py" in lines[0], f"expected one line, got {lines}"


def test_scheduler_of_a_process_gets_no_warning(tmp_path):
    contents = {"app.py": APP, "clock.py": SCHEDULER, "requirements.txt": "flask\n",
                "Procfile": "web: gunicorn app:app\nclock: python clock.py\n"}  # fmt: skip
    lines = command.noticed(read_source(files(tmp_path, contents)))
    assert lines == [], f"expected no line, got {lines}"


def test_sqlite_gets_no_warning_if_a_database_is_proposed(tmp_path):
    text = "import os\nSQLALCHEMY_DATABASE_URI = os.getenv('DATABASE_URL') or 'sqlite:///x.db'\n"
    source = read_source(
        files(tmp_path, {"app.py": APP + text, "requirements.txt": "flask-sqlalchemy\npymysql\n"})
    )
    lines = command.noticed(source)
    assert source.database and lines == [], f"expected a database and no line, got {source.database}, {lines}"
