"""Folders to which an application writes."""

from __future__ import annotations

import pytest
from new_site_command import APP, FACTORY, command, files, read_source

FACTORY_WITH = (
    "import os\nfrom flask import Flask\ndef create_app():\n"
    "    app = Flask(__name__)\n    {}\n    return app\n"
)
TUTORIAL = FACTORY_WITH.format("os.makedirs(app.instance_path)").replace(
    "(__name__)", "(__name__, instance_relative_config=True)"
)
INSTANCE_FILE = "open(os.path.join(app.instance_path, 'x.json'))"
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
    "a path in the instance folder": ({"shop/__init__.py": FACTORY_WITH.format(INSTANCE_FILE)}, ["instance"]),
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
    "a folder next to a package's file": (
        {
            "shop/__init__.py": FACTORY,
            "shop/config.py": "import os\nhere = os.path.dirname(__file__)\n"
            "UPLOAD_FOLDER = os.path.join(here, 'static', 'pictures')\n",
        },
        ["shop/static/pictures"],
    ),
    "a folder next to the package": (
        {"shop/config.py": "from pathlib import Path\nUPLOAD_DIR = Path(__file__).parent.parent / 'media'\n"},
        ["media"],
    ),
    "a folder in root_path": (
        {"shop/__init__.py": FACTORY_WITH.format("os.makedirs(os.path.join(app.root_path, 'files'))")},
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
    "a folder inside another one": (
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
