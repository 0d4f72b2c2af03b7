"""Examples of sites, and parts of their error messages."""

from __future__ import annotations

from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA as SCHEMA

SECRET = "correct-horse-battery"
PEM_KEY = f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----\n"
SSH_KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n"
# Text that tools write before a block of PEM: openssl ecparam, openssl pkcs12, openssl x509, an operator.
PREAMBLES = (
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
    "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n",
    "subject=CN = a.test\n\nissuer=CN = Authority\n\n",
    "\n# Größe: 256 bits\n",
)
GIT = "git@host.test:town/hall.git"


def minimal() -> dict[str, Any]:
    return {
        "harbour": {
            "server_names": ["harbour.test"],
            "source": {"path": "app"},
            "wsgi": "harbour:create_app()",
        }
    }


def full() -> dict[str, Any]:
    return {
        "harbour": {
            "state": "present",
            "server_names": ["harbour.test", "www.xn--mller-kva.test", "10.0.0.7", "2001:db8::1"],
            "source": {"path": "app"},
            "wsgi": "harbour.web:make_app(town='St. John', debug=False)",
            "requirements": "pyproject.toml",
            "python": "3.12",
            "packages": ["libmagic1", "g++"],
            "install": ["pymysql>=1.1", ".[database, mail]", "group:production", "."],
            "indexes": [
                {
                    "name": "acme",
                    "url": "https://pypi.acme.test/simple",
                    "username": "deploy",
                    "password": SECRET,
                    "default": True,
                },
                {"name": "other", "url": "http://10.0.0.9:3141/root/simple/", "default": False},
            ],
            "build_secrets": {"TOKEN": SECRET},
            "build_outbound": {"index": {"to": ["10.0.0.9"], "because": "It has our packages."}},
            "files": {
                "settings.cfg": {"content": SECRET},
                "config/local.toml": {"path": "tls/site.crt"},
                "config/site.ini": {"template": "tls/site.crt"},
            },
            "services": ["redis", "memcached"],
            "build": ["npm ci && npm run build"],
            "uploads": ["instance", "src/harbour/static/uploads"],
            "database": {
                "engine": "mysql",
                "auth": "password",
                "password": SECRET,
                "name": "harbour_1",
                "scheme": "mysql+mysqldb",
                "variables": {"DB_URL": "url", "DB_HOST": "host", "DB_PASSWORD": "password"},
            },
            "env": {"HARBOUR_TOWN": "St. John's", "EMPTY": ""},
            "secrets": {"SECRET_KEY": SECRET, "pem": f"{SECRET}\n{SECRET}"},
            "secret_delivery": "credentials",
            "instance_role": False,
            "migrate": "flask db upgrade",
            "migration_check": "flask is-migrated",
            "setup": ["flask seed"],
            "health": {"path": "/readyz", "timeout": 600, "watch": 0},
            "processes": {"worker": "python -m worker"},
            "timers": {"digest": {"command": "flask digest", "calendar": "Mon..Fri 06:30", "on": "all"}},
            "static": [{"url": "/static/", "path": "src/harbour/static"}],
            "gunicorn": {
                "workers": 1,
                "threads": 128,
                "worker_class": "sync",
                "worker_connections": 100,
                "timeout": 3600,
                "settings": {"max_requests": 1000, "preload_app": True, "loglevel": "debug"},
            },
            "nginx": {
                "client_max_body_size": "10m",
                "headers": {"X-Frame-Options": False, "Content-Security-Policy": "default-src 'self'"},
                "hsts": {"seconds": 63072000, "subdomains": True, "preload": True},
                "limits": {"rate": 100, "burst": 300, "connections": 50},
                "basic_auth": {"ada": SECRET},
                "cache": {"seconds": 2, "harmless_cookies": ["_ga_*"], "except": ["/log-in"]},
            },
            "tls": {"mode": "provided", "certificate": "tls/site.crt", "key": PEM_KEY},
            "outbound": {"payments": {"to": ["192.0.2.0/24", "2001:db8::1"], "because": "It takes cards."}},
            "sandbox": {
                "MemoryDenyWriteExecute": {"value": False, "because": "numba compiles"},
                "SystemCallFilter": {"value": "@resources", "because": "it pins its threads"},
                "ReadWritePaths": {"value": "/var/lib/harbour -/srv/harbour/cache", "because": "maps"},
            },
        },
        "town-hall": {
            "server_names": ["hall.test"],
            "source": {"git": GIT, "version": "release/1.4", "subdir": "web/app", "key": SSH_KEY},
            "wsgi": "hall:app",
        },
    }


REMOVE = object()


def changed(sites: Any, dotted: str, value: Any) -> Any:
    """Return sites with the value at a dotted path of the site harbour set, or removed."""
    target = sites["harbour"]
    *parents, last = dotted.split(".")
    for step in parents:
        target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
    if value is REMOVE:
        del target[last]
    else:
        target[int(last) if isinstance(target, list) else last] = value
    return sites


FOLDER = "a folder on the controller (a relative path starts at the folder of ansible.cfg)"
WSGI = 'module:object or module:factory(), such as "harbour:create_app()", without a dot after the colon'
KEYS = ", ".join(sorted(SCHEMA["additionalProperties"]["properties"]))
QUOTES = "a string (put it in quotes)"
SITES = "1 to 50 sites, each under its id (such as harbour)"
FILLED_DATABASE = {
    "engine": "mysql",
    "auth": "socket",
    "scheme": "mysql+pymysql",
    "variables": {"DATABASE_URL": "url"},
}
