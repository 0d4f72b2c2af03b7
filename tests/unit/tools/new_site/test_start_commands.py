"""The start command of a source gives the application and the commands of its release."""

from __future__ import annotations

import pytest
from new_site_command import APP, FACTORY, command, files, read_source

GUNICORN = {
    "--bind and -c": ("wsgi:app --bind unix:app.sock -c python:shop.conf", "wsgi:app"),
    "values first": ("-b unix:shop.sock -k gthread -n shop:web -e A=b:c shop.web:site", "shop.web:site"),
    "an option with =": ("--bind=unix:app.sock --access-logfile=- wsgi:app", "wsgi:app"),
    "flags before it": ("--preload --reload wsgi:app", "wsgi:app"),
    "a value joined to a short option": ("-w4 -bunix:app.sock wsgi:app", "wsgi:app"),
    "a flag before a bare module": ("--preload serve", "serve:application"),
    "a value that is a module": ("--worker-tmp-dir dev wsgi:app", "wsgi:app"),
    "a log format": (
        "--access-logformat '%(h)s a:b' --log-config log.ini 'shop:create_app(\"x\")'",
        'shop:create_app("x")',
    ),
    "only values": ("--bind unix:app.sock -c python:shop.conf", "app:app"),
    "a proxy protocol": ("--proxy-protocol off wsgi:app", "wsgi:app"),
}


@pytest.mark.parametrize(("arguments", "expected"), GUNICORN.values(), ids=GUNICORN)
def test_gunicorn_option_value_is_not_the_application(tmp_path, arguments, expected):
    found = read_source(files(tmp_path, {"app.py": APP, "Procfile": f"web: gunicorn {arguments}\n"})).wsgi
    assert found == expected, f"expected {expected!r}, got {found!r}"


SHOP = {"shop/__init__.py": "", "shop/web.py": APP, "app.py": APP}
STARTS = {
    "Dockerfile, exec form": (
        {"Dockerfile": 'FROM python:3.12\nCMD ["gunicorn", "-b", "0.0.0.0:80", "shop.web:app"]\n'},
        "shop.web:app",
    ),
    "Dockerfile, shell form": (
        {"Dockerfile": "FROM x\nCMD exec gunicorn \\\n  --bind :80 \\\n  shop.web:app\n"},
        "shop.web:app",
    ),
    "Dockerfile, ENTRYPOINT and CMD": (
        {"Dockerfile": 'FROM x\nENTRYPOINT ["/venv/bin/gunicorn", "-w", "4"]\nCMD ["shop.web:app"]\n'},
        "shop.web:app",
    ),
    "Dockerfile, a shell": (
        {"Dockerfile": 'FROM x\nCMD ["sh", "-c", "flask db upgrade && gunicorn shop.web:app"]\n'},
        "shop.web:app",
    ),
    "Dockerfile, the last CMD": (
        {"Dockerfile": "FROM x AS a\nCMD gunicorn other:app\nFROM y\ncmd gunicorn shop.web:app\n"},
        "shop.web:app",
    ),
    "Dockerfile, a script": (
        {
            "Dockerfile": 'FROM x\nENTRYPOINT ["./boot.sh"]\n',
            "boot.sh": "#!/bin/sh\nwhile true; do\n  flask deploy\ndone\n"
            "exec gunicorn -b :5000 - shop.web:app\n",
        },
        "shop.web:app",
    ),
    "Dockerfile, python -m": (
        {"Dockerfile": "FROM x\nCMD python -m gunicorn shop.web:app\n"},
        "shop.web:app",
    ),
    "Dockerfile, FLASK_APP": (
        {"Dockerfile": "FROM x\nENV A=1 FLASK_APP=shop.web\nCMD flask run\n"},
        "shop.web:app",
    ),
    "compose, a string": (
        {"docker-compose.yml": "services:\n  web:\n    command: gunicorn shop.web:app -b :80\n"},
        "shop.web:app",
    ),
    "compose, a list": (
        {"compose.yaml": "services:\n  web:\n    command: [gunicorn, -b, ':80', 'shop.web:app']\n"},
        "shop.web:app",
    ),
    "compose, not a document": ({"compose.yaml": "services: [\n"}, "app:app"),
    "gunicorn.conf.py": ({"gunicorn.conf.py": "bind = ':80'\nwsgi_app = 'shop.web:app'\n"}, "shop.web:app"),
    "a configuration by -c": (
        {"Procfile": "web: gunicorn -c etc/web.py\n", "etc/web.py": "wsgi_app = 'shop.web:app'\n"},
        "shop.web:app",
    ),
    "a configuration by python:": (
        {"Procfile": "web: gunicorn -c python:shop.conf\n", "shop/conf.py": "wsgi_app = 'shop.web:app'\n"},
        "shop.web:app",
    ),
    "a configuration in an image": (
        {
            "Dockerfile": "FROM x\nCMD gunicorn --config /app/etc/web.py\n",
            "etc/web.py": "wsgi_app = 'shop.web:app'\n",
        },
        "shop.web:app",
    ),
    "a configuration of another name": (
        {"gunicorn_config.py": "wsgi_app = 'shop.web:app'\n"},
        "shop.web:app",
    ),
    "a wrapper": (
        {"Procfile": "web: newrelic-admin run-program poetry run gunicorn shop.web:app\n"},
        "shop.web:app",
    ),
    "waitress": ({"Procfile": "web: waitress-serve --listen=*:80 shop.web:app\n"}, "shop.web:app"),
    "uwsgi": ({"Procfile": "web: uwsgi --http :80 --module shop.web:app\n"}, "shop.web:app"),
    "Procfile before Dockerfile": (
        {"Procfile": "web: gunicorn shop.web:app\n", "Dockerfile": "CMD gunicorn app:app\n"},
        "shop.web:app",
    ),
    "a module that exists": (
        {
            "Dockerfile": "FROM x\nCMD gunicorn server:app\n",
            "gunicorn.conf.py": "wsgi_app = 'shop.web:app'\n",
        },
        "shop.web:app",
    ),
    "an uncalled factory": (
        {"shop/__init__.py": FACTORY, "Dockerfile": "FROM x\nCMD gunicorn shop:create_app\n"},
        "shop:create_app()",
    ),
}


@pytest.mark.parametrize(("contents", "expected"), STARTS.values(), ids=STARTS)
def test_start_command_gives_the_application(tmp_path, contents, expected):
    found = read_source(files(tmp_path, SHOP | contents)).wsgi
    assert found == expected, f"expected {expected!r}, got {found!r}"


def test_gunicorn_configuration_gives_the_worker_class(tmp_path):
    found = read_source(files(tmp_path, {"app.py": APP, "gunicorn.conf.py": "worker_class = 'gevent'\n"}))
    assert found.worker_class == "gevent", f"expected gevent, got {found.worker_class!r}"


CHAIN = "web: flask db upgrade; flask translate compile; gunicorn app:app\n"


def test_commands_before_gunicorn_become_migrate_and_build(tmp_path):
    found = read_source(files(tmp_path, {"app.py": APP, "Procfile": CHAIN}))
    assert found.wsgi == "app:app", f"expected app:app, got {found.wsgi!r}"
    assert found.migrate == "flask db upgrade", f"expected flask db upgrade, got {found.migrate!r}"
    assert found.build == ["flask translate compile"], f"expected the translations, got {found.build}"


def test_script_that_runs_its_arguments_is_read(tmp_path):
    contents = {
        "app.py": APP,
        "Dockerfile": 'FROM x\nENTRYPOINT ["/srv/entry.sh"]\nCMD ["gunicorn", "app:app"]\n',
        "entry.sh": '#!/bin/sh\nflask db upgrade\nflask translate compile\nexec "$@"\n',
    }
    found = read_source(files(tmp_path, contents))
    assert found.migrate == "flask db upgrade", f"expected flask db upgrade, got {found.migrate!r}"
    assert found.build == ["flask translate compile"], f"expected the translations, got {found.build}"


def test_migration_before_another_server_becomes_migrate(tmp_path):
    contents = {"app.py": APP, "Dockerfile": "FROM x\nCMD flask db upgrade && flask run -h 0.0.0.0\n"}
    found = read_source(files(tmp_path, contents))
    assert found.migrate == "flask db upgrade", f"expected flask db upgrade, got {found.migrate!r}"
    lines = command.noticed(found)
    assert not any("flask run" in line for line in lines), f"got {lines}"


BEFORE_GUNICORN = {
    "&&": "web: flask init-db && gunicorn app:app\n",
    "a script": "web: bin/start.sh\n",
    "in front of a migration": "web: flask db upgrade && flask init-db && gunicorn app:app\n",
}


@pytest.mark.parametrize("procfile", BEFORE_GUNICORN.values(), ids=BEFORE_GUNICORN)
def test_other_command_before_gunicorn_is_mentioned(tmp_path, procfile):
    script = "#!/bin/sh\nset -e\nflask init-db\nexec gunicorn app:app\n"
    found = read_source(files(tmp_path, {"app.py": APP, "Procfile": procfile, "bin/start.sh": script}))
    lines = command.noticed(found)
    assert any("`flask init-db`" in line and "setup" in line for line in lines), f"got {lines}"
    assert found.wsgi == "app:app", f"expected app:app, got {found.wsgi!r}"


def test_shell_preparation_before_gunicorn_is_not_mentioned(tmp_path):
    web = "web: cd . && . venv/bin/activate; pip install -r requirements.txt && exec gunicorn app:app\n"
    contents = {"app.py": APP, "requirements.txt": "flask\n", "Procfile": web}
    lines = command.noticed(read_source(files(tmp_path, contents)))
    assert lines == [], f"expected no line, got {lines}"


def test_worker_in_compose_file_is_mentioned(tmp_path):
    services = {"web": "gunicorn app:app", "jobs": "celery -A app worker"}
    lines = [f"  {name}: {{build: ., command: {command}}}\n" for name, command in services.items()]
    compose = "services:\n" + "".join(lines)
    found = read_source(files(tmp_path, {"app.py": APP, "compose.yml": compose}))
    lines = command.noticed(found)
    assert any("`celery -A app worker`" in line and "processes" in line for line in lines), f"got {lines}"
