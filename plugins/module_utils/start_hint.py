"""Remedies for an application that failed to start, from its log."""

from __future__ import annotations

import re

from ansible_collections.decanter.stack.plugins.module_utils.log_text import clean, cut
from ansible_collections.decanter.stack.plugins.module_utils.start_path import path_hint

# Distributions by module, if their names differ.
DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "Cryptodome": "pycryptodomex",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "decouple": "python-decouple",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "flask_admin": "Flask-Admin",
    "flask_login": "Flask-Login",
    "flask_migrate": "Flask-Migrate",
    "flask_sqlalchemy": "Flask-SQLAlchemy",
    "flask_wtf": "Flask-WTF",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "memcache": "python-memcached",
    "mysql": "mysql-connector-python",
    "pkg_resources": "setuptools<81",
    "psycopg2": "psycopg2-binary",
    "pymysql": "pymysql",
    "serial": "pyserial",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "snappy": "python-snappy",
    "socketio": "python-socketio",
    "telegram": "python-telegram-bot",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
# Modules with the name of their distribution.
SAME = frozenset(
    (
        *("alembic", "asyncpg", "bcrypt", "boto3", "celery", "cryptography", "email_validator", "eventlet"),
        *(
            "flask",
            "gevent",
            "greenlet",
            "gunicorn",
            "httpx",
            "jinja2",
            "lxml",
            "markdown",
            "numpy",
            "pandas",
        ),
        *("psycopg", "pydantic", "pymongo", "redis", "requests", "rq", "sentry_sdk", "setuptools", "six"),
        *("sqlalchemy", "wtforms"),
    )
)
SECRET = re.compile(r"SECRET|TOKEN|PASSW|KEY|CREDENTIAL|DSN")
EXCEPTION = r"^(?:[\w.]{1,100}\.)?"
MODULE = re.compile(EXCEPTION + r"(?:ModuleNotFound|Import)Error: No module named '?([\w.]{1,100})", re.M)
METADATA = re.compile(r"PackageNotFoundError: (?:No package metadata was found for )?([\w.-]{1,100})$", re.M)
ENVIRON = re.compile(
    r"(?:os\.environ|<frozen os>|/os\.py\")[^\n]{0,200}\n"
    r"(?:[^\n]{0,300}\n){0,6}?KeyError: '([A-Za-z_]\w{0,80})'$",
    re.M,
)
UNSET = re.compile(
    r"(?:Environment variable \"([A-Za-z_]\w{0,80})\" not set"
    r"|UndefinedValueError: ([A-Za-z_]\w{0,80}) not found\."
    r"|Set the ([A-Za-z_]\w{0,80}) environment variable)"
)
SERVICE = re.compile(
    EXCEPTION + r"(?:\w{0,60}Error|ServerSelectionTimeoutError): [^\n]{0,300}?"
    r"(?:Connection refused|No such file or directory|\b111\b|[Cc](?:an't|ould not) (?:connect|translate)"
    r"|name resolution|Name or service not known)",
    re.M,
)
SQLITE = re.compile(
    r"sqlite3\.OperationalError\)?:? ?(attempt to write a readonly database|unable to open database file)",
    re.M,
)

# gunicorn called the function of `wsgi` as a WSGI application, or the function returned one as a response.
FACTORY = re.compile(
    r"self\.wsgi\([^\n]{0,200}\n(?:[ ~^]{1,200}\n)?TypeError: (?:[\w.<>]{1,100}\.)?(\w{1,80})\(\)"
    r" takes [\w ]{1,40} but 2 were"
    r"|TypeError: 'Flask' object is not (?:iterable|an iterator)"
)


def hint(log: str, working_directory: str) -> str:
    """Return in one line the remedy for the last known failure in a log, or "".

    `working_directory` is the unit's, such as /srv/SITE/blue.
    """
    text = clean(log)
    found = [
        *((match.start(), module_hint(match[1])) for match in MODULE.finditer(text)),
        *((match.start(), metadata_hint(match[1])) for match in METADATA.finditer(text)),
        *((match.end(), variable_hint(match[1])) for match in ENVIRON.finditer(text)),
        *(
            (match.start(), variable_hint(next(filter(None, match.groups()))))
            for match in UNSET.finditer(text)
        ),
        *((match.start(), factory_hint(match[1] or "create_app")) for match in FACTORY.finditer(text)),
        *((match.start(), SQLITE_HINT) for match in SQLITE.finditer(text)),
        *((match.start(), service_hint(text, match)) for match in SERVICE.finditer(text)),
        *path_hint(text, working_directory),
    ]
    hints = [(position, remedy) for position, remedy in found if remedy]
    return cut(max(hints)[1], 400) if hints else ""


def module_hint(module: str) -> str:
    """Return which requirement provides a module."""
    name = module.partition(".")[0]
    distribution = DISTRIBUTIONS.get(name) or (name.replace("_", "-") if name in SAME else "")
    if distribution:
        quoted = f'"{distribution}"' if re.search(r"[<>=]", distribution) else distribution
        return f"No requirement provides the module {name}: add `install: [{quoted}]` to the site."
    if name == "distutils":
        return (
            'Python 3.12 removed the module distutils: add `install: [setuptools]`, or use `python: "3.11"`.'
        )
    return (
        f"The module {module} is neither in the requirements nor in the release: add its distribution to "
        "`install`, or, if it belongs to the application, commit it and check `wsgi`."
    )


def factory_hint(name: str) -> str:
    """Return how gunicorn calls a factory."""
    return f"`wsgi` names a function that returns the application: call it, as in `wsgi: MODULE:{name}()`."


def metadata_hint(name: str) -> str:
    """Return how the metadata of a distribution is installed."""
    return (
        f"The application reads the metadata of {name}: if that is the application itself, add a "
        f"[build-system] table to pyproject.toml, so that it is installed; otherwise add `install: [{name}]`."
    )


def variable_hint(name: str) -> str:
    """Return where a missing environment variable belongs."""
    place = "secrets" if SECRET.search(name.upper()) else "env"
    return f"The environment variable {name} is not set: add {name} to the site's `{place}`."


SQLITE_HINT = (
    "SQLite writes its file and a journal next to it: keep the database in a folder of `uploads`, such as "
    "`uploads: [instance]`, or use `database`."
)
# A part of the exception or of its traceback, the service, and its remedy.
SERVICES = (
    (r"redis|rq\b|:6379", "Redis", "`services: [redis]` provides one at $REDIS_URL"),
    (r"memcache|:11211", "Memcached", "`services: [memcached]` provides one at $MEMCACHED_SOCKET"),
    (r"mysql|mariadb|:3306", "MySQL", "`database` provides one at $DATABASE_URL"),
    (r"psycopg|postgres|asyncpg|:5432", "PostgreSQL", "correct the database's address in `env` or `secrets`"),
    (r"mongo|:27017", "MongoDB", "correct its address in `env` or `secrets`"),
    (r"amqp|kombu|pika|:5672", "RabbitMQ", "correct its address in `env` or `secrets`"),
)


def service_hint(text: str, match: re.Match[str]) -> str:
    """Return the remedy for a service that does not answer, from the exception or the frames before it."""
    line_end = text.find("\n", match.start())
    exception = text[match.start() : line_end if line_end >= 0 else len(text)].lower()
    if "no such file" in exception and "connect" not in exception:
        return ""
    frames = text[max(0, match.start() - 1500) : match.start()].lower()
    for part in (exception, frames):
        for pattern, service, remedy in SERVICES:
            if re.search(pattern, part):
                return f"The application cannot connect to {service}: {remedy}."
    return ""
